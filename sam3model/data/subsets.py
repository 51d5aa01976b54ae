"""Subsets of a dataset that are the same in every run and process: held out, few shots, readable."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from tqdm import tqdm

from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage
from sam3model.data.faults import Faults
from sam3model.data.image_files import read_image
from sam3model.errors import DataError


class Named(Protocol):
    """An image or a clip of a data set."""

    @property
    def name(self) -> str:
        """Its name, unique in the data set."""
        ...


N = TypeVar("N", bound=Named)


def hold_out(data: AnnotatedDataset, fraction: float) -> tuple[AnnotatedDataset, AnnotatedDataset]:
    """Split into training images and a held-out fraction (at least one image), by their names alone.

    Raises:
        DataError: the dataset has only one image.
    """
    kept, held = held_apart(data.images, fraction, f"{data.name}: one image")
    return replace(data, images=kept), replace(data, images=held)


def few(data: AnnotatedDataset, count: int, seed: int) -> AnnotatedDataset:
    """At most `count` images, chosen by `seed`; a larger count includes the images of a smaller one."""
    return replace(data, images=shuffled_by_name(data.images, f"shots {seed}")[:count])


def readable(data: AnnotatedDataset, count: int, broken: float) -> AnnotatedDataset:
    """The dataset with unreadable images left out until the first `count` can be read; no further ones are tried.

    Raises:
        DataError: more than the fraction `broken` of the dataset is unreadable, or all of it.
    """
    faults, good, rest = Faults(), list[AnnotatedImage](), iter(data.images)
    with tqdm(total=min(count, len(data)), desc="validation", unit="image", disable=None, leave=False) as bar:
        while len(good) < count and (image := next(rest, None)):
            try:
                read_image(image.path, image.size)
            except DataError as error:
                faults.note(str(error), image.name)
            else:
                good.append(image)
                bar.update()
    faults.refuse_beyond(broken, len(data), f"images of {data.name}")
    if not good:
        raise DataError(f"{data.name} has no readable image")
    data.faults.found |= faults.found
    return replace(data, images=[*good, *rest])


def held_apart(items: Sequence[N], fraction: float, single: str) -> tuple[list[N], list[N]]:
    """Those to train on and those held out, in random order; `single` names what a set of one item is.

    Raises:
        DataError: there is only one item.
    """
    if len(items) < 2:
        raise DataError(f"{single} cannot be both trained on and validated on: set data.val_split")
    ordered = shuffled_by_name(items, "held out")
    count = min(max(1, round(fraction * len(ordered))), len(ordered) - 1)
    return ordered[count:], ordered[:count]


def shuffled_by_name(items: Iterable[N], salt: str) -> list[N]:
    """In an order that depends only on the names."""

    def place(one: N) -> bytes:
        name = f"{salt}/{one.name}".encode("utf-8", "surrogatepass")  # names of files need not be valid UTF-8
        return hashlib.blake2b(name, digest_size=8).digest()

    return sorted(items, key=place)
