"""Recognise the layout of a weights file, its configuration, and the tensors that are not used."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from sam3model.checkpoint.header import stated_config, version_of
from sam3model.checkpoint.name_tables import (
    OFFICIAL_HEADS,
    OFFICIAL_HEADS_31,
    OFFICIAL_NECK,
    Entry,
    official_entries,
    transformers_entries,
    version_0_entries,
)
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.checkpoint.transformers_config import read_transformers_config
from sam3model.config import PARTS, Sam3Config, require_parts, sam3, sam3_1
from sam3model.errors import CheckpointError, ConfigError


class Layout(StrEnum):
    """The three ways to store weights."""

    NATIVE = "native"
    OFFICIAL = "official"
    TRANSFORMERS = "transformers"


DETECTOR = "detector."
NATIVE_ANCHOR = "vision.trunk.pos_embed"
OFFICIAL_ANCHOR = "backbone.vision_backbone.trunk.pos_embed"
TRANSFORMERS_ANCHOR = "vision_encoder.backbone.embeddings.position_embeddings"
TRANSFORMERS_NECK_HEADS = {"interactive": "tracker_neck."}
"""These names never have a prefix: transformers' video model has the tracker's neck outside the detector."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What is known about a file before its tensors are read.

    prefix: prefix of the detector's tensors in the file. config: configuration of the model to build.
    unused: prefixes of tensors of parts and neck heads that are not built.
    old_names: whether the neck has the names of format version 0.
    """

    layout: Layout
    prefix: str
    config: Sam3Config
    unused: tuple[str, ...]
    old_names: bool = False


def recognise(file: TensorFile, config: Sam3Config | None = None, parts: Collection[str] | None = None) -> Recognised:
    """Find out which layout `file` has; `config` replaces the configuration that it states.

    parts: as for `load`.

    Raises:
        CheckpointError: unknown tensor names, an invalid configuration, or a format version that is too new.
        ConfigError: a part that cannot be built.
    """
    version_of(file)
    require_parts(PARTS if parts is None else parts)
    names = set(file)
    for prefix in (DETECTOR, ""):
        if prefix + NATIVE_ANCHOR in names:
            return _native(file, prefix, config, parts)
    for prefix in ("", "detector_model."):
        if prefix + TRANSFORMERS_ANCHOR in names:
            heads = _heads_in(names, TRANSFORMERS_NECK_HEADS)
            found = config or _with_heads(_transformers_config(file), heads)
            unused = ("tracker_model.", *_left_out(found, TRANSFORMERS_NECK_HEADS))
            return Recognised(Layout.TRANSFORMERS, prefix, found, unused)
    for prefix in (DETECTOR, ""):
        if prefix + OFFICIAL_ANCHOR in names:
            return _official(file, prefix, config)
    raise CheckpointError(f"{file.location} is not a SAM 3 image model: none of its {len(names)} tensor names is known")


def _native(file: TensorFile, prefix: str, config: Sam3Config | None, parts: Collection[str] | None) -> Recognised:
    unused: tuple[str, ...] = ()
    if config is None:
        config, others = stated_config(file, parts)
        unused = tuple(f"{part}." for part in others)
    old_names = any(name.startswith(f"{prefix}vision.neck.{OFFICIAL_HEADS['detection']}.") for name in file)
    heads = OFFICIAL_HEADS if old_names else {head: head for head in OFFICIAL_HEADS_31}
    paths = {head: f"{prefix}vision.neck.{name}." for head, name in heads.items()}
    return Recognised(Layout.NATIVE, prefix, config, (*unused, *_left_out(config, paths)), old_names)


def _official(file: TensorFile, prefix: str, config: Sam3Config | None) -> Recognised:
    names = set(file)
    is_31 = any(name.startswith(f"{prefix}{OFFICIAL_NECK}propagation_convs.") for name in names)
    paths = {
        head: f"{prefix}{OFFICIAL_NECK}{name}."
        for head, name in (OFFICIAL_HEADS_31 if is_31 else OFFICIAL_HEADS).items()
    }
    if config is None:
        released = sam3_1() if is_31 else sam3()
        stated = stated_config(file, PARTS)[0] if "config" in file.metadata else released
        config = _with_heads(stated, _heads_in(names, paths))
    return Recognised(Layout.OFFICIAL, prefix, config, ("tracker.", *_left_out(config, paths)))


def entries_of(layout: Layout, prefix: str, native: Iterable[str], old_names: bool = False) -> list[Entry]:
    """Where every native tensor is in a file of this layout; see `Recognised` for `prefix` and `old_names`."""
    local = [name.removeprefix(DETECTOR) for name in native]
    if layout is Layout.NATIVE:
        entries = version_0_entries(local) if old_names else [Entry(name, (name,)) for name in local]
    elif layout is Layout.OFFICIAL:
        entries = official_entries(local)
    else:
        entries = transformers_entries(local)
    beside = tuple(TRANSFORMERS_NECK_HEADS.values())

    def placed(name: str) -> str:
        return name if name.startswith(beside) else prefix + name

    return [Entry(DETECTOR + one.native, tuple(map(placed, one.foreign)), one.transform) for one in entries]


def is_recomputed(name: str) -> bool:
    """Whether a tensor is a table that every model computes: rotary tables and transformers' position ids."""
    return name.endswith(
        ("attn.freqs_cis", "rotary_emb.rope_embeddings_cos", "rotary_emb.rope_embeddings_sin", "position_ids")
    )


def _heads_in(names: Iterable[str], paths: dict[str, str]) -> dict[str, bool]:
    names = list(names)
    return {head: any(name.startswith(path) for name in names) for head, path in paths.items()}


def _with_heads(config: Sam3Config, present: dict[str, bool]) -> Sam3Config:
    """The configuration with exactly the neck heads that a file has."""
    neck = config.detector.neck
    heads = {head: getattr(neck, head) or neck.detection if found else None for head, found in present.items()}
    return replace(config, detector=replace(config.detector, neck=replace(neck, **heads)))


def _left_out(config: Sam3Config, paths: dict[str, str]) -> tuple[str, ...]:
    return tuple(path for head, path in paths.items() if head not in config.detector.neck.heads)


def _transformers_config(file: TensorFile) -> Sam3Config:
    """The configuration in our own header if there is one, else in `config.json`, else the released one."""
    if "config" in file.metadata:
        return stated_config(file, PARTS)[0]
    folder = file.location if file.location.is_dir() else file.location.parent
    path = folder / "config.json"
    if not path.is_file():
        return sam3()
    try:
        return Sam3Config(read_transformers_config(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not a SAM 3 configuration ({error!r}): take it from the model's folder"
        ) from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
