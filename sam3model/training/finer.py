"""Start a model with small patches from one with patches twice as large, which costs a quarter to train."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sam3model.config import DetectorConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import CheckpointError

KERNEL = "vision.trunk.patch_embed.proj.weight"
POSITIONS = "vision.trunk.pos_embed"
NECK = "vision.neck.detection."
OTHER_NECKS = ("vision.neck.interactive.", "vision.neck.propagation.")


def halve_patches(coarse: Sam3ImageModel, detector: DetectorConfig) -> Sam3ImageModel:
    """A model of `detector` that sees an image as `coarse` sees it at twice the size.

    The patch kernel is summed over squares of 2 x 2 pixels, and the position table is tiled to its new size. A level of
    the pyramid takes the weights of the level with the same scale factor; one with a factor below 1 takes those of
    scale 1. Other weights of the neck stay random.

    Raises:
        CheckpointError: weights other than those of the patches and the neck differ in shape.
    """
    model = Sam3ImageModel(detector)
    old, new = coarse.state_dict(), model.state_dict()
    sources = dict(_level_sources(coarse.config, detector))
    for name, value in new.items():
        if name == KERNEL:
            new[name] = old[name].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).sum((-1, -3))
        elif name == POSITIONS:
            new[name] = _tiled(old[name], detector.vit.pretrain_image_size // detector.vit.patch_size)
        elif name.startswith(NECK):
            level, rest = name.removeprefix(NECK).split(".", 1)
            found = old.get(f"{NECK}{sources.get(int(level))}.{rest}")
            new[name] = value if found is None or found.shape != value.shape else found
        elif name.startswith(OTHER_NECKS):
            continue
        elif name in old and old[name].shape == value.shape:
            new[name] = old[name]
        else:
            raise CheckpointError(f"model.weights: {name} does not have the shape {tuple(value.shape)}")
    model.load_state_dict(new)
    return model


def _level_sources(coarse: DetectorConfig, fine: DetectorConfig) -> Iterator[tuple[int, int]]:
    """Pairs of a level of the new pyramid and the old level whose weights it takes."""
    known = {scale: level for level, scale in enumerate(coarse.neck.scale_factors)}
    for level, scale in enumerate(fine.neck.scale_factors):
        if (source := known.get(max(scale, 1.0))) is not None:
            yield level, source


def _tiled(table: Tensor, side: int) -> Tensor:
    """Position table (1, 1 + g*g, C) -> (1, 1 + side*side, C): the trunk tiles the table in the same way."""
    cls, squares = table.split((1, table.shape[1] - 1), dim=1)
    grid = round(squares.shape[1] ** 0.5)
    times = -(-side // grid)
    squares = squares.unflatten(1, (grid, grid)).repeat(1, times, times, 1)[:, :side, :side]
    return torch.cat((cls, squares.flatten(1, 2)), dim=1)
