"""`python -m evals report DIR…`: runs, shards joined, in one Markdown and JSON table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evals.benchmarks import find
from evals.journal import METRICS, RUN, Predictions, read_record
from evals.registry import PredictionBenchmark, Source
from evals.results import Outcome, Result, details, table
from evals.runner import Shard
from sam3model.errors import ConfigError, DataError, Sam3Error
from sam3model.files import write_json, write_text


def report(folders: Sequence[Path], out: Path | None = None) -> str:
    """The Markdown of all runs in (or right under) the folders; with `out`, report.md and report.json are written.

    Raises `ConfigError` where a folder holds no run or shards are missing.
    """
    results = _joined([run for folder in folders for run in _runs(folder)])
    by_benchmark: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        by_benchmark[result.benchmark, result.split].append(result)
    sections = [
        "\n\n".join(filter(None, (table(find(name), group), details(find(name), group))))
        for (name, _), group in sorted(by_benchmark.items())
    ]
    text = "\n\n".join(sections) + "\n"
    if out is not None:
        write_text(out / "report.md", text)
        write_json(out / "report.json", [result.to_json() for result in results], indent=1)
    return text


def _runs(folder: Path) -> list[Path]:
    """The folders of finished runs."""
    found = [folder] if (folder / METRICS).is_file() else sorted(path.parent for path in folder.glob(f"*/{METRICS}"))
    if not found:
        hint = "; its run has not ended: give its command again" if (folder / RUN).is_file() else ""
        raise ConfigError(f"{folder} holds no results of a run{hint}")
    return found


def _joined(folders: Sequence[Path]) -> list[Result]:
    """Results, with all shards of a run as one."""
    whole, shards = [], defaultdict(list)
    for folder in folders:
        try:
            result = Result.from_json(read_record(folder / METRICS))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{folder / METRICS}: {error} is missing or of the wrong kind") from error
        if result.settings.get("shard"):
            common = {name: value for name, value in result.settings.items() if name != "shard"}
            shards[result.benchmark, result.split, result.system, str(sorted(common.items()))].append((folder, result))
        else:
            whole.append(result)
    return whole + [_join(parts) for parts in shards.values()]


def _join(parts: Sequence[tuple[Path, Result]]) -> Result:
    """Score the predictions of all shards together: AP and correlations are no means over shards."""
    first = parts[0][1]
    count = int(first.settings["shard"].split("/")[1])
    present = {result.settings["shard"].split("/")[0] for _, result in parts}
    if absent := [f"{i}/{count}" for i in range(1, count + 1) if str(i) not in present]:
        raise ConfigError(f"{first.benchmark}: shard {', '.join(absent)} is missing")
    predictions = [Predictions(folder) for folder, _ in parts]
    failures = {key: reason for _, result in parts for key, reason in result.outcome.failures.items()}
    settings = {name: value for name, value in first.settings.items() if name != "shard"}
    outcome = rescore(first.benchmark, Source(Path(settings["root"]), first.split), settings["limit"], predictions)
    seconds = sum(result.outcome.seconds for _, result in parts)
    return replace(
        first, outcome=replace(outcome, failures={**outcome.failures, **failures}, seconds=seconds), settings=settings
    )


def rescore(name: str, source: Source, limit: int | None, predictions: Sequence[Predictions]) -> Outcome:
    """Figures of predictions that lie on disk; a sample without one is a failure."""
    benchmark = find(name)
    if isinstance(benchmark, PredictionBenchmark):
        raise ConfigError(f"{name} scores a folder of predictions: it has no shards")
    samples, scorer = Shard(benchmark.read(source), limit, 0, 1), benchmark.scorer()
    failures = {}
    for index in range(len(samples)):
        sample = samples[index]
        kept = next((part for part in predictions if sample.key in part), None)
        if kept is None:
            failures[sample.key] = "no prediction"
            continue
        try:
            scorer.update(sample, kept.get(sample.key))
        except Sam3Error as error:
            failures[sample.key] = str(error)
    return Outcome(len(samples), len(samples) - len(failures), scorer.compute(), failures)
