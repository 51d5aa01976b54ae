"""Wrong calls and failures in the middle: one line says what is wrong, and the session stays as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames import BrokenFrameError, FrameSource, open_frames
from sam3model.video.clip_tracker import ClipTracker
from sam3model.video.session import VideoSession
from tests.model.small_video import STEADY, clip, fail_once, frames, live, opened, predictor, shown, started, summary


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.propagate(start=24),
        lambda s: s.propagate(start=-1),
        lambda s: s.propagate(start=1.5),
        lambda s: s.propagate(frames=-1),
        lambda s: s.push(clip(1)[0]),
        lambda s: s.propagate(frames=1.5),
        lambda s: s.add_phrases(None),
        lambda s: s.add_exemplars([[1, 1, 5, 5]], phrase=3),
        lambda s: s.add_exemplars([[1, 1, 5, 5]], phrase="\u200b"),
        lambda s: predictor(STEADY).open(clip(2), rate="fast"),
        lambda s: live(STEADY).push(clip(1)[0], time="now"),
        lambda s: s.remove(99),
        lambda s: s.remove([1]),
        lambda s: s.remove("1"),
        lambda s: s.add_points([[1, 1]], [1], frame=0, object_id=[1]),
        lambda s: s.add_points([[1, 1]], [1], frame=0, object_id=True),
        lambda s: s.add_points([[1, 1]], [1], frame=0, object_id=0.0),
        lambda s: s.add_exemplars([1, 1, 5, 5, 9, 9, 12, 12]),
        lambda s: s.add_points([[1, 1]], [1], frame=24),
        lambda s: s.add_points([[64.5, 1]], [1], frame=0),
        lambda s: s.add_points([[float("nan"), 1]], [1], frame=0),
        lambda s: s.add_points([], [], frame=0),
        lambda s: s.add_points([[1, 1]], [2], frame=0),
        lambda s: s.add_points([[1, 1]], [1], frame=0, object_id=-1),
        lambda s: s.add_points([[1, 1]], [1], frame=0, object_id=2**31),
        lambda s: s.add_points([[1, 1]], [1], frame=0, object_id=1.5),
        lambda s: s.add_box([5, 5, 5, 9], frame=0),
        lambda s: s.add_mask(np.zeros((48, 64)), frame=0),
        lambda s: s.add_mask(np.ones((64, 48)), frame=0),
        lambda s: s.add_mask(np.full((48, 64), np.nan), frame=0),
        lambda s: s.add_mask([["a"]], frame=0),
        lambda s: s.add_exemplars([[1, 1, 5, 5]], frame=24),
    ],
)
def test_wrong_calls_say_so_in_one_line_and_change_nothing(call: Callable[[VideoSession], Any]) -> None:
    session = _shared()
    before = session.object_ids, len(session._history), len(session._tracker.groups)
    with pytest.raises(InputError) as caught:
        call(session)
    assert "\n" not in str(caught.value)
    assert (session.object_ids, len(session._history), len(session._tracker.groups)) == before


_SHARED: list[VideoSession] = []


def _shared() -> VideoSession:
    if not _SHARED:
        _SHARED.append(started(24))
    return _SHARED[0]


def test_counter_examples_need_a_phrase() -> None:
    session = opened(clip(3), 0)
    with pytest.raises(InputError, match="counter-examples alone"):
        session.add_exemplars([[1, 1, 9, 9]], [0])
    assert session.add_exemplars([[1, 1, 9, 9]], [0], phrase="red ball") is not None


@pytest.mark.parametrize("rules", [{"detection_score": "x"}, {"hotstart_delay": -5}, {"hole_area": float("nan")}])
def test_a_rule_must_be_a_number(rules: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="VideoConfig"):
        opened(clip(3), 0, **rules)


def test_a_box_over_the_border_counts_to_the_border() -> None:
    over, exact = (opened(clip(3), 0).add_box(box, frame=0) for box in ([-4, -4, 20, 20], [0, 0, 20, 20]))
    assert over.result.masks == exact.result.masks
    with pytest.raises(InputError, match="the box -9,-9,-1,-1 is outside the image"):
        opened(clip(3), 0).add_box([-9, -9, -1, -1], frame=0)


def test_prompts_of_a_session_are_checked_like_those_of_an_image() -> None:
    session = opened(clip(3), 0)
    for points, labels, says in (
        ([[5, 5]], [2], "each point needs one label, 1"),
        ([[5, 5, 5]], [1], "points are x,y in pixels"),
        ([[-1, 5]], [1], "the point -1,5 is outside the image"),
        ([[[5, 5]], [[9, 9]]], [[1], [1]], "one object at a time"),
    ):
        with pytest.raises(InputError, match=says):
            session.add_points(points, labels, frame=0)
    with pytest.raises(InputError, match="each box needs one label, 1"):
        session.add_exemplars([[1, 1, 9, 9]], [1, 0])
    assert session.object_ids == ()


CALLS: list[Callable[[VideoSession], Any]] = [
    lambda session: session.add_phrases(["red ball"]),
    lambda session: session.add_exemplars([[1, 1, 9, 9]]),
    lambda session: session.add_points([[5, 5]], [1], frame=0),
    lambda session: session.add_box([1, 1, 9, 9], frame=0),
    lambda session: session.add_mask(np.ones((48, 64), bool), frame=0),
    lambda session: session.remove(0),
    lambda session: session.propagate(),
    lambda session: session.push(clip(1)[0]),
    lambda session: session.finish(),
    lambda session: session.reset(),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_session_says_so(call: Callable[[VideoSession], Any]) -> None:
    for session in (opened(clip(3), 0), opened(open_frames(clip(3)), 0), opened(frames(3), 0), live(0)):
        session.close()
        session.close()
        with pytest.raises(InputError, match="this session is closed: open the clip again"):
            call(session)


def test_closing_ends_a_propagation() -> None:
    session = started(6, hotstart_delay=0)
    running = session.propagate()
    next(running)
    session.close()
    with pytest.raises(InputError, match="this propagation has ended"):
        next(running)


# Failures in the middle


class Broken:
    """A source in which one frame cannot be read."""

    def __init__(self, source: FrameSource, bad: int, error: Exception) -> None:
        self.source, self.bad, self.error = source, bad, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def frame(self, t: int) -> NDArray[np.uint8]:
        if t == self.bad:
            raise self.error
        return self.source.frame(t)


@pytest.mark.parametrize("error", [BrokenFrameError("frame 7 is damaged", 6), RuntimeError("out of memory")])
def test_results_before_an_error_are_returned_and_the_session_goes_on(error: Exception) -> None:
    source = Broken(open_frames(clip(12)), 7, error)
    session = opened(source, STEADY)
    session.add_phrases(["red ball"])
    results = []
    with pytest.raises(type(error)):
        for one in session.propagate():
            results.append(one)
    assert shown(results) == [0, 1, 2, 3, 4, 5, 6]
    source.bad = -1
    assert shown(list(session.propagate())) == list(range(12))


def test_an_error_in_the_model_leaves_the_objects_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    session = started(10)
    expected = summary(list(started(10).propagate()))
    failing = iter([False, False, True, False])

    def fails(self: Any, *args: Any) -> None:
        if next(failing, False):
            raise RuntimeError("out of memory")
        return original(self, *args)

    original = type(session._tracker)._add
    monkeypatch.setattr(type(session._tracker), "_add", fails)
    with pytest.raises(RuntimeError):
        list(session.propagate())
    assert {one for group in session._tracker.groups for one in group.ids} == set(session.object_ids)
    assert summary(list(session.propagate())) == expected
    monkeypatch.setattr(type(session._tracker), "_accept", lambda *_: 1 / 0)
    before = session.object_ids, len(session._tracker.groups)
    with pytest.raises(ZeroDivisionError):
        session.add_box([5, 5, 30, 30], frame=0)
    assert (session.object_ids, len(session._tracker.groups)) == before


@pytest.mark.parametrize("name", ["_remember", "_add", "_retire"])
def test_an_error_in_a_corrected_frame_leaves_no_trace(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"recondition_every": 2, "confident_score": 0.0, "confident_iou": 0.0, "hotstart_delay": 0}
    expected = started(9, **rules)
    undisturbed, corrected = list(expected.propagate()), expected._tracker.groups[0].bank.conditioning
    assert len(corrected) > 1, "detections correct the tracks of this clip"
    session = started(9, **rules)
    fail_once(monkeypatch, ClipTracker, name, at=4)
    with pytest.raises(RuntimeError):
        list(session.propagate())
    memories = [set(group.bank.conditioning) for group in session._tracker.groups]
    assert all(4 not in own for own in memories), "frame 4 was corrected before the error"
    assert summary(list(session.propagate())) == summary(undisturbed)


def test_a_phrase_that_fails_leaves_the_session_as_it_was() -> None:
    source = Broken(open_frames(clip(10)), 7, BrokenFrameError("frame 7 is damaged", 6))
    session = opened(source, STEADY)
    session.add_phrases(["red ball"])
    session.add_box([5, 5, 30, 30], frame=2, object_id=40)
    running = session.propagate(frames=3)
    first = next(running)
    before, ids = summary([session._results.result(0)]), session.object_ids
    for call in (
        lambda: session.add_phrases(["green ball"], frame=7),
        lambda: session.add_exemplars([[1, 1, 9, 9]], frame=7, phrase="red ball"),
        lambda: session.add_box([1, 1, 9, 9], frame=7),
    ):
        with pytest.raises(BrokenFrameError):
            call()
    assert session.object_ids == ids and summary([session._results.result(0)]) == before
    assert session._concepts.names == ["red ball"] and session._concepts._exemplars == [None]
    assert [first.frame, *shown(list(running))] == [0, 1, 2, 3], "the propagation goes on"
