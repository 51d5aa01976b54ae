"""Parts of a data set: kept back for validation, few shots, what can be read: the same in every run and process."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from tqdm import tqdm

from sam3model.data.faults import Faults
from sam3model.data.pictures import read_picture
from sam3model.data.records import AnnotatedSet, Record
from sam3model.errors import DataError


def hold_out(data: AnnotatedSet, share: float) -> tuple[AnnotatedSet, AnnotatedSet]:
    """Pictures to train on, and the share kept back (at least one): by their names, whatever else is in the set.

    Raises:
        DataError: there is only one picture.
    """
    if len(data) < 2:
        raise DataError(f"{data.name}: one picture cannot be both learnt from and judged on: name a data.val_split")
    ordered = _drawn(data.records, "held out")
    kept = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    return replace(data, records=ordered[kept:]), replace(data, records=ordered[:kept])


def few(data: AnnotatedSet, count: int, seed: int) -> AnnotatedSet:
    """So many pictures of a set (all of them if there are fewer), others for another seed; more hold the fewer."""
    return replace(data, records=_drawn(data.records, f"shots {seed}")[:count])


def readable(data: AnnotatedSet, count: int, broken: float) -> AnnotatedSet:
    """A set whose first `count` pictures can be read: those that cannot are left out, and noted as its faults.

    No more pictures are read than that takes.

    Raises:
        DataError: more than a share `broken` of the set cannot be read, or all of it.
    """
    faults, good, rest = Faults(), list[Record](), iter(data.records)
    with tqdm(total=min(count, len(data)), desc="validation", unit="picture", disable=None, leave=False) as bar:
        while len(good) < count and (record := next(rest, None)):
            try:
                read_picture(record.path, record.size)
            except DataError as error:
                faults.note(str(error), record.name)
            else:
                good.append(record)
                bar.update()
    faults.refuse_beyond(broken, len(data), f"pictures of {data.name}")
    if not good:
        raise DataError(f"{data.name} has no picture that can be read")
    data.faults.found |= faults.found
    return replace(data, records=[*good, *rest])


def _drawn(records: Iterable[Record], salt: str) -> list[Record]:
    """In an order that only depends on the names."""
    return sorted(records, key=lambda one: hashlib.blake2b(f"{salt}/{one.name}".encode(), digest_size=8).digest())
