"""The camera of a clip: what part of the stage each frame shows, and in what light."""

from dataclasses import dataclass

import numpy as np

from sam3model.playground.dice import Dice
from sam3model.playground.motion_paths import ease

Size = tuple[int, int]

CAMERAS = {"fixed": 0.52, "pan": 0.2, "zoom": 0.14, "both": 0.09, "hand": 0.05}
PAN_SPEED = 34
"""Maximum speed of a pan in pixels per second."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """The view of every frame on the stage, a picture at least as wide as the canvas.

    size and stage: (W, H) of the canvas and the stage in pixels. x, y (T,): centre of the view in pixels of the stage.
    zoom (T,): canvas pixels per stage pixel, at least 1.
    """

    size: Size
    stage: Size
    x: np.ndarray
    y: np.ndarray
    zoom: np.ndarray

    @property
    def fixed(self) -> bool:
        """True if every frame shows the whole stage."""
        return self.stage == self.size and bool(np.all(self.zoom == 1))

    def edges(self, t: float) -> tuple[float, float]:
        """Left and right edge of the view at frame `t`, clamped to the clip, in pixels of the stage."""
        index = max(0, min(len(self.x) - 1, round(t)))
        reach = self.size[0] / (2 * float(self.zoom[index]))
        return float(self.x[index]) - reach, float(self.x[index]) + reach

    def box(self, t: int) -> tuple[float, float, float, float]:
        """The part of the stage that frame `t` shows: x0, y0, x1, y1 in pixels of the stage."""
        x0, x1 = self.edges(t)
        reach = self.size[1] / (2 * float(self.zoom[t]))
        return x0, float(self.y[t]) - reach, x1, float(self.y[t]) + reach


def plan_camera(size: Size, frames: int, rate: float, dice: Dice) -> Camera:
    """Choose how the camera moves during a clip."""
    style = dice.weighted(CAMERAS)
    width, height = size
    u = ease(np.linspace(0, 1, frames))
    zoom = np.ones(frames)
    if style in ("zoom", "both"):
        most = 1 + min(dice.uniform(0.15, 0.45), 0.14 * frames / rate + 0.03)
        zoom = 1 + (most - 1) * (u if dice.chance(0.5) else 1 - u)
    if style == "hand":
        zoom = np.full(frames, 1.05)
    stage = width
    if style in ("pan", "both"):
        stage += round(min(dice.uniform(0.15, 0.6) * width, PAN_SPEED * dice.uniform(0.5, 1) * frames / rate))
    spare_x, spare_y = (stage - width / zoom) / 2, (height - height / zoom) / 2
    way = dice.pick((-1, 1))
    aside = dice.uniform(-0.7, 0.7)
    shift = way * (2 * u - 1) if style in ("pan", "both") else np.full(frames, aside)
    rise = np.full(frames, dice.uniform(-0.2, 0.7))
    if style == "hand":
        phase, t = dice.uniform(0, 6.28), np.arange(frames) / rate
        shift = 0.5 * np.sin(2.1 * t + phase) + 0.3 * np.sin(5.3 * t)
        rise = 0.4 * np.sin(2.7 * t + 2 * phase) + 0.3 * np.sin(6.1 * t)
    return Camera(size, (stage, height), stage / 2 + shift * spare_x, height / 2 + rise * spare_y, zoom)


def plan_light(frames: int, rate: float, dice: Dice) -> np.ndarray:
    """Gains of the colour channels on every frame, (T, 3) float32: constant, drifting, or with one quick change."""
    warm, level = dice.uniform(-0.035, 0.045), dice.uniform(0.94, 1.03)
    u = ease(np.linspace(0, 1, frames))
    levels, warmth = np.full(frames, level), np.full(frames, warm)
    if dice.chance(0.3):
        levels = levels * (1 + dice.uniform(-0.22, 0.06) * (u if dice.chance(0.5) else 1 - u))
        warmth = warmth + dice.uniform(-0.05, 0.07) * u
    if dice.chance(0.12):
        at, takes = dice.uniform(0.2, 0.8) * frames, dice.uniform(0.05, 0.3) * rate
        change = ease((np.arange(frames) - at) / takes)
        levels = levels * (1 - dice.uniform(0.14, 0.32) * (change if dice.chance(0.5) else 1 - change))
    return np.stack([levels * (1 + warmth), levels, levels * (1 - warmth)], 1).astype(np.float32)
