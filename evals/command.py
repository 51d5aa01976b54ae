"""The command line: `list`, `report`, and one benchmark per name."""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.benchmark_registry import BENCHMARKS, find
from evals.benchmark_types import AnyBenchmark, MaskletBenchmark, VideoBenchmark
from evals.command_flags import OUT, listing, make_parser, parse_flags, read_shard
from evals.journal import FAILURES, METRICS, Journal
from evals.result_tables import BenchmarkResult, RunOutcome, details, table
from evals.run_parts import METHODS, Models, RunRequest, make_parts, run_identity
from evals.samples import DatasetSplit
from sam3model.errors import ConfigError, DataError, InputError, Sam3Error
from sam3model.files import write_json

if TYPE_CHECKING:
    from evals.click_runner import ImagePredicting
    from sam3agent.config import Settings
    from sam3agent.mllm.base import MLLM
    from sam3agent.segmenter import Segmenter


def main(
    arguments: Sequence[str],
    *,
    segmenter: "Segmenter | None" = None,
    backend: "MLLM | None" = None,
    predictor: "Any | None" = None,
    image_predictor: "ImagePredicting | None" = None,
) -> int:
    """Run the command line and return its exit code: 0 success, 1 failure, 2 invalid input, 130 Ctrl-C.

    segmenter, backend, predictor (of clips), image_predictor: replace those named by the flags.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return _dispatch(arguments, Models(segmenter, backend, predictor, image_predictor))
    except (InputError, ConfigError, DataError) as error:
        return _fail(error, 2)
    except Sam3Error as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to resume", 130)


def _fail(message: object, code: int) -> int:
    print(f"evals: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def _dispatch(arguments: Sequence[str], models: Models) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        make_parser(None).print_help()
        return 0
    name, *rest = arguments
    if name == "list":
        print(listing([find(name) for name in rest] or list(BENCHMARKS.values())))
        return 0
    if name == "report":
        return _report(rest)
    benchmark = find(name)
    return _evaluate(benchmark, parse_flags(make_parser(benchmark), rest), models)


def _report(arguments: Sequence[str]) -> int:
    from evals.run_report import report

    parser = argparse.ArgumentParser("python -m evals report", description="Show finished runs in one table.")
    parser.add_argument("folders", nargs="+", type=Path, help="run folders, or folders of run folders")
    parser.add_argument("--out", type=Path, help="folder for report.md and report.json")
    flags = parse_flags(parser, arguments)
    print(report(flags.folders, flags.out), end="")
    return 0


def _evaluate(benchmark: AnyBenchmark, flags: argparse.Namespace, models: Models) -> int:
    dataset = _dataset_split(benchmark, flags)
    results, folders = [], []
    for result, folder in _results(benchmark, dataset, flags, models):
        write_json(folder / METRICS, result.to_json(), indent=1)
        results.append(result)
        folders.append(folder)
    print(table(benchmark, results))
    print(f"\n{details(benchmark, results)}\n")
    for folder in folders:
        print(folder / METRICS)
    return max([_list_failures(result, folder) for result, folder in zip(results, folders, strict=True)])


def _results(
    benchmark: AnyBenchmark, dataset: DatasetSplit, flags: argparse.Namespace, models: Models
) -> Iterator[tuple[BenchmarkResult, Path]]:
    """The results with their folders, each as soon as it is there; several only for a `MaskletBenchmark`."""
    folder = flags.out or _default_folder(benchmark, dataset, getattr(flags, "shard", None))
    if isinstance(benchmark, VideoBenchmark) and (flags.predictions is not None or benchmark.run is None):
        yield _score_predictions(benchmark, dataset, flags, folder), folder
        return
    settings = _settings(flags)
    if not isinstance(benchmark, MaskletBenchmark):
        yield _run(RunRequest(benchmark, dataset, flags, settings, folder), models), folder
        return
    for method in METHODS if flags.method == "all" else (flags.method,):
        request = RunRequest(benchmark, dataset, flags, settings, folder / method, method)
        yield _run(request, models), request.folder


def _list_failures(result: BenchmarkResult, folder: Path) -> int:
    failures = result.outcome.failures
    if not failures:
        return 0
    for key, error in list(failures.items())[:10]:
        print(f"failed: {key}: {error}", file=sys.stderr)
    more = f"{len(failures)} of {result.outcome.samples} samples failed and are not in the figures"
    return _fail(f"{more}; see {folder / FAILURES}; run the same command again to retry them", 1)


def _dataset_split(benchmark: AnyBenchmark, flags: argparse.Namespace) -> DatasetSplit:
    split = flags.split or benchmark.splits[0]
    if split not in benchmark.splits:
        raise ConfigError(f"{benchmark.name}: unknown split {split!r}; choose from {', '.join(benchmark.splits)}")
    if benchmark.files and (flags.root is None or not flags.root.is_dir()):
        what = "--root is missing" if flags.root is None else f"--root {flags.root} is not a folder"
        raise ConfigError(
            f"{benchmark.name}: {what}; give the folder of the data set (see `python -m evals list {benchmark.name}`)"
        )
    return DatasetSplit((flags.root or Path()).resolve(), split)


def _score_predictions(
    benchmark: VideoBenchmark, dataset: DatasetSplit, flags: argparse.Namespace, folder: Path
) -> BenchmarkResult:
    if flags.predictions is None:
        how = f"(see `python -m evals list {benchmark.name}`)"
        raise ConfigError(f"{benchmark.name}: pass predictions made with another tool as --predictions {how}")
    outcome = RunOutcome(0, 0, benchmark.score(dataset, flags.predictions))
    folder.mkdir(parents=True, exist_ok=True)
    return BenchmarkResult(benchmark.name, dataset.split, flags.predictions.name, outcome)


def _run(request: RunRequest, models: Models) -> BenchmarkResult:
    from evals.benchmark_run import BenchmarkRun, Shard

    benchmark, dataset, flags = request.benchmark, request.dataset, request.flags
    shard, shards = read_shard(flags.shard)
    concurrency = getattr(flags, "concurrency", 1)
    if concurrency < 1 or (flags.limit is not None and flags.limit < 1):
        raise ConfigError("--concurrency and --limit must be at least 1")
    parts = make_parts(request, models)
    samples = Shard(parts.samples, flags.limit, shard, shards)
    if not len(samples):
        raise DataError(f"{dataset.root}: split {dataset.split!r} has no samples")
    identity, system = run_identity(request, parts.weights), parts.runner.system
    with Journal(request.folder, benchmark.kind, {**identity, "system": system}) as journal:
        outcome = BenchmarkRun(samples, parts.runner, parts.scorer(), journal, concurrency).run()
    return BenchmarkResult(benchmark.name, dataset.split, system, outcome, {**identity, "limit": flags.limit})


def _settings(flags: argparse.Namespace) -> "Settings":
    from sam3agent.config import load_settings

    names = ("weights", "device", "dtype", "mllm", "model", "base_url", "max_calls")
    return load_settings({name: getattr(flags, name, None) for name in names})


def _default_folder(benchmark: AnyBenchmark, dataset: DatasetSplit, shard: str | None) -> Path:
    suffix = f"-{shard.replace('/', '-of-')}" if shard else ""
    return OUT / benchmark.name / f"{dataset.split}{suffix}"
