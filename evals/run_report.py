"""`python -m evals report DIR...`: finished runs, with shards joined, as one Markdown and JSON table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evals.benchmark_registry import find
from evals.benchmark_run import Shard
from evals.benchmark_types import Scorer, VideoBenchmark
from evals.journal import METRICS, RUN, Predictions, read_record
from evals.result_tables import BenchmarkResult, RunOutcome, details, table
from evals.samples import DatasetSplit
from evals.video.video_scorer import VideoScorer, video_samples
from sam3model.errors import ConfigError, DataError, Sam3Error
from sam3model.files import write_json, write_text


def report(folders: Sequence[Path], out: Path | None = None) -> str:
    """Markdown of all runs in or below the folders; also written to `out`, as report.md and report.json.

    Raises `ConfigError` if a folder has no finished run or a shard is missing.
    """
    results = _joined([run for folder in folders for run in _runs(folder)])
    by_benchmark: dict[tuple[str, str], list[BenchmarkResult]] = defaultdict(list)
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
    """Folders of finished runs, this one or below it."""
    runs = sorted(path.parent for path in folder.rglob(METRICS))
    if not runs:
        hint = "; the run is not finished: run its command again" if (folder / RUN).is_file() else ""
        raise ConfigError(f"{folder} contains no results of a run{hint}")
    return runs


def _joined(folders: Sequence[Path]) -> list[BenchmarkResult]:
    """Results, with the shards of a run joined."""
    whole, shards = [], defaultdict(list)
    for folder in folders:
        try:
            result = BenchmarkResult.from_json(read_record(folder / METRICS))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{folder / METRICS}: {error} is missing or has the wrong type") from error
        if result.settings.get("shard"):
            common = {name: value for name, value in result.settings.items() if name != "shard"}
            shards[result.benchmark, result.split, result.system, str(sorted(common.items()))].append((folder, result))
        else:
            whole.append(result)
    return whole + [_join(parts) for parts in shards.values()]


def _join(parts: Sequence[tuple[Path, BenchmarkResult]]) -> BenchmarkResult:
    """Score the predictions of all shards together: AP and correlations are not means over shards."""
    first = parts[0][1]
    count = int(first.settings["shard"].split("/")[1])
    present = {result.settings["shard"].split("/")[0] for _, result in parts}
    if absent := [f"{i}/{count}" for i in range(1, count + 1) if str(i) not in present]:
        raise ConfigError(f"{first.benchmark}: shard {', '.join(absent)} is missing")
    predictions = [Predictions(folder, find(first.benchmark).kind) for folder, _ in parts]
    failures = {key: reason for _, result in parts for key, reason in result.outcome.failures.items()}
    settings = {name: value for name, value in first.settings.items() if name != "shard"}
    outcome = rescore(
        first.benchmark, DatasetSplit(Path(settings["root"]), first.split), settings["limit"], predictions
    )
    seconds = sum(result.outcome.seconds for _, result in parts)
    return replace(
        first, outcome=replace(outcome, failures={**outcome.failures, **failures}, seconds=seconds), settings=settings
    )


def rescore(name: str, dataset: DatasetSplit, limit: int | None, predictions: Sequence[Predictions]) -> RunOutcome:
    """Score stored predictions; a sample without one is a failure."""
    benchmark = find(name)
    if isinstance(benchmark, VideoBenchmark):
        with TemporaryDirectory() as folder:
            scorer = VideoScorer(benchmark, dataset, Path(folder))
            return _rescore(Shard(video_samples(benchmark, dataset), limit, 0, 1), scorer, predictions)
    return _rescore(Shard(benchmark.read(dataset), limit, 0, 1), benchmark.scorer(), predictions)


def _rescore(samples: Shard, scorer: Scorer, predictions: Sequence[Predictions]) -> RunOutcome:
    failures = {}
    for index in range(len(samples)):
        sample = samples[index]
        stored = next((part for part in predictions if sample.key in part), None)
        if stored is None:
            failures[sample.key] = "no prediction"
            continue
        try:
            scorer.update(sample, stored.get(sample.key))
        except Sam3Error as error:
            failures[sample.key] = str(error)
    return RunOutcome(len(samples), len(samples) - len(failures), scorer.compute(), failures)
