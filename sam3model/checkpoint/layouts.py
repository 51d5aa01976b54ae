"""Recognise the layout of a weights file, its configuration, and the tensors that are not used."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

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
from sam3model.checkpoint.plausible import check_plausible
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.checkpoint.tracker_tables import (
    OFFICIAL_31,
    OFFICIAL_INTERACTIVE,
    OFFICIAL_TRACKER,
    TRANSFORMERS_INTERACTIVE,
    official_tracker_entries,
    transformers_tracker_entries,
)
from sam3model.checkpoint.transformers_config import read_config_beside, read_transformers_config
from sam3model.config import IMAGE_PARTS, PARTS, DetectorConfig, Sam3Config, require_parts, sam3, sam3_1
from sam3model.errors import CheckpointError, ConfigError, InputError
from sam3model.files import read_regular

MAX_CONFIG_BYTES = 1 << 24
"""Maximum size of a `config.json`."""


class Layout(StrEnum):
    """The three ways to store weights."""

    NATIVE = "native"
    OFFICIAL = "official"
    TRANSFORMERS = "transformers"


DETECTOR = "detector."
NATIVE_ANCHOR = "vision.trunk.pos_embed"
OFFICIAL_ANCHOR = "backbone.vision_backbone.trunk.pos_embed"
TRANSFORMERS_ANCHOR = "vision_encoder.backbone.embeddings.position_embeddings"
TRANSFORMERS_DECODER = "detr_decoder."
TRANSFORMERS_NECK_HEADS = {"interactive": "tracker_neck."}
"""These names never have a prefix: transformers' video model has the tracker's neck outside the detector."""
TRANSFORMERS_DETECTOR, TRANSFORMERS_TRACKER = "detector_model.", "tracker_model."
TRANSFORMERS_KEPT = tuple(TRANSFORMERS_TRACKER + name for name in TRANSFORMERS_INTERACTIVE)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What is known about a file before its tensors are read.

    prefix: prefix of the detector's tensors in the file. config: configuration of the model to build.
    unused, kept: a tensor that begins with one of `unused` and with none of `kept` belongs to a part or a neck head
    that is not built. old_names: whether the neck has the names of format version 0.
    """

    layout: Layout
    prefix: str
    config: Sam3Config
    unused: tuple[str, ...]
    kept: tuple[str, ...] = ()
    old_names: bool = False

    def is_unused(self, name: str) -> bool:
        """Whether a tensor that the model does not need belongs to something known that is not built."""
        return name.startswith(self.unused) and not name.startswith(self.kept)


def recognise(
    file: TensorFile,
    config: Sam3Config | None = None,
    parts: Collection[str] | None = IMAGE_PARTS,
    name: str = "",
) -> Recognised:
    """Find out which layout `file` has; `config` replaces the configuration that it states.

    parts: as for `load`. name: the name of the weights in messages; their path if empty.

    Raises:
        CheckpointError: unknown tensor names, an invalid configuration, a format version that is too new, or a part
            that the file lacks.
        ConfigError: an unknown part, or one without another that it needs.
    """
    version_of(file)
    require_parts(PARTS if parts is None else parts)
    found = _recognise(file, config, parts, name)
    check_plausible(found.config, len(file), file.location)
    return found


def _recognise(file: TensorFile, config: Sam3Config | None, parts: Collection[str] | None, name: str) -> Recognised:
    names = set(file)
    for prefix in (DETECTOR, ""):
        if prefix + NATIVE_ANCHOR in names:
            return _native(file, prefix, config, parts, name)
    for prefix in ("", TRANSFORMERS_DETECTOR):
        if prefix + TRANSFORMERS_ANCHOR in names and any(n.startswith(prefix + TRANSFORMERS_DECODER) for n in names):
            return _transformers(file, prefix, config, parts, name)
    for prefix in (DETECTOR, ""):
        if prefix + OFFICIAL_ANCHOR in names:
            return _official(file, prefix, config, parts, name)
    if any(key.startswith((*OFFICIAL_INTERACTIVE, *TRANSFORMERS_KEPT)) for key in names):
        raise CheckpointError(
            f"{name or file.location} has interactive heads but no detector: "
            "also give weights with the same image encoder that have one, as `detector=`"
        )
    raise CheckpointError(f"{file.location} is not a SAM 3 image model: none of its {len(names)} tensor names is known")


def _native(
    file: TensorFile, prefix: str, config: Sam3Config | None, parts: Collection[str] | None, name: str
) -> Recognised:
    if config is None:
        config, others = stated_config(file, parts)
    else:
        others = () if parts is None else tuple(part for part in PARTS if part not in parts)
    config = wanted_parts(file, config, parts, name)
    old_names = any(name.startswith(f"{prefix}vision.neck.{OFFICIAL_HEADS['detection']}.") for name in file)
    heads = OFFICIAL_HEADS if old_names else {head: head for head in OFFICIAL_HEADS_31}
    paths = {head: f"{prefix}vision.neck.{name}." for head, name in heads.items()}
    unused = (*(f"{part}." for part in others), *_left_out(config, paths))
    return Recognised(Layout.NATIVE, prefix, config, unused, old_names=old_names)


def _official(
    file: TensorFile, prefix: str, config: Sam3Config | None, parts: Collection[str] | None, name: str
) -> Recognised:
    names = set(file)
    is_31 = any(name.startswith(f"{prefix}{OFFICIAL_NECK}propagation_convs.") for name in names)
    paths = {
        head: f"{prefix}{OFFICIAL_NECK}{name}."
        for head, name in (OFFICIAL_HEADS_31 if is_31 else OFFICIAL_HEADS).items()
    }
    if config is None:
        config = stated_config(file, parts)[0] if "config" in file.metadata else sam3_1() if is_31 else sam3()
        found = parts_in(names, OFFICIAL_TRACKER, (*OFFICIAL_INTERACTIVE, OFFICIAL_31))
        config = _with_heads(keep_parts(config, found), _heads_in(names, paths))
        if any(name.startswith(OFFICIAL_31) for name in names):
            refuse_31(file, parts, name)
    config = wanted_parts(file, config, parts, name)
    unused = (OFFICIAL_TRACKER,) if config.tracker is None else ()
    kept = () if config.interactive is None else OFFICIAL_INTERACTIVE
    return Recognised(Layout.OFFICIAL, prefix, config, (*unused, *_left_out(config, paths)), kept)


def _transformers(
    file: TensorFile, prefix: str, config: Sam3Config | None, parts: Collection[str] | None, name: str
) -> Recognised:
    names = set(file)
    if config is None:
        found = parts_in(names, TRANSFORMERS_TRACKER, TRANSFORMERS_KEPT)
        config = keep_parts(_transformers_config(file, parts), found)
        config = _with_heads(config, _heads_in(names, TRANSFORMERS_NECK_HEADS))
    config = wanted_parts(file, config, parts, name)
    unused = (TRANSFORMERS_TRACKER,) if config.tracker is None else ()
    kept = () if config.interactive is None else TRANSFORMERS_KEPT
    unused = (*unused, *_left_out(config, TRANSFORMERS_NECK_HEADS))
    return Recognised(Layout.TRANSFORMERS, prefix, config, unused, kept)


def wanted_parts(file: TensorFile, config: Sam3Config, parts: Collection[str] | None, name: str) -> Sam3Config:
    """The configuration with the wanted parts alone. Raises `CheckpointError` if the weights lack one."""
    if parts is not None and (lacking := config.lacking(parts)):
        why = ", which video needs" if "video" in parts else ""
        those = "them" if lacking.endswith("s") else "one"
        say = f"{name or file.location} has no {lacking}{why}"
        raise CheckpointError(f"{say}: use weights that have {those}, such as the official sam3.pt")
    return config.only(parts)


def refuse_31(file: TensorFile, parts: Collection[str] | None, name: str) -> None:
    """Raise `CheckpointError` if more than images is wanted from weights of SAM 3.1."""
    if parts is not None and set(parts) - set(IMAGE_PARTS):
        raise CheckpointError(
            f"{name or file.location} has the tracker of SAM 3.1, which is not supported: "
            "use the weights of SAM 3 for clicks and video"
        )


def parts_in(names: Iterable[str], prefix: str, others: tuple[str, ...]) -> list[str]:
    """The parts whose tensors are under `prefix`; those of the tracker begin with none of `others`."""
    ours = [name for name in names if name.startswith(prefix) and not name.startswith(OFFICIAL_31)]
    if not ours:
        return list(IMAGE_PARTS)
    return list(PARTS if any(not name.startswith(others) for name in ours) else PARTS[:2])


def keep_parts(config: Sam3Config, parts: Collection[str]) -> Sam3Config:
    """The configuration without other parts than these; it may lack some of them."""
    return config.only([part for part in config.parts if part in parts])


def entries_of(layout: Layout, prefix: str, native: Iterable[str], old_names: bool = False) -> list[Entry]:
    """Where every native tensor is in a file of this layout; see `Recognised` for `prefix` and `old_names`."""
    native = list(native)
    local = [name.removeprefix(DETECTOR) for name in native if name.startswith(DETECTOR)]
    others = [name for name in native if not name.startswith(DETECTOR)]
    if layout is Layout.NATIVE:
        entries = version_0_entries(local) if old_names else [Entry(name, (name,)) for name in local]
        rest = [Entry(name, (name,)) for name in others]
    elif layout is Layout.OFFICIAL:
        entries, rest = official_entries(local), official_tracker_entries(others)
    else:
        entries = transformers_entries(local)
        rest = [_placed(one, one.native, TRANSFORMERS_TRACKER) for one in transformers_tracker_entries(others)]
    return [*(_placed(one, DETECTOR + one.native, prefix) for one in entries), *rest]


def _placed(entry: Entry, native: str, prefix: str) -> Entry:
    """The entry with its full native name, and with `prefix` before the foreign names that can have one."""
    beside = tuple(TRANSFORMERS_NECK_HEADS.values())
    foreign = tuple(name if name.startswith(beside) else prefix + name for name in entry.foreign)
    return Entry(native, foreign, entry.transform)


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
    if not present["interactive"]:
        config = config.only(IMAGE_PARTS)
    return replace(config, detector=replace(config.detector, neck=replace(neck, **heads)))


def _left_out(config: Sam3Config, paths: dict[str, str]) -> tuple[str, ...]:
    return tuple(path for head, path in paths.items() if head not in config.detector.neck.heads)


def _transformers_config(file: TensorFile, parts: Collection[str] | None) -> Sam3Config:
    """The configuration in our own header if there is one, else in `config.json`, else the released one."""
    if "config" in file.metadata:
        return stated_config(file, parts)[0]
    path = _config_path(file)
    if not path.is_file():
        return sam3()
    with _named(path):
        return read_transformers_config(
            read_regular(path, MAX_CONFIG_BYTES).decode(), PARTS if parts is None else parts
        )


def config_beside(file: TensorFile, detector: DetectorConfig, parts: Collection[str]) -> Sam3Config:
    """The configuration in the `config.json` of transformers' tracker models, on this detector; or the released one.

    Raises:
        CheckpointError: it is not such a configuration, has an unsupported value, or differs from the detector.
    """
    path = _config_path(file)
    if not path.is_file():
        return sam3()
    with _named(path):
        return read_config_beside(read_regular(path, MAX_CONFIG_BYTES).decode(), detector, parts)


def _config_path(file: TensorFile) -> Path:
    return (file.location if file.location.is_dir() else file.location.parent) / "config.json"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what reading a configuration raises into a `CheckpointError` with its path."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else f"{error!r:.200}"
        raise CheckpointError(
            f"{path} is not a SAM 3 configuration ({reason}): take it from the model's folder"
        ) from error
    except InputError as error:
        raise CheckpointError(str(error)) from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
