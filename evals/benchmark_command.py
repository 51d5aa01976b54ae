"""Evaluates one benchmark as the command line asks: run a model, or score predictions made elsewhere."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evals.benchmark_results import BenchmarkResult, RunOutcome, read_result
from evals.benchmark_types import (
    AnyBenchmark,
    MaskletBenchmark,
    PhraseBenchmark,
    QuestionBenchmark,
    VideoBenchmark,
    asks_agent,
)
from evals.intervals import RESAMPLES, has_intervals
from evals.journal import FAILURES, METRICS, RUN, Journal
from evals.plain_text import short_line, slug
from evals.result_tables import cost_table, details, table
from evals.run_costs import technical_failure
from evals.run_folders import earlier_folder, run_folder, weights_label
from evals.run_parts import METHODS, Models, RunRequest, earlier_values, make_parts, run_identity
from evals.run_record import run_record, software
from evals.samples import DatasetSplit
from evals.shards import Shard, read_shard
from evals.tally import Tally
from sam3model.errors import ConfigError, DataError, OutputError
from sam3model.files import write_json

if TYPE_CHECKING:
    from sam3agent.config import Settings

MAX_CONCURRENCY = 1024
MAX_RESAMPLES = 100_000
SHOWN_FAILURES = 10


def evaluate(benchmark: AnyBenchmark, flags: argparse.Namespace, models: Models) -> list[str]:
    """Evaluate a benchmark, write metrics.json and print the tables.

    Returns what went wrong technically, one line each; empty if all samples were scored. Raises `Sam3Error`.
    """
    check_flags(flags)
    if getattr(flags, "resamples", None) and not has_intervals(benchmark):
        raise ConfigError(f"{benchmark.name} has no confidence intervals: leave out --resamples")
    dataset = _dataset_split(benchmark, flags)
    results, folders = [], []
    for result, folder in _results(benchmark, dataset, flags, models):
        write_json(folder / METRICS, result.to_json(), indent=1)
        results.append(result)
        folders.append(folder)
    parts = [table(benchmark, results), cost_table(results), details(benchmark, results)]
    print("\n\n".join(filter(None, parts)) + "\n")
    for folder in folders:
        print(short_line(folder / METRICS))
    return [line for pair in zip(results, folders, strict=True) for line in _problems(*pair)]


def check_flags(flags: argparse.Namespace) -> None:
    """Raises `ConfigError` if the value of a flag is out of range."""
    read_shard(getattr(flags, "shard", None))
    for name, highest in (("limit", sys.maxsize), ("concurrency", MAX_CONCURRENCY)):
        value = getattr(flags, name, None)
        if value is not None and not 1 <= value <= highest:
            limits = "at least 1" if highest == sys.maxsize else f"from 1 to {highest}"
            raise ConfigError(f"--{name} must be {limits}, not {value}")
    if not 0 <= (getattr(flags, "resamples", None) or 0) <= MAX_RESAMPLES:
        raise ConfigError(f"--resamples must be from 0 to {MAX_RESAMPLES}, not {flags.resamples}")
    if flags.out is not None and not flags.out.parts:
        raise ConfigError("--out is empty; name a folder")


def _resamples(flags: argparse.Namespace) -> int:
    return RESAMPLES if flags.resamples is None else flags.resamples


def _results(
    benchmark: AnyBenchmark, dataset: DatasetSplit, flags: argparse.Namespace, models: Models
) -> Iterator[tuple[BenchmarkResult, Path]]:
    """The results with their folders, each as soon as it is there; several only for a `MaskletBenchmark`."""
    if getattr(flags, "predictions", None) is not None or (isinstance(benchmark, VideoBenchmark) and not benchmark.run):
        yield _score_predictions(benchmark, dataset, flags)
        return
    settings = _settings(flags)
    methods = (
        (METHODS if flags.method == "all" else (flags.method,)) if isinstance(benchmark, MaskletBenchmark) else ("",)
    )
    folder = _folder(RunRequest(benchmark, dataset, flags, settings, Path(), methods[0]), models)
    for method in methods:
        request = RunRequest(benchmark, dataset, flags, settings, folder / method, method)
        yield _run(request, models), request.folder


def _problems(result: BenchmarkResult, folder: Path) -> list[str]:
    """What failed technically; the first failures are printed."""
    outcome, found = result.outcome, []
    for key, error in list(outcome.failures.items())[:SHOWN_FAILURES]:
        print(f"failed: {short_line(key)}: {short_line(error)}", file=sys.stderr)
    if outcome.failures:
        more = f"{len(outcome.failures)} of {outcome.samples} samples failed and are not in the figures"
        found.append(f"{more}; see {folder / FAILURES}; run the same command again to retry them")
    broken = technical_failure(outcome.costs, len(outcome.failures), outcome.samples)
    return [*found, *([broken] if broken else [])]


def _dataset_split(benchmark: AnyBenchmark, flags: argparse.Namespace) -> DatasetSplit:
    split = flags.split or benchmark.splits[0]
    if split not in benchmark.splits:
        raise ConfigError(f"{benchmark.name}: unknown split {split!r}; choose from {', '.join(benchmark.splits)}")
    root: Path | None = flags.root
    a_file = isinstance(benchmark, PhraseBenchmark) and benchmark.score and flags.predictions is not None
    try:
        usable = root is not None and (root.is_dir() or (a_file and root.is_file()))
        if benchmark.files and not usable:
            what = "--root is missing" if root is None else f"--root {root} is not a folder"
            how = f"see `python -m evals list {benchmark.name}`"
            raise ConfigError(f"{benchmark.name}: {what}; give the folder of the data set ({how})")
        return DatasetSplit((root or Path()).resolve(), split)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"--root {root} cannot be used: {error}") from error


def _score_predictions(
    benchmark: AnyBenchmark, dataset: DatasetSplit, flags: argparse.Namespace
) -> tuple[BenchmarkResult, Path]:
    predictions: Path | None = flags.predictions
    if not isinstance(benchmark, VideoBenchmark | PhraseBenchmark) or benchmark.score is None:
        raise ConfigError(f"{benchmark.name}: --predictions cannot be scored; leave it out to run the model")
    if predictions is None:
        how = f"(see `python -m evals list {benchmark.name}`)"
        raise ConfigError(f"{benchmark.name}: pass predictions made with another tool as --predictions {how}")
    folder = flags.out or run_folder(benchmark.name, dataset.split, (slug(predictions.stem, unique=False),), None)
    _refuse_others(folder, dataset, benchmark.name, predictions)
    if isinstance(benchmark, VideoBenchmark):
        outcome = RunOutcome(0, 0, benchmark.score(dataset, predictions))
    else:
        scored = benchmark.score(dataset, predictions, _resamples(flags))
        outcome = RunOutcome(scored.samples, scored.samples, scored.figures, intervals=scored.intervals)
    _make(folder)
    settings = {"root": str(dataset.root), "predictions": str(predictions.resolve())}
    return BenchmarkResult(benchmark.name, dataset.split, predictions.name, outcome, settings, run_record()), folder


def _refuse_others(folder: Path, dataset: DatasetSplit, benchmark: str, predictions: Path) -> None:
    """Raise `ConfigError` if the folder holds a run of a model, or figures of other predictions."""
    if (folder / RUN).exists():
        raise ConfigError(f"{folder} holds a run of a model: choose another --out")
    if not (folder / METRICS).exists():
        return
    before = read_result(folder / METRICS)
    scored, root = (before.settings.get(name) for name in ("predictions", "root"))
    earlier = before.benchmark, before.split, _resolved(root), _resolved(scored)
    if earlier != (benchmark, dataset.split, _resolved(str(dataset.root)), _resolved(str(predictions))):
        what = f"{before.benchmark} {before.split} of {scored or 'unnamed predictions'}"
        where = f" under {root}" if root else ""
        raise ConfigError(f"{folder} holds the figures of {what}{where}: choose another --out, or delete it")


def _resolved(path: object) -> Path | None:
    """The path that a setting names, however it was typed; None if it names none."""
    try:
        return Path(path).resolve() if isinstance(path, str) and path else None
    except (OSError, RuntimeError, ValueError):
        return None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot write to {folder}: {reason}; choose another --out") from error


def _run(request: RunRequest, models: Models) -> BenchmarkResult:
    from evals.benchmark_run import BenchmarkRun

    benchmark, dataset, flags = request.benchmark, request.dataset, request.flags
    parts = make_parts(request, models)
    samples = Shard(parts.samples, flags.limit, *read_shard(flags.shard))
    if not len(samples):
        raise DataError(f"{dataset.root}: split {dataset.split!r} has no samples")
    concurrent = isinstance(benchmark, PhraseBenchmark | QuestionBenchmark)
    identity, record = {**run_identity(request, parts.weights), "system": parts.runner.system}, run_record()
    earlier = earlier_values(parts.weights)
    with Journal(request.folder, benchmark.kind, identity, record, earlier) as journal:
        tally = Tally(parts.scorer(), _resamples(flags))
        try:
            outcome = BenchmarkRun(samples, parts.runner, tally, journal, flags.concurrency if concurrent else 1).run()
        except OutputError as error:
            raise OutputError(f"{error}; what was predicted is kept: run the same command again to go on") from error
        if software(journal.started) != software(record):
            record["started_with"] = journal.started
    settings = {name: value for name, value in identity.items() if name != "system"} | {"limit": flags.limit}
    return BenchmarkResult(benchmark.name, dataset.split, parts.runner.system, outcome, settings, record)


def _folder(request: RunRequest, models: Models) -> Path:
    """The folder of a run: --out, or one named by weights and backend."""
    flags, benchmark, settings = request.flags, request.benchmark, request.settings
    if flags.out is not None:
        return flags.out
    weights = settings.weights if models.segmenter is None else models.segmenter.name
    if isinstance(benchmark, QuestionBenchmark) and benchmark.segmenter and flags.weights is None:
        weights = ""  # the benchmark brings its own segmenter
    backend = _backend(settings, models) if asks_agent(benchmark) else ""
    labels = (weights_label(weights), weights_label(backend.partition(":")[2] or backend))
    split = request.dataset.split
    folder = run_folder(benchmark.name, split, labels if backend else labels[:1], flags.shard)
    identity, earlier = run_identity(request, weights), earlier_values(weights)
    return earlier_folder(folder, benchmark.name, split, flags.shard, identity, earlier, backend)


def _backend(settings: "Settings", models: Models) -> str:
    if models.backend is not None:
        return models.backend.name
    return f"openai:{settings.model or ''}" if settings.backend == "openai" else settings.backend


def _settings(flags: argparse.Namespace) -> "Settings":
    from sam3agent.config import load_settings

    names = (
        *("weights", "device", "dtype", "mllm", "model", "base_url", "max_calls", "effort", "without"),
        *("threshold", "max_seconds"),
    )
    return load_settings({name: getattr(flags, name, None) for name in names})
