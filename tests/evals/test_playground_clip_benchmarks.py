"""The benchmarks of clicks and of clips on Playground: perfect, empty and wrong predictions, and the baselines."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.command import main
from evals.readers.playground_clips import ClickScenes, MaskletClips, masklet_sample
from evals.scorers.identity_switches import identity_switches
from evals.scorers.playground_clips import MaskletScorer
from evals.simulated_clicks import middle, next_click
from evals.video.clip_baselines import link
from evals.video.clip_tracking import TrackerMethod
from evals.video.masklet_runner import MaskletRunner
from sam3model import playground
from sam3model.checkpoint.save import save_native
from sam3model.object_prediction import ObjectMasks
from sam3model.ops.masks import encode_rle
from tests.evals.block_clips import ENTERS, FRAMES, QUERIES, BlockClip, KnowingImages, KnowingTracker, masks_at
from tests.model.small_video import predictor, random_model

CLIPS = 3


@pytest.fixture
def block_clips(monkeypatch):
    """Playground has clips of blocks."""
    monkeypatch.setattr(playground, "clip", lambda split, index, frames: BlockClip(index))
    monkeypatch.setattr(import_module("sam3model.playground.clip_phrases"), "clip_phrases", lambda clip: QUERIES)


def video(out: Path, *flags: str, tracker: Any = None, images: Any = None, code: int = 0) -> dict[str, float]:
    """Run the benchmark of clips; figures of the method, by default of the tracker."""
    method = flags[flags.index("--method") + 1] if "--method" in flags else "tracker"
    chosen = () if "--method" in flags else ("--method", method)
    arguments = ["playground-video", "--limit", str(CLIPS), "--out", str(out), *chosen, *flags]
    predictors = {"predictor": tracker or KnowingTracker(), "image_predictor": images or KnowingImages()}
    assert main(arguments, **predictors) == code
    return json.loads((out / method / "metrics.json").read_text())["figures"]


def square(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_clicks_are_in_the_middle_of_the_object_and_of_the_largest_error():
    target = square(5, 5, 14, 14)
    assert middle(target) == (9, 9)
    assert middle(square(0, 0, 9, 9)) == (4, 4)  # the border of the image is a border too
    missed = square(5, 5, 14, 9)
    assert next_click(target, missed) == ((7, 11), 1)  # 5 of 9 rows are missing
    assert next_click(target, target | square(18, 3, 29, 14)) == ((23, 8), 0)
    assert next_click(target, target) is None


def test_the_larger_of_two_errors_gets_the_click():
    target = square(2, 2, 12, 12)
    predicted = (target & ~square(2, 2, 5, 5)) | square(15, 5, 22, 12)
    assert next_click(target, predicted) == ((18, 8), 0)
    predicted = (target & ~square(2, 2, 9, 9)) | square(15, 5, 18, 8)
    assert next_click(target, predicted) == ((5, 5), 1)


class ClickedScenes(KnowingImages):
    """Knows the masks of the first scenes. The first click gives an upper half, a second click on the rest gives all.

    A first click has three candidates, the second of which is best; each is known by its low-resolution mask.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scenes = [playground.scene("heldout", index) for index in range(2)]
        self.prompts: list[dict[str, Any]] = []

    def encode(self, image: Any) -> Any:
        return next(k for k, drawn in enumerate(self.scenes) if np.array_equal(drawn.image, np.asarray(image)))

    def predict_object(self, encoded: Any, **prompt: Any) -> ObjectMasks:
        self.prompts.append(prompt)
        drawn = self.scenes[encoded]
        if prompt.get("box") is not None:
            masks = [next(o.mask for o in drawn.objects if o.box == tuple(box)) for box in prompt["box"]]
            return self._found(masks)
        owners = [next(o for o in drawn.objects if o.mask[int(p[0][1]), int(p[0][0])]) for p in prompt["points"]]
        if len(prompt["points"][0]) > 1:
            return self._found([owner.mask for owner in owners])
        halves = []
        for owner in owners:
            half = owner.mask.copy()
            half[(owner.box[1] + owner.box[3]) // 2 :] = False
            halves.append(half)
        empty = [np.zeros_like(half) for half in halves]
        masks = np.stack([np.stack(three) for three in zip(empty, halves, empty, strict=True)])
        low_res = np.zeros((len(masks), 3, 4, 4), np.float32)
        low_res[:, 1] = 7
        return ObjectMasks(masks, np.tile(np.array([0.1, 0.9, 0.2], np.float32), (len(masks), 1)), low_res)

    def _found(self, masks: list[np.ndarray]) -> ObjectMasks:
        return ObjectMasks(
            np.stack(masks)[:, None], np.ones((len(masks), 1), "f"), np.full((len(masks), 1, 4, 4), 5, np.float32)
        )


def clicks(out: Path, images: Any) -> dict[str, Any]:
    assert main(["playground-clicks", "--limit", "2", "--out", str(out)], image_predictor=images) == 0
    return json.loads((out / "metrics.json").read_text())


def test_clicks_correct_the_best_candidate(tmp_path):
    images = ClickedScenes()
    result = clicks(tmp_path, images)
    got = result["figures"]
    objects = [item for drawn in images.scenes for item in drawn.objects]
    halves = []
    for item in objects:
        middle_row = (item.box[1] + item.box[3]) // 2
        halves.append(item.mask[:middle_row].sum() / item.area)
    assert got["IoU 1 click"] == pytest.approx(100 * np.mean(halves))
    assert got["IoU>=0.8 1 click"] == pytest.approx(100 * np.mean([half >= 0.8 for half in halves]))
    assert got["IoU 2 clicks"] == got["IoU 8 clicks"] == got["IoU box"] == 100
    assert got["IoU>=0.9 3 clicks"] == 100
    assert got["objects"] == len(objects)
    assert got["images"] == 2
    first, second, box = images.prompts[:3]  # no third click, since all masks are perfect
    assert len(images.prompts) == 6
    assert np.shape(first["points"]) == (len(images.scenes[0].objects), 1, 2)
    assert "mask" not in first
    assert (second["mask"] == 7).all()  # the logits of the best candidate
    assert np.shape(second["points"])[1:] == (2, 2)
    assert set(np.ravel(second["point_labels"])) == {1}
    assert "box" in box


def test_a_segmenter_that_clicks_cannot_help_scores_0(tmp_path):
    class Empty(ClickedScenes):
        def predict_object(self, encoded: Any, **prompt: Any) -> ObjectMasks:
            found = super().predict_object(encoded, **prompt)
            return ObjectMasks(np.zeros_like(found.masks), found.ious, found.low_res)

    got = clicks(tmp_path, Empty())["figures"]
    assert {value for name, value in got.items() if name.startswith("IoU")} == {0}


def test_numbers_of_scenes_and_clips():
    assert len(ClickScenes("heldout")) == 200
    assert len(MaskletClips("heldout")) == 50
    sample = ClickScenes("heldout")[3]
    assert sample.key == "heldout/3"
    assert len(sample.masks) == len(playground.scene("heldout", 3).objects)


def test_a_real_clip_is_a_sample():
    planned = playground.clip("heldout", 1, frames=4)
    clip = masklet_sample("heldout/1", planned, []).load()
    shown = planned.frame(2)
    assert np.array_equal(clip.frames[2], shown.image)
    for one, masks in enumerate(clip.masks):
        own = shown.owners == one + 1
        assert masks[2] == (encode_rle(own) if own.any() else None)
    assert len(clip.frames) == 4


def test_objects_are_prompted_on_the_first_frame_that_shows_half_of_them():
    clip = masklet_sample("0", BlockClip(), QUERIES).load()  # type: ignore[arg-type]
    assert clip.starts == (0, 0, ENTERS)
    last = BlockClip()
    last.count = ENTERS + 1
    assert masklet_sample("0", last, QUERIES).load().starts == (0, 0, None)  # type: ignore[arg-type]


def test_perfect_tracks_score_100(tmp_path, block_clips):
    tracker = KnowingTracker()
    got = video(tmp_path, tracker=tracker)
    for name in ("mask J&F", "click J&F", "pHOTA"):
        assert got[name] == pytest.approx(100)
    assert got["cgF1"] == pytest.approx(100, abs=0.05)
    assert got["IL_MCC"] == pytest.approx(1, abs=1e-4)
    assert got["ID switches"] == got["mask ID switches"] == got["click ID switches"] == 0
    assert (got["clips"], got["pairs"], got["mask objects"]) == (CLIPS, CLIPS * len(QUERIES), CLIPS * 3)
    assert tracker.opened == 3 * CLIPS
    given = [(0, ENTERS - 1), (ENTERS, FRAMES - ENTERS - 1)]  # every frame once, all objects together
    assert tracker.passes[:5] == [*given, *given, (0, None)]


def test_no_tracks_score_0(tmp_path, block_clips):
    got = video(tmp_path, tracker=KnowingTracker(finds=False))
    assert got["mask J&F"] == got["click J&F"] == got["cgF1"] == got["pHOTA"] == 0
    assert got["ID switches"] == got["mask ID switches"] == 0


def test_a_swapped_identity_costs_its_frames(tmp_path, block_clips):
    swap = 4
    got = video(tmp_path, tracker=KnowingTracker(swap=swap))
    right = (swap - 1) / (FRAMES - 1)  # the frame of the prompt is not scored
    assert got["mask J"] == pytest.approx(100 * (right + right + 1) / 3)
    assert got["mask ID switches"] == 2
    assert got["ID switches"] == 2  # of "ball": "red ball" has one track, which is lost
    assert got["pHOTA"] < 90
    assert got["cgF1"] < 70


def test_the_repeated_first_mask(tmp_path, block_clips):
    got = video(tmp_path, "--method", "repeat")
    ball = [max(0, 12 - 2 * t) / (12 + 2 * t) for t in range(1, FRAMES)]  # IoU after t frames of 2 pixels each
    assert got["mask J"] == pytest.approx(100 * (2 * np.mean(ball) + 1) / 3)  # the car does not move
    assert got["mask IoU after 1"] == pytest.approx(100 * (2 * 10 / 14 + 1) / 3)
    assert "mask IoU after 8" not in got  # the clip is too short
    assert got["click J&F"] == pytest.approx(got["mask J&F"])
    assert got["pHOTA"] < 60


def test_linked_detections(tmp_path, block_clips):
    images = KnowingImages()
    got = video(tmp_path, "--method", "detections", images=images)
    assert got["mask J&F"] == got["click J&F"] == pytest.approx(100)
    assert got["pHOTA"] == pytest.approx(100)
    assert got["cgF1"] == pytest.approx(100, abs=0.05)
    assert set(images.calls) == {"ball", "car", "red ball", "yellow ball"}
    assert len(images.calls) == CLIPS * FRAMES * (2 + 4)  # two kinds, once for masks and clicks, and four phrases


def test_linked_detections_lose_an_object_that_jumps(tmp_path, block_clips, monkeypatch):
    def jumping(t: int) -> list[np.ndarray]:
        return [np.roll(mask, 30 * (t >= 4), axis=1) for mask in masks_at(t)]

    monkeypatch.setattr("tests.evals.block_clips.masks_at", jumping)
    got = video(tmp_path, "--method", "detections", "--protocol", "phrase")
    assert got["ID switches"] == 4  # both balls of "ball", the one of "red ball", and the car
    assert "mask J&F" not in got
    assert got["DetA"] == pytest.approx(100)
    assert got["AssA"] < 80


def test_links_take_the_largest_overlap_first():
    a, b, c = (encode_rle(square(x, 0, x + 10, 10)) for x in (0, 4, 7))
    assert link([a, b], [c]) == [(1, 0)]
    assert link([a], [c, b]) == [(0, 1)]
    assert link([a, b], [b, c]) == [(1, 0), (0, 1)]
    assert link([a], [encode_rle(square(15, 0, 25, 10))]) == []
    assert link([], [a]) == link([a], []) == []


def test_identity_switches_by_hand():
    def frames(*rows: tuple[float, ...]) -> np.ndarray:
        """One object and several tracks."""
        return np.array(rows)[:, None]

    assert identity_switches(frames((0.9, 0), (0, 0), (0, 0.9))) == 1  # found again by another track
    assert identity_switches(frames((0.9, 0), (0.6, 0.95), (0.9, 0))) == 0  # it keeps its track while that fits
    assert identity_switches(frames((0.9, 0), (0.4, 0.95), (0.9, 0))) == 2
    assert identity_switches(frames((0.4, 0.4), (0.9, 0))) == 0
    assert identity_switches(np.zeros((3, 0, 2))) == identity_switches(np.zeros((3, 2, 0))) == 0


def test_all_methods_are_rows_of_one_table(tmp_path, block_clips, capsys):
    tracker, images = KnowingTracker(), KnowingImages()
    arguments = ["playground-video", "--limit", "2", "--out", str(tmp_path / "run")]
    assert main(arguments, predictor=tracker, image_predictor=images) == 0
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if line.startswith("| tiny")]
    assert len([row for row in rows if row.count("|") == 8]) == 3
    assert "first mask repeated" in shown
    assert "detections linked by IoU" in shown
    opened, calls = tracker.opened, len(images.calls)
    assert main(arguments, predictor=tracker, image_predictor=images) == 0  # everything is there already
    assert (tracker.opened, len(images.calls)) == (opened, calls)
    assert capsys.readouterr().out == shown
    assert main(["report", str(tmp_path)]) == 0
    assert "first mask repeated" in capsys.readouterr().out


def test_joined_shards_have_the_figures_of_the_whole_run(tmp_path, block_clips, capsys):
    flags = ["--method", "repeat", "--limit", "3"]
    whole = video(tmp_path / "whole", "--method", "repeat")
    for shard in ("1/2", "2/2"):
        arguments = ["playground-video", *flags, "--shard", shard, "--out", str(tmp_path / "parts" / shard[0])]
        assert main(arguments, image_predictor=KnowingImages()) == 0
    assert main(["report", str(tmp_path / "parts"), "--out", str(tmp_path / "report")]) == 0
    (joined,) = json.loads((tmp_path / "report/report.json").read_text())
    assert joined["figures"] == whole
    assert joined["samples"] == 3


def test_a_failed_clip_is_counted_and_tried_again(tmp_path, block_clips, monkeypatch):
    def broken(split: str, index: int, frames: int) -> BlockClip:
        clip = BlockClip(index)
        if index == 1:
            clip.frame = lambda t: masks_at(t)[10]  # type: ignore[method-assign]
        return clip

    monkeypatch.setattr(playground, "clip", broken)
    got = video(tmp_path, "--protocol", "mask", code=1)
    assert got["clips"] == CLIPS - 1
    failures = json.loads((tmp_path / "tracker/metrics.json").read_text())["failures"]
    assert list(failures) == ["heldout/1"]
    monkeypatch.setattr(playground, "clip", lambda split, index, frames: BlockClip(index))
    assert video(tmp_path, "--protocol", "mask")["clips"] == CLIPS


def test_a_run_with_other_protocols_is_refused(tmp_path, block_clips, capsys):
    video(tmp_path, "--protocol", "mask")
    arguments = ["playground-video", "--method", "tracker", "--protocol", "phrase", "--out", str(tmp_path)]
    assert main(arguments, predictor=KnowingTracker()) == 2
    assert "holds a run with protocols" in capsys.readouterr().err


def test_weights_that_lack_a_part_are_refused(tmp_path, capsys):
    weights = tmp_path / "detector.safetensors"
    save_native(random_model().detector, weights)
    for name, missing in (("playground-video", "tracker"), ("playground-clicks", "interactive heads")):
        assert main([name, "--weights", str(weights), "--out", str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert missing in line


def test_a_small_real_model_runs():
    sample = masklet_sample("0", BlockClip(), QUERIES)  # type: ignore[arg-type]
    runner = MaskletRunner(TrackerMethod(predictor()), "small", ("mask", "click", "phrase"))
    prediction = runner._predict(sample)
    for tracks in (prediction.protocols["mask"], prediction.protocols["click"]):
        assert [track.prompt for track in tracks] == ["0", "1", "2"]
        assert tracks[2].masks[:ENTERS] == (None,) * ENTERS
    scorer = MaskletScorer()
    scorer.update(sample, prediction)
    assert 0 < scorer.compute()["mask J&F"] < 100
