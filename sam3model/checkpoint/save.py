"""Write weights in each of the three layouts."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sam3model.build import Sam3Model
from sam3model.checkpoint.header import header
from sam3model.checkpoint.layouts import DETECTOR, TRANSFORMERS_DETECTOR, Layout, entries_of
from sam3model.checkpoint.name_tables import Entry, class_row_name, row_of
from sam3model.checkpoint.tensor_files import write_pickle, write_safetensors
from sam3model.checkpoint.transformers_config import transformers_config
from sam3model.config import ViTConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.files import write_json
from sam3model.ops.rope import axial_angles


def save_native(
    model: Sam3Model | Sam3ImageModel,
    path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write our own layout: a safetensors file with the configuration (and any further text) in its header.

    The same model gives the same bytes every time.

    Args:
        model: a whole model, or a detector alone.
        path: a `.safetensors` file.
        metadata: further header fields, such as a training record.
        dtype: floating-point type of the stored parameters; None keeps the model's.

    Raises:
        OutputError: the file cannot be written.
    """
    model = _whole(model)
    exact = {name for name, _ in model.named_buffers()}
    state = {name: t if name in exact else _cast(t, dtype) for name, t in model.state_dict().items()}
    write_safetensors(path, state, {"format": "sam3model", **header(model.config), **(metadata or {})})


def save_official(model: Sam3Model | Sam3ImageModel, path: Path) -> None:
    """Write all parts in the layout of the official `sam3.pt`, rotary tables included.

    The tensors are under `model`, where the official loader looks for them. Our header fields are beside them, so that
    `load` can rebuild a model of any size.

    Raises:
        OutputError: the file cannot be written.
    """
    model = _whole(model)
    state = _exported(model, Layout.OFFICIAL, DETECTOR)
    vit = model.config.detector.vit
    for block in range(vit.depth):
        name = f"detector.backbone.vision_backbone.trunk.blocks.{block}.attn.freqs_cis"
        state[name] = _rotary_table(vit, block)
    write_pickle(path, {"model": state, **header(model.config)})


def save_transformers(model: Sam3Model | Sam3ImageModel, folder: Path) -> None:
    """Write a folder that transformers opens: `model.safetensors` and `config.json`.

    A detector alone becomes a `Sam3Model`, all parts a `Sam3VideoModel`. Our own configuration is in the header:
    theirs has no place for some of it (NMS, mask prompts, memory selection).

    Raises:
        ConfigError: transformers cannot compute what this model does; the message names the field.
        OutputError: a file cannot be written.
    """
    model = _whole(model)
    config = transformers_config(model.config)
    prefix = "" if model.tracker is None else TRANSFORMERS_DETECTOR
    state = _exported(model, Layout.TRANSFORMERS, prefix)
    write_safetensors(folder / "model.safetensors", state, {"format": "pt", **header(model.config)})
    write_json(folder / "config.json", config, indent=2)


def _whole(model: Sam3Model | Sam3ImageModel) -> Sam3Model:
    return Sam3Model(model) if isinstance(model, Sam3ImageModel) else model


def _exported(model: Sam3Model, layout: Layout, prefix: str) -> dict[str, Tensor]:
    native = model.state_dict()
    state: dict[str, Tensor] = {}
    rows: dict[str, dict[int, Tensor]] = {}
    for entry in entries_of(layout, prefix, native):
        if entry.transform == "row":
            rows.setdefault(entry.foreign[0], {})[row_of(entry.native)] = native[entry.native]
        else:
            state |= _written(entry, native[entry.native])
    return state | {name: torch.cat([table[row] for row in sorted(table)]) for name, table in rows.items()}


def _written(entry: Entry, tensor: Tensor) -> dict[str, Tensor]:
    if entry.transform == "split3":
        return {name: part.clone() for name, part in zip(entry.foreign, tensor.chunk(3), strict=True)}
    if entry.transform == "repeated":
        return {name: tensor.clone() for name in entry.foreign}
    (name,) = entry.foreign
    if entry.transform == "transpose":
        return {name: tensor.t().contiguous()}
    if entry.transform == "drop_first_row":
        row = class_row_name(entry.native.removeprefix(DETECTOR))
        return {name: tensor[:, 1:].contiguous(), row: tensor[:, :1].contiguous()}
    return {name: tensor}


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _rotary_table(vit: ViTConfig, block: int) -> Tensor:
    """Complex (tokens, head_dim / 2) table of a block, as the official checkpoint stores it."""
    windowed = block not in vit.global_blocks
    side, scale = (vit.window, 1.0) if windowed else (vit.grid, vit.window / vit.grid)
    angles = axial_angles(side, side, vit.width // vit.heads, scale=(scale, scale), theta=vit.rope_theta)
    return torch.polar(torch.ones_like(angles), angles)
