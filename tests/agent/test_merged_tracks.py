"""Masks of a clip that a model merges or splits, and questions about clips that are run again from their trace."""

from pathlib import Path
from typing import Any

import pytest

from sam3agent import Agent
from sam3agent.agent.recorded import RecordedSegmenter, ReplayBackend
from sam3agent.agent.recorded_tracker import RecordedTracker
from sam3agent.agent.trace import read_trace
from sam3agent.cli.replay import run_replay
from sam3agent.mllm.base import Text
from sam3agent.testing import ScriptedBackend, ScriptedTracker, call
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3agent.workbench import Workbench
from tests.agent.moving_blocks import clip, red, white, write_clip
from tests.agent.test_track_tool import SEGMENTER


def early(t: int) -> Any:
    """The white player until the tracker loses him."""
    return white(t) if t < 5 else None


def late(t: int) -> Any:
    """The white player when he is found again."""
    return white(t) if t >= 5 else None


def mixed(t: int) -> Any:
    """A track that goes over from one player to another."""
    return white(t) if t < 4 else red(t)


def tracker() -> ScriptedTracker:
    return ScriptedTracker({"player": [early, mixed, late, red]})  # ids 1, 2, 4 (seen last) and 3


def tracked() -> Workbench:
    media = clip()
    work = Workbench(media, SEGMENTER.open(media), tracker=tracker())
    return work.with_pool(all_tools()["track"].call(work, {"phrases": ["player"]}).pool)


def run(name: str, **arguments: Any) -> Any:
    return all_tools()[name].call(tracked(), arguments)


def test_a_thing_that_was_lost_and_found_again_gets_one_id() -> None:
    result = run("merge_tracks", ids=[1, 4])
    assert result.pool.ids == (2, 3, 5) and result.data["replaced"] == [1, 4]
    (made,) = result.data["masks"]
    assert (made["id"], made["first_frame"], made["last_frame"], made["frames_visible"]) == (5, 0, 11, 10)
    assert result.text.startswith("masks 1, 4 are now mask 5\nmask 5: frames 0 to 11, visible on 10")
    merged = result.pool.get(5)
    assert [merged.masklet.masks[t].box for t in (2, 9)] == [white(2), white(9)]


def test_a_track_of_two_things_gets_two_ids() -> None:
    result = run("split_track", id=2, frame=4)
    assert result.pool.ids == (1, 3, 4, 5, 6)
    assert [(m["first_frame"], m["last_frame"]) for m in result.data["masks"]] == [(0, 3), (4, 11)]


def test_what_is_at_two_places_at_a_time_is_merged_as_parts_only() -> None:
    with pytest.raises(ToolUseError, match="both seen on frames 0 to 4, at different places on 5 of them"):
        run("merge_tracks", ids=[1, 3])
    whole = run("merge_tracks", ids=[1, 3], parts=True).pool.get(5).masklet
    first, second = white(2), red(2)
    assert first and second
    assert whole.areas[2] == sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (first, second))
    assert "warning: masks 1 and 2 were both seen on frames 0 to 4" in run("merge_tracks", ids=[1, 2]).text


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("merge_tracks", {"ids": [1, 1]}, "at least 2"),
        ("merge_tracks", {"ids": [1, 9]}, "there is no mask 9"),
        ("split_track", {"id": 1, "frame": 7}, "does not split it; name a frame from 1 to 4"),
        ("split_track", {"id": 9, "frame": 2}, "there is no mask 9"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(name: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ToolUseError, match=says):
        run(name, **arguments)


def test_a_model_merges_and_its_trace_is_drawn_and_run_again(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "blocks.mp4")
    lines = [
        call("track", phrases=["player"]),
        call("merge_tracks", ids=[1, 4]),
        call("select_masks", what="player", ids=[5], reason="the one in white"),
    ]
    backend = ScriptedBackend(lines, {None: '{"verdict": "accept"}'})
    answer = Agent(SEGMENTER, backend, tracker=tracker()).ask(path, "who walks?", out=tmp_path / "out")
    assert [(mask.id, len(mask.masklet.areas)) for mask in answer.masks] == [(5, 10)]
    told = "".join(part.text for m in backend.requests[2].messages for part in m.parts if isinstance(part, Text))
    assert "masks 1, 4 are now mask 5" in told
    records = read_trace(tmp_path / "out")
    again = Agent(RecordedSegmenter(records), ReplayBackend(records), tracker=RecordedTracker(records)).ask(
        path, "who walks?"
    )
    assert (again.status, again.reason) == (answer.status, answer.reason)
    assert [mask.masklet.to_json() for mask in again.masks] == [mask.masklet.to_json() for mask in answer.masks]
    run_replay(tmp_path / "out", rerun=True, out=tmp_path / "again", as_json=True, verbose=False)
    assert (tmp_path / "again/overlay.png").read_bytes() == (tmp_path / "out/overlay.png").read_bytes()


def test_what_is_missing_in_a_clip_is_searched_on_all_its_frames(tmp_path: Path) -> None:
    """An object that enters late is not on the first frame."""
    source = ScriptedTracker({"player in white": [early], "late player": [late]})
    lines = [
        call("track", phrases=["player in white"]),
        call("select_masks", what="player", ids=[1], missing=["late player"]),
    ]
    backend = ScriptedBackend(lines, {None: '{"verdict": "accept"}'})
    answer = Agent(SEGMENTER, backend, tracker=source).ask(write_clip(tmp_path / "blocks.mp4"), "all players")
    frames = {min(mask.masklet.areas) for mask in answer.masks}
    assert frames == {0, 7}
