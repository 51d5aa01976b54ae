"""Base class of metrics with state: samples by key, mergeable across shards."""

from typing import Any, Generic, Self, TypeVar

from sam3model.errors import MetricError

Sample = TypeVar("Sample")


class Aggregate(Generic[Sample]):
    """Samples by unique key. Plain data, so aggregates can be pickled and merged across shards.

    All other attributes are settings, which must be equal for two aggregates to be merged.
    """

    def __init__(self):
        self.samples: dict[Any, Sample] = {}

    def add(self, key: Any, sample: Sample) -> None:
        """Add one sample. Raises `MetricError` if the key exists."""
        if key in self.samples:
            raise MetricError(f"sample {key!r} was added twice")
        self.samples[key] = sample

    def merge(self, other: Self) -> None:
        """Add the samples of another shard. Raises `MetricError` if settings differ or a key is in both."""
        if type(other) is not type(self) or vars(self) | {"samples": other.samples} != vars(other):
            raise MetricError(f"only another {type(self).__name__} with the same settings can be merged")
        if shared := self.samples.keys() & other.samples.keys():
            raise MetricError(f"sample {min(shared, key=str)!r} is in both shards")
        self.samples |= other.samples

    def require_samples(self) -> list[Sample]:
        """Return the samples. Raises `MetricError` if there are none."""
        if not self.samples:
            raise MetricError(f"{type(self).__name__}: no samples to evaluate")
        return list(self.samples.values())
