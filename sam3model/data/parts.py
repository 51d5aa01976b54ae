"""Parts of a data set: pictures kept back for validation, and few shots, each the same in every run and process."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

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


def _drawn(records: Iterable[Record], salt: str) -> list[Record]:
    """In an order that only depends on the names."""
    return sorted(records, key=lambda one: hashlib.blake2b(f"{salt}/{one.name}".encode(), digest_size=8).digest())
