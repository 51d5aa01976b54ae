"""Runs over a clip: ids, directions, the journal, and going on after an interruption."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from sam3agent.tracker import TrackOptions
from sam3agent.tracking.track_journal import FILE_NAME, TrackJournal
from sam3agent.tracking.track_prompts import PromptTexts, TrackPrompts, TrackSpan
from sam3agent.tracking.track_run import TrackRun
from sam3agent.tracking.tracked_frames import FrameTracks
from sam3model.errors import ConfigError, InputError
from tests.agent.moving_blocks import FRAMES, SIZE, clip, tracker

WHITE = PromptTexts(phrases=("player in white",))


def run(texts: PromptTexts, broken: int = FRAMES, **span: Any) -> TrackRun:
    return TrackRun(clip(broken), TrackPrompts.read(texts), TrackSpan.of(clip(), **span))


def seen(frames: list[FrameTracks]) -> dict[int, dict[int, tuple[int, ...]]]:
    """Boxes by frame and id."""
    return {frame.frame: {one.id: one.box for one in frame.objects} for frame in frames}


def interrupted(folder: Path, what: TrackRun, after: int) -> TrackJournal:
    """A journal of the first frames of a run."""
    journal = TrackJournal(folder, SIZE, {"phrases": list(what.prompts.phrases)})
    for tracked in islice(what.track(tracker()), after):
        journal.add(tracked)
    return journal


def test_ids_start_at_one_and_stay() -> None:
    frames = seen(list(run(WHITE).track(tracker(delay=4))))
    assert list(frames) == list(range(FRAMES))
    assert set(frames[0]) == {1} and set(frames[3]) == {1, 2} and set(frames[5]) == {2} and set(frames[7]) == {1, 2}
    assert frames[7][1] == (25, 20, 37, 44)


def test_objects_that_are_shown_keep_their_numbers() -> None:
    texts = PromptTexts(phrases=("player in white",), clicks=("2:75,10:4",))
    scripted = tracker()
    frames = list(run(texts).track(scripted))
    assert [(one.id, one.phrase, one.score) for one in frames[2].objects] == [
        (4, None, 1.0), (5, "player in white", pytest.approx(0.9)),
    ]  # fmt: skip
    assert [kind for kind, _, _ in scripted.prompts] == ["phrases", "points"]


def test_a_part_backwards_and_options() -> None:
    what = run(WHITE, first=2, last=10, every=2, reverse=True)
    scripted = tracker()
    frames = list(TrackRun(what.clip, what.prompts, what.span, TrackOptions(0.3, 1)).track(scripted))
    assert [frame.frame for frame in frames] == [10, 8, 6, 4, 2]
    assert frames[0].time == pytest.approx(1.0) and len(frames[0].objects) == 1
    assert scripted.prompts == [("phrases", 4, ("player in white",))] and scripted.options == TrackOptions(0.3, 1)


def test_examples_mask_box_and_clicks_reach_the_tracker(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("1", SIZE, 1).save(tmp_path / "m.png")
    texts = PromptTexts(
        phrases=("player",), boxes=("1:1,2,3,4",), negative_boxes=("1:5,6,7,8",), object_boxes=("1:5,20,30,40",),
        clicks=("1:12,30", ), clicks_out=("1:90,60",), masks=(f"3:{tmp_path / 'm.png'}:2",),
    )  # fmt: skip
    scripted = tracker()
    list(run(texts, first=1).track(scripted))
    exemplars, box, points, mask = scripted.prompts
    assert exemplars == ("exemplars", 0, (((1, 2, 3, 4), (5, 6, 7, 8)), (1, 0), "player"))
    assert box == ("box", 0, ((5, 20, 30, 40), None))
    assert points == ("points", 0, (((12, 30), (90, 60)), (1, 0), 3))  # the object of the box is refined
    assert mask == ("mask", 2, (SIZE[0] * SIZE[1], None))


@pytest.mark.parametrize("after", [1, 4, 6, 8])
def test_a_run_goes_on_with_the_same_ids_and_masks(tmp_path: Path, after: int) -> None:
    what = run(PromptTexts(phrases=("player in white", "player in red")))
    whole = seen(list(what.track(tracker())))
    with interrupted(tmp_path, what, after) as journal:
        rest = list(what.track_on(tracker(), journal))
    assert [frame.frame for frame in rest] == list(range(after, FRAMES))
    assert seen(rest) == {frame: whole[frame] for frame in range(after, FRAMES)}
    assert {one.phrase for frame in rest for one in frame.objects} == {"player in white", "player in red"}


def test_a_clicked_object_that_is_hidden_is_still_followed(tmp_path: Path) -> None:
    what = run(PromptTexts(clicks=("0:10,30",), object_boxes=("8:69,31,83,57:2",)))
    scripted = tracker()
    with interrupted(tmp_path, what, 6) as journal:
        rest = list(what.track_on(scripted, journal))
    assert scripted.prompts == [("mask", 4, (12 * 24, None)), ("box", 8, ((69, 31, 83, 57), None))]
    assert set(seen(rest)[7]) == {1} and set(seen(rest)[8]) == {1, 2}
    assert {one.score for one in rest[-1].objects} == {1.0}


def test_the_journal_survives_an_incomplete_line(tmp_path: Path) -> None:
    what = run(WHITE)
    interrupted(tmp_path, what, 4).__exit__()
    file = tmp_path / FILE_NAME
    file.write_bytes(file.read_bytes()[:-20])
    with TrackJournal(tmp_path, SIZE, {"phrases": ["player in white"]}) as journal:
        assert journal.frames == (0, 1, 2) and not journal.finished
        journal.resume(3)
        for tracked in what.track_on(tracker(), journal):
            journal.add(tracked)
        journal.finish()
    with TrackJournal(tmp_path, SIZE, {"phrases": ["player in white"]}) as journal:
        assert journal.finished and journal.resumed_at == [3] and len(journal) == FRAMES
        assert seen(list(journal.in_order_of_time())) == seen(list(what.track(tracker())))
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_other_settings_and_damage_are_refused(tmp_path: Path) -> None:
    interrupted(tmp_path, run(WHITE), 4).__exit__()
    with pytest.raises(ConfigError, match=r'phrases \["player in white"\], now \["dog"\].*--out.*--restart'):
        TrackJournal(tmp_path, SIZE, {"phrases": ["dog"]})
    file = tmp_path / FILE_NAME
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"{]\n", *lines[2:]]))
    with pytest.raises(ConfigError, match="line 3 is damaged"):
        TrackJournal(tmp_path, SIZE, {"phrases": ["player in white"]})


def test_frames_before_the_damage_are_kept() -> None:
    frames = []
    with pytest.raises(InputError, match="frame 7 is damaged"):
        for tracked in run(WHITE, broken=7).track(tracker(delay=3)):
            frames.append(tracked)
    assert [frame.frame for frame in frames] == list(range(7))


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    with interrupted(tmp_path, run(WHITE), 2), pytest.raises(ConfigError, match="another process is tracking into"):
        TrackJournal(tmp_path, SIZE, {"phrases": ["player in white"]})
    TrackJournal(tmp_path, SIZE, {"phrases": ["player in white"]}).__exit__()
