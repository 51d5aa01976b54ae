"""Results of runs, and `metrics.json`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evals.benchmark_types import Figures
from evals.dataset_files import field as required
from evals.intervals import LEVEL, Interval
from evals.journal import read_record
from evals.run_costs import RunCosts
from evals.shards import read_shard
from sam3model.data.coco_fields import is_number
from sam3model.errors import ConfigError, DataError
from sam3model.metrics.metric_result import plain


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Figures over the `scored` of `samples` samples.

    failures: sample key -> error; they are not in the figures. intervals: figure -> its 95 % confidence interval.
    """

    samples: int
    scored: int
    figures: Figures
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    costs: RunCosts = field(default_factory=RunCosts)
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """The outcome of a benchmark for one system, the settings of the run, and with what it was made."""

    benchmark: str
    split: str
    system: str
    outcome: RunOutcome
    settings: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an undefined figure is null."""
        outcome = self.outcome
        costs = {"costs": {**asdict(outcome.costs), "means": outcome.costs.means}} if outcome.costs.questions else {}
        return {
            "benchmark": self.benchmark,
            "split": self.split,
            "system": self.system,
            "figures": plain(dict(outcome.figures)),
            f"intervals_{LEVEL}": plain(dict(outcome.intervals)),
            "samples": outcome.samples,
            "scored": outcome.scored,
            **costs,
            "failures": dict(outcome.failures),
            "seconds": round(outcome.seconds, 6),
            "settings": dict(self.settings),
            "record": dict(self.record),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], path: Path) -> "BenchmarkResult":
        """The inverse of `to_json`; also reads files without costs, intervals and record.

        path: of the file. Raises `DataError`, naming file and field.
        """
        where = str(path)
        benchmark, split, system = (required(data, name, str, where) for name in ("benchmark", "split", "system"))
        figures = _numbers(data, "figures", where, null=True)
        outcome = RunOutcome(
            samples=required(data, "samples", int, where),
            scored=required(data, "scored", int, where),
            figures={name: math.nan if value is None else value for name, value in figures.items()},
            failures=_strings(data, "failures", where),
            seconds=required(data, "seconds", (int, float), where),
            costs=_costs(data.get("costs", {}), f"{where}: costs"),
            intervals=_intervals(data.get(f"intervals_{LEVEL}", {}), where),
        )
        record = _object(data.get("record", {}), "record", where)
        return cls(benchmark, split, system, outcome, _settings(data, where), record)


def read_result(path: Path) -> BenchmarkResult:
    """The result in a metrics.json. Raises `DataError`."""
    return BenchmarkResult.from_json(read_record(path), path)


def _object(value: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: the field {name!r} has type {type(value).__name__}")
    return value


def _numbers(data: Mapping[str, Any], name: str, where: str, null: bool = False) -> dict[str, Any]:
    values = required(data, name, dict, where)
    for key, value in values.items():
        if not (is_number(value) or (null and value is None)) and not (isinstance(value, float) and math.isnan(value)):
            raise DataError(f"{where}: {key!r} in {name!r} is not a number")
    return values


def _strings(data: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    values = required(data, name, dict, where)
    if not all(isinstance(value, str) for value in values.values()):
        raise DataError(f"{where}: {name!r} holds something other than text")
    return values


def _settings(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings of a run, in which the shard, the limit and the root can be used."""
    settings = required(data, "settings", dict, where)
    try:
        read_shard(required(settings, "shard", str, where) if settings.get("shard") is not None else None)
    except ConfigError as error:
        raise DataError(f"{where}: the field 'shard' is not i/n") from error
    limit = settings.get("limit")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise DataError(f"{where}: the field 'limit' is not a positive integer")
    if settings.get("shard") is not None:
        required(settings, "root", str, where)
    return settings


def _costs(data: Any, where: str) -> RunCosts:
    if not _object(data, "costs", where):
        return RunCosts()
    statuses, exhausted, totals = (_numbers(data, name, where) for name in ("statuses", "exhausted", "totals"))
    questions, unusable = (required(data, name, int, where) for name in ("questions", "unusable"))
    warned = required({"warned": 0, **data}, "warned", int, where)
    return RunCosts(questions, statuses, exhausted, totals, unusable, warned)


def _intervals(data: Any, where: str) -> dict[str, Interval]:
    found = {}
    for name, ends in _object(data, "intervals", where).items():
        if not isinstance(ends, list) or len(ends) != 2 or not all(map(is_number, ends)):
            raise DataError(f"{where}: the interval of {name!r} is not two numbers")
        found[name] = (ends[0], ends[1])
    return found
