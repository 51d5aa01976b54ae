"""Parts of a data set: the first samples, or every n-th."""

import re

from evals.benchmark_types import Samples
from evals.samples import Sample
from sam3model.errors import ConfigError

MAX_SHARDS = 10_000


class Shard:
    """Every `shards`-th of the first `limit` samples, starting with number `shard` (from 0)."""

    def __init__(self, samples: Samples[Sample], limit: int | None, shard: int, shards: int) -> None:
        self._samples = samples
        self._indices = range(shard, min(len(samples), limit or len(samples)), shards)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self._indices[index]]


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
