"""Results of runs, as JSON and as Markdown tables next to the published figures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.benchmark_types import AnyBenchmark, Figures
from evals.published import PUBLISHED
from sam3model.metrics.metric_result import plain


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Figures over the `scored` of `samples` samples. failures: sample key -> error; they are not in the figures."""

    samples: int
    scored: int
    figures: Figures
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """The outcome of a benchmark for one system, and the settings of the run."""

    benchmark: str
    split: str
    system: str
    outcome: RunOutcome
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an undefined figure is null."""
        outcome = self.outcome
        return {
            "benchmark": self.benchmark,
            "split": self.split,
            "system": self.system,
            "figures": plain(dict(outcome.figures)),
            "samples": outcome.samples,
            "scored": outcome.scored,
            "failures": dict(outcome.failures),
            "seconds": round(outcome.seconds, 1),
            "settings": dict(self.settings),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "BenchmarkResult":
        """The inverse of `to_json`."""
        figures = {name: math.nan if value is None else value for name, value in data["figures"].items()}
        outcome = RunOutcome(data["samples"], data["scored"], figures, data["failures"], data["seconds"])
        return cls(data["benchmark"], data["split"], data["system"], outcome, data["settings"])


def table(benchmark: AnyBenchmark, results: Sequence[BenchmarkResult]) -> str:
    """A Markdown section: our results, then the published ones of the split."""
    split = results[0].split
    published = [p for p in PUBLISHED.get(benchmark.name, ()) if (p.split or benchmark.splits[0]) == split]
    names = list(benchmark.headline)
    names += [name for p in published for name in p.figures if name not in names]
    rows = [["system", *names, "source"]]
    rows += [[r.system, *(_cell(name, r.outcome.figures.get(name)) for name in names), _coverage(r)] for r in results]
    rows += [[p.system, *(_cell(name, p.figures.get(name)) for name in names), p.source] for p in published]
    return f"## {benchmark.name} ({split})\n\n{benchmark.title}\n\n{_markdown(rows)}"


def details(benchmark: AnyBenchmark, results: Iterable[BenchmarkResult]) -> str:
    """Markdown tables of all other figures."""
    parts = []
    for result in results:
        others = {n: v for n, v in result.outcome.figures.items() if n not in benchmark.headline}
        if others:
            rows = [[result.system, "value"], *([name, _cell(name, value)] for name, value in others.items())]
            parts.append(_markdown(rows))
    return "\n\n".join(parts)


def _coverage(result: BenchmarkResult) -> str:
    outcome = result.outcome
    text = f"this run, {outcome.scored} samples" if outcome.samples else "this run"
    if outcome.failures:
        text += f" ({len(outcome.failures)} FAILED)"
    if result.settings.get("limit") or result.settings.get("shard"):
        text += ", not the whole split"
    return text


def _cell(name: str, value: float | None) -> str:
    """Percentages with one digit, correlations with three, counts as integers."""
    if value is None or math.isnan(value) or value == -1:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}" if name.endswith("MCC") else f"{value:.1f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, the first one as header; text aligned left, numbers right."""
    text_columns = {0, len(rows[0]) - 1} if len(rows[0]) > 2 else {0}
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        " | ".join(
            c.ljust(w) if i in text_columns else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "|".join("-" * (w + 1) + ("-" if i in text_columns else ":") for i, w in enumerate(widths))
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])
