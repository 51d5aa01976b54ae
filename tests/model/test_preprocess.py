import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from sam3model.errors import InputError
from sam3model.ops.resize import preprocess, quantise, resize, to_rgb
from tests.model.weight_rule import GOLDENS, golden

RECORD = json.loads((GOLDENS / "preprocess.json").read_text())
REFERENCE = golden("preprocess")
IMAGES = RECORD["images"]


def open_image(entry) -> Image.Image:
    return Image.open(GOLDENS / entry["file"])


@pytest.mark.parametrize("entry", IMAGES, ids=lambda entry: entry["name"])
def test_resized_bytes_equal_the_reference(entry):
    """Exact on the reference processor; on others, under 2 % of values may differ by one level."""
    image = to_rgb(open_image(entry))
    assert hashlib.sha256(image.permute(1, 2, 0).numpy().tobytes()).hexdigest() == entry["rgb_sha256"]
    small, large = resize(image, 168, 168), resize(image, 1008, 1008)
    for actual, name in (
        (small, "res168.uint8"),
        (large[:, 456:552, 456:552], "res1008.center96.uint8"),
        (large[:, :32, :32], "res1008.corner32.uint8"),
    ):
        difference = (actual.int() - REFERENCE[f"{entry['name']}.{name}"].int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() < 0.02


@pytest.mark.parametrize("entry", IMAGES, ids=lambda entry: entry["name"])
@pytest.mark.parametrize("size", [168, 1008])
def test_mean_and_standard_deviation_match(entry, size):
    pixels = preprocess(open_image(entry), size).double()
    assert abs(pixels.mean().item() - entry[f"res{size}"]["mean"]) < 1e-4
    assert abs(pixels.std().item() - entry[f"res{size}"]["std"]) < 1e-4


def test_normalisation_is_bit_exact():
    from sam3model.ops.resize import normalise

    for name in ("res168", "res1008.center96"):
        key = f"{IMAGES[0]['name']}.{name}"
        assert torch.equal(normalise(REFERENCE[f"{key}.uint8"]), REFERENCE[key])


def test_float_tensors_are_quantised_as_in_the_release():
    image = REFERENCE["tensor_float_input"]
    assert torch.equal(quantise(image), REFERENCE["tensor_float_input.quantised_uint8"])
    difference = (resize(to_rgb(image), 168, 168).int() - REFERENCE["tensor_float_input.res168.uint8"].int()).abs()
    assert difference.max() <= 1
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        assert quantise(torch.tensor([-0.5, 0.0, 1.0, 2.0], dtype=dtype)).tolist() == [0, 0, 255, 255]


def test_all_types_of_the_same_image_give_the_same_input():
    image = open_image(IMAGES[0]).convert("RGB")
    array = np.array(image)
    kinds = [
        array,
        torch.from_numpy(array).permute(2, 0, 1),
        array / 255.0,
        image.convert("RGBA"),
        np.asarray(image),
    ]
    expected = preprocess(image, 64)
    assert expected.shape == (3, 64, 64)
    assert expected.dtype == torch.float32
    for kind in kinds:
        assert torch.equal(preprocess(kind, 64), expected)


def test_grey_images_have_three_equal_channels():
    grey = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    out = preprocess(grey, 16)
    assert torch.equal(out[0], out[1])
    assert torch.equal(out, preprocess(Image.fromarray(grey), 16))


def test_a_flat_image_stays_flat_and_a_fitting_one_unchanged():
    flat = torch.full((3, 11, 57), 77, dtype=torch.uint8)
    assert (resize(flat, 24, 24) == 77).all()
    fitting = torch.randint(0, 256, (3, 24, 24), dtype=torch.uint8)
    assert torch.equal(resize(fitting, 24, 24), fitting)


@pytest.mark.parametrize(
    "bad",
    [
        "photo.png",
        np.zeros((4, 4, 3), np.int64),
        torch.zeros(2, 4, 4),
        torch.zeros(3, 4, 4, dtype=torch.int32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 2, 3, 4), np.uint8),
        pytest.param(Image.new("I;16", (4, 4)), id="16 bits"),
        pytest.param(Image.new("F", (4, 4)), id="floats"),
    ],
    ids=str,
)
def test_invalid_images_are_refused(bad):
    with pytest.raises(InputError, match="image"):
        preprocess(bad, 16)


@pytest.mark.parametrize("scale", [255, 2, -1, float("nan")])
def test_floats_that_are_not_in_0_to_1_are_refused(scale: float):
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(4, 4, 3) * np.float32(scale)
    for image in (values, torch.from_numpy(values).permute(2, 0, 1), np.dstack([values, values[..., 0]])):
        with pytest.raises(InputError, match=r"must be in 0\.\.1"):
            to_rgb(image)
    assert to_rgb(np.float32([[[-0.02, 0.5, 1.1]]])).flatten().tolist() == [0, 127, 255]
