"""The command line: `list`, `report`, and one benchmark per name."""

import argparse
import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.benchmark_registry import BENCHMARKS, find
from evals.benchmark_types import AnyBenchmark, QuestionBenchmark, Samples, Scorer, VideoBenchmark
from evals.journal import FAILURES, METRICS, Journal
from evals.result_tables import BenchmarkResult, RunOutcome, details, table
from evals.samples import DatasetSplit
from sam3model.errors import ConfigError, DataError, InputError, Sam3Error
from sam3model.files import write_json

if TYPE_CHECKING:
    from evals.sample_runners import SampleRunner
    from evals.video.video_runner import ClipPredictor
    from sam3agent.config import Settings
    from sam3agent.mllm.base import MLLM
    from sam3agent.segmenter import Segmenter

OUT = Path("runs/evals")


@dataclass(frozen=True, slots=True)
class Models:
    """Replacements for the models that the flags name; None: as the flags say."""

    segmenter: "Segmenter | None" = None
    backend: "MLLM | None" = None
    predictor: "ClipPredictor | None" = None


def main(
    arguments: Sequence[str],
    *,
    segmenter: "Segmenter | None" = None,
    backend: "MLLM | None" = None,
    predictor: "ClipPredictor | None" = None,
) -> int:
    """Run the command line and return its exit code: 0 success, 1 failure, 2 invalid input, 130 Ctrl-C.

    segmenter, backend, predictor: replace those named by the flags.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return _dispatch(arguments, Models(segmenter, backend, predictor))
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
        _parser(None).print_help()
        return 0
    name, *rest = arguments
    if name == "list":
        print(listing([find(name) for name in rest] or list(BENCHMARKS.values())))
        return 0
    if name == "report":
        return _report(rest)
    benchmark = find(name)
    return _evaluate(benchmark, _parse(_parser(benchmark), rest), models)


def _report(arguments: Sequence[str]) -> int:
    from evals.run_report import report

    parser = argparse.ArgumentParser("python -m evals report", description="Show finished runs in one table.")
    parser.add_argument("folders", nargs="+", type=Path, help="run folders, or folders of run folders")
    parser.add_argument("--out", type=Path, help="folder for report.md and report.json")
    flags = _parse(parser, arguments)
    print(report(flags.folders, flags.out), end="")
    return 0


def listing(benchmarks: Sequence[AnyBenchmark]) -> str:
    """Title, splits, figures, required files and download of each benchmark."""
    parts = []
    for b in benchmarks:
        files = "\n".join(f"    {line}" for line in b.files)
        needs = f"  --root contains\n{files}\n" if b.files else ""
        layout = f"  --predictions  {b.layout}\n" if isinstance(b, VideoBenchmark) else ""
        parts.append(
            f"{b.name}: {b.title}\n  splits   {', '.join(b.splits)}\n  figures  {', '.join(b.headline)}\n"
            f"{needs}{layout}  download with: {b.get}\n"
        )
    return "\n".join(parts)


def _parser(benchmark: AnyBenchmark | None) -> argparse.ArgumentParser:
    name = benchmark.name if benchmark else "NAME"
    parser = argparse.ArgumentParser(
        f"python -m evals {name}",
        description=benchmark.title if benchmark else "Run a benchmark, `list` benchmarks, or `report` finished runs.",
        epilog=None if benchmark else f"NAME is one of {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("--root", type=Path, help="folder of the data set")
    splits = f"one of {', '.join(benchmark.splits)}" if benchmark else "split of the data set"
    parser.add_argument("--split", help=splits)
    parser.add_argument("--out", type=Path, help=f"folder of the run (default: {OUT}/{name}/SPLIT)")
    if benchmark is None or isinstance(benchmark, VideoBenchmark):
        layout = benchmark.layout if benchmark else "videos only, see `list`"
        parser.add_argument("--predictions", type=Path, help=f"score these and run no model: {layout}")
        if benchmark and benchmark.run is None:
            return parser
    parser.add_argument("--limit", type=int, help="use only the first LIMIT samples")
    parser.add_argument("--shard", help="i/n: every n-th sample, starting with the i-th; `report` joins the shards")
    parser.add_argument("--weights", help="tiny (included, not for videos), facebook/sam3, or a path")
    parser.add_argument("--device", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", help="auto, float32 or bfloat16")
    if benchmark is None or isinstance(benchmark, QuestionBenchmark):
        parser.add_argument("--mllm", help="rules (no MLLM) or openai (any compatible server)")
        parser.add_argument("--model", help="name of the MLLM on the server")
        parser.add_argument("--base-url", help="URL of the server, e.g. http://localhost:8000/v1")
        parser.add_argument("--max-calls", type=int, help="maximum number of MLLM calls per question")
        parser.add_argument("--keep-images", action="store_true", help="keep images and overlays with the traces")
        parser.add_argument("--keep-pictures", dest="keep_images", action="store_true", help=argparse.SUPPRESS)
    if not isinstance(benchmark, VideoBenchmark):
        parser.add_argument("--concurrency", type=int, default=4, help="samples processed at once (default: 4)")
    return parser


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse; raises `ConfigError` if argparse would exit."""

    def refuse(message: str) -> None:
        raise ConfigError(f"{message} (see {parser.prog} --help)")

    parser.error = refuse  # type: ignore[method-assign,assignment]
    return parser.parse_args(arguments)


def _evaluate(benchmark: AnyBenchmark, flags: argparse.Namespace, models: Models) -> int:
    dataset = _dataset_split(benchmark, flags)
    if isinstance(benchmark, VideoBenchmark) and (flags.predictions is not None or benchmark.run is None):
        result, folder = _score_predictions(benchmark, dataset, flags)
    else:
        result, folder = _run(benchmark, dataset, flags, models)
    write_json(folder / METRICS, result.to_json(), indent=1)
    print(table(benchmark, [result]))
    print(f"\n{details(benchmark, [result])}\n\n{folder / METRICS}")
    return _list_failures(result, folder)


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
    benchmark: VideoBenchmark, dataset: DatasetSplit, flags: argparse.Namespace
) -> tuple[BenchmarkResult, Path]:
    if flags.predictions is None:
        how = f"(see `python -m evals list {benchmark.name}`)"
        raise ConfigError(f"{benchmark.name}: pass predictions made with another tool as --predictions {how}")
    outcome = RunOutcome(0, 0, benchmark.score(dataset, flags.predictions))
    folder = flags.out or _default_folder(benchmark, dataset, None)
    folder.mkdir(parents=True, exist_ok=True)
    return BenchmarkResult(benchmark.name, dataset.split, flags.predictions.name, outcome), folder


def _run(
    benchmark: AnyBenchmark, dataset: DatasetSplit, flags: argparse.Namespace, models: Models
) -> tuple[BenchmarkResult, Path]:
    from evals.benchmark_run import BenchmarkRun, Shard

    settings = _settings(flags)
    shard, shards = _shard(flags.shard)
    concurrency = getattr(flags, "concurrency", 1)
    if concurrency < 1 or (flags.limit is not None and flags.limit < 1):
        raise ConfigError("--concurrency and --limit must be at least 1")
    folder = flags.out or _default_folder(benchmark, dataset, flags.shard)
    parts = _parts(benchmark, dataset, flags, models, settings, folder)
    samples = Shard(parts.samples, flags.limit, shard, shards)
    if not len(samples):
        raise DataError(f"{dataset.root}: split {dataset.split!r} has no samples")
    identity = _identity(benchmark, dataset, flags, parts.weights, settings)
    with Journal(folder, benchmark.kind, {**identity, "system": parts.runner.system}) as journal:
        outcome = BenchmarkRun(samples, parts.runner, parts.scorer(), journal, concurrency).run()
    settings_of_run, system = {**identity, "limit": flags.limit}, parts.runner.system
    return BenchmarkResult(benchmark.name, dataset.split, system, outcome, settings_of_run), folder


class _RunParts(NamedTuple):
    """What a run is made of. weights: name of the model's weights."""

    samples: Samples[Any]
    runner: "SampleRunner[Any]"
    scorer: Callable[[], Scorer]
    weights: str


def _parts(
    benchmark: AnyBenchmark,
    dataset: DatasetSplit,
    flags: argparse.Namespace,
    models: Models,
    settings: "Settings",
    folder: Path,
) -> _RunParts:
    if isinstance(benchmark, VideoBenchmark):
        from evals.video.video_runner import VideoRunner, load_predictor
        from evals.video.video_scorer import PREDICTIONS, VideoScorer, video_samples

        videos = video_samples(benchmark, dataset)
        video_runner = VideoRunner(models.predictor or load_predictor(settings), settings.weights)
        scorer = partial(VideoScorer, benchmark, dataset, folder / PREDICTIONS)
        return _RunParts(videos, video_runner, scorer, settings.weights)
    from evals.sample_runners import make_runner
    from sam3agent.api import make_segmenter

    segmenter = models.segmenter or make_segmenter(settings)
    keep_images = getattr(flags, "keep_images", False)
    runner = make_runner(benchmark, segmenter, settings, folder, models.backend, keep_images)
    return _RunParts(benchmark.read(dataset), runner, benchmark.scorer, segmenter.name)


def _settings(flags: argparse.Namespace) -> "Settings":
    from sam3agent.config import load_settings

    names = ("weights", "device", "dtype", "mllm", "model", "base_url", "max_calls")
    return load_settings({name: getattr(flags, name, None) for name in names})


def _shard(text: str | None) -> tuple[int, int]:
    """ "2/4" -> (1, 4)."""
    if text is None:
        return 0, 1
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    shard, shards = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= shard <= shards:
        raise ConfigError(f"--shard {text}: expected i/n with i from 1 to n, e.g. 2/4")
    return shard - 1, shards


def _default_folder(benchmark: AnyBenchmark, dataset: DatasetSplit, shard: str | None) -> Path:
    suffix = f"-{shard.replace('/', '-of-')}" if shard else ""
    return OUT / benchmark.name / f"{dataset.split}{suffix}"


def _identity(
    benchmark: AnyBenchmark, dataset: DatasetSplit, flags: argparse.Namespace, weights: str, settings: "Settings"
) -> dict[str, Any]:
    """What must be equal for a run to be resumed."""
    return {
        "benchmark": benchmark.name,
        "split": dataset.split,
        "root": str(dataset.root) if benchmark.files else "",
        "weights": weights,
        "weights_file": _stamp(weights),
        "dtype": settings.dtype,
        "max_calls": settings.max_calls,
        "shard": flags.shard,
    }


def _stamp(weights: str) -> str | None:
    """Size and modification time of a local weights file: tells apart weights of the same name."""
    from sam3model.resources import TINY_WEIGHTS, asset

    try:
        path = asset(TINY_WEIGHTS) if weights == "tiny" else Path(weights)
        stat = path.stat()
    except (Sam3Error, OSError):
        return None
    return f"{stat.st_size} bytes, {stat.st_mtime_ns}"
