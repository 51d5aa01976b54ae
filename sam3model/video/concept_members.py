"""A rule that compares objects compares those of one concept, a phrase or exemplars, only."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def same_concept(concepts: Sequence[int] | None, count: int) -> NDArray[np.bool_]:
    """Which pairs of `count` objects are of one concept, (count, count); all of them if `concepts` is None.

    >>> same_concept([0, 1, 0], 3)[0].tolist()
    [True, False, True]
    """
    labels = np.zeros(count, np.int64) if concepts is None else np.asarray(concepts, np.int64)
    return labels[:, None] == labels[None]


def members(concepts: Sequence[int] | None, count: int) -> Iterator[list[int]]:
    """The indices of the objects of each concept; all `count` objects at once if `concepts` is None.

    >>> list(members([0, 1, 0], 3))
    [[0, 2], [1]]
    """
    labels = [0] * count if concepts is None else list(concepts)
    for label in dict.fromkeys(labels):
        yield [index for index, own in enumerate(labels) if own == label]
