"""Rendering of the frames of a clip: the background and every sprite are drawn once, then moved."""

from math import ceil, cos, floor, radians, sin

import numpy as np
from PIL import Image, ImageOps

from sam3model.playground.clip_plan import ClipPlan
from sam3model.playground.dice import Dice
from sam3model.playground.domain import Domain
from sam3model.playground.sprite_rendering import (
    Light,
    drop_shadow,
    ellipse_shadow,
    expose,
    look_of,
    shading,
    sketch,
)

LIFT = 1.6
"""Height above the ground, in heights of the object, at which its shadow is gone."""

FAR = 40
"""Distance from the picture in pixels at which an object is not drawn at all."""


class ClipPainter:
    """Draws the frames of a planned clip; keeps its background and sprites."""

    def __init__(self, domain: Domain, plan: ClipPlan, dice: Dice) -> None:
        self.domain, self.plan, self.dice = domain, plan, dice
        self.corners = dice.uniform(0, 0.15)
        self.shadow = dice.uniform(0.26, 0.42) if plan.theme.shadows else 0.0
        self._sprites: dict[tuple[int, int, bool], Image.Image] = {}
        self._canvas: np.ndarray | None = None
        painter = domain.painters[plan.theme.name]
        self._background = painter(plan.camera.stage, plan.theme.horizon, dice.child("background"))
        zooms = plan.camera.zoom
        self._zooms = [float(np.max(path.motion.scale * zooms)) for path in plan.paths]

    def frame(self, t: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
        """Image (H, W, 3) uint8, owners (H, W) uint8, and the visible fraction of every object at frame `t`."""
        width, height = self.plan.camera.size
        image = self._view(t)
        owners = np.zeros((height, width), np.uint8)
        totals = [0] * len(self.plan.paths)
        gains = tuple(float(gain) for gain in self.plan.light[t])
        light = Light(gains, self.corners, self.shadow, not self.plan.theme.horizon)  # pyright: ignore[reportArgumentType]
        for number in sorted(range(len(totals)), key=lambda i: float(self.plan.paths[i].depth[t])):
            totals[number] = self._paint(image, owners, number, t, light)
        counts = np.bincount(owners.ravel(), minlength=len(totals) + 1)[1:]
        visible = tuple(float(n) / total if total else 0.0 for n, total in zip(counts, totals, strict=True))
        return expose(image, light), owners, visible

    def _view(self, t: int) -> np.ndarray:
        camera = self.plan.camera
        if camera.fixed:
            if self._canvas is None:
                self._canvas = np.asarray(self._background, np.float32)
            return self._canvas.copy()
        box = camera.box(t)
        x0, y0 = max(0.0, box[0]), max(0.0, box[1])
        x1, y1 = min(float(camera.stage[0]), box[2]), min(float(camera.stage[1]), box[3])
        view = self._background.resize(camera.size, Image.Resampling.BILINEAR, (x0, y0, x1, y1))
        return np.asarray(view, np.float32)

    def _sprite(self, number: int, pose: int, mirrored: bool) -> Image.Image:
        """The premultiplied drawing of an object, at its largest size in the clip; drawn when first needed."""
        key = (number, pose, mirrored)
        if key not in self._sprites:
            plan = self.plan.plans[number]
            own = Dice(*plan.dice.name, "sprite")
            drawn = sketch(plan.kind, look_of(plan, self.domain.colours, own), self._zooms[number], own, pose)
            self._sprites[key] = _premultiplied(ImageOps.mirror(drawn) if mirrored else drawn)
        return self._sprites[key]

    def _paint(self, image: np.ndarray, owners: np.ndarray, number: int, t: int, light: Light) -> int:
        """Paint an object with its shadow; returns the pixels of its whole silhouette, in the picture or not."""
        path, plan = self.plan.paths[number], self.plan.plans[number]
        x0, y0, x1, y1 = path.box[t]
        width, height = self.plan.camera.size
        if x1 < -FAR or y1 < -FAR or x0 > width + FAR or (y0 > height + FAR):
            return 0
        motion, zoom = path.motion, float(self.plan.camera.zoom[t])
        side = float(motion.facing[t])
        sprite = self._sprite(number, int(motion.pose[t]), side < 0)
        ratio = float(motion.scale[t]) * zoom / self._zooms[number]
        centre = (float(path.center[t, 0]), float(path.center[t, 1]))
        placed, left, top = _placed(sprite, centre, ratio * abs(side), ratio, float(motion.angle[t]))
        patch = np.asarray(placed, np.float32)
        alpha = patch[..., 3]
        if light.shadow and light.floating:
            drop_shadow(image, alpha * np.float32(1 / 255), left, top, light.shadow)
        elif light.shadow and plan.kind.grounded:
            self._ground_shadow(image, number, t, light.shadow)
        return _composite(image, owners, patch, left, top, number + 1)

    def _ground_shadow(self, image: np.ndarray, number: int, t: int, strength: float) -> None:
        path, box = self.plan.paths[number], self.plan.plans[number].kind.box
        camera, motion = self.plan.camera, path.motion
        zoom = float(camera.zoom[t])
        scale = float(motion.scale[t]) * zoom
        width, height = box[0] * scale * abs(float(motion.facing[t])), box[1] * scale
        fade = max(0.0, 1 - float(motion.height[t]) * zoom / (LIFT * height))
        if not fade:
            return
        x = (float(motion.x[t]) - float(camera.x[t])) * zoom + camera.size[0] / 2
        y = (float(motion.y[t]) - float(camera.y[t])) * zoom + camera.size[1] / 2
        reach, rise = 0.56 * width * (0.6 + 0.4 * fade), (0.09 * width + 0.02 * height) * (0.6 + 0.4 * fade)
        ellipse_shadow(image, x, y - 1 - 0.35 * rise, reach, rise, strength * fade)


def _premultiplied(drawn: Image.Image) -> Image.Image:
    pixels = np.asarray(drawn, np.float32)
    pixels = np.concatenate([pixels[..., :3] * shading(pixels[..., 3]), pixels[..., 3:]], 2)
    return Image.fromarray((pixels + 0.5).clip(0, 255).astype(np.uint8), "RGBA").convert("RGBa")


def _placed(
    sprite: Image.Image, centre: tuple[float, float], wide: float, tall: float, angle: float
) -> tuple[Image.Image, int, int]:
    """The sprite scaled, turned clockwise and moved so that its middle is at `centre`, and its corner."""
    c, s = cos(radians(angle)), sin(radians(angle))
    half_x, half_y = sprite.width * wide / 2, sprite.height * tall / 2
    reach_x, reach_y = abs(half_x * c) + abs(half_y * s) + 1, abs(half_x * s) + abs(half_y * c) + 1
    left, top = floor(centre[0] - reach_x), floor(centre[1] - reach_y)
    size = ceil(centre[0] + reach_x) - left, ceil(centre[1] + reach_y) - top
    dx, dy = left - centre[0], top - centre[1]
    a, b, d, e = c / wide, s / wide, -s / tall, c / tall
    data = (a, b, a * dx + b * dy + sprite.width / 2, d, e, d * dx + e * dy + sprite.height / 2)
    return sprite.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR), left, top


def _composite(image: np.ndarray, owners: np.ndarray, patch: np.ndarray, left: int, top: int, owner: int) -> int:
    """Put a premultiplied patch (h, w, 4) over the image; returns the number of its solid pixels."""
    solid = patch[..., 3] >= 128
    height, width = solid.shape
    x0, x1 = max(0, left), min(image.shape[1], left + width)
    y0, y1 = max(0, top), min(image.shape[0], top + height)
    if x0 < x1 and y0 < y1:
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        area = image[y0:y1, x0:x1]
        area *= 1 - patch[part][..., 3:] * np.float32(1 / 255)
        area += patch[part][..., :3]
        owners[y0:y1, x0:x1][solid[part]] = owner
    return int(np.count_nonzero(solid))
