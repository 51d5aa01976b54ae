"""The limit of the number of objects followed at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def limit_new_objects(new: Sequence[int], scores: NDArray[np.floating], room: int | None) -> tuple[int, ...]:
    """Those detections of `new` (indices into `scores`) for which there is room, None meaning no limit.

    If all fit, they stay in their order; if not, the best remain, in descending order of their scores.

    >>> limit_new_objects([0, 1, 2], np.array([0.7, 0.9, 0.8]), 2)
    (1, 2)
    """
    if room is None or len(new) <= room:
        return tuple(new)
    order = np.argsort(np.asarray(scores)[list(new)], kind="stable")[::-1][: max(0, room)]
    return tuple(new[i] for i in order.tolist())
