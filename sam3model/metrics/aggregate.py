"""The base of every metric with state: samples by key, joined over shards."""

from typing import Any, Generic, Self, TypeVar

from sam3model.errors import MetricError

Sample = TypeVar("Sample")


class Aggregate(Generic[Sample]):
    """Samples by unique key; plain data, so an aggregate can be pickled and merged with those of other shards."""

    def __init__(self):
        self.samples: dict[Any, Sample] = {}

    @property
    def settings(self) -> tuple[Any, ...]:
        """What must agree before two aggregates may be merged."""
        return ()

    def add(self, key: Any, sample: Sample) -> None:
        """Store one sample. Raises MetricError if the key was used before."""
        if key in self.samples:
            raise MetricError(f"sample {key!r} was added twice")
        self.samples[key] = sample

    def merge(self, other: Self) -> None:
        """Take over the samples of another shard. Raises MetricError on a sample in both or on other settings."""
        if type(other) is not type(self) or other.settings != self.settings:
            raise MetricError(f"only another {type(self).__name__} with the same settings can be merged")
        if shared := self.samples.keys() & other.samples.keys():
            raise MetricError(f"sample {min(shared, key=str)!r} is in both shards")
        self.samples |= other.samples

    def require_samples(self) -> list[Sample]:
        """Return the samples. Raises MetricError if there is none."""
        if not self.samples:
            raise MetricError(f"{type(self).__name__}: no sample to evaluate")
        return list(self.samples.values())
