"""Many videos, all cores."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from evals.video.masks import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
MANY = 32
"""Fewer items are done sooner than processes start."""


def spread(work: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """`work(item)` for every item, in order, in a process a core if there are many items; what: name of the bar.

    `work`, items and results must be picklable. The first error ends it and is raised.
    """
    cores = min(os.cpu_count() or 1, len(items))
    if cores < 2 or len(items) < MANY:
        yield from map(work, progress(items, what))
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), _leave_interrupts_to_parent) as pool:
        yield from progress(pool.map(work, items), what, len(items))


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
