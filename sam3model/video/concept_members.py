"""Groups of objects: a rule that compares objects compares those of one phrase only."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def same_group(groups: Sequence[int] | None, count: int) -> NDArray[np.bool_]:
    """Which pairs of `count` objects are in one group, (count, count); all of them if `groups` is None.

    >>> same_group([0, 1, 0], 3)[0].tolist()
    [True, False, True]
    """
    labels = np.zeros(count, np.int64) if groups is None else np.asarray(groups, np.int64)
    return labels[:, None] == labels[None]


def members(groups: Sequence[int] | None, count: int) -> Iterator[list[int]]:
    """The indices of the objects of each group; one group of all `count` objects if `groups` is None.

    >>> list(members([0, 1, 0], 3))
    [[0, 2], [1]]
    """
    labels = [0] * count if groups is None else list(groups)
    for label in dict.fromkeys(labels):
        yield [index for index, own in enumerate(labels) if own == label]
