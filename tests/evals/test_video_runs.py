"""The model on mask-prompted videos, end to end: reader, runner, files and scorer agree; runs resume and shard."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.command import main
from evals.samples import DatasetSplit
from evals.video.video_runner import VideoRunner
from evals.video.vos_reader import read_davis
from sam3model.checkpoint import load, save_native
from sam3model.frame_results import FrameResult
from sam3model.frames import FrameSource
from tests.evals.video_clips import (
    FRAMES,
    Truth,
    TruthSession,
    masks_at,
    result,
    small_model,
    squares,
    write_davis,
    write_frames,
)
from tests.evals.video_datasets import SIZE, square, write_png

NOTHING = np.zeros(SIZE, bool)


@pytest.fixture
def davis(tmp_path) -> Path:
    return write_davis(tmp_path / "davis")


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def arguments(root: Path, name: str = "davis", out: str = "run", *more: str) -> list[str]:
    return [name, "--root", str(root), "--out", str(root / out), *more]


def test_the_truth_scores_100_on_davis(davis):
    predictor = Truth(squares)
    assert main(arguments(davis), predictor=predictor) == 0
    outcome = metrics(davis / "run")
    assert outcome["figures"]["J&F"] == 100
    assert (outcome["figures"]["objects"], outcome["samples"], outcome["scored"]) == (6, 3, 3)
    assert predictor.opened == ["v0", "v1", "v2"]
    # each object is given once, on the first frame that shows it
    assert predictor.given == [(0, 0, 16), (2, 1, 16)] * 3


def test_written_label_maps_are_the_annotations_and_score_alone(davis):
    assert main(arguments(davis), predictor=Truth(squares)) == 0
    written = davis / "run/predictions"
    for t in range(FRAMES):
        theirs, ours = (Image.open(folder / f"v1/{t:05d}.png") for folder in (davis / "Annotations/480p", written))
        assert ours.mode == "P"
        assert np.array_equal(np.asarray(theirs), np.asarray(ours))
    palette = Image.open(written / "v1/00000.png").getpalette()
    assert palette is not None
    assert palette[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    assert main(arguments(davis, "davis", "again", "--predictions", str(written))) == 0
    assert metrics(davis / "again")["figures"] == metrics(davis / "run")["figures"]


def test_of_overlapping_masks_the_lower_label_is_on_top(davis):
    def overlapping(video: str, t: int) -> list:
        own = squares(video, t)
        return own if t < 3 else [own[0], (None, own[0][1] | own[1][1])]

    assert main(arguments(davis), predictor=Truth(overlapping)) == 0
    assert metrics(davis / "run")["figures"]["J&F"] == 100


def test_mose_has_its_own_folders(davis):
    (davis / "train").mkdir()
    (davis / "Annotations/480p").rename(davis / "train/Annotations")
    (davis / "JPEGImages/480p").rename(davis / "train/JPEGImages")
    assert main(arguments(davis, "mose", "run", "--split", "train"), predictor=Truth(squares)) == 0
    assert metrics(davis / "run")["figures"]["J&F"] == 100


def test_predictions_for_a_hidden_ground_truth_are_complete(davis, capsys):
    (davis / "valid").mkdir()
    (davis / "Annotations/480p").rename(davis / "valid/Annotations")
    (davis / "JPEGImages/480p").rename(davis / "valid/JPEGImages")
    for k in range(3):
        for path in sorted((davis / f"valid/Annotations/v{k}").iterdir())[1:]:
            path.unlink()
    assert main(arguments(davis, "mose"), predictor=Truth(squares)) == 2
    assert "predictions are complete, in" in capsys.readouterr().err
    assert len(list((davis / "run/predictions/v2").iterdir())) == FRAMES


def test_sav_objects_are_followed_alone_and_only_annotated_frames_are_kept(tmp_path):
    root, frames = tmp_path / "sav_val", 9
    write_frames(root / "JPEGImages_24fps/v0", frames=frames)
    part = square(2, 3, 2)  # inside the first object on frame 0

    def truth(video: str, t: int) -> list:
        return [(None, masks_at(t)[0]), (None, part), (None, square(7, 10) if t >= 4 else NOTHING)]

    for t in range(0, frames, 2):
        for k, (_, mask) in enumerate(truth("v0", t)):
            if k < 2 or t >= 4:
                write_png(root / f"Annotations_6fps/v0/{k:03d}/{t:05d}.png", mask)
        write_png(root / f"Annotations_6fps/v0/003/{t:05d}.png", NOTHING)
    predictor = Truth(truth)
    assert main(arguments(tmp_path, "sav"), predictor=predictor) == 0
    outcome = metrics(tmp_path / "run")["figures"]
    assert (outcome["J&F"], outcome["objects"], outcome["objects never seen"]) == (100, 3, 1)
    assert predictor.given == [(0, 0, 16), (0, 0, 4), (4, 0, 16)]
    assert len(predictor.opened) == 3  # overlapping objects must not take pixels from each other
    written = sorted(path.name for path in (tmp_path / "run/predictions/v0/000").iterdir())
    assert written == [f"{t:05d}.png" for t in range(0, frames, 2)]


def test_an_interrupted_run_resumes_with_the_next_video(davis, capsys):
    broken = Truth(squares, ("v1",), KeyboardInterrupt())
    assert main(arguments(davis), predictor=broken) == 130
    assert "run the same command again to resume" in capsys.readouterr().err
    with (davis / "run/predictions.jsonl").open("a") as file:
        file.write('{"key": "v1", "phr')  # as after a kill while writing
    whole = Truth(squares)
    assert main(arguments(davis), predictor=whole) == 0
    assert whole.opened == ["v1", "v2"]
    assert metrics(davis / "run")["scored"] == 3
    assert metrics(davis / "run")["figures"]["J&F"] == 100


def test_a_failed_video_is_counted_and_retried(davis, capsys):
    assert main(arguments(davis), predictor=Truth(squares, ("v1",), RuntimeError("out of memory"))) == 1
    assert "1 of 3 samples failed" in capsys.readouterr().err
    outcome = metrics(davis / "run")
    assert (outcome["scored"], list(outcome["failures"])) == (2, ["v1"])
    assert (outcome["figures"]["J&F"], outcome["figures"]["objects"]) == (100, 4)
    again = Truth(squares)
    assert main(arguments(davis), predictor=again) == 0
    assert again.opened == ["v1"]


def damage(davis: Path, what: str) -> None:
    frames, annotations = davis / "JPEGImages/480p/v1", davis / "Annotations/480p/v1"
    if what == "broken":
        (frames / "00003.jpg").write_bytes(b"no image")
    elif what == "size":
        Image.new("RGB", (20, 20)).save(frames / "00003.jpg")
    elif what == "all sizes":
        for path in frames.iterdir():
            Image.new("RGB", (20, 20)).save(path)
    elif what == "label size":
        write_png(annotations / "00004.png", np.ones((9, 9), np.uint8))
    elif what == "no frame":
        (frames / "00002.jpg").unlink()
    else:
        for path in frames.iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("broken", "00003.jpg"),
        ("size", "00003.jpg is 20x20"),
        ("all sizes", "v1/00000.jpg is 20x20 pixels, but the annotations are 16x12"),
        ("label size", "v1/00004.png is 9x9 pixels"),
        ("no frame", "v1/00002.png is the annotation of a frame that is missing"),
        ("no frames", "v1 contains no images"),
    ],
)
def test_an_unusable_clip_is_a_failure_that_names_the_file(davis, what, message):
    damage(davis, what)
    assert main(arguments(davis), predictor=Truth(squares)) == 1
    outcome = metrics(davis / "run")
    assert list(outcome["failures"]) == ["v1"]
    assert message in outcome["failures"]["v1"]
    assert outcome["scored"] == 2


def test_joined_shards_have_the_figures_of_the_whole_run(davis, capsys):
    def shifted(video: str, t: int) -> list:
        return [(None, np.roll(mask, t == 3 and video == "v2", 1)) for _, mask in squares(video, t)]

    assert main(arguments(davis), predictor=Truth(shifted)) == 0
    whole = metrics(davis / "run")["figures"]
    assert whole["J&F"] < 100
    for i in (1, 2):
        assert main(arguments(davis, "davis", f"runs/{i}", "--shard", f"{i}/2"), predictor=Truth(shifted)) == 0
    assert main(["report", str(davis / "runs"), "--out", str(davis / "report")]) == 0
    assert json.loads((davis / "report/report.json").read_text())[0]["figures"] == whole


def test_the_command_runs_a_small_model_and_resumes_after_a_kill(davis, tmp_path):
    weights = small_model(tmp_path / "small.safetensors")
    command = [sys.executable, "-m", "evals", *arguments(davis, "davis", "run", "--weights", str(weights))]
    command += ["--device", "cpu", "--dtype", "float32"]
    predictions = davis / "run/predictions.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while first.poll() is None and not (predictions.exists() and b"\n" in predictions.read_bytes()):
            time.sleep(0.01)
        first.kill()
    stored = predictions.read_text().splitlines()[0]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    lines = predictions.read_text().splitlines()
    assert lines[0] == stored
    assert [json.loads(line)["key"] for line in lines] == ["v0", "v1", "v2"]
    outcome = metrics(davis / "run")
    assert (outcome["samples"], outcome["scored"], outcome["failures"]) == (3, 3, {})
    assert 0 <= outcome["figures"]["J&F"] <= 100
    assert "J&F" in second.stdout


class Endless(Truth):
    """A clip that does not end, for as long as nobody stops it."""

    def __init__(self) -> None:
        super().__init__(squares)
        self.shown = 0

    def open(self, source: FrameSource, **_: object) -> TruthSession:
        return EndlessSession(self, source, "v0")


class EndlessSession(TruthSession):
    def propagate(self, *, start: int | None = None) -> Iterator[FrameResult]:
        assert isinstance(self.owner, Endless)
        while self.owner.shown < 10_000:
            self.owner.shown += 1
            time.sleep(0.002)
            yield result(0, [])


def test_a_cancelled_run_does_not_wait_for_the_end_of_the_clip(davis):
    predictor = Endless()
    sample = read_davis(DatasetSplit(davis, "val"))[0]

    async def cancel_soon() -> None:
        task = asyncio.create_task(VideoRunner(predictor, "endless")(sample))
        while not predictor.shown:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_soon())  # returns when the thread has ended
    assert predictor.shown < 5000


def test_weights_without_a_tracker_are_refused_in_one_line(davis, tmp_path, capsys):
    lean = tmp_path / "lean.safetensors"
    save_native(load("tiny"), lean)
    assert main(arguments(davis, "davis", "run", "--weights", str(lean))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "tracker" in error
