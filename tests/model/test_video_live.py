"""Live sessions: frames are pushed one by one, and results come with a fixed delay."""

import numpy as np
import pytest

from sam3model.errors import InputError
from sam3model.video.clip_tracker import ClipTracker
from tests.model.small_video import STEADY, clip, fail_once, frames, live, opened, shown, summary


@pytest.mark.parametrize("phrases", [["red ball"], ["red ball", "green ball"]])
def test_a_live_session_returns_what_a_list_does_with_a_fixed_delay(phrases: list[str]) -> None:
    session, source = live(STEADY), opened(frames(20), STEADY)
    session.add_phrases(phrases)
    source.add_phrases(phrases)
    source._start_over()  # without the first pass over frame 0, which a live session has not
    source._prompted.append((0, None))
    returned = []
    for t, frame in enumerate(frames(20)):
        new = session.push(frame)
        assert shown(new) == [t - session.delay][: t >= session.delay]
        returned += new
    assert session.delay == 3
    assert summary([*returned, *session.finish()]) == summary(list(source.propagate()))
    assert session.finish() == []
    assert not session.frames._times and len(session.frames._frames) <= 4  # type: ignore[attr-defined]


def test_clicks_alone_in_a_live_session_are_as_in_a_clip() -> None:
    session, source = live(STEADY), opened(frames(10), STEADY)
    returned = []
    for t, frame in enumerate(frames(10)):
        returned += session.push(frame)
        if t == 0:
            session.add_box([5, 5, 30, 30], frame=0)
            source.add_box([5, 5, 30, 30], frame=0)
    assert summary([*returned, *session.finish()]) == summary(list(source.propagate()))


def test_new_phrases_drop_nothing_in_a_live_session() -> None:
    session = live(STEADY)
    session.add_phrases(["red ball"])
    returned, before = [], ()
    for t, frame in enumerate(frames(24)):
        returned += session.push(frame, time=100 + t)
        if t == 12:
            given = session.add_box([5, 5, 30, 30], frame=12)
            before = session.object_ids
            assert session.add_phrases(["green ball"]) is None
            assert session.object_ids == before and given.object_id in before
    returned += session.finish()
    assert shown(returned) == list(range(24))
    assert [one.time for one in returned] == [100 + t for t in range(24)]
    assert {phrase for one in returned[:12] for phrase in one.phrases} == {"red ball"}
    assert {"red ball", None} <= {phrase for one in returned[13:] for phrase in one.phrases}


def test_live_sessions_refuse_what_they_cannot_do() -> None:
    session = live(STEADY)
    with pytest.raises(InputError, match="no frame yet"):
        session.add_points([[1, 1]], [1], frame=0)
    session.add_phrases(["red ball"])
    for frame in clip(3):
        session.push(frame)
    with pytest.raises(InputError, match="push its frames"):
        session.propagate()
    with pytest.raises(InputError, match="the last frame"):
        session.add_points([[1, 1]], [1], frame=1)
    with pytest.raises(InputError, match="first was 64x48"):
        session.push(np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(InputError, match="time of frame"):
        session.push(clip(1)[0], time=float("nan"))
    assert shown(session.finish()) == [0, 1, 2]


def test_a_live_frame_that_fails_can_be_pushed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    images, expected, session = clip(8), live(STEADY), live(STEADY)
    with monkeypatch.context() as patched:
        fail_once(patched, ClipTracker, "_add", at=5)
        for one in (expected, session):
            one.add_phrases(["red ball"])
        for image in images[:5]:
            session.push(image)
        with pytest.raises(RuntimeError):
            session.push(images[0])
        after = [result for image in images[5:] for result in session.push(image)] + session.finish()
    undisturbed = [result for image in images for result in expected.push(image)] + expected.finish()
    assert summary(after) == summary(undisturbed)[-len(after) :]
    assert len(after) > 3
