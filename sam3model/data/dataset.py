"""A torch dataset of pictures with queries, and an endless stream of batches that any number of workers makes alike."""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from sam3model.data.queries import Batch, Sample, Tokenize, collate
from sam3model.errors import Sam3Error
from sam3model.text import Tokenizer, trim


class Source(Protocol):
    """Anything that makes sample `index`, always the same one."""

    def __call__(self, index: int) -> Sample:
        """The sample of this number; numbers may be arbitrarily large, so that a stream need not repeat."""
        ...


class Sam3ImageDataset(Dataset[Sample]):
    """Pictures of a source by number. Whatever is drawn at random depends on the number alone, never on the worker."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, index: int) -> Sample:
        return self.source(index)


CACHED_PHRASES = 1 << 16
GRACE_S = 5.0


class CachedTokenizer:
    """Token ids (P, T) of phrases, cut after the longest one of a call; a phrase is encoded once while it is known.

    Known ones are kept as plain lists: small tensors that stay, made among large ones that go, leave holes in the heap,
    which cost a worker gigabytes within an hour.
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
    """Batches of pictures start, start + 1, … without end; the next ones are made while the caller computes.

    stride: from the first picture of a batch to that of the next one, if others take those between.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=_Consecutive(start, batch, stride or batch),
        collate_fn=partial(collate, tokenize=tokenize),
        num_workers=workers,
        prefetch_factor=prefetch if workers else None,
        worker_init_fn=_quiet_worker,
        generator=torch.Generator(),  # or it would take a number from those of the run, once more when that is resumed
    )
    return _unwrapped(iter(loader))


def batches(
    dataset: Dataset[Sample], tokenize: Tokenize, *, batch: int, pictures: int, turn: int = 0, turns: int = 1
) -> Iterator[Batch]:
    """The first `pictures` pictures, in order, made in this process; of every `turns` batches only number `turn`."""
    for start in range(turn * batch, pictures, turns * batch):
        yield collate([dataset[index] for index in range(start, min(start + batch, pictures))], tokenize)


def _unwrapped(found: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; an error of ours that a worker met comes as it was, not inside the worker's traceback."""
    try:
        yield from found
    except Sam3Error as error:
        raise type(error)(str(error).rstrip().rsplit("\n", 1)[-1].split("Error: ", 1)[-1]) from None


class _Consecutive(torch.utils.data.Sampler[list[int]]):
    def __init__(self, start: int, batch: int, stride: int) -> None:
        self.start, self.batch, self.stride = start, batch, stride

    def __iter__(self) -> Iterator[list[int]]:
        for first in itertools.count(self.start, self.stride):
            yield list(range(first, first + self.batch))


def _quiet_worker(_: int) -> None:
    """One thread, and no part in the run's own handling of signals.

    A whole process group may be told to stop: the run then still needs its batch, so a worker goes on for a moment, and
    leaves without an error. It must leave, since an interpreter that ends waits for the workers it has told to stop.
    """
    torch.set_num_threads(1)
    for name in ("SIGINT", "SIGUSR1", "SIGUSR2"):
        if number := getattr(signal, name, None):  # not all of them are everywhere
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave_soon)


def _leave_soon(*_: object) -> None:
    timer = threading.Timer(GRACE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()
