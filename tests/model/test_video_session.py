"""What a user may do with a session, in any order, on any source."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam3model.errors import InputError
from sam3model.frame_results import FrameResult
from sam3model.frames import open_frames
from sam3model.video import clip_outputs
from sam3model.video.frame_encoder import FrameEncoder
from sam3model.video.session import VideoSession
from tests.model.small_video import BUSY, STEADY, clip, frames, opened, predictor, shown, started, summary

# Phrases


@pytest.fixture(scope="module")
def alone() -> list[FrameResult]:
    return list(started(20, max_objects=None).propagate())


def test_a_phrase_finds_the_same_beside_another(alone: list[FrameResult], monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(clip(20), STEADY, max_objects=None)
    session.add_phrases(["red ball"])
    session.add_phrases(["green ball"])
    encoded: list[int] = []
    original = FrameEncoder._encode
    monkeypatch.setattr(FrameEncoder, "_encode", lambda self, image: (encoded.append(1), original(self, image))[1])
    both = list(session.propagate())
    assert len(encoded) == 19  # frame 0 was encoded when the phrases were added
    names: dict[int, set[str | None]] = {}
    for one in both:
        for object_id, phrase in zip(one.ids.tolist(), one.phrases, strict=True):
            names.setdefault(object_id, set()).add(phrase)
    assert all(len(own) == 1 for own in names.values())
    assert {"red ball", "green ball"} == set().union(*names.values())
    for one, expected in zip(both, alone, strict=True):
        rows = [row for row, phrase in enumerate(one.phrases) if phrase == "red ball"]
        assert len(rows) == len(expected)
        for place, row in enumerate(rows):
            assert np.mean(one.mask(row) != expected.mask(place)) < 0.005


@pytest.mark.parametrize("phrases", ["ball", [], ["ball", " "], [3]])
def test_wrong_phrases_leave_a_session_as_it_was(phrases: Any) -> None:
    session = started(4)
    before = session.object_ids
    with pytest.raises(InputError):
        session.add_phrases(phrases)
    assert session.object_ids == before and len(list(session.propagate())) == 4


def test_a_click_stays_when_a_phrase_is_added() -> None:
    session = opened(clip(10), STEADY)
    given = session.add_box([10, 10, 40, 40], frame=2, object_id=7)
    assert given.result.ids.tolist() == [7]
    session.add_phrases(["red ball"])
    results = list(session.propagate())
    assert 7 in session.object_ids
    at_2 = results[2]
    row = at_2.ids.tolist().index(7)
    assert at_2.phrases[row] is None
    alone = opened(clip(10), STEADY)
    alone.add_box([10, 10, 40, 40], frame=2, object_id=7)
    assert list(alone.propagate(start=0))[2].boxes[0].tolist() == at_2.boxes[row].tolist()


def test_a_removed_click_does_not_come_back_with_a_phrase() -> None:
    session = opened(clip(4), STEADY)
    session.add_box([10, 10, 40, 40], frame=0, object_id=7)
    session.remove(7)
    session.add_phrases(["red ball"])
    assert 7 not in session.object_ids


def test_exemplars_belong_to_their_phrase() -> None:
    session = opened(clip(4), STEADY)
    session.add_phrases(["red ball", "green ball"])
    session.add_exemplars([[10, 10, 30, 30]], phrase="red ball")
    concepts = session._concepts.concepts
    assert concepts is not None
    assert concepts.names == ("red ball", "green ball")
    assert [one is not None for one in concepts.exemplars] == [True, False]


def test_phrases_that_read_alike_are_one_concept() -> None:
    session = opened(clip(3), 0)
    once = session.add_phrases(["red ball"])
    twice = session.add_phrases(["Red  ball ", "red ball"])
    assert once is not None and twice is not None
    assert once.ids.tolist() == twice.ids.tolist()


# Going on, again and back


def test_a_propagation_that_was_left_goes_on(alone: list[FrameResult]) -> None:
    session = opened(clip(20), STEADY, max_objects=None)
    session.add_phrases(["red ball"])
    left = session.propagate()
    first = [next(left) for _ in range(6)]
    assert summary(first) == summary(alone[:6])
    assert summary(list(session.propagate())) == summary(alone)
    with pytest.raises(InputError, match="a later call"):
        next(left)
    assert summary(list(session.propagate())) == summary(alone)


def test_a_clip_can_be_followed_in_pieces(alone: list[FrameResult]) -> None:
    session = opened(clip(20), STEADY, max_objects=None)
    session.add_phrases(["red ball"])
    pieces = [one for start in (0, 7, 14) for one in session.propagate(start=start, frames=6)]
    assert shown(pieces) == list(range(20))
    assert summary(pieces) == summary(alone)


def test_a_correction_goes_on_to_frames_that_were_not_processed() -> None:
    session = started(16)
    assert shown(list(session.propagate(frames=5))) == [0, 1, 2, 3, 4, 5]
    session.add_box([5, 5, 30, 30], frame=3)
    new = session.object_ids[-1]
    results = list(session.propagate(start=3))
    assert shown(results) == list(range(3, 16))
    assert any(set(one.ids.tolist()) - {new} for one in results[5:])


def test_a_correction_that_was_left_is_finished_later() -> None:
    def corrected() -> VideoSession:
        session = started(14)
        list(session.propagate())
        session.add_box([5, 5, 30, 30], frame=0, object_id=50)
        return session

    whole, left = corrected(), corrected()
    expected = list(whole.propagate(start=0))
    assert 50 in expected[-1].ids
    begun = left.propagate(start=0)
    assert next(begun).frame == 0
    assert summary(list(left.propagate(start=0))) == summary(expected)


@pytest.mark.parametrize(
    "pieces",
    [
        [{"start": 0, "frames": 3}, {"start": 4}],
        [{"start": 4, "frames": 2}, {"start": 7}, {"start": 4, "reverse": True}],
        [{"start": 8}, {"start": 0, "frames": 7}],
    ],
)
def test_an_object_that_was_added_later_is_followed_in_pieces(pieces: list[dict[str, Any]]) -> None:
    session = started(12, hotstart_delay=0)
    list(session.propagate())
    session.add_box([5, 5, 30, 30], frame=pieces[0]["start"], object_id=50)
    ids = {one.frame: one.ids for piece in pieces for one in session.propagate(**piece)}
    assert [frame for frame in range(12) if 50 in ids[frame]] == list(range(12))
    results = summary(list(session.propagate(start=0)))
    assert results == summary(list(session.propagate(start=0)))


def test_where_a_removed_object_was_prompted_nothing_starts() -> None:
    session, alone = (opened(clip(8), STEADY) for _ in range(2))
    session.add_box([5, 5, 30, 30], frame=0, object_id=1)
    session.add_box([25, 5, 60, 40], frame=4, object_id=2)
    session.remove(1)
    alone.add_box([25, 5, 60, 40], frame=4, object_id=2)
    assert summary(list(session.propagate())) == summary(list(alone.propagate()))


def test_backwards_from_the_first_frame_there_is_nothing() -> None:
    session = started(5)
    assert list(session.propagate(reverse=True, start=0)) == []
    assert shown(list(session.propagate(frames=0))) == [0]


def test_from_the_last_frame_both_ways() -> None:
    session = opened(clip(8), STEADY)
    session.add_phrases(["red ball"], frame=7)
    assert shown(list(session.propagate(start=7))) == [7]
    assert shown(list(session.propagate(start=7, reverse=True))) == [6, 5, 4, 3, 2, 1, 0]
    assert shown(list(session.propagate(start=0))) == list(range(8))


def test_without_a_delay_no_mask_is_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    original = clip_outputs.decode_rle
    monkeypatch.setattr(clip_outputs, "decode_rle", lambda rle: (decoded.append(1), original(rle))[1])
    session = started(12, hotstart_delay=0, detection_nms=1.0)
    decoded.clear()
    results = list(session.propagate())
    assert not decoded
    again = [session._results.result(one.frame) for one in results]
    assert decoded, "the objects of this clip overlap"
    assert summary(again) == summary(results)


def test_clicks_alone_need_no_phrase_and_no_delay() -> None:
    session = opened(clip(8), STEADY)
    session.add_box([5, 5, 30, 30], frame=3)
    begun = session.propagate()
    assert next(begun).frame == 3
    assert shown(list(begun)) == [4, 5, 6, 7]
    assert shown(list(session.propagate(reverse=True))) == [2, 1, 0]


def test_nothing_to_follow_is_said() -> None:
    session = opened(clip(3))
    with pytest.raises(InputError, match="nothing to follow"):
        session.propagate()
    session.add_box([5, 5, 30, 30], frame=0)
    session.reset()
    with pytest.raises(InputError, match="nothing to follow"):
        session.propagate()


# Objects of a user


def test_ids_of_users_are_kept_and_later_ones_are_above() -> None:
    session = opened(clip(4), STEADY)
    assert session.add_box([5, 5, 30, 30], frame=0, object_id=1000).object_id == 1000
    assert session.add_box([30, 5, 60, 30], frame=0).object_id == 1001
    assert session.add_points([[10, 10]], [1], frame=0, object_id=np.int64(1000)).object_id == 1000  # type: ignore[arg-type]
    assert session.object_ids.count(1000) == 1
    assert {1000, 1001} >= set(list(session.propagate())[-1].ids.tolist())


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_masks_of_any_number_type_mean_the_same(kind: type) -> None:
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:40] = True
    session = opened(clip(2), STEADY)
    given = session.add_mask(mask.astype(kind) * kind(1), frame=0)
    assert np.array_equal(given.result.mask(0), mask)


def test_an_empty_mask_says_that_a_known_object_is_not_there() -> None:
    session = opened(clip(4), STEADY)
    object_id = session.add_box([5, 5, 30, 30], frame=0).object_id
    hidden = session.add_mask(np.zeros((48, 64), bool), frame=2, object_id=object_id)
    assert len(hidden.result) == 0
    assert len(list(session.propagate(start=0))[2]) == 0


def test_an_object_that_is_removed_is_gone_from_all_frames() -> None:
    session = started(12)
    results = list(session.propagate())
    gone = int(results[-1].ids[0])
    session.remove(gone)
    again = list(session.propagate())
    assert shown(again) == shown(results)
    assert all(gone not in one.ids for one in again)
    with pytest.raises(InputError, match=f"no object {gone}"):
        session.remove(gone)


def test_an_id_that_the_rules_removed_can_be_given_by_a_user() -> None:
    session = started(16, BUSY, hotstart_unmatched=1)
    list(session.propagate())
    removed = min(session._results._removed)
    mask = np.zeros((48, 64), bool)
    mask[5:30, 5:30] = True
    session.add_mask(mask, frame=8, object_id=removed)
    assert not any(session._results.object_on(frame, removed) for frame in range(16) if frame != 8)
    results = list(session.propagate(start=8))
    assert removed in results[0].ids


# Retirement


def test_objects_not_seen_for_long_cost_nothing_and_keep_their_results() -> None:
    kept, retiring = started(24, 4, retire_after=None), started(24, 4, retire_after=6)
    expected, results = list(kept.propagate()), list(retiring.propagate())
    retired = set(kept.object_ids) - set(retiring.object_ids)
    seen = {one for result in expected[:8] for one in result.ids.tolist()}
    assert retired & seen
    for one, other in zip(results[:8], expected[:8], strict=True):
        assert one.ids.tolist() == other.ids.tolist()
    assert sum(len(group) for group in retiring._tracker.groups) == len(retiring.object_ids)
    first = min(retired & seen)
    retiring.remove(first)
    assert all(first not in one.ids for one in retiring.propagate())
    assert retiring.add_box([5, 5, 30, 30], frame=9).object_id > max(retired | set(kept.object_ids) & seen)


def test_objects_of_a_user_are_never_retired() -> None:
    session = opened(clip(24), 4, retire_after=3)
    object_id = session.add_box([5, 5, 30, 30], frame=0).object_id
    session.add_phrases(["red ball"])
    list(session.propagate())
    assert object_id in session.object_ids


def test_a_retired_object_is_followed_backwards_from_where_it_was() -> None:
    session = opened(clip(40), 4, retire_after=6)
    session.add_phrases(["red ball"], frame=20)
    there = set(session.object_ids)
    list(session.propagate(start=20))
    assert there - set(session.object_ids)
    backwards = session.propagate(start=20, reverse=True)
    assert there <= set(session.object_ids)
    assert shown(list(backwards)) == list(range(19, -1, -1))


@pytest.mark.parametrize("seed", [0, 1])
def test_an_object_that_the_hotstart_removed_does_not_retire_later(seed: int) -> None:
    session = opened(clip(40), seed, hotstart_delay=4, hotstart_unmatched=1, retire_after=5, recondition_every=0)
    session.add_phrases(["red ball"])
    assert [result.frame for result in session.propagate()] == list(range(40))


def test_an_id_of_a_resting_object_wakes_it() -> None:
    session = opened(clip(40), 4, retire_after=6)
    session.add_phrases(["red ball"], frame=20)
    list(session.propagate(start=20))
    session.add_box([5, 5, 30, 30], frame=30, object_id=0)
    list(session.propagate(start=20, reverse=True))
    ids = [one for group in session._tracker.groups for one in group.ids]
    assert len(ids) == len(set(ids))


# Sources


@pytest.mark.parametrize("size", [(61, 37), (17, 9), (200, 12), (3, 2)])
@pytest.mark.parametrize("count", [1, 2])
def test_clips_of_any_size_and_of_one_or_two_frames(count: int, size: tuple[int, int]) -> None:
    session = opened(frames(count, size), STEADY)
    width, height = size
    session.add_box([0, 0, width, height], frame=0)
    session.add_phrases(["red ball"])
    results = list(session.propagate())
    assert shown(results) == list(range(count))
    assert all(one.mask(row).shape == (height, width) for one in results for row in range(len(one)))


def test_an_iterator_ends_the_propagation() -> None:
    session = opened(frames(9), STEADY)
    session.add_phrases(["red ball"])
    assert shown(list(session.propagate())) == list(range(9))
    assert session.frames.count == 9
    assert shown(list(session.propagate())) == list(range(9))


def test_clips_are_read_ahead_and_closed(tmp_path: Path) -> None:
    from PIL import Image

    for t, frame in enumerate(clip(4)):
        Image.fromarray(frame).save(tmp_path / f"{t}.png")
    before = threading.active_count()
    with predictor(STEADY).open(tmp_path) as session:
        session.add_phrases(["red ball"])
        assert shown(list(session.propagate())) == [0, 1, 2, 3]
        assert threading.active_count() > before
    assert threading.active_count() == before
    with pytest.raises(InputError):
        session.add_phrases(["red ball"])


def test_a_source_of_a_user_stays_open() -> None:
    source = open_frames(frames(4))
    with predictor(STEADY).open(source) as session:
        session.add_phrases(["red ball"])
    assert source.frame(1).shape == (48, 64, 3)


def test_objects_in_several_passes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def boxes_of(limit: int) -> list[Any]:
        for module in ("propagation", "tracker_model"):
            monkeypatch.setattr(f"sam3model.tracker.{module}.OBJECTS_AT_ONCE", limit)
        session = opened(clip(5), 0)
        session.add_phrases(["red ball"])
        return [(result.ids.tolist(), result.boxes.tolist()) for result in session.propagate()]

    assert boxes_of(1) == boxes_of(32)
