"""Files with interactive heads and perhaps a tracker, to be put on the detector of other weights."""

from collections.abc import Collection
from dataclasses import replace

from torch import Tensor

from sam3model.checkpoint.header import stated_config
from sam3model.checkpoint.layouts import (
    DETECTOR,
    TRANSFORMERS_DETECTOR,
    TRANSFORMERS_KEPT,
    TRANSFORMERS_TRACKER,
    Layout,
    Recognised,
    config_beside,
    entries_of,
    keep_parts,
    parts_in,
    refuse_31,
    wanted_parts,
)
from sam3model.checkpoint.name_tables import Entry
from sam3model.checkpoint.plausible import check_plausible
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.checkpoint.tracker_tables import OFFICIAL_31, OFFICIAL_INTERACTIVE, OFFICIAL_TRACKER
from sam3model.config import PARTS, DetectorConfig, Sam3Config, VideoConfig, require_parts, sam3
from sam3model.errors import CheckpointError, ConfigError

TRUNK = f"{DETECTOR}vision.trunk."
NECK = f"{DETECTOR}vision.neck.interactive."
POSITIONS = f"{TRUNK}pos_embed"
_OTHERS = {
    Layout.NATIVE: ("tracker.",),
    Layout.OFFICIAL: (*OFFICIAL_INTERACTIVE, OFFICIAL_31),
    Layout.TRANSFORMERS: TRANSFORMERS_KEPT,
}
_TRACKERS = {Layout.OFFICIAL: OFFICIAL_TRACKER, Layout.TRANSFORMERS: TRANSFORMERS_TRACKER}


def recognise_beside(
    file: TensorFile, detector: DetectorConfig, config: Sam3Config | None, parts: Collection[str] | None, name: str
) -> Recognised:
    """The layout of a file and the configuration of its parts together with `detector`; arguments as for `recognise`.

    Raises:
        CheckpointError: the file has no interactive heads or lacks another part, or does not fit the detector.
        ConfigError: an unknown part, or one without another that it needs.
    """
    require_parts(PARTS if parts is None else parts)
    names = set(file)
    layout = _layout(names)
    if any(key.startswith(OFFICIAL_31) for key in names):
        refuse_31(file, PARTS, name)
    if layout is None:
        raise CheckpointError(f"{name} has no interactive heads: leave out `detector=`, or give weights that have them")
    try:
        given = _parts_of(file, layout, detector, parts) if config is None else config
        whole = Sam3Config(_with_neck(file, layout, detector), given.interactive, given.tracker, given.video)
    except ConfigError as error:
        raise CheckpointError(f"{name} does not fit the detector: {error}") from error
    whole = wanted_parts(file, whole, parts, name)
    prefix = TRANSFORMERS_DETECTOR if layout is Layout.TRANSFORMERS else DETECTOR
    tracker = _TRACKERS.get(layout, "tracker.")
    unused = (prefix,) if whole.tracker is not None else (prefix, tracker)
    kept = () if layout is Layout.NATIVE else _OTHERS[layout]
    check_plausible(whole, len(file), file.location)
    return Recognised(layout, prefix, whole, unused, kept)


def entries_beside(file: TensorFile, recognised: Recognised, native: Collection[str]) -> list[Entry]:
    """Entries of all parts but the detector, and of the image encoder and its interactive neck if the file has them."""
    mine = [name for name in native if not name.startswith(DETECTOR) or name.startswith((TRUNK, NECK))]
    entries = entries_of(recognised.layout, recognised.prefix, mine)
    return [entry for entry in entries if not entry.native.startswith(DETECTOR) or entry.foreign[0] in file]


def require_same_trunk(read: dict[str, Tensor], own: dict[str, Tensor], name: str, detector: str) -> None:
    """Raise `CheckpointError` if the image encoder that was read is not that of the detector, up to precision."""
    for key in (key for key in read if key.startswith(TRUNK)):
        one, other = (tensors[key][:, 1:] if key == POSITIONS else tensors[key] for tensors in (read, own))
        if not (one.equal(other.to(one.dtype)) or other.equal(one.to(other.dtype))):
            raise CheckpointError(
                f"{name} and {detector} have different image encoders ({key}): give the detector that it was made with"
            )


def _layout(names: set[str]) -> Layout | None:
    if "interactive.no_mem_embed" in names:
        return Layout.NATIVE
    if any(name.startswith(OFFICIAL_INTERACTIVE) for name in names):
        return Layout.OFFICIAL
    return Layout.TRANSFORMERS if any(name.startswith(TRANSFORMERS_KEPT) for name in names) else None


def _with_neck(file: TensorFile, layout: Layout, detector: DetectorConfig) -> DetectorConfig:
    """The detector with an interactive neck head if it or the file has one."""
    prefix = TRANSFORMERS_DETECTOR if layout is Layout.TRANSFORMERS else DETECTOR
    (entry,) = entries_of(layout, prefix, [f"{NECK}0.conv_1x1.weight"])
    if detector.neck.interactive is not None or entry.foreign[0] not in file:
        return detector
    return replace(detector, neck=replace(detector.neck, interactive=detector.neck.detection))


def _parts_of(file: TensorFile, layout: Layout, detector: DetectorConfig, parts: Collection[str] | None) -> Sam3Config:
    if "config" in file.metadata:
        return stated_config(file, parts)[0]
    if layout is Layout.NATIVE:
        raise CheckpointError(f"{file.location} has no configuration in its header: export it again with sam3agent")
    found = parts_in(file, _TRACKERS[layout], _OTHERS[layout])
    config = sam3() if layout is Layout.OFFICIAL else config_beside(file, detector, found)
    config = replace(config, video=config.video or VideoConfig()) if config.tracker is not None else config
    return keep_parts(config, found)
