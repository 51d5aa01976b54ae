"""Where the objects of a clip are in the picture on every frame, and what happens to them, without rendering."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sam3model.playground.camera import Camera
from sam3model.playground.kinds import Kind
from sam3model.playground.motion_paths import Motion, travelled

STILL = 0.02
"""Movement over the stage in pixels per frame up to which an object stands."""
STAND = 3
"""Minimum number of frames of a stand."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPath:
    """Where one object is on every frame of a clip; known without rendering.

    box (T, 4): x0, y0, x1, y1 of its drawing before anything covers it, in picture pixels; it may reach beyond the
    picture, and the silhouette keeps within a few pixels of it. inside (T,): fraction of the box in the picture, 0
    when the object is out of it. ground (T, 2): x and y of the point it stands on, on the stage, whatever the camera
    does: use it for speeds. moving (T,) bool: False while it stands. depth (T,): larger is nearer, and covers smaller.
    facing (T,): positive to the right for kinds drawn in side view. motion: the curves that all this comes from.
    """

    box: np.ndarray
    inside: np.ndarray
    ground: np.ndarray
    moving: np.ndarray
    depth: np.ndarray
    facing: np.ndarray
    motion: Motion

    @property
    def center(self) -> np.ndarray:
        """Centre of the box, (T, 2), in picture pixels."""
        return (self.box[:, :2] + self.box[:, 2:]) / 2

    @property
    def speed(self) -> float:
        """Median speed over the stage while it moves, in pixels per frame; 0 if it never does."""
        steps = np.diff(travelled(self.ground[:, 0], self.ground[:, 1]))
        steps = steps[self.moving[1:]]
        return float(np.median(steps)) if len(steps) else 0.0


@dataclass(frozen=True, slots=True)
class ClipEvent:
    """Something that happens to an object at a frame.

    Movements out of the picture are no events.

    name: "enters" (first frame in the picture after being out), "leaves" (first frame out of it), "starts" (first
    frame of a movement after standing), "stops" (first frame of standing after a movement), "turns" (it goes back the
    other way), or "touches" (object `id` plays ball `other`). other: id of the second object, or -1.
    """

    frame: int
    name: str
    id: int
    other: int = -1


def object_path(kind: Kind, motion: Motion, camera: Camera) -> ObjectPath:
    """The path of an object seen by the camera."""
    zoom = camera.zoom
    width = kind.box[0] * motion.scale * np.abs(motion.facing)
    height = kind.box[1] * motion.scale
    x = (motion.x - camera.x) * zoom + camera.size[0] / 2
    y = (motion.y - motion.height - height / 2 - camera.y) * zoom + camera.size[1] / 2
    turn = np.radians(motion.angle)
    half_x = np.hypot(width * np.cos(turn), height * np.sin(turn)) * zoom / 2
    half_y = np.hypot(width * np.sin(turn), height * np.cos(turn)) * zoom / 2
    box = np.stack([x - half_x, y - half_y, x + half_x, y + half_y], 1)
    clipped = np.clip(box, 0, np.array([*camera.size, *camera.size]))
    inside = np.prod(clipped[:, 2:] - clipped[:, :2], 1) / np.prod(box[:, 2:] - box[:, :2], 1)
    ground = np.stack([motion.x, motion.y - motion.height * (kind.name == "rocket")], 1)
    steps = np.diff(travelled(ground[:, 0], ground[:, 1]))
    moving = _moving(np.concatenate([steps[:1], steps]) > STILL)
    return ObjectPath(box, inside, ground, moving, motion.depth, motion.facing, motion)


def _moving(steps: np.ndarray) -> np.ndarray:
    """True but in stands of at least STAND frames; turning round on the spot is no stand."""
    moving = steps.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[True], steps, [True]]).astype(int)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start < min(STAND, len(steps)):
            moving[start:stop] = True
    return moving


def find_events(paths: tuple[ObjectPath, ...], touches: list[tuple[int, int, int]]) -> tuple[ClipEvent, ...]:
    """All events of a clip in order of their frames; touches: (frame, id of the player, id of the ball)."""
    found = [ClipEvent(frame, "touches", player, ball) for frame, player, ball in touches]
    for number, path in enumerate(paths):
        seen = path.inside > 0
        found += _changes(seen, number, "enters", "leaves")
        deeds = _changes(path.moving, number, "starts", "stops") + _turns(path.ground[:, 0], number)
        found += [deed for deed in deeds if seen[deed.frame] and seen[deed.frame - 1]]
    return tuple(sorted(found, key=lambda event: (event.frame, event.id, event.name)))


def _turns(x: np.ndarray, number: int) -> list[ClipEvent]:
    signs = np.where(np.abs(np.diff(x)) > STILL, np.sign(np.diff(x)), 0)
    at = np.flatnonzero(signs)
    return [ClipEvent(int(b) + 1, "turns", number) for a, b in pairwise(at) if signs[a] != signs[b]]


def _changes(state: np.ndarray, number: int, on: str, off: str) -> list[ClipEvent]:
    at = np.flatnonzero(state[1:] != state[:-1]) + 1
    return [ClipEvent(int(t), on if state[t] else off, number) for t in at]


def seen_enough(paths: list[ObjectPath], camera: Camera, clearness: float = 0.0) -> list[bool]:
    """For every object, whether it is surely seen: long enough in the picture, and not covered all the time.

    clearness: minimum uncovered fraction, on average while in the picture.
    """
    frames = len(camera.x)
    sampled = np.unique(np.linspace(0, frames - 1, 12).round().astype(int))
    width, height = (side // 8 + 1 for side in camera.size)
    clear, inside = np.zeros((2, len(paths), len(sampled)))
    for column, t in enumerate(sampled):
        owners = np.full((height, width), -1)
        cells = {}
        for number in sorted(range(len(paths)), key=lambda i: (paths[i].depth[t], i)):
            x0, y0, x1, y1 = np.clip(paths[number].box[t] / 8, 0, (width, height, width, height))
            window = np.s_[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
            owners[window] = number
            cells[number] = owners[window].size
        counts = np.bincount(owners.ravel() + 1, minlength=len(paths) + 1)[1:]
        for number, path in enumerate(paths):
            inside[number, column] = path.inside[t]
            clear[number, column] = path.inside[t] * counts[number] / max(1, cells[number])
    long = max(1, min(6, len(sampled) // 3))
    shown = (clear >= 0.35).sum(1) >= long
    return (shown & (clear.sum(1) >= clearness * inside.sum(1))).tolist()
