"""Load a model, or the parts of it that are asked for, with a report on every tensor of the file."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sam3model.build import Sam3Model
from sam3model.checkpoint.beside import NECK, entries_beside, recognise_beside, require_same_trunk
from sam3model.checkpoint.hub import find_weights
from sam3model.checkpoint.layouts import Layout, entries_of, recognise
from sam3model.checkpoint.plausible import build_empty
from sam3model.checkpoint.reading import Keep, account, read_all
from sam3model.checkpoint.tensor_files import TensorFile, open_tensors
from sam3model.checkpoint.tracker_tables import canonical
from sam3model.config import IMAGE_PARTS, Sam3Config

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of every tensor of a weights file.

    parts: the parts that were loaded. loaded: number of native tensors filled. unused: number of tensors of parts and
    neck heads that were not built.
    recomputed: number of tables that every model computes itself.
    absent: native tensors that transformers' layout has no place for, set to zero (`points_*` projections).
    """

    source: str
    layout: Layout
    parts: tuple[str, ...]
    loaded: int
    unused: int
    recomputed: int
    absent: tuple[str, ...]
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        parts = [f"{self.source}: {self.layout.value} layout, {self.loaded} tensors loaded"]
        if self.unused:
            parts.append(f"{self.unused} tensors of other parts left out")
        if self.recomputed:
            parts.append(f"{self.recomputed} tables recomputed")
        if self.absent:
            parts.append(f"{len(self.absent)} tensors missing in this layout set to zero (point prompts are disabled)")
        return "; ".join(parts)


def load(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    config: Sam3Config | None = None,
    parts: Collection[str] | None = IMAGE_PARTS,
    detector: str | Path | None = None,
) -> Sam3Model:
    """Load a model in evaluation mode. See `load_with_report`."""
    return load_with_report(name_or_path, device=device, dtype=dtype, config=config, parts=parts, detector=detector)[0]


def load_with_report(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    config: Sam3Config | None = None,
    parts: Collection[str] | None = IMAGE_PARTS,
    detector: str | Path | None = None,
    change: Callable[[Sam3Model], Keep] | None = None,
) -> tuple[Sam3Model, LoadReport]:
    """Load a model in evaluation mode, with a report on every tensor of the file.

    Args:
        name_or_path: `tiny`, a hub repository such as `facebook/sam3`, an official `sam3.pt`, a folder or file saved by
            transformers, or a file of ours.
        device: where the tensors go, one at a time.
        dtype: floating-point type of the weights; None keeps the file's, or the widest one if it has several.
        config: configuration to use instead of the one in the file (or, for an official file, the released one).
        parts: which parts to load, each with those that it needs: `detector` (images and phrases, the default),
            `interactive` (clicks on one object), `tracker`, `video`. None loads every part that the file has.
        detector: weights whose detector is used, with the other parts of `name_or_path`. Files of transformers'
            `Sam3TrackerModel` and `Sam3TrackerVideoModel`, and official files with `tracker.*` alone, need it:
            `load("clicks", detector="facebook/sam3", parts=None)`. The image encoder must be the same in both.
        change: changes the model while its tensors have no memory yet, and returns what is kept of each tensor that is
            read: so weights are rounded one by one, and never all held as they were. Needs `dtype`, and no `detector`.

    Raises:
        CheckpointError: a missing, unexpected, misshapen or non-finite tensor (it is named), an unreadable file, or a
            part that the file lacks.
        ConfigError: an unknown part, or one without another that it needs.
    """
    file = canonical(open_tensors(find_weights(name_or_path)))
    if detector is not None:
        return _load_beside(file, str(name_or_path), str(detector), device, dtype, config, parts)
    recognised = recognise(file, config, parts, str(name_or_path))
    model = build_empty(recognised.config, file.location)
    wanted = model.state_dict(keep_vars=True)
    entries = entries_of(recognised.layout, recognised.prefix, wanted, recognised.old_names)
    unused, recomputed = account(file, recognised, entries)
    absent = tuple(entry.native for entry in entries if entry.foreign[0] not in file)
    state = read_all(file, entries, wanted, device, dtype, None if change is None else change(model))
    common = state["detector.decoder.query_embed.weight"].dtype
    state |= {name: torch.zeros(wanted[name].shape, dtype=common, device=device) for name in absent}
    model.load_state_dict(state, assign=True)
    loaded, built = len(entries) - len(absent), recognised.config.parts
    report = LoadReport(str(name_or_path), recognised.layout, built, loaded, unused, recomputed, absent, file.metadata)
    _LOGGER.info("%s", report)
    return model.eval(), report


def _load_beside(
    file: TensorFile,
    name: str,
    detector: str,
    device: torch.device | str,
    dtype: torch.dtype | None,
    config: Sam3Config | None,
    parts: Collection[str] | None,
) -> tuple[Sam3Model, LoadReport]:
    """The detector of one file with the other parts of another."""
    base, report = load_with_report(detector, device=device, dtype=dtype)
    recognised = recognise_beside(file, base.config.detector, config, parts, name)
    model = build_empty(recognised.config, file.location)
    entries = entries_beside(file, recognised, list(model.state_dict()))
    unused, recomputed = account(file, recognised, entries)
    state, own = read_all(file, entries, model.state_dict(keep_vars=True), device, None), base.state_dict()
    require_same_trunk(state, own, name, detector)
    exact, common = {key for key, _ in model.named_buffers()}, next(base.parameters()).dtype
    state = {key: tensor if key in exact else tensor.to(common) for key, tensor in state.items()}
    model.load_state_dict({**state, **own, **{key: state[key] for key in state if key.startswith(NECK)}}, assign=True)
    report = replace(
        report,
        source=f"{name} on {detector}",
        layout=recognised.layout,
        parts=recognised.config.parts,
        loaded=report.loaded + len(entries),
        unused=report.unused + unused,
        recomputed=report.recomputed + recomputed,
        metadata=file.metadata,
    )
    _LOGGER.info("%s", report)
    return model.eval(), report


def read_config(name_or_path: str | Path) -> Sam3Config:
    """The configuration of all parts that these weights have; raises `CheckpointError`. No tensor is read."""
    return recognise(canonical(open_tensors(find_weights(name_or_path))), parts=None).config
