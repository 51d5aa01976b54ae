"""transformers' results over a small clip, from the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sam3model.build import Sam3Model
from sam3model.frame_results import FrameResult
from sam3model.frames.frame_list import FrameList
from sam3model.ops.masks import decode_rle
from sam3model.tracker.group import Clicks, ObjectGroup, TrackerParts
from sam3model.tracker.propagation import track_frame, write_tracked
from sam3model.video.frame_encoder import FrameEncoder
from sam3model.video.session import VideoSession
from sam3model.video_predictor import Sam3VideoPredictor
from tests.model.transformers_clip import clip_model, results
from tests.model.transformers_rules import follow_transformers, track_as_transformers

FRAMES, WIDTH, HEIGHT = 8, 80, 60
CLICKED_FRAMES = 6
CLICKS = {0: ([[25.0, 35.0]], [1]), 1: ([[85.0, 80.0], [20.0, 20.0]], [1, 0])}
"""As in the script that recorded the numbers."""

MASK_TOLERANCE = 0.005
"""Fraction of the pixels of a frame."""

LOGIT_TOLERANCE, LOGIT_OUTLIERS = 0.05, 0.01
"""Logits of tracked masks are between -4 and 4. Memory is rounded to bfloat16, which amplifies the last bit of float32:
when our inputs change by one millionth, a few logits differ by 0.1."""


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return results()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Sam3Model:
    return clip_model(tmp_path_factory.mktemp("clip"))


def followed(model: Sam3Model, expected: dict[str, Tensor]) -> list[FrameResult]:
    """Our results on the recorded model inputs; the images of the clip only say their own number."""
    pixels = expected["in.frames"].float() / 127.5 - 1
    ids = torch.zeros(1, 16, dtype=torch.long)
    ids[:, : expected["in.ids"].shape[1]] = expected["in.ids"]
    parts = replace(
        Sam3VideoPredictor(model)._parts({}),
        encode_phrases=lambda _: model.detector.encode_text(ids),
        preprocess=lambda image: pixels[image[0, 0, 0]],
    )
    images = [np.full((HEIGHT, WIDTH, 3), number, np.uint8) for number in range(FRAMES)]
    with torch.inference_mode():
        session = VideoSession(parts, FrameList(images))
        first = session.add_phrases(["two discs"])
        assert first is not None
        return [first, *session.propagate(start=1)]


def recorded_masks(expected: dict[str, Tensor], frame: int) -> np.ndarray:
    bits = np.unpackbits(expected[f"{frame}.masks"].numpy(), count=2 * HEIGHT * WIDTH)
    return bits.reshape(2, HEIGHT, WIDTH).astype(bool)


def differing(result: FrameResult, expected: dict[str, Tensor]) -> np.ndarray:
    """Fraction of the pixels of a frame on which each mask is another than the recorded one."""
    masks = np.stack([decode_rle(mask) for mask in result.masks])
    return (masks != recorded_masks(expected, result.frame)).mean(axis=(1, 2))


def test_all_frames_are_the_same(
    model: Sam3Model, expected: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_transformers(monkeypatch, model)
    found = followed(model, expected)
    assert [result.frame for result in found] == list(range(FRAMES))
    for result in found:
        recorded = {key: expected[f"{result.frame}.{key}"].numpy() for key in ("ids", "boxes", "scores")}
        assert result.ids.tolist() == recorded["ids"].tolist() == [0, 1]
        assert differing(result, expected).max() <= MASK_TOLERANCE
        # Their boxes include both ends. A pixel at the edge of a mask may differ by processor, and moves its box.
        np.testing.assert_allclose(result.boxes - (0, 0, 1, 1), recorded["boxes"], atol=2)
        np.testing.assert_allclose(result.scores, recorded["scores"], atol=1e-4)
        tracker_scores = expected[f"{result.frame}.tracker_scores"].numpy()
        np.testing.assert_allclose(result.tracker_scores, tracker_scores, atol=1e-3)


@pytest.mark.parametrize("rule", ["no_geometry_tokens", "exact_features", "start_objects"])
def test_each_difference_shows(
    model: Sam3Model, expected: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """The list of differences has no entry that the clip does not need."""
    follow_transformers(monkeypatch, model, without=rule)
    found = followed(model, expected)
    assert any(len(result.ids) != 2 or differing(result, expected).max() > MASK_TOLERANCE for result in found)


@torch.inference_mode()
def test_clicked_objects_are_the_same(
    model: Sam3Model, expected: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    track_as_transformers(monkeypatch)
    assert model.interactive is not None and model.tracker is not None
    parts = TrackerParts(model.interactive, model.tracker)
    pixels = expected["in.frames"][:CLICKED_FRAMES].float() / 127.5 - 1
    images = FrameList([np.full((HEIGHT, WIDTH, 3), number, np.uint8) for number in range(CLICKED_FRAMES)])
    encode = FrameEncoder(model.detector, model.interactive, images, lambda image: pixels[image[0, 0, 0]])
    group = ObjectGroup(parts, (HEIGHT, WIDTH), CLICKED_FRAMES)
    for object_id, (points, labels) in CLICKS.items():
        group.add_points(0, object_id, Clicks(torch.tensor(points), torch.tensor(labels)), encode(0).objects)
    group.remember_prompts(0, encode(0).objects)
    for frame in range(CLICKED_FRAMES):
        features = encode(frame).objects
        track_frame(parts, [group], frame, features)
        write_tracked(parts, [group], frame, features)
        memory = group.bank.get(frame)
        assert memory is not None
        logits, masks = memory.output.masks[:, 0], expected[f"clicks.{frame}.masks"].float()
        assert ((logits > 0) != (masks > 0)).float().mean() <= MASK_TOLERANCE
        assert ((logits - masks).abs() > LOGIT_TOLERANCE).float().mean() <= LOGIT_OUTLIERS
        torch.testing.assert_close(memory.output.scores[:, 0], expected[f"clicks.{frame}.scores"], atol=5e-3, rtol=0)
