"""The order in which the items of a data set are trained on: another one in every epoch, fixed by the seed."""

from functools import lru_cache

import numpy as np


def epoch_position(seed: int, index: int, count: int) -> int:
    """Position, in a data set of `count` items, of the sample with this index."""
    epoch, place = divmod(index, count)
    return int(_order(seed % 2**63, epoch, count)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, count)).permutation(count)
