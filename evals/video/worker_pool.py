"""Process many videos on all cores, with a progress bar."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Output = TypeVar("Output")
MIN_PARALLEL = 32
"""Minimum number of items for which starting processes pays off."""


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a progress bar on stderr if it is a terminal. total: their number, if `items` has no length."""
    from tqdm import tqdm

    return tqdm(items, desc=what, total=total, disable=None, leave=False)


def parallel_map(work: Callable[[Item], Output], items: Sequence[Item], what: str) -> Iterator[Output]:
    """`work(item)` for every item, in order; many items are spread over one process per core.

    what: label of the progress bar. `work`, items and results must be picklable. Raises the first error.
    """
    cores = min(os.cpu_count() or 1, len(items))
    if cores < 2 or len(items) < MIN_PARALLEL:
        yield from map(work, progress(items, what))
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), _ignore_interrupts) as pool:
        yield from progress(pool.map(work, items), what, len(items))


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
