"""Results of runs, as Markdown tables next to the published figures."""

import math
from collections.abc import Iterable, Sequence

from evals.benchmark_results import BenchmarkResult
from evals.benchmark_types import AnyBenchmark
from evals.plain_text import short_line
from evals.published import PUBLISHED

STATUSES = ("answered", "no_match", "not_understood", "exhausted")
"""The statuses that always have a column; others follow."""


def table(benchmark: AnyBenchmark, results: Sequence[BenchmarkResult]) -> str:
    """A Markdown section: our results, then the published ones of the split."""
    split = results[0].split
    published = [p for p in PUBLISHED.get(benchmark.name, ()) if (p.split or benchmark.splits[0]) == split]
    names = list(dict.fromkeys([*benchmark.headline, *(name for p in published for name in p.figures)]))
    rows = [["system", *names, "source"]]
    rows += [[r.system, *(_figure(name, r) for name in names), _coverage(r)] for r in results]
    rows += [[p.system, *(_cell(name, p.figures.get(name)) for name in names), p.source] for p in published]
    return f"## {benchmark.name} ({split})\n\n{benchmark.title}\n\n{_markdown(rows)}"


def cost_table(results: Iterable[BenchmarkResult]) -> str:
    """A Markdown table of how the questions ended and what they cost, per question; empty without questions."""
    asked = [result for result in results if result.outcome.costs.questions]
    if not asked:
        return ""
    others = {status for r in asked for status in r.outcome.costs.statuses} - set(STATUSES)
    statuses = [*STATUSES, *sorted(others)]
    costs = ["MLLM calls", "segmenter calls", "tokens", "seconds"]
    rows = [["questions of", *(status.replace("_", " ") for status in statuses), "warned", "failed", *costs]]
    for result in asked:
        own = result.outcome.costs
        counts = [str(own.statuses.get(status, 0)) for status in statuses]
        spent = [
            f"{round(total, 1):g} ({mean:.1f} each)"
            for total, mean in zip(own.totals.values(), own.means.values(), strict=True)
        ]
        counts.append(str(own.warned))
        rows.append([result.system, *counts, str(len(result.outcome.failures)), *spent])
    reasons = [
        f"- {result.system}: {count} exhausted because: {reason}"
        for result in asked
        for reason, count in result.outcome.costs.exhausted.items()
    ]
    return "\n\n".join([_markdown(rows), *(["\n".join(reasons)] if reasons else [])])


def details(benchmark: AnyBenchmark, results: Iterable[BenchmarkResult]) -> str:
    """Markdown tables of all other figures."""
    parts = []
    for result in results:
        others = [name for name in result.outcome.figures if name not in benchmark.headline]
        if others:
            parts.append(_markdown([[result.system, "value"], *([name, _figure(name, result)] for name in others)]))
    return "\n\n".join(parts)


def _coverage(result: BenchmarkResult) -> str:
    outcome = result.outcome
    text = f"this run, {outcome.scored} samples" if outcome.samples else "this run"
    if outcome.failures:
        text += f" ({len(outcome.failures)} FAILED)"
    if result.settings.get("limit") or result.settings.get("shard"):
        text += ", not the whole split"
    if date := result.record.get("date"):
        text += f", {str(date)[:10]}"
    if commit := result.record.get("commit"):
        text += f", commit {str(commit)[:7]}"
    return text


def _figure(name: str, result: BenchmarkResult) -> str:
    """A figure of ours, with its interval in brackets."""
    shown = _cell(name, result.outcome.figures.get(name))
    if shown != "-" and name in result.outcome.intervals:
        low, high = (_cell(name, float(end)) for end in result.outcome.intervals[name])
        shown += f" [{low}, {high}]"
    return shown


def _cell(name: str, value: float | None) -> str:
    """Percentages with one digit, correlations with three, counts as integers."""
    if value is None or math.isnan(value) or value == -1:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}" if name.endswith("MCC") else f"{value:.1f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, the first one as header; text aligned left, numbers right."""
    rows = [[short_line(cell).replace("|", "/") for cell in row] for row in rows]
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
