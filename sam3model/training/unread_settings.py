"""Which settings a run does not read: what they ask for would be left out without a word."""

from collections.abc import Iterator
from dataclasses import fields

from sam3model.training.clip_set_settings import ClipSetConfig
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.joint_settings import JointTrainConfig
from sam3model.training.run_settings import ValidationConfig
from sam3model.training.settings import DataConfig, TrainConfig

_FOLDER = {"root", "split", "val_split", "held_out", "broken"}
_STILLS = _FOLDER | {"annotations", "images", "val_annotations", "val_images", "max_clips", "motion"}
_CLIPS = _FOLDER | {"max_clips", "stride", "reverse", "between", "transforms"}
_OF_CLIPS: dict[str, set[str]] = {
    "playground": {"stride", "reverse"},
    "playground_stills": set(),
    "playground_scenes": {"motion"},
    "coco": _STILLS,
    "saco": _STILLS,
    "sav": _CLIPS | {"automatic"},
}
"""What each source of clips reads; the other sources read `_CLIPS`."""

_OF_SCENES = {"workers", "prefetch", "negatives", "exemplars"}
"""What Playground reads of the settings of images; the other sources read all."""


def unread_settings(config: TrainConfig | ClipTrainConfig | JointTrainConfig) -> Iterator[tuple[str, str]]:
    """Settings that differ from their defaults and are not read, each with a message that says so."""
    if isinstance(config, JointTrainConfig):
        yield from _unread(config.images.data, "images.data")
        yield from _unread(config.clips.data, "clips.data")
        for name, part in (("images", config.images), ("clips", config.clips)):
            if part.validation.every_minutes != ValidationConfig().every_minutes:
                key = f"{name}.validation.every_minutes"
                yield key, f"{key} has no effect: set validation.every_minutes, for images and clips together"
    else:
        yield from _unread(config.data, "data")


def _unread(data: DataConfig | ClipSetConfig, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, ClipSetConfig):
        default, read = ClipSetConfig(), _OF_CLIPS.get(data.source, _CLIPS)
    else:
        default, read = DataConfig(), _OF_SCENES
        if data.source != "playground":
            return
    for name in (item.name for item in fields(default)):
        if name not in {"source", *read} and getattr(data, name) != getattr(default, name):
            reason = f"has no effect with {prefix}.source={data.source}: leave it out, or choose another source"
            yield f"{prefix}.{name}", f"{prefix}.{name} {reason}"
