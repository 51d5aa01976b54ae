"""Playground clips: reproducible frames, exact masks, identities that persist, and motion that can be told in words."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from sam3model.errors import InputError
from sam3model.playground import Clip, ClipFrame, clip, scene
from sam3model.playground.clip_paths import find_events
from sam3model.playground.kinds import KINDS
from sam3model.playground.shifted import SHIFTED

FINGERPRINT = """
import hashlib
from sam3model.playground import clip
for index in INDICES:
    shown = clip("train", index)
    text = repr([(o.kind, o.colour) for o in shown.objects]) + repr(shown.events)
    frame = shown.frame(shown.count // 2)
    print(index, hashlib.sha256(frame.image.tobytes() + frame.owners.tobytes() + text.encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [clip("train", index) for index in range(30)]


@pytest.fixture(scope="module")
def watched(clips: list[Clip]) -> list[tuple[Clip, dict[int, ClipFrame]]]:
    """Every clip with five of its frames."""
    return [
        (shown, {int(t): shown.frame(int(t)) for t in np.linspace(0, shown.count - 1, 5).round()}) for shown in clips
    ]


def same(one: ClipFrame, two: ClipFrame) -> bool:
    return (
        np.array_equal(one.image, two.image)
        and np.array_equal(one.owners, two.owners)
        and np.array_equal(one.visible, two.visible)
    )


def longest_run(flags: np.ndarray) -> int:
    """Length of the longest run of True."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return max((int(b - a) for a, b in zip(ends[::2], ends[1::2], strict=True)), default=0)


def test_a_clip_does_not_depend_on_process_or_order() -> None:
    def run(indices: list[int], seed: str) -> set[str]:
        code = FINGERPRINT.replace("INDICES", repr(indices))
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        return set(done.stdout.splitlines())

    forwards = run([0, 1, 2, 3], "1")
    assert forwards == run([3, 1, 0, 2], "2")
    assert len({line.split()[1] for line in forwards}) == 4


def test_a_frame_alone_equals_the_frame_in_order() -> None:
    for index in (0, 3, 14):
        alone, played = clip("train", index, frames=12), clip("train", index, frames=12)
        frames = [played.frame(t) for t in range(12)]
        assert same(alone.frame(9), frames[9])
        assert same(alone.frame(2), frames[2])
        assert same(played.frame(9), frames[9])
        assert not same(frames[2], frames[9])


def test_splits_have_different_clips() -> None:
    images = {clip(split, 3, size=(96, 96)).frame(0).image.tobytes() for split in ("train", "val", "heldout")}
    assert len(images) == 3


def test_the_number_of_frames_is_within_bounds() -> None:
    counts = [clip("train", index, size=(64, 64), count=(1, 1)).count for index in range(150)]
    assert min(counts) == 8
    assert 100 < max(counts) <= 120
    assert 32 <= np.mean(counts) <= 48
    for index in range(20):
        assert clip("train", index, frames=1, size=(64, 64)).frame(0).owners.any()
    assert clip("train", 0, frames=200).frame(199).image.dtype == np.uint8


def test_masks_and_visible_fractions_agree(watched: list[tuple[Clip, dict[int, ClipFrame]]]) -> None:
    partly = 0
    for shown, frames in watched:
        assert [obj.id for obj in shown.objects] == list(range(len(shown.objects)))
        for t, frame in frames.items():
            assert frame.image.shape == (*shown.size[::-1], 3)
            assert frame.owners.shape == shown.size[::-1]
            assert frame.owners.max() <= len(shown.objects) == len(frame.visible)
            for obj, path, visible in zip(shown.objects, shown.paths, frame.visible, strict=True):
                area = np.count_nonzero(frame.owners == obj.id + 1)
                assert (visible > 0) == (area > 0)
                assert 0 <= visible <= 1
                assert visible == 0 or path.inside[t] > 0
                partly += 0 < visible < 0.8
    assert partly > 40


def test_the_visible_fraction_is_that_of_the_silhouette() -> None:
    """Seen against a clip of the same object that nothing covers: a fixed object whose coverer walks away."""
    checked = 0
    for index in range(40):
        shown = clip("val", index, frames=24, size=(160, 128), count=(6, 8))
        frames = [shown.frame(t) for t in (0, 8, 16, 23)]
        for obj in shown.objects:
            path = shown.track(obj.id)
            if path.moving.any() or not shown.plan.camera.fixed or path.inside[0] < 0.99:
                continue
            whole = [f for f in frames if f.visible[obj.id] == 1]
            if whole:
                full = np.count_nonzero(whole[0].owners == obj.id + 1)
                for frame in frames:
                    assert frame.visible[obj.id] == np.count_nonzero(frame.owners == obj.id + 1) / full
                    checked += frame.visible[obj.id] < 1
    assert checked >= 3


def test_paths_agree_with_the_masks(watched: list[tuple[Clip, dict[int, ClipFrame]]]) -> None:
    errors = []
    for shown, frames in watched:
        for t, frame in frames.items():
            for obj in shown.objects:
                if frame.visible[obj.id] == 1:
                    rows, columns = np.nonzero(frame.owners == obj.id + 1)
                    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                    box = shown.track(obj.id).box[t]
                    errors.append(np.abs(seen - box).max() / (box[2:] - box[:2]).max())
    assert len(errors) > 200
    assert np.median(errors) < 0.05
    assert max(errors) < 0.35


def test_every_object_is_seen_and_something_moves() -> None:
    for index in range(16):
        shown = clip("heldout", index)
        seen = np.zeros(len(shown.objects))
        for t in np.unique(np.linspace(0, shown.count - 1, 12).round().astype(int)):
            seen = np.maximum(seen, shown.frame(int(t)).visible)
        assert seen.min() > 0.2
        assert any(path.moving.any() for path in shown.paths)


def test_objects_do_not_jump(clips: list[Clip]) -> None:
    for shown in clips:
        for obj, path in zip(shown.objects, shown.paths, strict=True):
            steps = np.hypot(*np.diff(path.center, axis=0).T)
            assert steps.max(initial=0) < 26, (shown.name, obj)
            widths = path.box[:, 2] - path.box[:, 0]
            assert longest_run(widths < 6) == 0


def test_objects_are_covered_leave_and_come_back(watched: list[tuple[Clip, dict[int, ClipFrame]]]) -> None:
    covered = returned = stopped = started = turned = touched = panned = 0
    for shown, frames in watched:
        names = [{event.name for event in shown.events if event.id == obj.id} for obj in shown.objects]
        for obj, path in zip(shown.objects, shown.paths, strict=True):
            covered += any(path.inside[t] == 1 and f.visible[obj.id] < 0.6 for t, f in frames.items())
            left = [e.frame for e in shown.events if e.id == obj.id and e.name == "leaves"]
            entered = [e.frame for e in shown.events if e.id == obj.id and e.name == "enters"]
            returned += bool(left and entered and max(entered) > min(left))
            turned += "turns" in names[obj.id]
            stopped += "stops" in names[obj.id]
            started += "starts" in names[obj.id]
        touched += any(event.name == "touches" for event in shown.events)
        panned += not shown.plan.camera.fixed
    assert covered >= 10
    assert min(returned, turned, stopped, started) >= 3
    assert touched >= 2
    assert 5 <= panned <= 25


def test_events_follow_from_the_paths(clips: list[Clip]) -> None:
    for shown in clips:
        for event in shown.events:
            path = shown.track(event.id)
            if event.name in ("enters", "leaves"):
                assert (path.inside[event.frame] > 0) == (event.name == "enters")
                assert (path.inside[event.frame - 1] > 0) == (event.name == "leaves")
            elif event.name in ("stops", "starts"):
                assert path.moving[event.frame] == (event.name == "starts")
                step = np.hypot(*(path.ground[event.frame] - path.ground[event.frame - 1]))
                assert (step > 0.02) == (event.name == "starts")
            elif event.name == "touches":
                ball = shown.track(event.other)
                assert shown.objects[event.other].kind == "ball"
                apart = np.abs(path.ground[event.frame] - ball.ground[event.frame])
                assert apart[0] < path.box[event.frame, 2] - path.box[event.frame, 0]
                assert apart[1] < 6
                assert ball.inside[event.frame] > 0.4
        assert list(shown.events) == sorted(shown.events, key=lambda event: event.frame)
        touches = [(e.frame, e.id, e.other) for e in shown.events if e.name == "touches"]
        assert find_events(shown.paths, touches) == shown.events


def test_things_that_cannot_move_stand_still() -> None:
    stiff = 0
    for index in range(60):
        shown = clip("train", index)
        for obj, path in zip(shown.objects, shown.paths, strict=True):
            if obj.kind in ("tree", "house", "cactus", "flower", "mushroom"):
                assert not path.moving.any()
                stiff += 1
            if obj.kind in ("car", "bus", "truck", "dog", "player"):
                ahead = np.abs(path.facing) == 1
                way = np.diff(path.ground[:, 0])[ahead[1:]]
                assert np.all(way * path.facing[1:][ahead[1:]] > -0.6), "something goes backwards"
    assert stiff > 15


def test_nearer_objects_cover_farther_ones(watched: list[tuple[Clip, dict[int, ClipFrame]]]) -> None:
    for shown, frames in watched:
        for t, frame in frames.items():
            depths = [float(path.depth[t]) for path in shown.paths]
            assert len(set(depths)) == len(depths)
            nearest = int(np.argmax(depths))
            if shown.paths[nearest].inside[t] == 1:
                assert frame.visible[nearest] > 0.9


def test_size_frames_count_and_domain_are_followed() -> None:
    shown = clip("train", 5, size=(128, 96), frames=10, count=(3, 3))
    assert shown.size == (128, 96)
    assert shown.frame(0).image.shape == (96, 128, 3)
    assert shown.count == 10
    assert len(shown.objects) <= 3
    for index in range(6):
        shifted = clip("train", index, domain=SHIFTED, frames=8)
        assert shifted.frame(7).owners.any()
        assert {obj.kind for obj in shifted.objects}.isdisjoint(KINDS)


def test_bad_arguments_are_refused() -> None:
    for wrong in ({"size": (63, 128)}, {"frames": 0}, {"count": (0, 2)}, {"count": (3, 2)}, {"count": (1, 999)}):
        with pytest.raises(InputError, match="invalid Playground clip"):
            clip("train", 0, **wrong)  # pyright: ignore[reportArgumentType]
    shown = clip("train", 0, frames=8)
    for t in (-1, 8):
        with pytest.raises(InputError, match="from 0 to 7"):
            shown.frame(t)
    with pytest.raises(InputError, match="object 99"):
        shown.track(99)


def test_still_scenes_are_what_they_were() -> None:
    digest = hashlib.sha256()
    for index in range(12):
        shown = scene("train", index)
        digest.update(shown.image.tobytes())
        for obj in shown.objects:
            digest.update(obj.mask.tobytes())
            digest.update(repr((obj.id, obj.kind, obj.colour, obj.pattern, obj.size, obj.box, obj.visible)).encode())
    assert digest.hexdigest() == "856f2fa07e675c769680e9a032d095b8a734fba06fc8095b6f36c0a1633acd3e"
