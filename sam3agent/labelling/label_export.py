"""Writes the labels of a run in the formats of other tools, as a stream: one image is in memory at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

from sam3agent.labelling.label_splits import LabelSplits
from sam3agent.masks import Mask
from sam3model.files import replacing


@dataclass(frozen=True)
class Label:
    """One mask. kind: number of its class, from 0. score: 0..1. counts: COCO RLE of an image of `size`."""

    kind: int
    score: float
    box: tuple[int, int, int, int]
    area: int
    counts: str
    size: tuple[int, int]

    @property
    def rle(self) -> dict[str, Any]:
        """The mask as COCO RLE."""
        return {"size": [self.size[1], self.size[0]], "counts": self.counts}

    @cached_property
    def mask(self) -> Mask:
        """The mask, decoded."""
        mask = Mask.from_rle(self.rle)
        if mask is None:
            raise ValueError("labels are never empty")
        return mask


@dataclass(frozen=True)
class LabelledImage:
    """An image of the data set with its labels. name: path inside the folder of images. size: width and height."""

    number: int
    name: str
    split: str
    size: tuple[int, int]
    labels: tuple[Label, ...]

    @classmethod
    def of(cls, number: int, record: Mapping[str, Any], splits: LabelSplits) -> Self:
        """From a record of a journal."""
        size = record["width"], record["height"]
        labels = (
            Label(mask["class"], mask["score"], tuple(mask["box"]), mask["area"], mask["counts"], size)
            for mask in record["masks"]
        )
        return cls(number, record["name"], splits.of(record["group"]), size, tuple(labels))

    @property
    def stem(self) -> str:
        """Its name without ending, for files beside it."""
        return str(Path(self.name).with_suffix("")).replace("\\", "/")


class LabelFormat(ABC):
    """A format. A context: its files are complete when the block ends, and those of an error are not kept."""

    def __init__(self, out: Path, classes: Sequence[str], splits: Sequence[str]) -> None:
        self.out, self.classes, self.splits = out, tuple(classes), tuple(splits)
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        self.stack.__enter__()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        try:
            if error[0] is None:
                self.finish()
        finally:
            self.stack.__exit__(*error)
        return None

    @property
    @abstractmethod
    def patterns(self) -> Sequence[str]:
        """Patterns of the files that it writes, inside the output folder, besides those of `of`."""

    def of(self, split: str) -> Sequence[str]:
        """Patterns of the files that it writes for a split, inside the output folder."""
        return ()

    @abstractmethod
    def add(self, image: LabelledImage) -> None:
        """Write one image. Raises `OutputError`."""

    def finish(self) -> None:  # noqa: B027 (most formats have nothing to add)
        """Write what comes last."""


def labelled_images(records: Iterable[Mapping[str, Any]], splits: LabelSplits) -> Iterator[LabelledImage]:
    """The images that have been labelled, numbered from 1; those that failed are left out."""
    good = (record for record in records if record["status"] != "failed")
    for number, record in enumerate(good, start=1):
        yield LabelledImage.of(number, record, splits)


@contextmanager
def text_file(path: Path) -> Iterator[IO[str]]:
    """A text file that replaces `path` when the block succeeds. Raises `OutputError`."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file
