"""The image predictor: a session of the official processor, batches, thresholds, errors and conversions."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from sam3model.checkpoint import save_native, save_transformers
from sam3model.checkpoint.name_tables import EXTRA_PREFIX
from sam3model.errors import CheckpointError, InputError
from sam3model.image import Sam3ImagePredictor
from sam3model.ops.resize import to_rgb
from tests.model.detector_goldens import small_model
from tests.model.small_predictor import ALL, NOT_THIS, PHRASES, THIS, encoded, photo, pixels, predictor, same, session

STEPS: list[dict[str, Any]] = [
    {"phrase": "rocket on the launch pad"},
    {"phrase": "rocket on the launch pad", "boxes": [THIS]},
    {"phrase": "rocket on the launch pad", "boxes": [THIS, NOT_THIS], "box_labels": [1, 0]},
    {"phrase": "a tower", "boxes": [THIS, NOT_THIS], "box_labels": [1, 0]},
    {"boxes": [THIS]},
]


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_session_of_the_official_processor(number: int) -> None:
    prompt, expected = dict(STEPS[number]), session()["steps"][number]
    if "boxes" in prompt:
        prompt["boxes"] = [pixels(*box) for box in prompt["boxes"]]
    found = predictor().predict_prompt(encoded(), **prompt, threshold=expected["threshold"])
    assert len(found) == expected["n"] and found.phrase == prompt.get("phrase")
    np.testing.assert_allclose(found.scores, expected["scores"], atol=2e-5)
    np.testing.assert_allclose(found.boxes, expected["boxes_xyxy"], atol=1e-2)
    areas = found.masks.sum(axis=(1, 2))
    assert [len(areas), *found.masks.shape[1:]] == [n for n in expected["masks_shape"] if n != 1]
    assert np.abs(areas - expected["mask_areas"]).max() <= 5
    overlaps = coco.iou(found.to_coco_rle(), expected["rle"], [0] * len(found)).diagonal()
    assert overlaps.min() > 0.9995


def test_phrases_in_a_batch_give_the_same_as_alone() -> None:
    together = predictor().predict(encoded(), PHRASES, threshold=0.32)
    by_two = predictor().predict(encoded(), PHRASES, threshold=0.32, batch=2)
    assert [found.phrase for found in together] == PHRASES
    assert len({len(found) for found in together}) > 1, "otherwise the test proves nothing"
    for phrase, one, other in zip(PHRASES, together, by_two, strict=True):
        alone = predictor().predict_prompt(encoded(), phrase=phrase, threshold=0.32)
        assert same(one, alone) and same(other, alone)


def test_images_in_a_batch_give_the_same_as_alone() -> None:
    turned = photo().transpose(Image.Transpose.ROTATE_90)
    both = predictor().encode([photo(), turned])
    assert [one.size for one in both] == [photo().size, turned.size]
    for one, image in zip(both, (photo(), turned), strict=True):
        (batched,) = predictor().predict(one, PHRASES[:1], threshold=ALL)
        (alone,) = predictor().predict(predictor().encode(image), PHRASES[:1], threshold=ALL)
        assert same(batched, alone)
    assert predictor().encode([]) == []


def test_an_image_may_be_a_pil_image_an_array_or_a_tensor() -> None:
    array = np.asarray(photo())
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    for image in (array, tensor):
        again = predictor().encode(image)
        assert again.size == photo().size
        assert torch.equal(again.features.levels[-1], encoded().features.levels[-1])


def test_the_threshold_is_exclusive() -> None:
    every = predictor().predict_prompt(encoded(), phrase="a tower", threshold=ALL)
    assert len(every) == predictor().model.config.decoder.queries
    middle = float(np.sort(every.scores)[10])
    above = predictor().predict_prompt(encoded(), phrase="a tower", threshold=middle)
    assert set(above.scores) == set(every.scores[every.scores > middle])
    chosen = every[every.scores > middle]
    assert same(above, chosen) and chosen.phrase == "a tower"


def test_a_phrase_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, asked = Sam3ImagePredictor(small_model()), []
    encode_text = ours.model.encode_text
    monkeypatch.setattr(ours.model, "encode_text", lambda ids: asked.append(len(ids)) or encode_text(ids))
    for phrases in (["a tower", "red ball", "a tower"], ["red ball"], ["red ball", "a cat"]):
        ours.predict(encoded(), phrases, threshold=1.0)
    assert asked == [2, 1]


def test_the_cache_drops_the_least_recently_used_phrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam3model.text.phrase_cache.CACHED_PHRASES", 2)
    ours, asked = Sam3ImagePredictor(small_model()), []
    encode_text = ours.model.encode_text
    monkeypatch.setattr(ours.model, "encode_text", lambda ids: asked.append(len(ids)) or encode_text(ids))
    for phrases in (["a"], ["b"], ["a"], ["c"], ["a"], ["b"]):
        ours.predict(encoded(), phrases, threshold=1.0)
    assert asked == [1, 1, 1, 1]
    ours.predict(encoded(), ["x", "y", "z"], threshold=1.0)  # more phrases than the cache holds
    assert asked[-1] == 3


def test_threads_share_a_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam3model.text.phrase_cache.CACHED_PHRASES", 1)  # so that threads evict each other's phrases
    ours = Sam3ImagePredictor(small_model())
    encode_text = ours.model.encode_text
    monkeypatch.setattr(ours.model, "encode_text", lambda ids: time.sleep(0.01) or encode_text(ids))
    asked = [[f"thing {i % 3}", f"thing {(i + 1) % 3}"] for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda phrases: ours.predict(encoded(), phrases, threshold=1.0), asked))
    assert [[one.phrase for one in answer] for answer in answers] == asked


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ({}, "the prompt is empty"),
        ({"boxes": []}, "the prompt is empty"),
        ({"phrase": "  "}, "a phrase is empty"),
        ({"phrase": "\u200b\u202e"}, "a phrase is empty"),
        ({"boxes": [[1, 2, 3]]}, "each box needs 4 numbers"),
        ({"boxes": [[1, 2, 3, 4], [1, 2, 3]]}, "each box needs 4 numbers"),
        ({"boxes": [["a", 2, 3, 4]]}, "each box needs 4 numbers"),
        ({"boxes": [[9, 2, 3, 4]]}, "x1 > x0"),
        ({"boxes": [[2000, 0, 3000, 9]]}, "box 2000,0,3000,9 is outside the image"),
        ({"boxes": [[1, 2, 3, float("nan")]]}, "not finite"),
        ({"boxes": [[1, 2, 3, 4]], "box_labels": [1, 0]}, "each box needs one label"),
        ({"boxes": [[1, 2, 3, 4]], "box_labels": [2]}, "each box needs one label"),
        ({"phrase": "a tower", "box_labels": [1]}, "each box needs one label"),
        ({"points": [[1, 2, 3]]}, "each point needs 2 numbers"),
        ({"points": [[1, 2, 3, 4]]}, r"give \(n, 2\), not \(1, 4\)"),
        ({"boxes": [[1, 2], [3, 4]]}, r"give \(n, 4\), not \(2, 2\)"),
        ({"boxes": [1, 2, 3, 4, 1, 2, 3, 4]}, r"give \(n, 4\), not \(8,\)"),
        ({"phrase": 3}, "a phrase must be text, not int"),
        ({"phrase": "a tower", "threshold": "0.5"}, "between 0 and 1"),
        ({"points": [[1, float("inf")]]}, "not finite"),
        ({"points": [[9999, 9999]]}, "the point 9999,9999 is outside the image"),
        ({"phrase": "a tower", "threshold": 1.5}, "between 0 and 1"),
        ({"phrase": "a tower", "threshold": float("nan")}, "between 0 and 1"),
    ],
)
def test_invalid_prompts_are_refused_in_one_line(prompt: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        predictor().predict_prompt(encoded(), **prompt)
    assert "\n" not in str(caught.value)


def test_transparent_parts_of_an_image_are_white() -> None:
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[10:30, 10:30] = (200, 30, 30, 255)
    white = np.where(pixels[..., 3:] == 0, 255, pixels[..., :3]).astype(np.uint8)
    expected = predictor().encode(white).features.levels[-1]
    for image in (Image.fromarray(pixels), pixels):
        assert torch.equal(predictor().encode(image).features.levels[-1], expected)


def test_phrases_must_be_a_list_without_empty_ones() -> None:
    for phrases, says in (
        ("a tower", "not one string"),
        (["a tower", ""], "a phrase is empty"),
        (["a tower", None], "a phrase must be text, not NoneType"),
        (None, "a list of phrases, not NoneType"),
    ):
        with pytest.raises(InputError, match=says):
            predictor().predict(encoded(), phrases)  # type: ignore[arg-type]
    from_iterator = predictor().predict(encoded(), (phrase for phrase in PHRASES[:2]))  # type: ignore[arg-type]
    assert [one.phrase for one in from_iterator] == PHRASES[:2]
    with pytest.raises(InputError, match="at least 1"):
        predictor().predict(encoded(), ["a tower"], batch=0)


def test_an_image_must_be_encoded_first() -> None:
    image: Any = photo()
    for call in (
        lambda: predictor().predict(image, ["a tower"]),
        lambda: predictor().predict_images(encoded(), ["a tower"]),  # type: ignore[arg-type]
        lambda: predictor().predict_prompt(image, phrase="a tower"),
    ):
        with pytest.raises(InputError, match="give what `encode` returned"):
            call()


@pytest.mark.parametrize("kind", [">f4", "<f8", np.float16, np.longdouble])
def test_floats_of_any_kind_are_read(kind: Any) -> None:
    array = np.linspace(0, 1, 60, dtype=np.float32).reshape(4, 5, 3)
    assert (to_rgb(array.astype(kind)).int() - to_rgb(array).int()).abs().max() <= 1


def test_points_and_their_labels_change_the_prediction() -> None:
    asked = [
        predictor().predict_prompt(encoded(), points=[[140, 135]], point_labels=labels, threshold=ALL)
        for labels in (None, [1], [0])
    ]
    assert asked[0].phrase is None and same(asked[0], asked[1]) and not same(asked[1], asked[2])


def test_weights_without_point_projections_refuse_points_only(tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    save_transformers(small_model(), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(EXTRA_PREFIX)}
    save_file(kept, tmp_path / "model.safetensors")
    theirs = Sam3ImagePredictor.from_weights(tmp_path, device="cpu", dtype="float32")
    with pytest.raises(InputError, match="no point projections"):
        theirs.predict_prompt(encoded(), points=[[140, 135]])
    assert same(*(p.predict_prompt(encoded(), phrase="a tower", threshold=ALL) for p in (theirs, predictor())))


def test_bfloat16_keeps_boxes_and_scores_in_float32(tmp_path: Any) -> None:
    save_native(small_model(), tmp_path / "small.safetensors")
    half = Sam3ImagePredictor.from_weights(tmp_path / "small.safetensors", device="cpu", dtype="bfloat16")
    assert half.dtype == torch.bfloat16 and half.device.type == "cpu"
    features = half.encode(photo())
    found = half.predict_prompt(features, phrase="a tower", boxes=[pixels(*THIS)], threshold=ALL)
    exact = predictor().predict_prompt(encoded(), phrase="a tower", boxes=[pixels(*THIS)], threshold=ALL)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores, exact.scores, atol=0.02)
    rounded = torch.from_numpy(found.scores).bfloat16().float().numpy()
    assert (found.scores != rounded).any(), "scores must have more digits than bfloat16"
    assert np.median(np.abs(found.boxes - exact.boxes)) < 0.02 * max(photo().size)


def test_unknown_weights_device_and_dtype_are_refused() -> None:
    with pytest.raises(CheckpointError, match="no weights at"):
        Sam3ImagePredictor.from_weights("absent.pt", device="cpu")
    with pytest.raises(InputError, match="unknown device"):
        Sam3ImagePredictor.from_weights("absent.pt", device="toaster")
    with pytest.raises(InputError, match="unknown dtype"):
        Sam3ImagePredictor.from_weights("absent.pt", device="cpu", dtype="float12")


def test_phrases_on_several_images_in_one_pass_give_what_each_image_gives_alone():
    rows = np.asarray(photo())
    images = [photo(), rows[:300, ::-1], rows[100:, :200]]  # sizes differ
    alone = [predictor().predict(predictor().encode(one), PHRASES[:3], threshold=0.2) for one in images]
    encoded = predictor().encode(images)
    for batch in (1, 4, 9):
        together = predictor().predict_images(encoded, PHRASES[:3], threshold=0.2, batch=batch)
        assert [len(found) for found in together] == [3, 3, 3]
        for found, expected in zip(itertools.chain(*together), itertools.chain(*alone), strict=True):
            assert found.phrase == expected.phrase and found.masks.shape == expected.masks.shape
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.5)
            assert (found.masks != expected.masks).mean() < 1e-3
    assert sum(len(found) for one in alone for found in one) > 3, "there is something to compare"
    assert predictor().predict_images([], PHRASES) == [] and predictor().predict_images(encoded, []) == [[], [], []]
    with pytest.raises(InputError, match="not one string"):
        predictor().predict_images(encoded, "ball")
