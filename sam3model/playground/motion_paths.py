"""Curves over the frames of a clip, and the motion of one object built from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PAD = 8
"""Frames before and after a clip that smoothing sees."""
GRAVITY = 420
"""Pixels per second squared."""
NARROWEST = 0.4
"""Minimum width of an object while it turns, as a fraction of its full width."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """How one object moves over the stage; every field has one value per frame.

    x, y (T,): the point on the ground below its middle, in pixels of the stage. height (T,): how far it is above that
    point, in pixels of the stage. scale (T,): pixels of the stage per drawing unit. angle (T,): degrees, clockwise.
    facing (T,): 1 as drawn, -1 mirrored, between them while it turns. depth (T,): larger is nearer. pose (T,) int:
    number of the drawing in its gait.
    """

    x: np.ndarray
    y: np.ndarray
    height: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    facing: np.ndarray
    depth: np.ndarray
    pose: np.ndarray


def ease(u: np.ndarray) -> np.ndarray:
    """Smooth step from 0 to 1; clamped outside."""
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


def through(keys: Sequence[tuple[float, float]], frames: int, window: int = 5) -> np.ndarray:
    """A path (T,) through keys (frame, value) at constant speed between them, its corners rounded over `window`."""
    at = np.arange(-PAD, frames + PAD)
    path = np.interp(at, [t for t, _ in keys], [value for _, value in keys])
    smooth = np.convolve(path, np.full(window, 1 / window), "same")
    return smooth[PAD:-PAD]


def pace(x: np.ndarray) -> np.ndarray:
    """Change of a path per frame, at least 0, (T,)."""
    return np.abs(np.gradient(x)) if len(x) > 1 else np.zeros(len(x))


def travelled(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """Length of the path up to every frame, (T,)."""
    steps = np.abs(np.diff(x)) if y is None else np.hypot(np.diff(x), np.diff(y))
    return np.concatenate([[0.0], np.cumsum(steps)])


def facing(x: np.ndarray, first: int, turns: bool = True) -> np.ndarray:
    """The side an object faces while it moves along x, (T,): `first` (1 or -1) if it does not turn."""
    if not turns:
        return np.full(len(x), float(first))
    steps = np.diff(x)
    signs = np.where(np.abs(steps) > 0.05, np.sign(steps), 0.0)
    moving = np.flatnonzero(signs)
    if not len(moving):
        return np.full(len(x), float(first))
    last = np.maximum.accumulate(np.where(signs != 0, np.arange(len(signs)), -1))
    sides = signs[np.where(last >= 0, last, moving[0])]
    sides = np.concatenate([sides, sides[-1:]])
    padded = np.concatenate([np.full(2, sides[0]), sides, np.full(2, sides[-1])])
    smooth = np.convolve(padded, np.full(5, 0.2), "valid")
    return np.where(smooth < 0, np.minimum(smooth, -NARROWEST), np.maximum(smooth, NARROWEST))


def hops(distance: np.ndarray, stride: float, rise: float) -> np.ndarray:
    """Height above the ground of something that hops once per stride of its way, (T,)."""
    return rise * np.abs(np.sin(np.pi * distance / stride))


def bounces(frames: int, rate: float, rise: float) -> np.ndarray:
    """Height above the ground of something that bounces up to `rise` pixels as if it fell, (T,)."""
    lasts = 2 * (2 * rise / GRAVITY) ** 0.5 * rate
    u = np.mod(np.arange(frames) / lasts, 1)
    return 4 * rise * u * (1 - u)


def reflected(path: np.ndarray, low: float, high: float) -> np.ndarray:
    """A path folded into low..high, as of something that bounces off two walls."""
    span = max(high - low, 1.0)
    folded = np.mod(path - low, 2 * span)
    return low + np.where(folded > span, 2 * span - folded, folded)
