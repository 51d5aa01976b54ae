"""Subsets of a data set of clips that are the same in every run and process: held out, few, usable."""

from dataclasses import replace

from tqdm import tqdm

from sam3model.data.clip_annotations import ClipDataset, ClipRecord
from sam3model.data.clip_source import AnnotatedClips
from sam3model.data.faults import Faults
from sam3model.data.subsets import held_apart, shuffled_by_name
from sam3model.errors import DataError


def hold_out_clips(data: ClipDataset, fraction: float) -> tuple[ClipDataset, ClipDataset]:
    """Split into training clips and a held-out fraction (at least one clip), by their names alone.

    Raises:
        DataError: the data set has only one clip.
    """
    kept, held = held_apart(data.clips, fraction, f"{data.name}: one clip")
    return replace(data, clips=kept), replace(data, clips=held)


def few_clips(data: ClipDataset, count: int | None, seed: int) -> ClipDataset:
    """At most `count` clips, chosen by `seed`, in random order; a larger count includes the clips of a smaller one."""
    return replace(data, clips=shuffled_by_name(data.clips, f"shots {seed}")[:count])


def usable_clips(source: AnnotatedClips, count: int, broken: float) -> ClipDataset:
    """The data set of `source` with unusable clips left out, until the first `count` can be read; no others are kept.

    Raises:
        DataError: more than the fraction `broken` of the data set is unusable, or all of it.
    """
    data, faults, good = source.data, Faults(), list[ClipRecord]()
    rest = iter(data.clips)
    with tqdm(total=min(count, len(data)), desc="validation", unit="clip", disable=None, leave=False) as bar:
        while len(good) < count and (record := next(rest, None)):
            try:
                source.read(record, len(good))
            except DataError as error:
                faults.note(str(error), record.name)
            else:
                good.append(record)
                bar.update()
    faults.refuse_beyond(broken, len(data), f"clips of {data.name}")
    if not good:
        raise DataError(f"{data.name} has no usable clip")
    data.faults.found |= faults.found | source.faults.found
    return replace(data, clips=good)
