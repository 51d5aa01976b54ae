"""`python -m train check` for clips: summarise what a run would train on, and draw a contact sheet of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing

import numpy as np
from tqdm import tqdm

from sam3model.data.clip_annotations import AnnotatedClip, ClipDataset
from sam3model.data.clip_sample import ClipSample
from sam3model.data.clip_source import AnnotatedClips
from sam3model.data.faults import Faults
from sam3model.data.moving_stills import MovingStills
from sam3model.errors import DataError
from sam3model.training.clip_sets import RecordedClips
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.clip_sources import open_clips
from sam3model.training.state import own_folder
from train.clip_contact_sheet import save_clip_sheet

SAMPLES = 32
"""Number of samples that are drawn and counted."""
SHOWN = 8
"""Number of samples on the contact sheet."""
_LISTED = 12
Lines = list[tuple[str, str]]


def check_clips(config: ClipTrainConfig, file: str = "contact_sheet.png") -> str:
    """Read the clips of a run, draw samples as in its last stage, and write a contact sheet to `out/name`.

    Opens every clip of a data set, and reads those of the samples. Returns the summary.

    Raises:
        ConfigError, DataError: as in `ClipTask`.
        OutputError: the contact sheet cannot be written.
    """
    size = config.model.resolve().detector.vit.image_size
    sheet = own_folder(config) / file
    sources = open_clips(config, size)
    opened = sources.opened
    lines, faults = list[tuple[str, str]](), list[Faults]()
    if isinstance(opened, RecordedClips):
        broken = Faults()
        lines += describe_clips(opened.training_set, broken)
        broken.refuse_beyond(config.data.broken, len(opened.training_set), f"clips of {opened.training_set.name}")
        faults += [opened.training_set.faults, opened.validation_set.faults, broken]
    source = sources.training(config.stages[-1])
    samples = map(source, tqdm(range(SAMPLES), desc="samples", disable=None, leave=False))
    lines += describe_samples(samples, size)
    save_clip_sheet(map(source, range(SHOWN)), sheet)
    if isinstance(source, AnnotatedClips | MovingStills):
        faults.append(source.faults)
    lines += [("validation", f"{sources.count} clip{'s' * (sources.count != 1)}"), *describe_faults(faults)]
    return "\n".join(f"{label:<14} {text}" for label, text in [*lines, ("contact sheet", str(sheet))])


def describe_clips(data: ClipDataset, faults: Faults) -> Lines:
    """Contents of a data set as annotated. Clips that cannot be opened are counted in `faults`."""
    clips: list[tuple[int, int]] = []
    sizes, phrases = Counter[str](), Counter[str]()
    for record in tqdm(data.clips, desc="clips", unit="clip", disable=None, leave=False):
        try:
            clip = record.open()
        except DataError as error:
            faults.note(str(error), record.name)
            continue
        with closing(clip.frames):
            clips.append((clip.frames.count, len(clip.annotated)))
            sizes[f"{clip.size[0]}x{clip.size[1]}"] += 1
            phrases.update(set(clip.phrases.values()))
            _count_broken(clip, faults)
    if not clips:
        raise DataError(f"{data.name} has no clip that can be opened")
    lengths, annotated = np.array(clips).T
    lines = [
        ("data set", data.name),
        ("clips", f"{len(clips)} for training, of {_range(lengths)} frames"),
        ("annotated", f"{annotated.sum()} of {lengths.sum()} frames, {_range(annotated)} per clip"),
        ("sizes", _listed(sizes)),
    ]
    return [*lines, ("phrases", f"{len(phrases)}, with their clips: {_listed(phrases)}")] if phrases else lines


def describe_samples(samples: Iterable[ClipSample], size: int) -> Lines:
    """Objects of the samples, and their sizes at the model's input size. Samples are large: no two are kept."""
    shapes = list[tuple[int, int]]()
    shown, hidden, unknown, sides = 0, 0, 0, list[float]()
    for sample in samples:
        shapes.append((sample.masks.shape[0], sample.masks.shape[1]))
        areas = sample.masks.float().mean((2, 3)).numpy()  # (T, N)
        known = sample.annotated.numpy()
        shown += int((areas[known] > 0).sum())
        hidden += int((areas[known] == 0).sum())
        unknown += int((~known).sum())
        sides += (size * np.sqrt(areas[areas > 0])).tolist()
    frames, objects = np.array(shapes).T
    low, middle, high = np.percentile(sides, (5, 50, 95))
    total = shown + hidden + unknown
    return [
        ("samples", f"{frames[0]} frames, {objects.mean():.1f} objects, over {len(frames)} samples"),
        ("objects", f"visible on {_percent(shown, total)} of the frames, hidden on {_percent(hidden, total)}, "
         f"not annotated on {_percent(unknown, total)}"),
        ("at model size", f"{size}x{size}: sides of objects {low:.0f} to {high:.0f} pixels, median {middle:.0f}"),
    ]  # fmt: skip


def describe_faults(faults: Sequence[Faults]) -> Lines:
    """Unusable clips, frames and masks of each kind, the most frequent first, each with the first one."""
    found: dict[str, dict[str, None]] = {}
    for part in faults:
        for kind, places in part.found.items():
            found.setdefault(kind, {}).update(places)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    lines = [("broken", f"{len(places)}: {kind} ({next(iter(places))})") for kind, places in ordered]
    return lines or [("broken", "none")]


def _count_broken(clip: AnnotatedClip, faults: Faults) -> None:
    """Note a clip whose first annotated frame cannot be used."""
    try:
        clip.frames.read(clip.annotated[0])
        clip.masks(clip.annotated[0])
    except DataError as error:
        faults.note(str(error), f"{clip.name}/{clip.annotated[0]}")


def _range(values: np.ndarray) -> str:
    low, middle, high = int(values.min()), int(np.median(values)), int(values.max())
    return str(low) if low == high else f"{low} to {high} (median {middle})"


def _listed(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common(_LISTED))
    return shown + (f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else "")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.0f} %"
