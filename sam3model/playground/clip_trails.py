"""Where every object of a clip is on every frame, as facts about time need it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam3model.playground.clip import Clip
from sam3model.playground.clip_paths import ClipEvent, ObjectPath
from sam3model.playground.descriptions import Describable

GRID = 9
"""Points per side of the grid on an object that tells how much of it is covered."""
ROUND = 0.8
"""Size of an ellipse that any silhouette fills, relative to its box."""
SEEN, SEEN_FRAMES = 0.45, 3
"""An object is clearly seen if this fraction of it is visible on so many frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """An object over the T frames of a clip.

    place (T, 2): its ground point in pixels of the stage, without the motion of the camera. lift (T,): its height above
    that point in the same unit. boxes (T, 4): x0, y0, x1, y1 of its whole silhouette in pixels of the image, also where
    it is cut or hidden. inside (T,): fraction of its silhouette within the image. open, peak (T,): minimum and maximum
    of the visible fraction of that part, since silhouettes are only known by their boxes. depth (T,): larger is nearer.
    wobble: range of its rotation in degrees.
    """

    obj: Describable
    place: np.ndarray
    lift: np.ndarray
    boxes: np.ndarray
    inside: np.ndarray
    open: np.ndarray
    peak: np.ndarray
    depth: np.ndarray
    wobble: float

    @property
    def id(self) -> int:
        """Id of the object."""
        return self.obj.id

    @property
    def centres(self) -> np.ndarray:
        """Centres of the boxes (T, 2) in pixels of the image."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    @property
    def areas(self) -> np.ndarray:
        """Areas of the boxes (T,) in pixels of the image."""
        return np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1)

    @property
    def shown(self) -> np.ndarray:
        """Minimum of the visible fraction of the whole silhouette, (T,)."""
        return self.inside * self.open

    @property
    def exposed(self) -> np.ndarray:
        """Likely visible fraction of the part within the image, (T,)."""
        return (self.open + self.peak) / 2

    @property
    def path(self) -> np.ndarray:
        """Where it goes (T, 2) in pixels of the stage: its ground point, or the object itself if it takes off."""
        tall = float(np.median(self.boxes[:, 3] - self.boxes[:, 1]))
        takes_off = np.ptp(self.lift) > 1.5 * tall
        return self.place - np.stack([0 * self.lift, self.lift], 1) if takes_off else self.place

    def speed(self, rate: float) -> np.ndarray:
        """Pixels of the stage per second (T,), averaged over three frames."""
        return np.hypot(*np.gradient(self.path, axis=0).T) * rate


@dataclass(frozen=True, slots=True, eq=False)
class ClipTrails:
    """The trails of a clip. size: (W, H) of the image; rate: frames per second; count: frames.

    unclear: objects that are hardly seen in the clip; they have no trail. camera_moves: whether the view changes.
    events: of all objects, as planned.
    """

    name: tuple[str, int]
    theme: str
    size: tuple[int, int]
    rate: float
    count: int
    trails: tuple[Trail, ...]
    unclear: tuple[Describable, ...]
    camera_moves: bool
    events: tuple[ClipEvent, ...]

    @property
    def objects(self) -> Sequence[Describable]:
        """The objects that have a trail."""
        return [trail.obj for trail in self.trails]


def trails_of(clip: Clip) -> ClipTrails:
    """The trails of the objects of a clip, from its paths; nothing is rendered."""
    low, high = _openness(clip.paths)
    trails, unclear = [], []
    for obj, path, least, most in zip(clip.objects, clip.paths, low, high, strict=True):
        trail = Trail(
            obj, path.ground, path.motion.height - (path.motion.y - path.ground[:, 1]), path.box, path.inside,
            least, most, path.depth, float(np.ptp(path.motion.angle)),
        )  # fmt: skip
        clear = (trail.shown >= SEEN).sum() >= min(SEEN_FRAMES, clip.count)
        (trails if clear else unclear).append(trail)
    return ClipTrails(
        clip.name, clip.theme, clip.size, clip.rate, clip.count, tuple(trails),
        tuple(trail.obj for trail in unclear), not clip.plan.camera.fixed, clip.events,
    )  # fmt: skip


def _openness(paths: Sequence[ObjectPath]) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and maximum visible fractions (N, T), if silhouettes fill their boxes, or only ellipses within."""
    steps = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    points = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    points = points[np.hypot(*points.T) <= 1]
    low, high = np.ones((2, len(paths), len(paths[0].depth)))
    for i, path in enumerate(paths):
        boxed, round_ = np.zeros((2, len(path.depth), len(points)), bool)
        for other in paths:
            near = (path.box[:, :2] < other.box[:, 2:]).all(1) & (other.box[:, :2] < path.box[:, 2:]).all(1)
            at = np.flatnonzero(near & (other.depth > path.depth))
            if len(at):
                half, reach = ((box[at, 2:] - box[at, :2])[:, None] / 2 for box in (path.box, other.box))
                offset = np.abs((path.center[at] - other.center[at])[:, None] + half * points) / reach
                boxed[at] |= offset.max(-1) <= 1
                round_[at] |= np.hypot(offset[..., 0], offset[..., 1]) <= ROUND
        low[i], high[i] = 1 - boxed.mean(1), 1 - round_.mean(1)
    return low, high
