"""`python -m train check experiment=…`: summarise what a run would train on, and draw a contact sheet of it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from tqdm import tqdm

from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage
from sam3model.data.faults import Faults
from sam3model.data.image_files import check_header
from sam3model.data.queries import Sample
from sam3model.errors import DataError
from sam3model.structures import VISUAL
from sam3model.training.settings import TrainConfig
from sam3model.training.sources import AnnotatedSources, crowded, open_sources
from sam3model.training.state import own_folder
from train.contact_sheet import save_contact_sheet

SAMPLES = 96
"""Number of samples that are drawn and counted."""
SHOWN = 12
"""Number of samples on the contact sheet."""
_LISTED = 12


def check(config: TrainConfig, file: str = "contact_sheet.png") -> str:
    """Read the data set of a run, draw samples as in its last stage, and write a contact sheet to `out/name`.

    Opens every image file, and reads those of the samples completely. Returns the summary.

    Raises:
        ConfigError, DataError: as in `ConceptTask`.
        OutputError: the contact sheet cannot be written.
    """
    vit = config.model.resolve().vit
    config = config.sized(vit.image_size, vit.patch_size * vit.window)
    sheet = own_folder(config) / file
    sources = open_sources(config)
    lines = []
    if isinstance(sources, AnnotatedSources):
        records = [*sources.training_set.images, *sources.validation_set.images]
        broken = _check_images(records, config.data.broken)
        lines += _describe(sources.training_set, sources.validation_set) + _broken(sources, broken)
        lines += _repaired(sources)
        parts = (sources.training_set, sources.validation_set)
        crowds = (crowded(part, config.model.resolve().decoder.queries) for part in parts)
        lines += [("warning", line) for line in dict.fromkeys(crowds) if line]
    stage = config.stages[-1]
    source = sources.training(stage)
    samples = [source(index) for index in tqdm(range(SAMPLES), desc="samples", disable=None, leave=False)]
    lines += [*_prompts(samples, stage.size), ("best weights", f"chosen by {sources.metric}"), *_warnings(samples)]
    save_contact_sheet(samples[:SHOWN], sheet)
    return "\n".join(f"{label:<14} {text}" for label, text in [*lines, ("contact sheet", str(sheet))])


def _check_images(records: Sequence[AnnotatedImage], max_broken: float) -> Faults:
    """Open every image file. Raises `DataError` if more than the fraction `max_broken` cannot be used."""
    faults = Faults()
    for record in tqdm(records, desc="images", unit="image", disable=None, leave=False):
        if reason := check_header(record.path, record.size):
            faults.note(reason, record.name)
    faults.refuse_beyond(max_broken, len(records), "images")
    return faults


def _describe(training: AnnotatedDataset, validation: AnnotatedDataset) -> list[tuple[str, str]]:
    """Contents of the training set as annotated, before sampling."""
    concepts = [concept for record in training.images for concept in record.phrases]
    instances = [instance for concept in concepts for instance in concept.annotations]
    masks = sum(instance.segmentation is not None for instance in instances)
    images = Counter(concept.phrase for concept in concepts if concept.annotations)
    empty = sum(not any(concept.annotations for concept in record.phrases) for record in training.images)
    incomplete = sum(not concept.exhaustive for concept in concepts)
    absent = [phrase for phrase in training.vocabulary if phrase not in images]
    counts = _listed(f"{phrase} ({count})" for phrase, count in images.most_common())
    lines = [
        ("data set", training.name),
        ("images", f"{len(training)} for training, {len(validation)} for validation; {empty} without instances"),
        ("sizes", _sizes([record.size for record in training.images])),
        ("instances", f"{len(instances)}, {masks} of them with a mask"),
        ("phrases", f"{len(images)}, each with its number of images: {counts}"),
    ]
    if absent:
        lines.append(("never present", f"{len(absent)}: {_listed(absent)}"))
    if incomplete:
        lines.append(("not exhaustive", f"{incomplete} of the pairs of an image and a phrase"))
    return lines


def _broken(sources: AnnotatedSources, images: Faults) -> list[tuple[str, str]]:
    found = Counter[str]()
    every = (sources.training_set.faults, sources.validation_set.faults, images)
    for faults in {id(part): part for part in every}.values():
        found.update(faults.counts())
    if not found:
        return [("broken", "none")]
    return [("broken", f"{count}: {kind}") for kind, count in found.most_common()]


def _repaired(sources: AnnotatedSources) -> list[tuple[str, str]]:
    """What was read in spite of a slip, and warnings about the whole data set."""
    sets = (sources.training_set, sources.validation_set)
    found = Counter[str]()
    for repairs in {id(part.repairs): part.repairs for part in sets}.values():
        found.update(repairs.counts())
    lines = [("repaired", f"{count}: {kind}") for kind, count in found.most_common()]
    return lines + [("warning", note) for note in dict.fromkeys(note for part in sets for note in part.notes)]


def _prompts(samples: Sequence[Sample], size: int) -> list[tuple[str, str]]:
    """The prompts of the samples, and the sizes of their instances at the model's input size."""
    queries = [query for sample in samples for query in sample.queries]
    positive = [query for query in queries if len(query.boxes)]
    with_box = [query for query in queries if query.exemplars is not None]
    box_only = sum(query.phrase == VISUAL for query in with_box)
    negative = len(queries) - len(positive)
    lines = [
        ("prompts", f"{len(queries) / len(samples):.1f} per image, over {len(samples)} samples"),
        ("positive", f"{len(positive)} ({_percent(len(positive), len(queries))})"),
        ("negative", f"{negative} ({_percent(negative, len(queries))})"),
        (
            "with a box",
            f"{len(with_box)} ({_percent(len(with_box), len(queries))}), {box_only} of them without a phrase",
        ),
    ]
    if not positive:
        raise DataError("no sample has a positive prompt: there is nothing to train on")
    boxes = np.concatenate([query.boxes for query in positive])
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3]) * size
    masks = sum(int(query.masks.any((1, 2)).sum()) for query in positive)
    low, middle, high = np.percentile(sides, (5, 50, 95))
    return [
        *lines,
        (
            "per positive",
            f"{len(boxes) / len(positive):.1f} instances, {_percent(masks, len(boxes))} with a mask",
        ),
        ("at model size", f"{size}x{size}: sides of instances {low:.0f} to {high:.0f} pixels, median {middle:.0f}"),
    ]


def _warnings(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """What a model cannot learn from these samples."""
    queries = [query for sample in samples for query in sample.queries]
    lines = []
    if all(len(query.boxes) for query in queries):
        lines.append("every phrase matches something, so absence is not learned: add classes or other images")
    if not any(query.masks.any() for query in queries):
        lines.append("there are no masks: only boxes are trained")
    return [("warning", line) for line in lines]


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """The smallest, the median and the largest image size by area."""
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    low, middle, high = (f"{w}x{h}" for w, h in (ordered[0], ordered[len(ordered) // 2], ordered[-1]))
    return low if low == high else f"{low} to {high}, median {middle}"


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    return ", ".join(items[:_LISTED]) + (f" and {len(items) - _LISTED} more" if len(items) > _LISTED else "")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.0f} %"
