"""Clicks, boxes and masks on one object: the calls of the official image predictor, batches, feedback and errors."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sam3model.build import Sam3Model
from sam3model.checkpoint import save_native, save_official
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import InputError
from sam3model.image import EncodedImage, Sam3ImagePredictor
from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures, ObjectPrompt
from sam3model.object_prediction import ObjectFeatureCache, ObjectMasks, fill_holes, predict_objects
from sam3model.ops.resize import preprocess
from sam3model.ops.small_parts import small_parts
from sam3model.pixel_prompts import geometry_prompt, object_query
from tests.model.video_goldens import INTERACTIVE, arrays, detector_config, fill, record

SET = "interactive_small"
CALLS = ("point_multi", "points_single", "box_point", "boxes_batch", "mask_prompt", "mask_only")
CLICK, BESIDE = [60.0, 50.0], [100.0, 20.0]
BOXES = [[20.0, 15.0, 90.0, 80.0], [60.0, 40.0, 130.0, 100.0], [5.0, 50.0, 50.0, 105.0]]
SIZE = (144, 108)


@cache
def predictor() -> Sam3ImagePredictor:
    model, heads = Sam3ImageModel(detector_config()), InteractiveHeads(detector_config(), INTERACTIVE)
    fill(model, "detector.", SET)
    fill(heads, "interactive.", SET)
    return Sam3ImagePredictor(model, interactive=heads)


@cache
def heads() -> InteractiveHeads:
    found = predictor().interactive
    assert found is not None
    return found


def photo() -> np.ndarray:
    return arrays(SET)["frame0_u8"].numpy()


@cache
def encoded() -> EncodedImage:
    """The first frame, resized in floats: the official image predictor does not round to 8 bits."""
    with torch.inference_mode():
        features = predictor().model.encode_image(arrays(SET)["ip.preprocessed"].unsqueeze(0), keep_trunk=True)
        trunk = features.trunk
        assert trunk is not None
        return EncodedImage(predictor().model.prepare_masks(features), SIZE, ObjectFeatureCache(trunk))


def call(name: str) -> dict[str, Any]:
    """The arguments of a recorded call."""
    given = record(SET)["ip_calls"][name]
    renamed = {"points": "point_coords", "point_labels": "point_labels", "box": "box", "multimask": "multimask_output"}
    arguments = {ours: given[theirs] for ours, theirs in renamed.items() if theirs in given}
    if "mask_input" in given:
        arguments["mask"] = arrays(SET)["pe.mask_logits"][int(given["mask_input"].split()[-1])].numpy()
    return arguments


def assert_recorded(found: ObjectMasks, name: str) -> None:
    numbers = arrays(SET)
    np.testing.assert_allclose(found.ious, numbers[f"ip.{name}.ious"], atol=1e-4)
    np.testing.assert_allclose(found.low_res, numbers[f"ip.{name}.low_res"], atol=5e-3)
    expected = numbers.bits(f"ip.{name}.mask_bits").reshape(found.masks.shape)
    assert (found.masks != expected).mean() < 1e-3
    if f"ip.{name}.masks_logits" in numbers:
        assert found.logits is not None
        np.testing.assert_allclose(found.logits, numbers[f"ip.{name}.masks_logits"], atol=5e-3)


def same(one: ObjectMasks, other: ObjectMasks) -> bool:
    close = np.allclose(one.low_res, other.low_res, atol=1e-4) and np.allclose(one.ious, other.ious, atol=1e-5)
    return bool(close and (one.masks != other.masks).mean() < 1e-3)


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_the_official_image_predictor(name: str) -> None:
    assert_recorded(predictor().predict_object(encoded(), **call(name), logits=True), name)


@pytest.mark.parametrize("name", CALLS)
def test_calls_on_the_recorded_features(name: str) -> None:
    numbers, arguments = arrays(SET), call(name)
    multimask = arguments.pop("multimask")
    arguments = {"points": None, "point_labels": None, "box": None, "mask": None, **arguments}
    query = object_query(**arguments, size=SIZE, side=168, mask_side=48)
    with torch.inference_mode():
        embedding = numbers["ip.image_embed"] - heads().no_mem_embed.view(1, -1, 1, 1)  # it was added before
        features = ObjectFeatures(embedding, numbers["ip.high_res0"], numbers["ip.high_res1"])
        found = predict_objects(heads(), features, query.prompt, SIZE, multimask=multimask, logits=True)
    assert_recorded(found if query.several else found[0], name)


def test_the_features_are_those_of_the_interactive_neck_head() -> None:
    cache_ = encoded().objects
    assert cache_ is not None
    predictor().predict_object(encoded(), points=[CLICK])
    features = cache_.get(lambda trunk: pytest.fail("the pyramid is computed once"))
    for found, key in (
        (heads().without_memory(features.embedding), "ip.image_embed"),
        (features.fine, "ip.high_res0"),
        (features.middle, "ip.high_res1"),
    ):
        torch.testing.assert_close(found, arrays(SET)[key], atol=1e-3, rtol=0)


def test_the_convolutions_of_the_mask_decoder_are_folded_into_the_neck() -> None:
    """As for the frames of a clip, no level is computed at its full width only to be narrowed."""
    separate: list[Any] = []
    convolutions = [one for one in heads().projections if one is not None]
    handles = [one.register_forward_hook(lambda *_: separate.append(_)) for one in convolutions]
    predictor().predict_object(predictor().encode(photo()), points=[CLICK])
    for handle in handles:
        handle.remove()
    assert len(convolutions) == 2 and not separate


def test_an_image_is_resized_in_8_bits_for_phrases_and_clicks_alike() -> None:
    """The official processor rounds to 8 bits, its image predictor does not: at most one step between them."""
    difference = (preprocess(photo(), 168) - arrays(SET)["ip.preprocessed"]).abs().max()
    assert 0 < difference <= 1.001 * 2 / 255
    found = predictor().predict_object(predictor().encode(photo()), points=[CLICK])
    assert (found.masks != predictor().predict_object(encoded(), points=[CLICK]).masks).mean() < 0.01


def test_one_encoding_serves_phrases_and_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    trunk, neck = predictor().model.vision.trunk, predictor().model.vision.neck
    handles = [
        trunk.register_forward_hook(lambda *_: runs.append("trunk")),
        neck.register_forward_hook(lambda _, inputs, __: runs.append(inputs[1] if len(inputs) > 1 else "detection")),
    ]
    both = predictor().encode([photo(), photo()[:, ::-1].copy()])
    assert runs == ["trunk", "detection"], "the interactive pyramid waits for the first click"
    with ThreadPoolExecutor(3) as pool:
        clicked = list(pool.map(lambda _: predictor().predict_object(both[0], points=[CLICK]), range(3)))
    assert runs == ["trunk", "detection", "interactive"] and all(same(clicked[0], one) for one in clicked)
    assert len(predictor().predict(both[0], ["a tower"], threshold=0.0)[0])
    predictor().predict_object(both[1], points=[CLICK])
    assert runs == ["trunk", "detection", "interactive", "interactive"]
    for handle in handles:
        handle.remove()
    assert both[0].features.trunk is None, "the trunk output is dropped after the first click"
    alone = predictor().predict_object(predictor().encode(photo()[:, ::-1].copy()), points=[CLICK])
    assert same(predictor().predict_object(both[1], points=[CLICK]), alone)


def test_a_single_click_is_ambiguous_and_gives_three_candidates() -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({"points": [CLICK]}, 3),
        ({"points": CLICK}, 3),
        ({"points": [CLICK, BESIDE], "point_labels": [1, 0]}, 1),
        ({"box": BOXES[0]}, 1),
        ({"points": [CLICK], "box": BOXES[0]}, 1),
        ({"points": [CLICK], "multimask": False}, 1),
        ({"box": BOXES[0], "multimask": True}, 3),
    ]
    for prompt, count in cases:
        found = predictor().predict_object(encoded(), **prompt)
        assert found.masks.shape == (count, 108, 144) and found.masks.dtype == bool
        assert found.ious.shape == (count,) and found.low_res.shape == (count, 48, 48)
        assert found.ious.dtype == found.low_res.dtype == np.float32 and found.logits is None and len(found) == 1
        assert np.abs(found.low_res).max() <= 32


def test_the_best_candidate_is_the_one_with_the_highest_predicted_iou() -> None:
    found = predictor().predict_object(encoded(), points=[CLICK], logits=True)
    first = int(found.ious.argmax())
    assert np.array_equal(found.best.masks, found.masks[[first]]) and found.best.ious == found.ious[[first]]
    several = predictor().predict_object(encoded(), points=[[CLICK], [BESIDE]], logits=True)
    for one, best in zip(several, several.best, strict=True):
        assert np.array_equal(best.masks, one.best.masks) and best.ious == one.best.ious
        assert best.logits is not None and np.array_equal(best.logits > 0, best.masks)


def test_several_objects_in_one_batch_give_the_same_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [[CLICK, BESIDE], [[120.0, 70.0], [10.0, 10.0]], [[30.0, 90.0], CLICK]]
    labels = [[1, 0], [1, 0], [1, 1]]
    prompts: list[dict[str, Any]] = [
        {"box": BOXES},
        {"points": points, "point_labels": labels},
        {"points": points, "point_labels": labels, "box": BOXES},
        {"points": [[CLICK], [BESIDE], [[30.0, 90.0]]]},
        {"mask": arrays(SET)["pe.mask_logits"][:3].numpy()},
    ]
    for prompt in prompts:
        together = predictor().predict_object(encoded(), **prompt)
        alone = [predictor().predict_object(encoded(), **{k: v[i] for k, v in prompt.items()}) for i in range(3)]
        assert len(together) == 3 and all(same(*pair) for pair in zip(together, alone, strict=True))
        monkeypatch.setattr("sam3model.object_prediction.OBJECT_BATCH", 2)
        assert same(predictor().predict_object(encoded(), **prompt), together)
        monkeypatch.undo()
    assert predictor().predict_object(encoded(), box=BOXES[:1]).masks.shape == (1, 1, 108, 144)


def test_low_res_logits_can_be_fed_back() -> None:
    first = predictor().predict_object(encoded(), points=[CLICK])
    best = int(first.ious.argmax())
    again = {"points": [CLICK, BESIDE], "point_labels": [1, 0]}
    fed = predictor().predict_object(encoded(), **again, mask=first.low_res[best])
    assert same(fed, predictor().predict_object(encoded(), **again, mask=first.best.low_res))
    assert not same(fed, predictor().predict_object(encoded(), **again)), "the mask must have an effect"


def test_holes_are_filled_in_masks_but_not_in_low_res_logits() -> None:
    logits = torch.full((1, 1, 48, 48), 4.0)
    logits[..., 10:26, 10:26] = -3.0  # 256 pixels
    logits[..., 30:47, 30:46] = -3.0  # 272 pixels
    filled = fill_holes(logits)
    assert (filled[..., 10:26, 10:26] == 10).all() and (filled[..., 30:47, 30:46] == -3).all()
    assert filled[0, 0, 0, 0] == 4 and logits[0, 0, 10, 10] == -3
    diagonal = torch.full((1, 1, 40, 40), 1.0)
    diagonal[..., :16, :16] = diagonal[..., 16:17, 16:17] = -1.0  # 256 pixels, and one more that touches at a corner
    assert torch.equal(fill_holes(diagonal), diagonal)


def test_small_parts_of_a_mask() -> None:
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1]], bool)
    assert small_parts(mask, 2).tolist() == [[True, False, False, False], [False, True, False, False], [False] * 4]
    assert np.array_equal(small_parts(mask, 3), mask) and not small_parts(np.zeros((3, 4), bool), 5).any()


def test_a_box_becomes_two_corners_before_the_clicks() -> None:
    query = object_query([CLICK], [0], BOXES[0], None, size=SIZE, side=168, mask_side=48)
    assert query.prompt.labels.tolist() == [[2, 3, 0]] and not query.several and not query.ambiguous
    scale = np.array([168 / 144, 168 / 108])
    expected = np.array([BOXES[0][:2], BOXES[0][2:], CLICK]) * scale
    np.testing.assert_allclose(query.prompt.points[0], expected, rtol=1e-6)


def test_a_box_over_the_border_counts_to_the_border() -> None:
    over, exact = (predictor().predict_object(encoded(), box=box) for box in ([-30, 40, 60, 130], [0, 40, 60, 108]))
    assert np.array_equal(over.low_res, exact.low_res)
    examples = (geometry_prompt([box], None, None, None, SIZE).boxes for box in ([9, 9, 1e9, 1e9], [9, 9, 144, 108]))
    assert torch.equal(*examples)


NAN = float("nan")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ({}, "the prompt is empty"),
        ({"points": [], "point_labels": []}, "the prompt is empty"),
        ({"point_labels": [1], "box": BOXES[0]}, "one label"),
        ({"points": [CLICK], "point_labels": [2]}, "one label"),
        ({"points": [CLICK], "point_labels": [NAN]}, "one label"),
        ({"points": [CLICK], "point_labels": ["in"]}, "one label"),
        ({"points": [CLICK, BESIDE], "point_labels": [1]}, "one label"),
        ({"points": [CLICK, BESIDE], "point_labels": [[1], [1, 0]]}, "one label"),
        ({"points": [[1, 2, 3]]}, r"x,y in pixels, .*, not \(1, 3\)"),
        ({"points": [["a", 2]]}, "x,y in pixels"),
        ({"points": [[CLICK], [CLICK, BESIDE]]}, "x,y in pixels"),
        ({"points": [[1, NAN]]}, "finite"),
        ({"points": [[9999, 50]]}, "the point 9999,50 is outside the image of 144x108 pixels"),
        ({"box": [50, 20, 50, 80]}, "x1 > x0"),
        ({"box": [50, 20, 40, 80]}, "x1 > x0"),
        ({"box": [1, 2, 3]}, r"not \(3,\)"),
        ({"box": [1, 2, 3, NAN]}, "finite"),
        ({"box": [144, 0, 200, 9]}, "the box 144,0,200,9 is outside the image"),
        ({"mask": np.zeros((108, 144))}, r"low_res mask .* \(1, 48, 48\).* not \(108, 144\)"),
        ({"mask": np.zeros((3, 48, 48))}, r"not \(3, 48, 48\)"),
        ({"mask": np.full((48, 48), NAN)}, "finite"),
        ({"box": BOXES, "points": [CLICK]}, "the same objects, not points for one object, box for 3 objects"),
        ({"box": BOXES, "points": [[CLICK], [BESIDE]]}, "the same objects"),
    ],
)
def test_invalid_prompts_are_refused_in_one_line(prompt: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        predictor().predict_object(encoded(), **prompt)
    assert "\n" not in str(caught.value)


def test_weights_without_interactive_heads_say_so() -> None:
    plain = Sam3ImagePredictor(predictor().model)
    image = plain.encode(photo())
    assert image.objects is None and image.features.trunk is None, "nothing is kept for clicks that cannot come"
    with pytest.raises(InputError, match="these weights have no interactive heads: use weights that have them"):
        plain.predict_object(image, points=[CLICK])
    with pytest.raises(InputError, match="encoded without interactive heads"):
        predictor().predict_object(image, points=[CLICK])


@pytest.mark.parametrize(("save", "name"), [(save_native, "small.safetensors"), (save_official, "small.pt")])
def test_weights_with_interactive_heads_are_loaded_with_them(save: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    save(Sam3Model(predictor().model, heads()), path)
    theirs = Sam3ImagePredictor.from_weights(path, device="cpu", dtype="float32")
    assert theirs.report is not None and theirs.report.parts == ("detector", "interactive")
    ours = predictor().predict_object(predictor().encode(photo()), points=[CLICK])
    assert same(theirs.predict_object(theirs.encode(photo()), points=[CLICK]), ours)
    plain = Sam3ImagePredictor.from_weights(path, device="cpu", dtype="float32", interactive=False)
    assert plain.interactive is None and plain.encode(photo()).objects is None


def test_bfloat16_gives_float32_results() -> None:
    model, half_heads = Sam3ImageModel(detector_config()), InteractiveHeads(detector_config(), INTERACTIVE)
    fill(model, "detector.", SET)
    fill(half_heads, "interactive.", SET)
    half = Sam3ImagePredictor(model.bfloat16(), interactive=half_heads.bfloat16())
    found = half.predict_object(half.encode(photo()), box=BOXES[0], points=[CLICK], logits=True)
    assert found.ious.dtype == found.low_res.dtype == np.float32
    assert found.logits is not None and found.logits.dtype == np.float32
    exact = predictor().predict_object(encoded(), box=BOXES[0], points=[CLICK])
    np.testing.assert_allclose(found.ious, exact.ious, atol=0.05)


def test_a_prompt_without_points_has_no_padding_token() -> None:
    """The tracker pads even an empty prompt; the official image predictor does not, and the masks differ."""
    query = object_query(None, None, None, call("mask_only")["mask"], size=SIZE, side=168, mask_side=48)
    blank = ObjectPrompt.blank(1, torch.device("cpu"), query.prompt.mask)
    cache_ = encoded().objects
    assert cache_ is not None and query.prompt.points.shape == (1, 0, 2)
    with torch.inference_mode():
        features = cache_.get(lambda trunk: heads().features(predictor().model.vision.neck(trunk, "interactive")))
        ours, padded = (
            predict_objects(heads(), features, prompt, SIZE, multimask=False) for prompt in (query.prompt, blank)
        )
    assert_recorded(ours[0], "mask_only")
    assert not same(ours, padded)
