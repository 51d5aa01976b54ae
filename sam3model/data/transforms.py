"""Random changes of a view, each a line of YAML: `- {flip: {chance: 0.5}}`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sam3model.data.view import View
from sam3model.errors import ConfigError

_TRIES = 10


class Transform(Protocol):
    """Another view of the same picture, drawn with the generator and nothing else."""

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The changed view."""
        ...


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror with this chance; phrases swap "left" and "right" with it."""

    chance: float = 0.5

    def __post_init__(self) -> None:
        _require_shares(self, "chance")

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The view, mirrored or not."""
        return replace(view, mirrored=view.mirrored != (rng.random() < self.chance))


@dataclass(frozen=True, slots=True)
class Crop:
    """With this chance, a part of the view, each side `least` to `most` of what it was.

    The part shows at least one thing, if there are any. Things of which less than `keep` is left are not asked for.
    A picture with a phrase that says where things are is left whole.
    """

    least: float = 0.5
    most: float = 1.0
    keep: float = 0.3
    chance: float = 0.5

    def __post_init__(self) -> None:
        _require_shares(self, "least", "most", "keep", "chance")
        if not 0 < self.least <= self.most:
            raise ConfigError("crop: least must be above 0 and at most most")

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """A part of the view, or all of it."""
        if rng.random() >= self.chance or view.located:
            return view
        for _ in range(_TRIES):
            width, height = (max(1, round(side * rng.uniform(self.least, self.most))) for side in _sides(view))
            part = replace(view, window=_within(view.window, width, height, rng), keep=max(view.keep, self.keep))
            if not len(view.boxes) or (part.shares() >= part.keep).any():
                return part
        return view


@dataclass(frozen=True, slots=True)
class ScaleJitter:
    """Large-scale jitter: everything is shown `low` to `high` times as large.

    Below 1 the picture lies at a random place on grey; above 1 it is a crop, with the same care for things as `Crop`.
    """

    low: float = 0.5
    high: float = 1.5
    keep: float = 0.3

    def __post_init__(self) -> None:
        _require_shares(self, "keep")
        if not 0 < self.low <= self.high:
            raise ConfigError("scale_jitter: low must be above 0 and at most high")

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """A larger or a smaller window."""
        scale = rng.uniform(self.low, self.high)
        if scale > 1:
            return Crop(1 / scale, 1 / scale, self.keep, chance=1.0)(view, rng)
        width, height = (round(side / scale) for side in _sides(view))
        x0, y0, x1, y1 = view.window
        left = x0 - int(rng.integers(0, width - (x1 - x0) + 1))
        top = y0 - int(rng.integers(0, height - (y1 - y0) + 1))
        return replace(view, window=(left, top, left + width, top + height))


@dataclass(frozen=True, slots=True)
class SquarePad:
    """Grey beside the shorter side, so that the squash to the model's square keeps the proportions.

    The predictor squashes without it: of use only for pictures that will be asked about in squares.
    """

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """A square window around the view's."""
        x0, y0, _, _ = view.window
        side = max(_sides(view))
        left, top = x0 - (side - view.width) // 2, y0 - (side - view.height) // 2
        return replace(view, window=(left, top, left + side, top + side))


@dataclass(frozen=True, slots=True)
class Colour:
    """Brightness, contrast and saturation, each times 1 - x to 1 + x."""

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        _require_shares(self, "brightness", "contrast", "saturation")

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The view in other colours."""
        now, by = view.colour, (self.brightness, self.contrast, self.saturation)
        brightness, contrast, saturation = (
            old * rng.uniform(1 - most, 1 + most) for old, most in zip(now, by, strict=True)
        )
        return replace(view, colour=(brightness, contrast, saturation))


TRANSFORMS: Mapping[str, type[Flip | Crop | ScaleJitter | SquarePad | Colour]] = {
    "flip": Flip,
    "crop": Crop,
    "scale_jitter": ScaleJitter,
    "square_pad": SquarePad,
    "colour": Colour,
}


def _sides(view: View) -> tuple[int, int]:
    return view.width, view.height


def _within(
    window: tuple[int, int, int, int], width: int, height: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A window of this size anywhere in another one."""
    x0, y0, x1, y1 = window
    left = x0 + int(rng.integers(0, x1 - x0 - width + 1))
    top = y0 + int(rng.integers(0, y1 - y0 - height + 1))
    return left, top, left + width, top + height


def _require_shares(transform: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(transform, name) <= 1:
            raise ConfigError(f"{type(transform).__name__.lower()}: {name} must be from 0 to 1")
