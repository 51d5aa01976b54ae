"""The tool `track` over MCP, with progress reports."""

import json
from pathlib import Path

import pytest

from sam3agent.motion.camera_path import camera_path
from sam3agent.rules import RulesBackend
from sam3agent.servers import mcp_tools
from tests.agent.moving_blocks import FRAMES, write_clip
from tests.servers.desk import Desk, data, images, text


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    write_clip(tmp_path / "blocks.mp4")
    return Desk(tmp_path)


def test_a_clip_is_tracked_and_the_masklets_are_selected(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tools, "REPORT_SECONDS", 0.0)
    clip = {"image": "blocks.mp4"}
    tracked, seen, measured, chosen = desk.calls(
        ("track", {**clip, "phrases": ["player in white"]}),
        ("examine_masks", {**clip, "ids": [2]}),
        ("measure_masks", clip),
        ("select_masks", {**clip, "ids": [1, 2]}),
    )
    first, second = data(tracked)["searches"][0]["masks"]
    assert (first["id"], first["frames_visible"], second["first_frame"]) == (1, 10, 3)
    assert "visible on 10" in text(tracked) and len(images(tracked)) == 1 and len(images(seen)) == 2
    assert [mask["id"] for mask in data(measured)["masks"]] == [1, 2]
    saved = json.loads(Path(data(chosen)["masks_file"]).read_text())
    assert len(saved["annotations"]) == 19
    counted = [line.partition(",")[0] for line in desk.lines]  # a slow machine adds the time left
    assert counted == [f"track: {done} of {FRAMES} frames" for done in range(1, FRAMES + 1)]


def test_progress_is_reported_a_few_times_a_second(desk: Desk) -> None:
    desk.call("track", image="blocks.mp4", phrases=["player in white"])
    assert len(desk.lines) < FRAMES and desk.lines[-1] == f"track: {FRAMES} of {FRAMES} frames"


def test_a_mask_of_a_phrase_is_followed(desk: Desk) -> None:
    desk.segmenter.objects = {"player": [(4, 20, 16, 44)]}
    desk.call("segment_phrase", image="blocks.mp4", phrases=["player"])
    (mask,) = data(desk.call("track", image="blocks.mp4", id=1))["masks"]
    assert (mask["id"], mask["first_frame"], mask["last_frame"]) == (1, 0, 11)


def test_the_box_of_a_mask_comes_with_its_frame(desk: Desk, tmp_path: Path) -> None:
    desk.segmenter.objects = {"player": [(4, 20, 16, 44)]}
    found = desk.call("segment_phrase", image="blocks.mp4", phrases=["player"], frame=7)
    assert "box [4, 20, 16, 44] on frame 7, score" in text(found)
    answer = Desk(tmp_path, backend=RulesBackend()).call("ask", image="blocks.mp4", question="the player in red")
    (mask,) = data(answer)["masks"]
    assert f"box {mask['box']} on frame {mask['frame']}, score" in text(answer)


def test_mistakes_are_answered_with_a_sentence(desk: Desk) -> None:
    assert "needs a clip, and this is an image" in desk.refusal("track", phrases=["player"])
    assert "either phrases or the id" in desk.refusal("track", image="blocks.mp4")
    desk.tracker.problem = "these weights have no tracker"
    said = desk.refusal("track", image="blocks.mp4", phrases=["player"])
    assert "these weights have no tracker" in said and "segment_phrase searches the first frame" in said


def test_what_objects_do_is_measured_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, clip = list[int](), {"image": "blocks.mp4"}
    module = "sam3agent.motion.clip_motion.camera_path"
    monkeypatch.setattr(module, lambda *given: measured.append(1) or camera_path(*given))
    keep = {"ids": [1, 2], "keep": ["moves_right"]}
    _, told, *_ = desk.calls(
        ("track", {**clip, "phrases": ["player in white"]}),
        ("measure_tracks", clip),
        ("select_masks", {**clip, **keep}),
        ("select_masks", {**clip, **keep}),
    )
    assert len(measured) == 1
    assert not told.is_error and "the clip has frames 0 to" in text(told)
    desk.calls(("track", {**clip, "phrases": ["player in red"]}), ("measure_tracks", clip))
    assert len(measured) == 2, "a new object is one more that the background must do without"
