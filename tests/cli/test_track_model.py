"""`sam3agent track` with the video model: random weights, and weights without a tracker."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sam3agent.cli import main
from sam3agent.media import open_clip
from tests.agent.moving_blocks import write_clip
from tests.cli.test_cli import run


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped detector with a random tracker."""
    import torch

    from sam3model.build import build
    from sam3model.checkpoint import load, save_native
    from sam3model.config import InteractiveConfig, NeckHeadConfig, Sam3Config, TrackerConfig, VideoConfig

    shipped = load("tiny").detector
    neck = replace(shipped.config.neck, interactive=NeckHeadConfig(shipped.config.neck.detection.dropped_levels))
    config = Sam3Config(
        replace(shipped.config, neck=neck),
        InteractiveConfig(mlp=64, iou_hidden=32),
        TrackerConfig(memory_dim=16, ffn=64, layers=1),
        VideoConfig(hotstart_delay=2),
    )
    torch.manual_seed(0)
    model = build(config, parts=None).eval()
    model.detector.load_state_dict(shipped.state_dict(), strict=False)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_native(model, path)
    return path


def track(folder: Path, weights: Path, *arguments: str) -> dict:
    command = ["track", str(folder / "blocks.mp4"), *arguments, "--weights", str(weights), "--device", "cpu"]
    with pytest.raises(SystemExit) as end:
        main([*command, "--out", str(folder / "out"), "--preview"])
    assert end.value.code == 0
    return json.loads((folder / "out" / "tracks.json").read_text())


def test_a_clip_is_tracked_from_a_click_and_goes_on(tmp_path: Path, weights: Path) -> None:
    write_clip(tmp_path / "blocks.mp4", range(6))
    arguments = ("--phrase", "player", "--click", "1:12,30", "--max-objects", "3")
    whole = track(tmp_path, weights, *arguments)
    assert whole["videos"][0]["frames"] == list(range(6))
    assert whole["annotations"][0]["id"] == 1 and whole["annotations"][0]["phrase"] is None
    journal = tmp_path / "out" / "track.jsonl"
    kept = journal.read_bytes().splitlines(keepends=True)[:4]
    journal.write_bytes(b"".join(kept))
    rest = track(tmp_path, weights, *arguments)
    assert rest["videos"][0]["frames"] == list(range(6)) and rest["info"]["resumed_at"] == [2]
    assert journal.read_bytes().startswith(b"".join(kept))
    assert rest["annotations"][0]["segmentations"][:3] == whole["annotations"][0]["segmentations"][:3]


def test_backwards_from_the_frame_of_a_click(tmp_path: Path, weights: Path) -> None:
    write_clip(tmp_path / "blocks.mp4", range(6))
    tracks = track(tmp_path, weights, "--object-box", "4:4,18,20,46", "--reverse", "--every", "2")
    assert tracks["videos"][0]["frames"] == [0, 2, 4]


def test_weights_without_a_tracker_are_answered_with_a_line(tmp_path: Path) -> None:
    from sam3model.checkpoint import load, save_native

    write_clip(tmp_path / "blocks.mp4", range(3))
    save_native(load("tiny"), tmp_path / "lean.safetensors")
    words = ("track", "blocks.mp4", "--phrase", "player", "--weights", "lean.safetensors")
    done = run(*words, cwd=tmp_path, fake=False)
    assert done.returncode == 2 and b"tracker" in done.stderr.splitlines()[-1] and b"Traceback" not in done.stderr
    assert not (tmp_path / "sam3agent-out" / "blocks-track").exists()


def test_an_agent_has_one_detector_for_images_and_clips(tmp_path: Path, weights: Path) -> None:
    import gc

    from sam3agent.api import Agent
    from sam3agent.config import Settings
    from sam3model.detector.model import Sam3ImageModel

    def detectors() -> int:
        gc.collect()
        return sum(type(one) is Sam3ImageModel for one in gc.get_objects())

    write_clip(tmp_path / "blocks.mp4", range(4))
    for first in ("image", "clip"):
        before, settings = detectors(), Settings(weights=str(weights), device="cpu")
        agent, clip = Agent.from_settings(settings), open_clip(tmp_path / "blocks.mp4")
        assert detectors() == before, "nothing is loaded before the first question"
        if first == "image":
            agent.segmenter.open(clip)
        session = agent.tracker.open(clip.part(range(4)))
        agent.segmenter.open(clip).segment_phrases(["player"])
        assert isinstance(session.add_box([4, 20, 16, 44], frame=0).object_id, int)
        assert detectors() == before + 1
        del agent, session


def test_the_frames_of_a_clip_are_read_ahead(tmp_path: Path, weights: Path) -> None:
    from sam3agent.tracker import LocalTracker
    from sam3model.frames.prefetched import PrefetchedSource

    write_clip(tmp_path / "blocks.mp4", range(6))
    clip = open_clip(tmp_path / "blocks.mp4")
    session = LocalTracker(str(weights), device="cpu").open(clip.part(range(6)))
    session.add_box([4, 20, 16, 44], frame=0)
    source = getattr(session, "frames", None)
    assert isinstance(source, PrefetchedSource)
    assert list(source._pending) == [1], "the next frame is read while the first is encoded"
    source.close()
