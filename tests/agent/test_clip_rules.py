"""Questions about clips: how they are read, and what the rules answer on a clip of blocks."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest

from sam3agent import Agent
from sam3agent.answer import Answer
from sam3agent.masks import Mask, Masklet
from sam3agent.media import ClipMedia
from sam3agent.render.film import telling_frames
from sam3agent.rules.clip_reader import parse_clip_question
from sam3agent.testing import ScriptedSegmenter
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3model.playground import clip as playground_clip
from sam3model.playground import clip_questions
from tests.agent.moving_blocks import Frames, clip, tracker
from tests.agent.test_track_tool import bench
from tests.drawn_match import drawing

MASK = Mask(np.ones((2, 2), bool), 0, 0, 8, 8)


def answer(question: str, out: Path | None = None) -> Answer:
    return Agent(ScriptedSegmenter({}), tracker=tracker()).ask(clip(), question, out=out)


def test_all_frames_are_measured_away_from_the_event_loop() -> None:
    """A server answers others meanwhile."""
    readers = set[threading.Thread]()

    class Noted(Frames):
        def frame(self, t: int) -> np.ndarray:
            readers.add(threading.current_thread())
            return super().frame(t)

    agent = Agent(ScriptedSegmenter({}), tracker=tracker())
    assert agent.ask(ClipMedia(Noted(), "blocks.mp4"), "the player in red that stops").status == "no_match"
    assert readers and threading.main_thread() not in readers


def test_measures_that_objects_share_and_numbers_that_are_not_there_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer("the player in white who is in the picture the longest").warnings == ()
    monkeypatch.setattr("sam3agent.rules.clip_selector.SAME", 1.0)
    shared = answer("the player in white who is in the picture the longest")
    assert any("several are the same by measure" in text for text in shared.warnings), shared.warnings
    fewer = answer("the five fastest players in white")
    assert any('names 5 of "player in white" and there are 2' in text for text in fewer.warnings), fewer.warnings


@pytest.mark.parametrize(
    ("question", "remark"),
    [
        ("the player in red that comes closest to the player in white", "refers to one .* 2 match: any of them counts"),
        ("the player in red nearest to the player in white at the end", "refers to one .* 2 match: the one with the"),
        ("all players except the player in white", "leaves out one .* 2 match: all were left out"),
    ],
)
def test_several_where_the_question_refers_to_one_are_said(question: str, remark: str) -> None:
    assert any(re.search(remark, one) for one in answer(question).warnings), answer(question).warnings
    plural = answer(question.replace("player in white", "players in white"))
    assert not any("match:" in one for one in plural.warnings), plural.warnings


def test_how_something_moves_is_motion_where_it_is_a_thing_that_moves() -> None:
    plan = parse_clip_question("the running brown dog")
    (target,) = plan.targets
    assert target.what.phrase == "brown dog" and plan.notes == ('"running" is read as moving',)
    assert [(one.name, one.negated) for one in target.happenings] == [("stays", True)]
    assert parse_clip_question("the running shoe").targets[0].what.phrase == "running shoe"
    assert [mask.id for mask in answer("the walking player in white").masks] == [1]


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
        "the player that enters or leaves", "the player that enters and then leaves",
        "the player who stops on the left", "the player who leaves at the end", "the player who leaves with the ball",
        "the player who enters without moving", "the ball kicked by the player",
        "the player who moves away from the ball", "the first player to move", "the player who does not leave first",
        "the player that stops before all players in red leave",
        "the player that stops before the player in red moves", "the man who plays the guitar",
        "what moves to the right", "what happens at the end", "the slow player", "the red moving player",
        "the player that is not visible",
        "the player in white in frame 99", "the leftmost player in white after 60 seconds",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said_and_nothing_is_claimed(question: str) -> None:
    assert parse_clip_question(question).objection or "99" in question or "60" in question  # there is no such frame
    assert answer(question).status == "not_understood"


def happenings(question: str) -> list[tuple[str, int, int]]:
    (target,) = parse_clip_question(question).targets
    assert not target.ranking
    return [("not " * one.negated + one.name, one.order, one.count) for one in target.happenings]


@pytest.mark.parametrize(
    ("question", "same"),
    [
        ("which player leaves first", "the player that leaves first"),
        ("the first player that leaves", "the first player to leave"),
        ("the last two players who leave", "the last two players to leave"),
        ("the two players that leave first", "the first two players to leave"),
        ("the fastest two players", "the two fastest players"),
        ("the player leaving the picture", "the player that leaves the picture"),
        ("the player running to the left", "the player that runs to the left"),
        ("the player that is not moving", "the player that never moves"),
        ("the first player leaving the picture", "the first player to leave the picture"),
        ("who is leaving", "who leaves"),
        ("what is moving to the right", "everything that moves to the right"),
        ("the moving player", "the player that moves"),
        ("the player that stops, turns around and leaves", "the player that stops and turns around and leaves"),
        ("the player that is leftmost at the start and rightmost at the end",
         "the player that is leftmost at the start and is rightmost at the end"),
        ("the player that is visible at the start and gone at the end",
         "the player that is visible at the start and is gone at the end"),
        ("the players, only the one that leaves", "the players that leave"),
    ],
)  # fmt: skip
def test_many_wordings_mean_the_same(question: str, same: str) -> None:
    assert happenings(question) == happenings(same) != []


@pytest.mark.parametrize(
    "question",
    [
        "the largest of the players that leave",
        "of the players that leave, the largest",
        "the largest player that leaves",
    ],
)  # fmt: skip
def test_nothing_is_dropped_from_a_group(question: str) -> None:
    (target,) = parse_clip_question(question).targets
    assert target.ranking and [one.name for one in target.happenings] == ["leaves"]


def test_those_that_do_something_can_be_left_out() -> None:
    (target,) = parse_clip_question("the players except those moving to the left").targets
    (out,) = target.exceptions
    assert (out.what.noun, out.happenings[0].name, out.sides) == ("player", "goes_left", ())


def test_an_order_in_a_comparison_is_one_of_time() -> None:
    (target,) = parse_clip_question("the car that stops before the second bus leaves").targets
    assert target.happenings[0].compared
    (bus,) = target.happenings[0].compared[1].happenings
    assert (bus.name, bus.order) == ("leaves", 2)


def test_nouns_that_are_verbs_too_stay_nouns() -> None:
    assert parse_clip_question("the leaves").targets[0].what.noun == "leaf"
    assert parse_clip_question("how many stop signs are there").targets[0].what.phrase == "stop sign"


def test_all_parts_of_a_question_that_names_two_groups_are_warned_of() -> None:
    assert any("only" in note for note in parse_clip_question("the cats and dogs that leave").notes)


def test_the_fastest_is_the_fastest_of_those_that_fit_the_rest() -> None:
    assert [mask.id for mask in answer("the fastest player in white that never moves").masks]
    assert answer("the fastest player in white except the one that moves to the right").status == "answered"


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
