"""How the camera pans and zooms: the motion of the background between frames, added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sam3agent.masks import Masklet
from sam3agent.media import Media

SIDE = 160
"""Longer side of the frames that are compared, in pixels."""
LEVELS = (4, 2, 1)
"""How much coarser the frames are in each pass."""
ROUNDS = 8
"""Steps per pass."""
BETTER = 0.85
"""A motion must bring the difference of two frames below this fraction of what it is without motion."""
MIN_BACKGROUND = 0.15
"""Fraction of a frame that must be free of masklets; with less of it, the camera is taken as fixed."""
SAME = 0.1
"""Mean difference of the grey values, 0..255, below which two backgrounds are the same."""
MOST_APART = 12
"""Frames between two that are compared."""
FAR = 0.2
"""Part of the longer side by which two frames that are compared may be moved against each other."""
NOISE = 0.5
"""Grey values, 0..255, by which pixels are wrong at least."""
LEAST_SHOWN = 0.01
"""Part of the longer side by which the camera may move unseen before its motion is called uncertain."""
UNCERTAIN = "the background shows too little to tell whether the camera moves: what stands still may seem to move"
STILL = 0.02
"""Motion in pixels of the small frames below which the camera did not move: noise must not add up."""


@dataclass(frozen=True, eq=False)
class CameraPath:
    """Where the ground of the first frame is in every frame: `scale[t] * point + shift[t]`.

    scale: (T,). shift: (T, 2) in pixels. certain: whether the background shows enough to tell.
    """

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    certain: bool = True

    @classmethod
    def fixed(cls, count: int) -> "CameraPath":
        """A camera that does not move in `count` frames."""
        return cls(np.ones(count), np.zeros((count, 2)))

    @property
    def moves(self) -> bool:
        """Whether it pans or zooms at all."""
        return bool(np.ptp(self.scale) > 0.01 or np.ptp(self.shift, axis=0).max() > 2)

    def on_ground(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (T, 2) of the frames in pixels of the first frame, as if the camera had not moved."""
        return (points - self.shift) / self.scale[:, None]


def camera_path(media: Media, masklets: Sequence[Masklet]) -> CameraPath:
    """The path of the camera, from what no masklet covers. It turns neither around its axis nor in depth.

    Frames are compared with one that is some time before: a slow motion hardly shows between neighbours. Raises
    `InputError` if a frame cannot be read.
    """
    scale, shift, certain = np.ones(media.count), np.zeros((media.count, 2)), True
    before, start = _background(media, masklets, 0), 0
    last, pace = np.zeros(3), np.zeros(3)
    for t in range(1, media.count):
        after = _background(media, masklets, t)
        certain = certain and _tells_motion(before, after)
        found = _step(before, after, [last, last + pace])
        if found is None and last.any():  # lost on the way: it goes on from here
            scale[t], shift[t] = scale[t - 1], shift[t - 1]
        else:
            found = np.zeros(3) if found is None else found
            step_scale, step_shift = _in_pixels(found, after)
            scale[t], shift[t] = step_scale * scale[start], step_scale * shift[start] + step_shift
            last, pace = found, found - last
            if t - start < MOST_APART and _reach(found, after) < FAR * max(after.grey.shape):
                continue
        before, start, last = after, t, np.zeros(3)
    return CameraPath(scale, shift, certain)


@dataclass(frozen=True, eq=False)
class _Background:
    """A small grey frame (H, W), where it is background (H, W), and the clip's pixels per pixel of it."""

    grey: NDArray[np.float64]
    free: NDArray[np.float64]
    ratio: float


def _background(media: Media, masklets: Sequence[Masklet], t: int) -> _Background:
    image = media.frame(t)
    ratio = max(1.0, max(image.size) / SIDE)
    width, height = (max(8, round(side / ratio)) for side in image.size)
    grey = np.asarray(image.convert("L").resize((width, height)), np.float64)
    covered = np.zeros((image.height, image.width), np.uint8)
    for masklet in masklets:
        if t in masklet.masks:
            mask = masklet.masks[t]
            x0, y0, x1, y1 = mask.box
            covered[y0:y1, x0:x1][mask.crop] = 255
    small = Image.fromarray(covered).resize((width, height), Image.Resampling.BOX).filter(ImageFilter.MaxFilter(5))
    return _Background(grey, (np.asarray(small) == 0).astype(float), ratio)


def _tells_motion(one: _Background, two: _Background) -> bool:
    """Whether a motion of the camera would show: there is background, and it changes from left to right and down."""
    free = (one.free * two.free) > 0
    if free.mean() < MIN_BACKGROUND:
        return False
    slopes = (np.asarray(np.gradient(two.grey, axis=axis))[free] for axis in (0, 1))
    return all(LEAST_SHOWN * max(free.shape) * np.sqrt((slope**2).sum()) > NOISE for slope in slopes)


def _step(one: _Background, two: _Background, starts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """Log scale about the centre and shift in small pixels, from one background to another; None if none is found.

    starts: motions of which one may be near.
    """
    free = one.free * two.free
    if free.mean() < MIN_BACKGROUND:
        return None
    still = _misfit(one, two, free, np.zeros(3))
    if still < SAME:
        return np.zeros(3)
    apart = [start for n, start in enumerate(starts) if n == 0 or (start != starts[0]).any()]
    found = min((_registered(one, two, free, start) for start in apart), key=lambda s: _misfit(one, two, free, s))
    if _reach(found, two) < STILL or _misfit(one, two, free, found) > BETTER * still:
        return None
    return found


def _reach(state: NDArray[np.float64], frame: _Background) -> float:
    """How far a motion moves the border or the centre of a frame, in small pixels."""
    return float(np.hypot(state[0] * max(frame.grey.shape) / 2, np.hypot(state[1], state[2])))


def _in_pixels(state: NDArray[np.float64], frame: _Background) -> tuple[float, NDArray[np.float64]]:
    """Scale, and shift in pixels of the clip, of the points of a frame."""
    height, width = frame.grey.shape
    scale, centre = float(np.exp(state[0])), np.array([width, height]) / 2
    return scale, (state[1:] + centre - scale * centre) * frame.ratio


def _registered(
    one: _Background, two: _Background, free: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    state = start
    for level in LEVELS:
        if min(one.grey.shape) // level >= 16:
            planes = (_smaller(plane, level) for plane in (one.grey, two.grey, free))
            state = _aligned(*planes, state=state, level=level)
    return state


def _misfit(one: _Background, two: _Background, free: NDArray[np.float64], state: NDArray[np.float64]) -> float:
    """Mean difference of the backgrounds after a motion, without that of the light; large ones are cut off."""
    height, width = one.grey.shape
    at_x, at_y = _moved(height, width, state, 1)
    seen = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1) & (free > 0)
    if seen.sum() < 50:
        return np.inf
    error = (_sampled(two.grey, at_x, at_y) - one.grey)[seen]
    return float(np.minimum(np.abs(error - np.median(error)), 20).mean())


def _moved(height: int, width: int, state: NDArray[np.float64], level: int) -> tuple[Any, Any]:
    """Where the pixels of a frame are in the next one."""
    rows, columns = np.mgrid[:height, :width].astype(float)
    middle_x, middle_y, scale = (width - 1) / 2, (height - 1) / 2, np.exp(state[0])
    at_x = scale * (columns - middle_x) + state[1] / level + middle_x
    return at_x, scale * (rows - middle_y) + state[2] / level + middle_y


def _smaller(plane: NDArray[np.float64], level: int) -> NDArray[np.float64]:
    height, width = (side // level * level for side in plane.shape)
    return plane[:height, :width].reshape(height // level, level, width // level, level).mean((1, 3))


def _aligned(
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    free: NDArray[np.float64],
    *,
    state: NDArray[np.float64],
    level: int,
) -> NDArray[np.float64]:
    """Gauss-Newton steps on the difference of the frames; pixels that fit badly, such as other objects, count less."""
    height, width = one.shape
    rows, columns = np.mgrid[:height, :width].astype(float)
    x, y = columns - (width - 1) / 2, rows - (height - 1) / 2
    slope_y, slope_x = (np.asarray(np.gradient(two, axis=axis)) for axis in (0, 1))
    for _ in range(ROUNDS):
        scale = np.exp(state[0])
        at_x, at_y = _moved(height, width, state, level)
        seen = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
        error = _sampled(two, at_x, at_y) - one
        used = seen & (free > 0.5)
        if used.sum() < 50:
            break
        error -= np.median(error[used])  # the light may change
        spread = 1.5 * np.median(np.abs(error[used])) + 1.0
        weight = used / (1 + (error / spread) ** 2) ** 2
        gx, gy = _sampled(slope_x, at_x, at_y), _sampled(slope_y, at_x, at_y)
        columns_ = np.stack([(gx * x + gy * y) * scale, gx / level, gy / level])[:, used]
        weighted = columns_ * weight[used]
        system = weighted @ columns_.T + np.diag([1e-3 * height * width, 1e-6, 1e-6])
        change = np.linalg.solve(system, -(weighted @ error[used]))
        state = state + change
        if np.abs(change * [width, 1, 1]).max() < 0.005:
            break
    return state


def _sampled(plane: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear values at places; those beyond the border are of the border."""
    height, width = plane.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    x0, y0 = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    fx, fy = x - x0, y - y0
    top = plane[y0, x0] * (1 - fx) + plane[y0, x0 + 1] * fx
    bottom = plane[y0 + 1, x0] * (1 - fx) + plane[y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy
