"""The image predictor: a session of the official processor, batches, thresholds, errors and conversions."""

import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from sam3model.checkpoint import save_native, save_transformers
from sam3model.checkpoint.name_tables import EXTRA_PREFIX
from sam3model.errors import CheckpointError, InputError
from sam3model.image import EncodedImage, Sam3ImagePredictor
from sam3model.instances import Instances, no_instances
from sam3model.ops.masks import decode_rle, encode_rle, mask_to_box, masks_at_size
from sam3model.ops.resize import to_rgb
from tests.model.detector_goldens import small_model
from tests.model.weight_rule import GOLDENS

PHRASES = ["rocket on the launch pad", "a tower", "red ball", "!@#", "a person in white"]
ALL = 0.0
"""A threshold below every score."""


@cache
def session() -> dict[str, Any]:
    return json.loads((GOLDENS / "image_small_processor.json").read_text())


@cache
def photo() -> Image.Image:
    return Image.open(GOLDENS / session()["image"]).convert("RGB")


@cache
def predictor() -> Sam3ImagePredictor:
    return Sam3ImagePredictor(small_model())


@cache
def encoded() -> EncodedImage:
    return predictor().encode(photo())


def pixels(*cxcywh: float) -> list[float]:
    """A normalised box in pixels of the photo: x0, y0, x1, y1."""
    (cx, cy, w, h), (width, height) = cxcywh, photo().size
    return [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]


THIS, NOT_THIS = (0.52, 0.45, 0.2, 0.55), (0.15, 0.15, 0.25, 0.25)
STEPS: list[dict[str, Any]] = [
    {"phrase": "rocket on the launch pad"},
    {"phrase": "rocket on the launch pad", "boxes": [THIS]},
    {"phrase": "rocket on the launch pad", "boxes": [THIS, NOT_THIS], "box_labels": [1, 0]},
    {"phrase": "a tower", "boxes": [THIS, NOT_THIS], "box_labels": [1, 0]},
    {"boxes": [THIS]},
]


def same(left: Instances, right: Instances, tolerance: float = 1e-5) -> bool:
    if len(left) != len(right):
        return False
    scores = np.allclose(left.scores, right.scores, atol=tolerance)
    boxes = np.allclose(left.boxes, right.boxes, atol=1e-2)
    return scores and boxes and (left.masks != right.masks).sum() <= 1e-4 * left.masks.size


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


def test_instances_are_selected_by_index_list_mask_or_slice() -> None:
    every = predictor().predict_prompt(encoded(), phrase="a tower", threshold=ALL)
    assert same(every[2], every[[2]]) and same(every[2], every[2:3]) and len(every[2]) == 1
    assert len(every[[]]) == 0 and every[[]].size == every.size
    assert [len(one) for one in every[:3]] == [1, 1, 1], "iteration gives single instances"


def test_an_empty_prediction_has_the_same_shapes() -> None:
    width, height = photo().size
    for empty in (*predictor().predict(encoded(), PHRASES[:2], threshold=1.0), no_instances((width, height))):
        assert len(empty) == 0 and empty.size == (width, height)
        assert empty.masks.shape == (0, height, width) and empty.masks.dtype == bool
        assert empty.boxes.shape == (0, 4) and empty.boxes.dtype == empty.scores.dtype == np.float32
        assert empty.to_coco_rle() == empty.to_coco_results(1, 1) == []
    some, none = predictor().predict(encoded(), ["a tower", "red ball"], threshold=0.3141)
    assert min(len(some), len(none)) == 0 < max(len(some), len(none)), "exactly one of the phrases must match"
    assert predictor().predict(encoded(), []) == []


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


def test_masks_as_coco_results() -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    rows = found.to_coco_results(image_id=7, category_id=3)
    assert json.loads(json.dumps(rows)) == rows and len(rows) == len(found) > 0
    for row, mask, box, score in zip(rows, found.masks, found.boxes, found.scores, strict=True):
        assert (row["image_id"], row["category_id"]) == (7, 3) and row["score"] == pytest.approx(score)
        x0, y0, x1, y1 = box
        assert row["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0])
        assert np.array_equal(decode_rle(row["segmentation"]), mask)


def test_conversion_to_supervision() -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    pytest.importorskip("supervision", exc_type=ImportError)
    for one in (found, replace(found, phrase=None), found[:0]):
        detections = one.to_supervision(class_id=4)
        assert len(detections) == len(one) and np.array_equal(detections.xyxy, one.boxes)
        assert np.array_equal(detections.mask, one.masks) and np.array_equal(detections.confidence, one.scores)
        assert set(detections.class_id) <= {4} and set(detections.data["class_name"]) <= {one.phrase or "object"}


class FakeDetections:
    """The fields of `supervision.Detections`, for environments without it."""

    def __init__(self, **fields: Any) -> None:
        self.mask = self.confidence = self.tracker_id = None
        self.data: dict[str, Any] = {}
        vars(self).update(fields)

    def __len__(self) -> int:
        return len(self.xyxy)


@pytest.fixture(params=["real", "fake"])
def detections_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "real":
        return pytest.importorskip("supervision", exc_type=ImportError).Detections
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=FakeDetections))
    return FakeDetections


def test_round_trip_through_supervision(detections_class: Any) -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    tracked = replace(found, ids=np.arange(len(found))[::-1] + 5)
    assert len(tracked) > 1
    for one in (found, tracked, tracked[1:], tracked[:0]):
        detections = one.to_supervision()
        assert isinstance(detections, detections_class)
        assert (detections.tracker_id is None) == (one.ids is None)
        back = Instances.from_supervision(detections)
        for name in ("masks", "boxes", "scores", "ids"):
            ours, theirs = getattr(one, name), getattr(back, name)
            assert ours is theirs is None or (ours.dtype == theirs.dtype and np.array_equal(ours, theirs)), name
        assert back.phrase == (one.phrase if len(one) else None)


def test_detections_of_other_models(detections_class: Any) -> None:
    boxes, masks = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], dtype=float), np.ones((2, 4, 5), dtype=bool)
    names = {"class_name": np.array(["cat", "dog"])}
    found = Instances.from_supervision(detections_class(xyxy=boxes, mask=masks, data=names))
    assert found.phrase is None and found.ids is None and found.scores.tolist() == [1, 1] and found.size == (5, 4)
    with pytest.raises(InputError, match="have no masks"):
        Instances.from_supervision(detections_class(xyxy=boxes))
    empty = detections_class(xyxy=boxes[:0])
    assert Instances.from_supervision(empty, size=(7, 3)).masks.shape == (0, 3, 7)
    with pytest.raises(InputError, match="have no masks"):
        Instances.from_supervision(empty)


def test_a_selection_keeps_ids_and_phrase() -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    tracked = replace(found, ids=np.arange(10, 10 + len(found)))
    assert tracked[[1, 0]].ids.tolist() == [11, 10] and tracked[[]].ids.tolist() == [] and found[0].ids is None


def test_missing_supervision_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision") as caught:
        no_instances((4, 3)).to_supervision()
    assert "\n" not in str(caught.value)


def test_run_length_codes_round_trip_and_refuse_damage() -> None:
    mask = np.random.default_rng(0).random((13, 17)) > 0.5
    code = encode_rle(mask)
    runs = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=False, append=not mask.T.ravel()[-1])), prepend=0)
    plain = {"size": [13, 17], "counts": runs.tolist()}
    for rle in (code, {**code, "counts": code["counts"].encode()}, plain):
        assert np.array_equal(decode_rle(rle), mask)
    for rle in (
        {},
        {"size": [2], "counts": ""},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
    ):
        with pytest.raises(InputError, match="run-length"):
            decode_rle(rle)


def test_box_of_a_mask() -> None:
    mask = np.zeros((9, 12), dtype=bool)
    assert mask_to_box(mask) == (0, 0, 0, 0)
    mask[2:5, 3:11] = True
    assert mask_to_box(mask) == (3, 2, 11, 5)


def test_resizing_large_masks_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(0))
    whole = masks_at_size(logits, (31, 23))
    monkeypatch.setattr("sam3model.ops.masks.CHUNK_PIXELS", 1)
    assert whole.shape == (5, 23, 31) and np.array_equal(masks_at_size(logits, (31, 23)), whole)


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
