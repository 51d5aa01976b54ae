"""Parts of a data set: the first samples, or every n-th."""

import logging
import re
from collections import Counter
from dataclasses import replace

from evals.benchmark_types import Samples
from evals.samples import Sample
from sam3model.errors import ConfigError

log = logging.getLogger(__name__)

MAX_SHARDS = 10_000


class Shard:
    """Every `shards`-th of the first `limit` samples, starting with number `shard` (from 0).

    Predictions are stored by key. Of samples with one key, the second gets the key "key #2", and so on.
    """

    def __init__(self, samples: Samples[Sample], limit: int | None, shard: int, shards: int) -> None:
        self._samples = samples
        self._keys = _keys_of_repeated(samples)
        self._indices = range(shard, min(len(samples), limit or len(samples)), shards)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        number = self._indices[index]
        sample = self._samples[number]
        return replace(sample, key=self._keys[number]) if number in self._keys else sample


def _keys_of_repeated(samples: Samples[Sample]) -> dict[int, str]:
    """New keys of the samples of a list whose key was there before, by number."""
    found, counts = dict[int, str](), Counter[str]()
    for number, sample in enumerate(samples if isinstance(samples, list) else ()):  # others are made on access
        counts[sample.key] += 1
        if (count := counts[sample.key]) > 1:
            found[number] = f"{sample.key} #{count}"
    if found:
        log.warning("samples with the id of another one: %d; they are told apart by number", len(found))
    return found


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
