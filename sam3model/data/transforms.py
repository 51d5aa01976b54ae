"""Random transforms of a view, each configured as a line of YAML: `- {flip: {chance: 0.5}}`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sam3model.data.image_view import ImageView, Window
from sam3model.errors import ConfigError

_TRIES = 10


Transform = Callable[[ImageView, np.random.Generator], ImageView]
"""Makes another view of the same image; all randomness comes from the generator."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror with probability `chance`; "left" and "right" are swapped in phrases."""

    chance: float = 0.5

    def __post_init__(self) -> None:
        _require_fractions(self, "chance")

    def __call__(self, view: ImageView, rng: np.random.Generator) -> ImageView:
        """The view, perhaps mirrored."""
        return replace(view, mirrored=view.mirrored != (rng.random() < self.chance))


@dataclass(frozen=True, slots=True)
class Crop:
    """Crop with probability `chance`, to `min_scale` to `max_scale` of each side.

    The crop shows at least one instance, if there are any. Instances with a visible fraction below `min_visible` are
    left out. An image with a phrase that mentions a position is never cropped.
    """

    min_scale: float = 0.5
    max_scale: float = 1.0
    min_visible: float = 0.3
    chance: float = 0.5

    def __post_init__(self) -> None:
        _require_fractions(self, "min_scale", "max_scale", "min_visible", "chance")
        if not 0 < self.min_scale <= self.max_scale:
            raise ConfigError("crop: min_scale must be above 0 and not above max_scale")

    def __call__(self, view: ImageView, rng: np.random.Generator) -> ImageView:
        """The view, perhaps cropped."""
        if rng.random() >= self.chance or view.keep_whole:
            return view
        min_visible = max(view.min_visible, self.min_visible)
        for _ in range(_TRIES):
            scales = (rng.uniform(self.min_scale, self.max_scale) for _ in range(2))
            width, height = (max(1, round(side * scale)) for side, scale in zip(_sides(view), scales, strict=True))
            crop = replace(view, window=_within(view.window, width, height, rng), min_visible=min_visible)
            if not len(view.boxes) or (crop.visible_fractions() >= min_visible).any():
                return crop
        return view


@dataclass(frozen=True, slots=True)
class ScaleJitter:
    """Large-scale jitter: scale the image by `min_scale` to `max_scale`.

    Below 1 the image lies at a random place on grey; above 1 it is cropped with the rules of `Crop`.
    """

    min_scale: float = 0.5
    max_scale: float = 1.5
    min_visible: float = 0.3

    def __post_init__(self) -> None:
        _require_fractions(self, "min_visible")
        if not 0 < self.min_scale <= self.max_scale:
            raise ConfigError("scale_jitter: min_scale must be above 0 and not above max_scale")

    def __call__(self, view: ImageView, rng: np.random.Generator) -> ImageView:
        """The view with a larger or smaller window."""
        scale = rng.uniform(self.min_scale, self.max_scale)
        if scale > 1:
            return Crop(1 / scale, 1 / scale, self.min_visible, chance=1.0)(view, rng)
        width, height = (round(side / scale) for side in _sides(view))
        x0, y0, x1, y1 = view.window
        left = x0 - int(rng.integers(0, width - (x1 - x0) + 1))
        top = y0 - int(rng.integers(0, height - (y1 - y0) + 1))
        return replace(view, window=(left, top, left + width, top + height))


@dataclass(frozen=True, slots=True)
class SquarePad:
    """Pad with grey to a square, so that resizing to the model's square keeps the aspect ratio.

    The predictor does not pad, so this only helps models that are used on square images.
    """

    def __call__(self, view: ImageView, rng: np.random.Generator) -> ImageView:
        """The view with a square window."""
        x0, y0, _, _ = view.window
        side = max(_sides(view))
        left, top = x0 - (side - view.width) // 2, y0 - (side - view.height) // 2
        return replace(view, window=(left, top, left + side, top + side))


@dataclass(frozen=True, slots=True)
class Colour:
    """Scale brightness, contrast and saturation, each by a factor of 1 - x to 1 + x."""

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        _require_fractions(self, "brightness", "contrast", "saturation")

    def __call__(self, view: ImageView, rng: np.random.Generator) -> ImageView:
        """The view with other colour factors."""
        ranges = (self.brightness, self.contrast, self.saturation)
        brightness, contrast, saturation = (
            old * rng.uniform(1 - x, 1 + x) for old, x in zip(view.colour, ranges, strict=True)
        )
        return replace(view, colour=(brightness, contrast, saturation))


TRANSFORMS: Mapping[str, type[Flip | Crop | ScaleJitter | SquarePad | Colour]] = {
    "flip": Flip,
    "crop": Crop,
    "scale_jitter": ScaleJitter,
    "square_pad": SquarePad,
    "colour": Colour,
}


def _sides(view: ImageView) -> tuple[int, int]:
    return view.width, view.height


def _within(window: Window, width: int, height: int, rng: np.random.Generator) -> Window:
    """A window of this size at a random place in another one."""
    x0, y0, x1, y1 = window
    left = x0 + int(rng.integers(0, x1 - x0 - width + 1))
    top = y0 + int(rng.integers(0, y1 - y0 - height + 1))
    return left, top, left + width, top + height


def _require_fractions(transform: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(transform, name) <= 1:
            raise ConfigError(f"{type(transform).__name__.lower()}: {name} must be from 0 to 1")
