"""Annotated images in memory, whatever file format they came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam3model.data.faults import Faults
from sam3model.data.segmentations import Segmentation

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated instance: its box (x0, y0, x1, y1) in pixels, inside the image, and its segmentation if known."""

    box: Box
    segmentation: Segmentation | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedPhrase:
    """A phrase with its annotated instances in one image.

    exhaustive: every instance is annotated. A phrase that is not exhaustive and has no annotations may or may not
    match, so it is never used as a negative. pixel_exhaustive: the masks together cover every matching pixel, even if
    they do not separate the instances; None: same as `exhaustive`.
    """

    phrase: str
    annotations: tuple[Annotation, ...]
    exhaustive: bool = True
    pixel_exhaustive: bool | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image file of `size` (width, height) with its annotated phrases.

    absent: phrases known to match nothing; None: the dataset's whole vocabulary except `phrases`.
    """

    name: str
    path: Path
    size: tuple[int, int]
    phrases: tuple[AnnotatedPhrase, ...]
    absent: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedDataset:
    """The usable images of a dataset, all its phrases, and the faults of what was skipped.

    repairs: what was read in spite of a slip, such as a missing box beside an outline. notes: warnings about the whole
    data set.
    """

    name: str
    images: Sequence[AnnotatedImage]
    vocabulary: tuple[str, ...]
    faults: Faults = field(default_factory=Faults)
    repairs: Faults = field(default_factory=Faults)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)
