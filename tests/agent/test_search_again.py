"""Searching again on frames of a clip where nothing was found, and following what is found from there."""

from pathlib import Path

import pytest

from sam3agent import Agent
from sam3agent.agent.recorded import RecordedSegmenter, ReplayBackend, recorded_media
from sam3agent.agent.recorded_tracker import RecordedTracker
from sam3agent.agent.trace import read_trace
from sam3agent.answer import Answer
from sam3agent.cli.screen import say_answer
from sam3agent.mllm.base import MLLMReply, MLLMRequest, Text
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter, call
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3agent.workbench import Workbench
from tests.agent.moving_blocks import FRAMES, clip, other_white, red, tracker, white, write_clip
from tests.agent.world import World

LATE = 8
SEGMENTER = ScriptedSegmenter(
    {"referee": [red(LATE) or (0, 0, 1, 1)], "goalkeeper": [other_white(LATE) or (0, 0, 1, 1)]}
)
"""What is found on a frame by itself, under words that the tracker does not know."""
AGAIN = [
    call("track", phrases=["referee"]),
    call("segment_phrase", phrases=["referee"], frame=LATE),
    call("track", id=1, frame=LATE),
    call("select_masks", what="referee", ids=[1]),
]


def bench() -> Workbench:
    media = clip()
    return Workbench(media, SEGMENTER.open(media), tracker=tracker())


def ask(path: Path, out: Path) -> tuple[Answer, list[MLLMRequest]]:
    backend = ScriptedBackend(AGAIN, {None: '{"verdict": "accept"}'})
    return Agent(SEGMENTER, backend, tracker=tracker()).ask(path, "the referee", out=out), backend.requests


def told(request: MLLMRequest) -> str:
    return "\n".join(part.text for message in request.messages for part in message.parts if isinstance(part, Text))


def test_what_no_frame_showed_is_found_on_one_and_followed_from_there(tmp_path: Path) -> None:
    answer, requests = ask(write_clip(tmp_path / "blocks.mp4"), tmp_path / "out")
    assert answer.status == "answered" and answer.costs.segmenter_calls == 3
    assert [answer.masks[0].masklet.masks[t].box for t in (0, 11)] == [red(0), red(11)], "to both sides"
    assert '"referee": nothing found' in told(requests[1]) and "with `frame` searches one" in told(requests[1])
    assert '"referee": mask 1 (on frame 8)' in told(requests[2])
    records = read_trace(tmp_path / "out")
    again = Agent(RecordedSegmenter(records), ReplayBackend(records), tracker=RecordedTracker(records))
    rerun = again.ask(recorded_media(records, tmp_path / "out"), "the referee")
    assert [m.masklet.to_json() for m in rerun.masks] == [m.masklet.to_json() for m in answer.masks]


def test_a_box_on_a_clip_comes_with_its_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mask that was found on one frame and not followed; without the frame, its box is taken for one of the first."""
    lines = [AGAIN[1], call("measure_masks"), call("select_masks", ids=[1])]
    backend = ScriptedBackend(lines, {None: '{"verdict": "accept"}'})
    answer = Agent(SEGMENTER, backend, tracker=tracker()).ask(write_clip(tmp_path / "blocks.mp4"), "the referee")
    (mask,), box = answer.to_json()["masks"], list(red(LATE) or ())
    assert (mask["box"], mask["frame"], mask["first_frame"], mask["last_frame"]) == (box, LATE, LATE, LATE)
    say_answer(answer)
    assert "frames 8-8, box of frame 8" in capsys.readouterr().out
    assert f"box {box} on frame 8)" in told(backend.requests[-1])
    assert f"box {box} on frame 8, " in told(backend.requests[-1]), "as it was measured"
    found = all_tools()["segment_phrase"].call(bench(), {"phrases": ["referee"], "frame": LATE})
    assert found.data["searches"][0]["masks"][0]["frame"] == LATE


def test_a_search_says_on_which_frames_it_found_nothing() -> None:
    result = all_tools()["track"].call(bench(), {"phrases": ["player in red", "referee"], "first_frame": 2})
    assert '"player in red": mask 1\n' in result.text and '"referee": nothing found\n' in result.text + "\n"
    paths = {"walker": [white], "sitter": [other_white]}
    media = clip()
    work = Workbench(media, SEGMENTER.open(media), tracker=type(tracker())(paths))
    result = all_tools()["track"].call(work, {"phrases": ["walker", "sitter"], "last_frame": FRAMES - 1})
    assert '"walker": mask 1 (none on frames 5 to 6)' in result.text
    assert '"sitter": mask 2 (none on frames 0 to 2)' in result.text


def test_what_is_followed_already_keeps_its_id() -> None:
    work = bench()
    pool = all_tools()["track"].call(work, {"phrases": ["player in red", "player in white"]}).pool
    found = all_tools()["segment_phrase"].call(
        work.with_pool(pool), {"phrases": ["referee", "goalkeeper"], "frame": LATE}
    )
    assert found.pool.ids == pool.ids and [len(c.masklet.areas) for c in found.pool.candidates] == [12, 10, 9]
    first = all_tools()["segment_phrase"].call(work, {"phrases": ["referee"], "frame": LATE}).pool
    followed = all_tools()["track"].call(work.with_pool(first), {"phrases": ["player in red"]}).pool
    assert followed.ids == (1,) and len(followed.candidates[0].masklet.areas) == FRAMES, "one frame becomes twelve"


def test_frames_are_those_of_the_clip() -> None:
    with pytest.raises(ToolUseError, match="there is no frame 12: the last one is 11"):
        all_tools()["segment_phrase"].call(bench(), {"phrases": ["referee"], "frame": 12})


@pytest.mark.parametrize(("used", "other"), [(0, LATE), (LATE, 0)])
def test_a_phrase_is_searched_once_on_a_frame(tmp_path: Path, used: int, other: int) -> None:
    first, second = (call("segment_phrase", phrases=["referee"], frame=frame) for frame in (used, other))
    end, lines = call("report_no_match"), list[str]()
    backend = ScriptedBackend([first, second, first, end, end], {None: '{"verdict": "accept"}'})
    Agent(SEGMENTER, backend).ask(write_clip(tmp_path / "blocks.mp4"), "the referee", tell=lines.append)
    assert [line for line in lines if "unusable" in line] == [
        f"unusable reply: these phrases have been searched on frame {used} already: referee; "
        "use other words or another frame"
    ]
    assert "Do not search for them again on the same frame." in told(backend.requests[1])


@pytest.mark.parametrize(
    ("searches", "part"),
    [
        ([call("track", phrases=["flash"])], ""),
        ([call("segment_phrase", phrases=["referee"], frame=LATE), call("track", phrases=["flash"])], ""),
        ([call("segment_phrase", phrases=["referee"], frame=LATE), call("track", id=1)], ""),
        ([call("segment_phrase", phrases=["nobody"])], "the first of 12 frames was"),
        ([call("segment_phrase", phrases=["referee"], frame=LATE)], "frame 8 was"),
        ([call("segment_phrase", phrases=["referee"], frame=t) for t in (0, LATE)], "frame 0, frame 8 were"),
        ([call("track", phrases=["flash"], first_frame=6)], "frames 6 to 11 were"),
    ],
)
def test_an_answer_says_which_part_of_a_clip_was_searched(tmp_path: Path, searches: list[MLLMReply], part: str) -> None:
    flash = type(tracker())({"flash": [lambda t: red(t) if t == 7 else None]})  # its masks say nothing about the search
    end = call("report_no_match", reason="not there")
    backend = ScriptedBackend([*searches, end, end], {None: '{"verdict": "accept"}'})
    answer = Agent(SEGMENTER, backend, tracker=flash).ask(write_clip(tmp_path / "blocks.mp4"), "the flash")
    assert answer.reason.partition("; ")[2] == (f"only {part} searched" if part else "")


def test_of_an_image_there_is_no_frame_to_search() -> None:
    backend = ScriptedBackend([call("report_no_match")] * 2)
    world = World()
    Agent(world, backend).ask(world.image, "the referee")
    (schema,) = (tool for tool in backend.requests[0].tools if tool.name == "segment_phrase")
    assert "frame" not in schema.parameters["properties"]
