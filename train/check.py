"""`python -m train check experiment=…`: what a run would train on, in numbers and as a contact sheet."""

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
from sam3model.training.config import TrainConfig
from sam3model.training.sources import AnnotatedSources, open_sources
from sam3model.training.state import own_folder
from train.contact_sheet import save_contact_sheet

SAMPLES = 96
"""So many samples are drawn and counted."""
SHOWN = 12
_NAMED = 12


def check(config: TrainConfig) -> str:
    """Read the data set of a run, draw samples as its last stage would, and write `out/name/contact_sheet.png`.

    Every picture file is opened; those of the samples are read whole. Returns the report.

    Raises:
        ConfigError, DataError: as a run would.
        OutputError: the picture cannot be written.
    """
    vit = config.model.resolve().vit
    config = config.sized(vit.image_size, vit.patch_size * vit.window)
    sheet = own_folder(config) / "contact_sheet.png"
    sources = open_sources(config)
    lines = []
    if isinstance(sources, AnnotatedSources):
        broken = _check_pictures([*sources.learnt.images, *sources.judged.images], config.data.broken)
        lines += _describe(sources.learnt, sources.judged) + _broken(sources, broken)
    stage = config.stages[-1]
    source = sources.training(stage)
    samples = [source(index) for index in tqdm(range(SAMPLES), desc="samples", disable=None, leave=False)]
    lines += [*_asked(samples, stage.size), ("best by", sources.metric), *_warnings(samples)]
    save_contact_sheet(samples[:SHOWN], sheet)
    return "\n".join(f"{what:<14}{says}" for what, says in [*lines, ("contact sheet", str(sheet))])


def _check_pictures(records: Sequence[AnnotatedImage], share: float) -> Faults:
    """Open every picture file. Raises `DataError` if more than this share cannot be used."""
    faults = Faults()
    for record in tqdm(records, desc="pictures", unit="picture", disable=None, leave=False):
        if reason := check_header(record.path, record.size):
            faults.note(reason, record.name)
    faults.refuse_beyond(share, len(records), "pictures")
    return faults


def _describe(learnt: AnnotatedDataset, judged: AnnotatedDataset) -> list[tuple[str, str]]:
    """What is in the set, before anything is drawn from it."""
    things = [thing for record in learnt.images for concept in record.phrases for thing in concept.annotations]
    outlined = sum(thing.segmentation is not None for thing in things)
    seen = Counter(concept.phrase for record in learnt.images for concept in record.phrases if concept.annotations)
    empty = sum(not any(concept.annotations for concept in record.phrases) for record in learnt.images)
    partly = sum(not concept.exhaustive for record in learnt.images for concept in record.phrases)
    unseen = [phrase for phrase in learnt.vocabulary if phrase not in seen]
    lines = [
        ("set", learnt.name),
        ("pictures", f"{len(learnt)} to learn from, {len(judged)} to judge on; {empty} with nothing in them"),
        ("sizes", _sizes([record.size for record in learnt.images])),
        ("annotations", f"{len(things)}, {outlined} of them with an outline"),
        (
            "phrases",
            f"{len(seen)}, in pictures: {_listed(f'{phrase} {count}' for phrase, count in seen.most_common())}",
        ),
    ]
    if unseen:
        lines.append(("only absent", f"{len(unseen)}: {_listed(unseen)}"))
    if partly:
        lines.append(("not exhaustive", f"{partly} of the pairs of a picture and a phrase"))
    return lines


def _broken(sources: AnnotatedSources, pictures: Faults) -> list[tuple[str, str]]:
    found = Counter[str]()
    for faults in {id(part): part for part in (sources.learnt.faults, sources.judged.faults, pictures)}.values():
        found.update(faults.counts())
    if not found:
        return [("broken", "nothing")]
    return [("broken", f"{count}: {kind}") for kind, count in found.most_common()]


def _asked(samples: Sequence[Sample], size: int) -> list[tuple[str, str]]:
    """What the samples ask, and how large its answers are at the model's size."""
    queries = [query for sample in samples for query in sample.queries]
    positive = [query for query in queries if len(query.boxes)]
    given = [query for query in queries if query.exemplars is not None]
    alone = sum(query.phrase == VISUAL for query in given)
    negative = len(queries) - len(positive)
    lines = [
        ("asked", f"{len(queries) / len(samples):.1f} phrases a picture, counted over {len(samples)} samples"),
        ("positive", f"{len(positive)} ({_percent(len(positive), len(queries))})"),
        ("negative", f"{negative} ({_percent(negative, len(queries))})"),
        ("with a box", f"{len(given)} ({_percent(len(given), len(queries))}), {alone} of them without a phrase"),
    ]
    if not positive:
        raise DataError("no sample asks for anything that is there: nothing could be learnt")
    boxes = np.concatenate([query.boxes for query in positive])
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3]) * size
    masks = sum(int(query.masks.any((1, 2)).sum()) for query in positive)
    low, middle, high = np.percentile(sides, (5, 50, 95))
    return [
        *lines,
        (
            "things",
            f"{len(boxes) / len(positive):.1f} a positive phrase, {_percent(masks, len(boxes))} with their masks",
        ),
        ("shown", f"at {size}x{size}: sides of things {low:.0f} to {high:.0f} pixels, median {middle:.0f}"),
    ]


def _warnings(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """What these samples cannot teach."""
    queries = [query for sample in samples for query in sample.queries]
    lines = []
    if all(len(query.boxes) for query in queries):
        lines.append("no phrase matches nothing, so it is not learnt to find nothing: add classes, or other pictures")
    if not any(query.masks.any() for query in queries):
        lines.append("nothing has an outline: boxes alone are learnt")
    return [("warning", line) for line in lines]


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """The smallest, the middle and the largest picture by area."""
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    low, middle, high = (f"{w}x{h}" for w, h in (ordered[0], ordered[len(ordered) // 2], ordered[-1]))
    return low if low == high else f"{low} to {high}, median {middle}"


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    return ", ".join(items[:_NAMED]) + (f" and {len(items) - _NAMED} more" if len(items) > _NAMED else "")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.0f} %"
