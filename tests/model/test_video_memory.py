"""What a session holds: as much after a long clip as after a short one, and enough for the same results."""

import gc
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sam3model.frame_results import FrameResult
from sam3model.video import clip_tracker
from sam3model.video.session import VideoSession
from tests.model.small_video import clip, frames, live, opened, summary

MANY_PROMPTS = {"recondition_every": 2, "confident_score": 0.2, "confident_iou": 0.2}


def tensor_bytes(root: object) -> int:
    """Bytes of all tensors that can be reached from an object, shared storage counted once; modules left out."""
    seen, storages, todo = set[int](), dict[int, int](), [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, (torch.nn.Module, type, str, bytes)) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            storage = one.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, np.ndarray):
            storages[id(one)] = one.nbytes
        else:
            todo += [other for other in gc.get_referents(one) if not isinstance(other, type(gc))]
    return sum(storages.values())


def counts(session: VideoSession) -> tuple[int, int]:
    """Number of stored frames of all groups, and of frames that wait."""
    groups = session._tracker.groups
    stored = sum(len(group.bank.conditioning) + len(group.bank.others) for group in groups)
    return stored, len(session._results._held) + len(session._results._open)


def prepare(session: VideoSession, seed: int) -> None:
    session.add_phrases(["red ball"])
    if seed:
        session.add_box([10, 10, 30, 30], frame=0)
        session.add_points([[40, 20]], [1], frame=0)


@pytest.mark.parametrize(
    ("seed", "tracker", "rules"),
    [
        (0, {"memory_selection": False}, {}),
        (5, {}, MANY_PROMPTS),
        (4, {}, {}),  # objects are absent from frame 5 on
    ],
)
def test_a_long_clip_holds_no_more_than_a_short_one(seed: int, tracker: dict[str, Any], rules: dict[str, Any]) -> None:
    session = opened(frames(90), seed, tracker, max_objects=2, **rules)
    prepare(session, seed)
    held: list[int] = []
    most = (0, 0)
    for result in session.propagate():
        if result.frame in (45, 65, 85):
            held.append(tensor_bytes(session._tracker))
            assert not tensor_bytes(session._results._records)
            most = max(most, counts(session))
    assert held[0] > 0
    assert held[2] <= 1.1 * max(held[:2])
    limit = (16 + 16 + 7) * len(session._tracker.groups)
    assert most[0] <= limit and most[1] <= 2 * (session.delay + 1)


def test_a_clip_of_known_length_keeps_what_other_directions_need_and_no_more() -> None:
    session = opened(clip(90), 5, max_objects=2, **MANY_PROMPTS)
    prepare(session, 5)
    stored = [counts(session)[0] for result in session.propagate() if result.frame in (50, 85)]
    assert stored[1] <= 1.1 * stored[0]


def test_a_live_session_holds_no_more_after_a_while() -> None:
    session = live(5, max_objects=2, **MANY_PROMPTS)
    session.add_phrases(["red ball"])
    held, returned = [], 0
    for t, frame in enumerate(frames(80)):
        returned += len(session.push(frame))
        if t % 20 == 0:
            session.add_points([[20, 20]], [1], frame=t, object_id=2)
        if t in (45, 75):
            held.append(tensor_bytes(session))
            assert len(session._results._records) == session.delay
            assert len(session.frames._times) == session.delay  # type: ignore[attr-defined]
    assert returned == 80 - session.delay
    assert held[1] <= 1.1 * held[0]


def forward(session: VideoSession) -> list[FrameResult]:
    session.add_phrases(["red ball"])
    return list(session.propagate())


def both_ways(session: VideoSession) -> list[FrameResult]:
    session.add_phrases(["red ball"], frame=20)
    return [*session.propagate(start=20), *session.propagate(start=20, reverse=True)]


def late_start(session: VideoSession) -> list[FrameResult]:
    session.add_phrases(["red ball"])
    return [*session.propagate(start=25), *session.propagate(start=25, reverse=True)]


def clicked_early(session: VideoSession) -> list[FrameResult]:
    results = forward(session)
    given = session.add_points([[20, 20]], [1], frame=3, object_id=int(session.object_ids[0]))
    return [*results, given.result, *session.propagate(start=3), *session.propagate(start=3, reverse=True)]


@pytest.mark.parametrize(
    ("use", "seed", "selection"),
    [
        (forward, 0, True),
        (forward, 5, False),
        (both_ways, 0, False),
        (both_ways, 5, True),
        (late_start, 0, True),
        (late_start, 5, False),
        (clicked_early, 0, True),
        (clicked_early, 0, False),
    ],
)
def test_forgetting_changes_no_result(
    use: Callable[[VideoSession], list[FrameResult]], seed: int, selection: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {"hotstart_delay": 0, "retire_after": None, "max_objects": 2, **(MANY_PROMPTS if seed == 5 else {})}
    tracker = {"memory_selection": selection}
    pruned = use(opened(clip(45), seed, tracker, **rules))
    monkeypatch.setattr(clip_tracker, "forget_unread", lambda *_: None)
    assert sum(len(one) for one in pruned) > 20
    assert summary(pruned) == summary(use(opened(clip(45), seed, tracker, **rules)))


@pytest.mark.slow
def test_ten_thousand_frames() -> None:
    session = opened(frames(10_000, (64, 64)), 5, max_objects=2)
    session.add_phrases(["red ball"])
    at_200 = 0
    for result in session.propagate():
        if result.frame == 200:
            at_200 = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_200  # KiB
    assert grown < 100 * 1024
