"""Parts of a data set: the first samples, or every n-th."""

import re

from evals.benchmark_types import Samples
from evals.plain_text import short_line
from evals.samples import Sample
from sam3model.errors import ConfigError, DataError

MAX_SHARDS = 10_000


class Shard:
    """Every `shards`-th of the first `limit` samples, starting with number `shard` (from 0).

    Raises `DataError` if two samples of a list have the same key, under which predictions are stored.
    """

    def __init__(self, samples: Samples[Sample], limit: int | None, shard: int, shards: int) -> None:
        _refuse_repeated(samples)
        self._samples = samples
        self._indices = range(shard, min(len(samples), limit or len(samples)), shards)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self._indices[index]]


def _refuse_repeated(samples: Samples[Sample]) -> None:
    seen = set[str]()
    for sample in samples if isinstance(samples, list) else ():  # others are made by rule, and on access
        if sample.key in seen:
            raise DataError(f"the data set has two samples {short_line(sample.key)!r}: give each an id of its own")
        seen.add(sample.key)


def read_shard(text: str | None) -> tuple[int, int]:
    """ "2/4" -> (1, 4). Raises `ConfigError` for anything else."""
    if text is None:
        return 0, 1
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    shard, shards = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= shard <= shards <= MAX_SHARDS:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise ConfigError(f"--shard {shown}: expected i/n with i from 1 to n and n at most {MAX_SHARDS}, e.g. 2/4")
    return shard - 1, shards
