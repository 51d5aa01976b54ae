"""Writing weights in each of the three layouts."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sam3model.build import config_to_dict
from sam3model.checkpoint.files import write_pickle, write_safetensors
from sam3model.checkpoint.layouts import Layout, entries_of, transformers_config
from sam3model.checkpoint.load import class_row_name
from sam3model.checkpoint.tables import Entry
from sam3model.config import ViTConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.files import write_json
from sam3model.ops.rope import axial_angles


def save_native(
    model: Sam3ImageModel,
    path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write our own layout: a safetensors file with the configuration (and any further text) in its header.

    Args:
        model: the model to write.
        path: a `.safetensors` file.
        metadata: further header fields, such as a training record.
        dtype: floating-point type to store; None keeps the model's.

    Raises:
        OutputError: the file cannot be written.
    """
    state = {name: _cast(tensor, dtype) for name, tensor in model.state_dict().items()}
    header = {"format": "sam3model", "config": json.dumps(config_to_dict(model.config)), **(metadata or {})}
    write_safetensors(path, state, header)


def save_official(model: Sam3ImageModel, path: Path) -> None:
    """Write the layout of the official `sam3.pt`, rotary tables included (without the tracker).

    The tensors lie under `model`, where the official loader looks; our configuration beside them, as text, so that
    `load` knows sizes other than the released ones.

    Raises:
        OutputError: the file cannot be written.
    """
    state = _exported(model, Layout.OFFICIAL)
    vit = model.config.vit
    for block in range(vit.depth):
        name = f"detector.backbone.vision_backbone.trunk.blocks.{block}.attn.freqs_cis"
        state[name] = _rotary_table(vit, block)
    write_pickle(path, {"model": state, "config": json.dumps(config_to_dict(model.config))})


def save_transformers(model: Sam3ImageModel, folder: Path) -> None:
    """Write a folder that transformers' `Sam3Model.from_pretrained` opens: `model.safetensors` and `config.json`.

    Transformers knows fewer sizes than we do (none for the hidden layer of the scoring, which it makes as wide as the
    decoder's, nor for layer scale and mask prompts). Our own configuration travels in the header, so that `load` gives
    back any model.

    Raises:
        OutputError: a file cannot be written.
    """
    header = {"format": "pt", "config": json.dumps(config_to_dict(model.config))}
    write_safetensors(folder / "model.safetensors", _exported(model, Layout.TRANSFORMERS), header)
    write_json(folder / "config.json", transformers_config(model.config), indent=2)


def _exported(model: Sam3ImageModel, layout: Layout) -> dict[str, Tensor]:
    native = model.state_dict()
    prefix = "detector." if layout is Layout.OFFICIAL else ""
    return {
        name: tensor
        for entry in entries_of(layout, prefix, native)
        for name, tensor in _written(entry, native[entry.native]).items()
    }


def _written(entry: Entry, tensor: Tensor) -> dict[str, Tensor]:
    if entry.transform == "split3":
        return {name: part.clone() for name, part in zip(entry.foreign, tensor.chunk(3), strict=True)}
    (name,) = entry.foreign
    if entry.transform == "transpose":
        return {name: tensor.t().contiguous()}
    if entry.transform == "drop_first_row":
        return {name: tensor[:, 1:].contiguous(), class_row_name(entry): tensor[:, :1].contiguous()}
    return {name: tensor}


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _rotary_table(vit: ViTConfig, block: int) -> Tensor:
    """Complex (tokens, head_dim / 2) table of a block, as the official checkpoint stores it."""
    windowed = block not in vit.global_blocks
    side, scale = (vit.window, 1.0) if windowed else (vit.grid, vit.window / vit.grid)
    angles = axial_angles(side, side, vit.width // vit.heads, scale=(scale, scale), theta=vit.rope_theta)
    return torch.polar(torch.ones_like(angles), angles)
