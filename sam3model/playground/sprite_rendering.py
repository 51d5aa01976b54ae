"""Rendering of shaded sprites, and of a scene from its sprites."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from sam3model.playground.backgrounds import vignette
from sam3model.playground.dice import Dice
from sam3model.playground.kinds import Kind
from sam3model.playground.palette import RGB, pattern_ink, shade_of
from sam3model.playground.pen import Look, Pen
from sam3model.playground.scene_plan import ObjectPlan

RIM = 4
"""Padding in pixels around a sprite while its rim is shaded."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """One object, cropped: rgb (h, w, 3) float32 in 0..255, alpha (h, w) float32 in 0..1."""

    rgb: np.ndarray
    alpha: np.ndarray
    solid: np.ndarray  # (h, w) bool, alpha of at least a half: the silhouette


@dataclass(frozen=True, slots=True)
class Light:
    """Lighting of a scene: channel gains, corner darkening, strength of shadows (0 to 1), and their kind.

    floating: sprites cast drop shadows; otherwise grounded ones cast shadows on the ground.
    """

    gains: tuple[float, float, float]
    corners: float
    shadow: float
    floating: bool


def draw(kind: Kind, look: Look, zoom: float, dice: Dice) -> Sprite:
    """Draw an object at `zoom` pixels per unit: antialiased, shaded, and randomly rotated and mirrored."""
    image = sketch(kind, look, zoom, dice)
    if kind.tilt:
        image = image.rotate(dice.uniform(-kind.tilt, kind.tilt), Image.Resampling.BICUBIC, expand=True)
    if dice.chance(0.5):
        image = ImageOps.mirror(image)
    box = image.getchannel("A").point([0] * 128 + [255] * 128).getbbox() or (0, 0, 1, 1)
    pixels = np.asarray(image.crop((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1)), np.float32)
    alpha = pixels[..., 3] * np.float32(1 / 255)
    return Sprite(pixels[..., :3] * shading(pixels[..., 3]), alpha, pixels[..., 3] >= 128)


def sketch(kind: Kind, look: Look, zoom: float, dice: Dice, pose: int | None = None) -> Image.Image:
    """Draw an object upright as RGBA at `zoom` pixels per unit, antialiased but not shaded."""
    finer = 3 if zoom < 0.55 else 2
    pen = Pen(*kind.box, zoom * finer, look, dice, pose)
    kind.draw(pen)
    return pen.finish().reduce(finer)


def look_of(plan: ObjectPlan, colours: Mapping[str, RGB], dice: Dice) -> Look:
    """The look of a planned object; grey for kinds without a colour word."""
    if not plan.colour:
        return Look((128, 128, 128), (255, 255, 255), "plain")
    return Look(shade_of(plan.colour, dice, colours), pattern_ink(plan.colour), plan.pattern)


def shading(alpha: np.ndarray) -> np.ndarray:
    """Brightness factors (h, w, 1): light from the upper left, and a darker rim."""
    height, width = alpha.shape
    padded = ImageOps.expand(Image.fromarray(alpha.astype(np.uint8)), RIM)
    blurred = padded.filter(ImageFilter.BoxBlur(max(1.2, 0.045 * min(alpha.shape))))
    rim = np.asarray(blurred, np.float32)[RIM:-RIM, RIM:-RIM] * np.float32(0.42 / 255) + np.float32(0.61)
    x = np.linspace(0.05, -0.06, width, dtype=np.float32)[None, :]
    y = np.linspace(1.06, 0.92, height, dtype=np.float32)[:, None]
    return (rim * (x + y))[:, :, None]


def paint(image: np.ndarray, sprite: Sprite, left: int, top: int, light: Light, grounded: bool) -> None:
    """Paint a sprite and its shadow onto the float image in place, with its corner at (left, top)."""
    if light.shadow and light.floating:
        drop_shadow(image, sprite.alpha, left, top, light.shadow)
    elif light.shadow and grounded:
        _ground_shadow(image, sprite, left, top, light.shadow)
    height, width = sprite.alpha.shape
    rows, columns = _clip(top, height, image.shape[0]), _clip(left, width, image.shape[1])
    part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    patch = image[rows, columns]
    patch += (sprite.rgb[part] - patch) * sprite.alpha[part][:, :, None]


def _clip(start: int, length: int, limit: int) -> slice:
    first = min(max(0, start), limit)
    return slice(first, max(first, min(limit, start + length)))


def _ground_shadow(image: np.ndarray, sprite: Sprite, left: int, top: int, strength: float) -> None:
    height, width = sprite.alpha.shape
    reach, rise = 0.56 * width, 0.09 * width + 0.02 * height
    ellipse_shadow(image, left + width / 2, top + height - 1 - 0.35 * rise, reach, rise, strength)


def ellipse_shadow(image: np.ndarray, x0: float, y0: float, reach: float, rise: float, strength: float) -> None:
    """Darken an ellipse around (x0, y0), `reach` wide and `rise` high on each side, in place."""
    rows = slice(max(0, int(y0 - rise)), max(0, min(image.shape[0], int(y0 + rise) + 1)))
    columns = slice(max(0, int(x0 - reach)), max(0, min(image.shape[1], int(x0 + reach) + 1)))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    y = (np.arange(rows.start, rows.stop, dtype=np.float32) - y0) / rise
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) - x0) / reach
    dark = np.clip(1 - y[:, None] ** 2 - x[None, :] ** 2, 0, 1) * strength
    image[rows, columns] *= 1 - dark[:, :, None]


def drop_shadow(image: np.ndarray, alpha: np.ndarray, left: int, top: int, strength: float) -> None:
    """Darken the image below a floating sprite with this alpha (h, w) in 0..1, in place."""
    blur = max(2, round(0.05 * max(alpha.shape)))
    padded = ImageOps.expand(Image.fromarray((alpha * 255).astype(np.uint8)), 2 * blur)
    dark = np.asarray(padded.filter(ImageFilter.BoxBlur(blur)), np.float32) * np.float32(0.6 * strength / 255)
    left, top = left - blur, top - blur // 2
    rows, columns = _clip(top, dark.shape[0], image.shape[0]), _clip(left, dark.shape[1], image.shape[1])
    part = dark[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    image[rows, columns] *= 1 - part[:, :, None]


def expose(image: np.ndarray, light: Light) -> np.ndarray:
    """Apply the light to the float image in place, and return it as uint8."""
    corners = vignette((image.shape[1], image.shape[0]))
    image *= (1 - np.float32(light.corners) * corners) * np.asarray(light.gains, np.float32)
    image += 0.5
    return np.clip(image, 0, 255, out=image).astype(np.uint8)
