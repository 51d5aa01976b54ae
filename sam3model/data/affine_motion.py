"""Smooth affine motion of a still image: the same for its pixels and its masks."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AffineMotion:
    """How far an image moves over a clip, at most.

    shift: in fractions of the sides. rotation, shear: in degrees. scale: of its logarithm, so that 0.3 is from 0.74 to
    1.35. zoom: a clip starts enlarged by a factor from 1 to this, so that less of the border is seen.
    """

    shift: float = 0.25
    rotation: float = 20.0
    shear: float = 8.0
    scale: float = 0.3
    zoom: float = 1.25

    def __post_init__(self) -> None:
        if min(self.shift, self.rotation, self.shear, self.scale) < 0 or self.zoom < 1 or self.shear >= 60:
            raise ConfigError(f"motion: no setting may be negative, zoom below 1 or shear 60 or more, not {self}")

    def grids(self, frames: int, side: int, aspect: float, rng: np.random.Generator) -> Tensor:
        """Where each pixel of each frame lies in the image: (T, side, side, 2), in -1..1 for `grid_sample`.

        aspect: width over height of the image, which is shown as a square.
        """
        u = np.linspace(0, 1, frames)
        turn, skew, shift_x, shift_y, scale = (self._growth(u, rng) for _ in range(5))
        turn, skew = np.deg2rad(self.rotation) * turn, np.tan(np.deg2rad(self.shear) * skew)
        size = np.exp(-self.scale * scale) / rng.uniform(1, self.zoom)
        ones, zeros = np.ones(frames), np.zeros(frames)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shear = np.array([[ones, skew], [zeros, ones]])
        matrix = size[:, None, None] * np.einsum("ijt,jkt->tik", rotation, shear)
        matrix *= np.array([[1, 1 / aspect], [aspect, 1]])  # turn in a plane where pixels are square
        shift = 2 * self.shift * np.stack([shift_x, shift_y], 1)
        theta = torch.from_numpy(np.concatenate([matrix, shift[:, :, None]], 2)).float()
        return F.affine_grid(theta, [frames, 1, side, side], align_corners=False)

    @staticmethod
    def _growth(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A movement from 0 to a random end in -1..1: smooth, never back, at a speed that changes."""
        bend = rng.uniform(-0.8, 0.8)
        return rng.uniform(-1, 1) * (u + bend * np.sin(2 * math.pi * u) / (2 * math.pi))


def warp_image(image: Tensor, grid: Tensor) -> Tensor:
    """An image (3, H, W) uint8 seen through a grid (S, S, 2): (3, S, S) uint8, mirrored beyond its border."""
    found = F.grid_sample(image[None].float(), grid[None], padding_mode="reflection", align_corners=False)
    return found[0].round().clamp(0, 255).to(torch.uint8)


def warp_masks(masks: Tensor, grid: Tensor) -> Tensor:
    """Masks (N, H, W) float 0..1 seen through a grid (S, S, 2): (N, S, S) bool.

    An object that touches the border goes on in the mirrored image; the mirrored copy of another one is not part of it.
    """
    touching = ((masks[:, 0] + masks[:, -1]).sum(1) + (masks[:, :, 0] + masks[:, :, -1]).sum(1)) > 0
    found = torch.zeros(len(masks), *grid.shape[:2], dtype=torch.bool)
    for own, padding in ((touching, "reflection"), (~touching, "zeros")):
        if own.any():
            values = F.grid_sample(masks[own][None], grid[None], padding_mode=padding, align_corners=False)[0]
            found[own] = values >= 0.5
    return found
