"""A torch dataset of images with queries, and an endless stream of batches that does not depend on the worker count."""

import ctypes
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from sam3model.data.queries import Batch, Sample, Tokenize, collate
from sam3model.errors import Sam3Error
from sam3model.text import Tokenizer, trim

T = TypeVar("T")

SampleSource = Callable[[int], Sample]
"""Makes the sample of an index, always the same one. Any index is valid, so that a stream need not repeat."""


class Sam3ImageDataset(Dataset[Sample]):
    """Samples of a source by index. All randomness depends on the index alone, never on the worker."""

    def __init__(self, source: SampleSource) -> None:
        self.source = source

    def __getitem__(self, index: int) -> Sample:
        return self.source(index)


CACHED_PHRASES = 1 << 16
GRACE_S = 5.0
"""Seconds that a worker goes on after SIGTERM."""


class CachedTokenizer:
    """Token ids (P, T) of phrases, trimmed to the longest phrase of a call; repeated phrases come from a cache.

    The cache holds plain lists: small long-lived tensors among large short-lived ones fragment the heap, which costs a
    worker gigabytes within an hour.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, list[int]] = {}

    def __call__(self, phrases: list[str]) -> torch.Tensor:
        """Ids of the phrases, in order."""
        if len(self.known) > CACHED_PHRASES:
            self.known.clear()
        fresh = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self.known]
        if fresh:
            self.known.update(zip(fresh, self.tokenizer(fresh).tolist(), strict=True))
        return trim(torch.tensor([self.known[phrase] for phrase in phrases]), self.tokenizer.end_id)


def stream(
    dataset: Dataset[Sample],
    tokenize: Tokenize,
    *,
    batch: int,
    start: int = 0,
    stride: int | None = None,
    workers: int = 0,
    prefetch: int = 4,
) -> Iterator[Batch]:
    """Endless batches of samples start, start + 1, …; workers make the next ones while the caller computes.

    stride: distance between the first samples of consecutive batches, if other processes take those between; None:
    `batch`.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=Consecutive(start, batch, stride or batch),
        collate_fn=partial(collate, tokenize=tokenize),
        num_workers=workers,
        prefetch_factor=prefetch if workers else None,
        worker_init_fn=quiet_worker,
        generator=torch.Generator(),  # else it draws from the global generator, and once more when a run is resumed
    )
    if workers:
        return_free_memory()
    return unwrapped(iter(loader))


def batches(
    dataset: Dataset[Sample], tokenize: Tokenize, *, batch: int, images: int, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """Batches of the first `images` samples, in order, made in this process; every `world_size`-th one, from `rank`."""
    for start in range(rank * batch, images, world_size * batch):
        yield collate([dataset[index] for index in range(start, min(start + batch, images))], tokenize)


def return_free_memory() -> None:
    """Give memory that this process has freed back to the system (glibc; elsewhere nothing happens).

    Call it before worker processes start: as copies of this one they would keep it as long as they live. With two
    processes of 4 GB and two loaders each, that was 17 GB more.
    """
    if sys.platform == "linux" and (give_back := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        give_back(0)


def unwrapped(found: Iterator[T]) -> Iterator[T]:
    """The same batches; errors of ours are raised as they were, without the worker's traceback in their message."""
    try:
        yield from found
    except Sam3Error as error:
        raise type(error)(str(error).rstrip().rsplit("\n", 1)[-1].split("Error: ", 1)[-1]) from None


class Consecutive(torch.utils.data.Sampler[list[int]]):
    """Batches of consecutive numbers, the first of each `stride` after that of the one before."""

    def __init__(self, start: int, batch: int, stride: int) -> None:
        self.start, self.batch, self.stride = start, batch, stride

    def __iter__(self) -> Iterator[list[int]]:
        for first in itertools.count(self.start, self.stride):
            yield list(range(first, first + self.batch))


def quiet_worker(_: int) -> None:
    """Use one thread, and leave signals to the main process.

    A signal may reach the whole process group. The run still needs its next batch then, so a worker goes on for a
    moment before it exits without an error. It must exit, since the interpreter waits for its workers at the end.
    """
    torch.set_num_threads(1)
    for name in ("SIGINT", "SIGUSR1", "SIGUSR2"):
        if number := getattr(signal, name, None):  # not all exist on every platform
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit_soon)


def _exit_soon(*_: object) -> None:
    timer = threading.Timer(GRACE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()
