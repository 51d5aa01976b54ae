"""Weights in the precision that a user names, and `int8`: wide linear layers in int8, all else in bfloat16.

int8 is for inference on a processor. See docs/precision.md for what it costs.
"""

import logging
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor, nn

from sam3model.build import Sam3Model
from sam3model.checkpoint import LoadReport, load_with_report
from sam3model.checkpoint.reading import Keep
from sam3model.config import IMAGE_PARTS
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import INT8, resolve_dtype
from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.int8_layers import Int8Attention, Int8Linear
from sam3model.layers.mlp import MLP
from sam3model.ops.int8_product import has_int8_product, to_int8

WIDE = 64
"""Layers with fewer inputs or outputs stay as they are."""

PARTS = ("vision.trunk", "text", "fusion", "decoder")
"""The parts of the detector whose linear layers become int8. The small MLPs of the decoder's heads do not: boxes need
more digits."""

_LOGGER = logging.getLogger(__name__)


def load_in_precision(
    name_or_path: str | Path,
    *,
    device: torch.device,
    dtype: str = "auto",
    parts: Collection[str] | None = IMAGE_PARTS,
) -> tuple[Sam3Model, LoadReport]:
    """Load weights as `load_with_report` does, in a precision by its name: one of `devices.DTYPES`, `auto` or `int8`.

    Raises:
        InputError: an unknown precision, or one that the device cannot compute in.
        CheckpointError: see `load_with_report`.
        ConfigError: see `load_with_report`.
    """
    kind = resolve_dtype(dtype, device)
    if dtype != INT8:
        return load_with_report(name_or_path, device=device, dtype=kind, parts=parts)
    return load_with_report(name_or_path, device=device, dtype=kind, parts=parts, change=_to_int8)


def quantise(model: Sam3ImageModel) -> Sam3ImageModel:
    """Make the wide linear layers of a detector int8, in place and one by one.

    It can then no longer be trained or saved. A processor without int8 instructions is mentioned in the log.
    """
    if not has_int8_product():
        _LOGGER.warning("this processor has no int8 instructions (VNNI, AMX): int8 saves memory here, no time")
    for name in PARTS:
        _quantise_within(model.get_submodule(name))
    return model


def _to_int8(model: Sam3Model) -> Keep:
    """Make the layers of an empty model int8; weights that are read for them are rounded at once."""
    quantise(model.detector)
    layers = {name for name, module in model.named_modules() if isinstance(module, Int8Linear)}

    def keep(name: str, tensor: Tensor) -> dict[str, Tensor]:
        layer, _, kind = name.replace("in_proj_", "in_proj.").rpartition(".")
        if layer not in layers:
            return {name: tensor}
        if kind == "bias":
            return {f"{layer}.bias": tensor.float()}
        rows = to_int8(tensor)
        return {f"{layer}.values": rows.values, f"{layer}.scale": rows.scale}

    return keep


def _quantise_within(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, MultiheadAttention):
            if child.dim >= WIDE:
                setattr(module, name, Int8Attention(child))
        elif isinstance(child, nn.Linear):
            if min(child.in_features, child.out_features) >= WIDE:
                setattr(module, name, Int8Linear(child.weight, child.bias))
        elif not isinstance(child, MLP):
            _quantise_within(child)
