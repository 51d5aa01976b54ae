"""Annotated pictures as training knows them, whatever file they came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam3model.data.faults import Faults
from sam3model.data.segments import Segmentation

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Thing:
    """One annotation: its box (x0, y0, x1, y1) in pixels, inside the picture, and its outline where there is one."""

    box: Box
    segmentation: Segmentation | None = None


@dataclass(frozen=True, slots=True)
class Concept:
    """A phrase and everything in a picture that it names.

    exhaustive: nothing that fits was left unannotated. Without things and not exhaustive, it is not known whether the
    phrase fits at all, and nobody should ask. pixel_exhaustive: the outlines leave out no pixel of what fits, whatever
    is one thing in them; None: as `exhaustive`.
    """

    phrase: str
    things: tuple[Thing, ...]
    exhaustive: bool = True
    pixel_exhaustive: bool | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A picture of `size` (width, height) with what is in it.

    absent: phrases that are known to match nothing; None: all of the set's vocabulary but `concepts`.
    """

    name: str
    path: Path
    size: tuple[int, int]
    concepts: tuple[Concept, ...]
    absent: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedSet:
    """A data set in memory: its pictures, every phrase that it knows, and what of it could not be used."""

    name: str
    records: Sequence[Record]
    vocabulary: tuple[str, ...]
    faults: Faults = field(default_factory=Faults)

    def __len__(self) -> int:
        return len(self.records)
