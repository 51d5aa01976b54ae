"""Start a model with small patches, or small cells of clicks and tracks, from one with larger ones."""

import math
from collections.abc import Iterator, Mapping, Sequence

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
    known = {scale: level for level, scale in enumerate(coarse.neck.scales("detection"))}
    for level, scale in enumerate(fine.neck.scales("detection")):
        if (source := known.get(max(scale, 1.0))) is not None:
            yield level, source


def _tiled(table: Tensor, side: int) -> Tensor:
    """Position table (1, 1 + g*g, C) -> (1, 1 + side*side, C): the trunk tiles the table in the same way."""
    cls, squares = table.split((1, table.shape[1] - 1), dim=1)
    grid = round(squares.shape[1] ** 0.5)
    times = -(-side // grid)
    squares = squares.unflatten(1, (grid, grid)).repeat(1, times, times, 1)[:, :side, :side]
    return torch.cat((cls, squares.flatten(1, 2)), dim=1)


DECODER = "segmentation.pixel_decoder."
QUIET = 0.1
"""Scale of what a new level adds at first to the map that masks are read from."""


def add_finest_level(coarse: Sam3ImageModel, detector: DetectorConfig) -> Sam3ImageModel:
    """A model whose masks have twice the resolution: its pyramid has one finer level, all else is as in `coarse`.

    The new stage of the pixel decoder starts as an enlargement: its convolution keeps the map, and its norm has the
    mean and variance that the map has if the norm before it is exact.

    Raises:
        CheckpointError: other weights differ in shape.
    """
    model = Sam3ImageModel(detector)
    old, new = coarse.state_dict(), model.state_dict()
    stage = len(coarse.config.neck.used("detection")) - 1
    for name, value in new.items():
        source = name
        if name.startswith(NECK):
            level, rest = name.removeprefix(NECK).split(".", 1)
            source = f"{NECK}{int(level) - 1}.{rest}"
        elif name.startswith(OTHER_NECKS):
            continue
        if name.startswith(f"{NECK}0."):
            new[name] = QUIET * value if ".conv_3x3." in name else value
        elif source in old and old[source].shape == value.shape:
            new[name] = old[source]
        else:
            raise CheckpointError(f"model.weights: there is no {source} of shape {tuple(value.shape)}")
    norm = f"{DECODER}norms.{stage}."
    mean, deviation = _rectified(old, f"{DECODER}norms.{stage - 1}.", detector.segmentation.groups)
    new |= {norm + "weight": deviation, norm + "bias": mean}
    kernel = new[f"{DECODER}conv_layers.{stage}.weight"].zero_()
    kernel[:, :, 1, 1] = torch.eye(len(kernel))
    new[f"{DECODER}conv_layers.{stage}.bias"].zero_()
    model.load_state_dict(new)
    return model


def _rectified(state: Mapping[str, Tensor], norm: str, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) of each group of channels after a group norm and a ReLU, for normal inputs."""
    scale, shift = state[norm + "weight"].abs().clamp(min=1e-6), state[norm + "bias"]
    at = shift / scale
    below, density = torch.special.ndtr(at), torch.exp(-(at**2) / 2) / math.sqrt(2 * math.pi)
    mean = shift * below + scale * density
    square = (shift**2 + scale**2) * below + shift * scale * density
    mean, square = (value.unflatten(0, (groups, -1)).mean(1, keepdim=True) for value in (mean, square))
    spread = (square - mean**2).clamp(min=0).sqrt()
    return tuple(value.expand(-1, len(scale) // groups).flatten() for value in (mean, spread))


CLICKS = "detector.vision.neck.interactive."


def halve_cells(coarse: Mapping[str, Tensor], scales: Sequence[float]) -> dict[str, Tensor]:
    """The interactive neck head for cells of half the side, from one with three levels.

    Every level does at twice the size about what it did before: the coarsest no longer pools, the middle one repeats
    what it saw of a cell, and the finest one has one more step of enlargement.

    Args:
        coarse: tensors of the head by name, without `CLICKS`.
        scales: scale factors of the new levels, finest first.

    Raises:
        CheckpointError: the scales are not 4, 2, 1, or the coarse head is not one of 2, 1, 0.5 of a suitable width.
    """
    if tuple(scales[:3]) != (4.0, 2.0, 1.0) or "0.dconv_2x2.weight" not in coarse or "1.dconv_2x2.weight" in coarse:
        raise CheckpointError("model.weights: cells can be halved from the scale factors 2, 1, 0.5 to 4, 2, 1 alone")
    point = coarse["1.conv_1x1.weight"][:, :, 0, 0]  # (D, C)
    dim, width = point.shape
    if 2 * dim != width:
        raise CheckpointError(f"model.weights: cells cannot be halved if d_model is not half of the width {width}")
    fine = {f"{level}.{part}": coarse[f"{level}.{part}"] for level in range(3) for part in _after(level)}
    fine |= {f"0.dconv_2x2_0.{kind}": coarse[f"0.dconv_2x2.{kind}"] for kind in ("weight", "bias")}
    u, s, v = torch.linalg.svd(coarse["0.conv_1x1.weight"][:, :, 0, 0])
    half = width // 4
    fine["0.dconv_2x2_1.weight"] = _repeated(s[:half, None].sqrt() * v[:half])
    fine["0.dconv_2x2_1.bias"] = torch.zeros(half)
    fine["0.conv_1x1.weight"] = (u[:, :half] * s[:half].sqrt())[:, :, None, None]
    fine["1.dconv_2x2.weight"] = _repeated(point)
    fine["1.dconv_2x2.bias"] = coarse["1.conv_1x1.bias"]
    fine["1.conv_1x1.weight"] = torch.eye(dim)[:, :, None, None]
    fine["1.conv_1x1.bias"] = torch.zeros(dim)
    return fine


def _after(level: int) -> tuple[str, ...]:
    """Parts of a level that are taken over as they are."""
    parts = ("conv_3x3.weight", "conv_3x3.bias")
    return {0: (*parts, "conv_1x1.bias"), 1: parts, 2: (*parts, "conv_1x1.weight", "conv_1x1.bias")}[level]


def _repeated(matrix: Tensor) -> Tensor:
    """A 1x1 convolution (D, C) as an enlargement that repeats its output: (C, D, 2, 2)."""
    return matrix.T[:, :, None, None].repeat(1, 1, 2, 2)
