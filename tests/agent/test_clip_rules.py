"""Questions about clips: how they are read, and what the rules answer on a clip of blocks."""

from pathlib import Path

import numpy as np
import pytest

from sam3agent import Agent
from sam3agent.answer import Answer
from sam3agent.masks import Mask, Masklet
from sam3agent.render.film import telling_frames
from sam3agent.rules.clip_reader import parse_clip_question
from sam3agent.testing import ScriptedSegmenter
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3model.playground import clip as playground_clip
from sam3model.playground import clip_questions
from tests.agent.moving_blocks import clip, tracker
from tests.agent.test_track_tool import bench
from tests.drawn_match import drawing

MASK = Mask(np.ones((2, 2), bool), 0, 0, 8, 8)


def answer(question: str, out: Path | None = None) -> Answer:
    return Agent(ScriptedSegmenter({}), tracker=tracker()).ask(clip(), question, out=out)


@pytest.mark.parametrize(
    ("question", "boxes"),
    [
        ("the player in white that moves to the right", [(4, 20)]),
        ("the player in white who never moves", [(70, 30)]),
        ("the player in red that goes left", [(80, 4)]),
        ("all players in white except the one that stays still", [(4, 20)]),
        ("the leftmost player in white at the end", [(37, 20)]),
        ("the rightmost player in white at the end", [(70, 30)]),
        ("the player in white nearest to the player in red at the start", [(4, 20)]),
        ("the player in white that is there in the first frame", [(4, 20)]),
        ("the fastest player in white", [(4, 20)]),
        ("which player in white is in the picture the longest", [(4, 20)]),
    ],
)
def test_the_rules_answer_by_what_objects_do(question: str, boxes: list[tuple[int, int]]) -> None:
    found = answer(question)
    assert found.status == "answered", found.reason
    firsts = [mask.masklet.masks[max(mask.masklet.areas) if "end" in question else min(mask.masklet.areas)].box
              for mask in found.masks]  # fmt: skip
    assert [box[:2] for box in firsts] == boxes


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("the player in red that stops", "player in red"),
        ("the dog that leaves", 'nothing found for "dog"'),
        ("the player in white that passes behind the dog", 'nothing found for "dog"'),
        ("the second player in red to leave the picture", "player in red"),
    ],
)
def test_what_does_not_happen_is_no_match(question: str, reason: str) -> None:
    found = answer(question)
    assert found.status == "no_match" and reason in found.reason and not found.masks
    assert "only the first" not in found.reason


@pytest.mark.parametrize(
    "question",
    [
        "the player who sings", "the player that stops three times", "the player who looks happy at the end",
        "the dog that barks before the cat leaves", "the player who nearly falls", "the car that stops twice",
        "the player that moves to the right slowly", "the ball that leaves because of the player",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said_and_nothing_is_claimed(question: str) -> None:
    assert parse_clip_question(question).objection
    assert answer(question).status == "not_understood"


def test_a_question_about_time_is_refused_for_an_image() -> None:
    found = Agent(ScriptedSegmenter({})).ask(drawing(), "the player who leaves first")
    assert found.status == "not_understood" and "ask about a clip" in found.reason


def test_every_question_of_the_playground_is_read() -> None:
    unread = [
        (question.text, plan.objection)
        for index in range(40)
        for question in clip_questions(playground_clip("val", index, frames=24))
        if (plan := parse_clip_question(question.text)).objection
    ]
    assert unread == []


def test_an_answer_about_a_clip_has_masklets_and_files_that_show_them(tmp_path: Path) -> None:
    found = answer("the player in white that moves to the right", tmp_path)
    assert found.selection.files and found.selection.files.clip and found.selection.files.strip
    assert {path.name for path in tmp_path.iterdir()} >= {"overlay.png", "masks.json", "overlay.mp4", "strip.png"}
    (mask,) = found.to_json()["masks"]
    assert (mask["first_frame"], mask["last_frame"], mask["frames_visible"]) == (0, 11, 10)
    assert found.to_json()["clip"] == str(tmp_path / "overlay.mp4")
    images = found.selection.to_coco("blocks.mp4", "player")["images"]
    assert [image["frame"] for image in images] == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11] and images[1]["time"] == 0.1


def test_how_many_frames_are_done_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam3agent.api.REPORT_SECONDS", 0.0)
    lines: list[str] = []
    Agent(ScriptedSegmenter({}), tracker=tracker()).ask(clip(), "the fastest player in white", tell=lines.append)
    assert [line for line in lines if line.endswith("frames")][-1] == "11 of 12 frames"


def test_places_without_a_time_are_those_of_the_start_and_that_is_said() -> None:
    found = answer("the leftmost player in white")
    assert any("start of the clip" in warning for warning in found.warnings)


def test_a_model_can_measure_tracks() -> None:
    work = bench()
    with pytest.raises(ToolUseError, match="call track"):
        all_tools()["measure_tracks"].call(work, {})
    tracked = all_tools()["track"].call(work, {"phrases": ["player in white"]})
    result = all_tools()["measure_tracks"].call(work.with_pool(tracked.pool), {})
    assert "mask 1: frames 0 to 11" in result.text and "goes right" in result.text
    assert "stays" in result.data["masks"][1]["events"]
    assert "fastest to slowest: 1, 2" in result.data["orders"]


def test_a_model_sees_tracked_masks_on_several_frames() -> None:
    work = bench()
    tracked = all_tools()["track"].call(work, {"phrases": ["player in white"]})
    (image,) = tracked.images
    assert image.key.kind == "film" and image.key.mask_ids == (1, 2)
    assert telling_frames([c.masklet for c in tracked.pool.candidates]) == [0, 2, 4, 7, 9, 11]
    closer = all_tools()["examine_masks"].call(work.with_pool(tracked.pool), {"ids": [1]})
    assert [one.key.kind for one in closer.images] == ["film", "zoomed"]
    one, two = Masklet.of(MASK, 0), Masklet.of(MASK, 8)
    assert telling_frames([one, two]) == [0, 8] and telling_frames([]) == [0]
