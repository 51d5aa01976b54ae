"""Clips: masks per frame, following, stopping, and a correction that later runs keep."""

import threading
import time
from pathlib import Path

from sam3agent.api import Agent
from sam3agent.testing import ObjectPath, ScriptedClipSession, ScriptedTracker
from tests.studio.studio_desk import (
    FRAMES,
    PATHS,
    PathSegmenter,
    StudioClient,
    left_player,
    studio,
    until,
    write_files,
)


def boxes(desk: StudioClient, object_id: int) -> dict[int, tuple[int, ...]]:
    """The box of an object on every frame."""
    engine = desk.desks.engine
    opened = engine.open(desk.items["walk.mp4"])
    one = engine.store.sheet(desk.items["walk.mp4"]).get(object_id)
    assert one is not None
    masks = {frame: engine.mask(one, frame, opened) for frame in range(FRAMES)}
    return {frame: mask.box for frame, mask in masks.items() if mask is not None}


def test_objects_are_followed_through_the_clip(desk: StudioClient) -> None:
    view = desk.post("find", "walk.mp4", phrases=["player"])
    assert view["kind"] == "clip" and view["count"] == FRAMES and view["objects"][0]["spans"] == [[0, 0]]
    desk.post("follow", "walk.mp4")
    desk.followed()
    assert boxes(desk, 1) == {t: PATHS["player"][0](t) for t in range(FRAMES)}
    seen = desk.look("walk.mp4", 7)
    assert seen["objects"][0]["spans"] == [[0, FRAMES - 1]] and len(seen["masks"]) == 2
    assert seen["objects"][0]["shown"] == [0]
    between = desk.get(f"items/{desk.items['walk.mp4']}/masks?frame=3&last=5")["frames"]
    assert list(between) == ["3", "4", "5"] and between["4"] != between["5"]
    desk.post("undo", "walk.mp4")
    assert list(boxes(desk, 1)) == [0]


def test_backwards_from_the_middle(desk: StudioClient) -> None:
    desk.post("find", "walk.mp4", phrases=["player"], frame=6)
    desk.post("follow", "walk.mp4", frame=6, backward=True)
    desk.followed()
    assert sorted(boxes(desk, 1)) == list(range(7))


def test_a_correction_on_a_frame_stays_when_objects_are_followed_again(desk: StudioClient) -> None:
    desk.post("find", "walk.mp4", phrases=["player"])
    desk.post("follow", "walk.mp4")
    desk.followed()
    desk.post("paint", "walk.mp4", object=1, stroke=[[80, 4]], radius=3, frame=5)
    corrected = boxes(desk, 1)[5]
    assert corrected != PATHS["player"][0](5) and boxes(desk, 1)[4] == PATHS["player"][0](4)
    desk.post("follow", "walk.mp4")
    desk.followed()
    assert boxes(desk, 1)[5] == corrected
    assert desk.look("walk.mp4")["objects"][0]["shown"] == [0, 5]


def test_a_question_about_a_clip_leaves_its_objects_on_every_frame(desk: StudioClient) -> None:
    """What the agent followed is on the sheet, and what was found before the question gets the other frames."""
    desk.post("find", "walk.mp4", phrases=["player"])
    desk.post("ask", "walk.mp4", question="the player that moves")
    question = desk.answered("walk.mp4")
    assert question["status"] == "answered"
    assert all(set(mask) == {"id", "score", "frame", "rle"} for s in question["steps"] for mask in s.get("masks", ()))
    seen = desk.look("walk.mp4", 7)
    assert [one["spans"] for one in seen["objects"]] == [[[0, FRAMES - 1]]] * 2 and len(seen["masks"]) == 2
    assert boxes(desk, 1) == {t: PATHS["player"][0](t) for t in range(FRAMES)}
    assert [one["shown"] for one in seen["objects"]] == [[0], [0]]
    desk.post("undo", "walk.mp4")
    assert list(boxes(desk, 1)) == [0]


def comes_from_the_right(t: int) -> tuple[int, int, int, int] | None:
    return (90 - 4 * (t - 5), 30, min(96, 102 - 4 * (t - 5)), 56) if t >= 5 else None


def test_a_question_keeps_the_object_that_comes_later(tmp_path: Path) -> None:
    """An object that is not on the first frame is on the sheet, from the frame where it comes."""
    late: dict[str, list[ObjectPath]] = {"player": [left_player, comes_from_the_right]}
    folder = write_files(tmp_path / "files")
    agent = Agent(PathSegmenter(late), tracker=ScriptedTracker(late))
    with studio(folder, tmp_path / "out", agent) as desk:
        desk.post("ask", "walk.mp4", question="the player that comes into the picture")
        assert desk.answered("walk.mp4")["status"] == "answered"
        objects = desk.look("walk.mp4")["objects"]
        assert {one["kept"]: one["spans"] for one in objects} == {True: [[5, FRAMES - 1]], False: [[0, FRAMES - 1]]}


class GatedTracker(ScriptedTracker):
    """Waits before every frame after the fourth until it is let go."""

    def open(self, source, options=None):
        self.gate = threading.Event()
        session = super().open(source)
        propagate = session.propagate

        def slow(**given):
            for result in propagate(**given):
                if result.frame > 4:
                    self.gate.wait(20)
                yield result

        session.propagate = slow  # type: ignore[method-assign]
        assert isinstance(session, ScriptedClipSession)
        return session


def test_a_stopped_run_keeps_what_it_has_and_changes_wait_for_it(folder: Path, tmp_path: Path) -> None:
    tracker = GatedTracker(PATHS)
    with studio(folder, tmp_path / "out", Agent(PathSegmenter(), tracker=tracker)) as desk:
        desk.post("find", "walk.mp4", phrases=["player"])
        desk.post("follow", "walk.mp4")
        until(lambda: len(boxes(desk, 1)) == 5)
        assert "stop that first" in desk.refusal("undo", "walk.mp4")
        assert "stop that first" in desk.refusal("follow", "walk.mp4")
        desk.post("stop", "walk.mp4")
        tracker.gate.set()
        desk.followed()
        assert list(boxes(desk, 1)) == list(range(5))


class EndlessTracker(ScriptedTracker):
    """Reads one frame again and again, until it is not given any more."""

    def open(self, source, options=None):
        self.reads, self.ended = 0, threading.Event()
        try:
            while self.reads < 10_000:
                source.frame(0)
                self.reads += 1
                time.sleep(0.005)
        finally:
            self.ended.set()
        return super().open(source)


def test_a_question_that_is_stopped_stops_following(folder: Path, tmp_path: Path) -> None:
    tracker = EndlessTracker(PATHS)
    with studio(folder, tmp_path / "out", Agent(PathSegmenter(), tracker=tracker)) as desk:
        desk.post("ask", "walk.mp4", question="the player that moves")
        until(lambda: getattr(tracker, "reads", 0) > 2)
        desk.post("stop", "walk.mp4")
        assert desk.answered("walk.mp4")["status"] == "stopped"
        assert tracker.ended.wait(5), "the tracker goes on for nobody"


def test_following_needs_an_object_on_the_frame(desk: StudioClient) -> None:
    assert "no kept object has a mask on this frame" in desk.refusal("follow", "walk.mp4")
