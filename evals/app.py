"""From the words of a command line to a run."""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.benchmarks import BENCHMARKS, find
from evals.journal import METRICS, Journal
from evals.registry import AnyBenchmark, PhraseBenchmark, PredictionBenchmark, QuestionBenchmark, Source
from evals.results import Outcome, Result, details, table
from sam3model.errors import ConfigError, DataError, InputError, Sam3Error
from sam3model.files import write_json

if TYPE_CHECKING:
    from sam3agent.config import Settings
    from sam3agent.mllm.base import MLLM
    from sam3agent.segmenter import Segmenter

OUT = Path("runs/evals")


def main(arguments: Sequence[str], *, segmenter: "Segmenter | None" = None, backend: "MLLM | None" = None) -> int:
    """Run a command line. Returns 0 if all went well, 1 for failures, 2 for bad input, 130 for Ctrl-C.

    segmenter, backend: used instead of those that the flags name.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return _dispatch(arguments, segmenter, backend)
    except (InputError, ConfigError, DataError) as error:
        return _complain(error, 2)
    except Sam3Error as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on from here", 130)


def _complain(message: object, code: int) -> int:
    print(f"evals: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def _dispatch(arguments: Sequence[str], segmenter: "Segmenter | None", backend: "MLLM | None") -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        _parser(None).print_help()
        return 0
    name, *words = arguments
    if name == "list":
        print(listing([find(word) for word in words] or list(BENCHMARKS.values())))
        return 0
    if name == "report":
        return _report(words)
    benchmark = find(name)
    return _evaluate(benchmark, _parse(_parser(benchmark), words), segmenter, backend)


def _report(words: Sequence[str]) -> int:
    from evals.report import report

    parser = argparse.ArgumentParser("python -m evals report", description="Join runs into one table.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders of runs, or folders that hold such")
    parser.add_argument("--out", type=Path, help="write report.md and report.json there")
    flags = _parse(parser, words)
    print(report(flags.folders, flags.out), end="")
    return 0


def listing(benchmarks: Sequence[AnyBenchmark]) -> str:
    """What each benchmark is, needs, and where it comes from."""
    parts = []
    for b in benchmarks:
        files = "\n".join(f"    {line}" for line in b.files)
        needs = f"  --root holds\n{files}\n" if b.files else ""
        layout = f"  --predictions  {b.layout}\n" if isinstance(b, PredictionBenchmark) else ""
        parts.append(
            f"{b.name}: {b.title}\n  splits   {', '.join(b.splits)}\n  figures  {', '.join(b.headline)}\n"
            f"{needs}{layout}  get it   {b.get}\n"
        )
    return "\n".join(parts)


def _parser(benchmark: AnyBenchmark | None) -> argparse.ArgumentParser:
    name = benchmark.name if benchmark else "NAME"
    parser = argparse.ArgumentParser(
        f"python -m evals {name}",
        description=benchmark.title if benchmark else "Run a benchmark, `list` them, or `report` on finished runs.",
        epilog=None if benchmark else f"NAME is one of {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument("--split", help=f"one of {', '.join(benchmark.splits)}" if benchmark else "which part")
    parser.add_argument("--out", type=Path, help=f"folder of the run (default {OUT}/{name})")
    if isinstance(benchmark, PredictionBenchmark):
        parser.add_argument("--predictions", type=Path, required=True, help=benchmark.layout)
        return parser
    parser.add_argument("--limit", type=int, help="only the first so many samples")
    parser.add_argument("--shard", help="i/n: every n-th sample, starting with the i-th; `report` joins shards")
    parser.add_argument("--weights", help="tiny (shipped), facebook/sam3, or a path")
    parser.add_argument("--device", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", help="auto, float32 or bfloat16")
    if benchmark is None or isinstance(benchmark, QuestionBenchmark):
        parser.add_argument("--mllm", help="rules (no MLLM) or openai (any compatible server)")
        parser.add_argument("--model", help="name of the MLLM at the server")
        parser.add_argument("--base-url", help="address of the server, e.g. http://localhost:8000/v1")
        parser.add_argument("--max-calls", type=int, help="most MLLM calls of one question")
        parser.add_argument("--keep-pictures", action="store_true", help="keep overlays and pictures beside traces")
    parser.add_argument("--concurrency", type=int, default=4, help="samples under way at a time (default 4)")
    return parser


def _parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """argparse, with its errors as ours."""

    def refuse(message: str) -> None:
        raise ConfigError(f"{message} (see {parser.prog} --help)")

    parser.error = refuse  # type: ignore[method-assign,assignment]
    return parser.parse_args(words)


def _evaluate(
    benchmark: AnyBenchmark, flags: argparse.Namespace, segmenter: "Segmenter | None", backend: "MLLM | None"
) -> int:
    source = _source(benchmark, flags)
    if isinstance(benchmark, PredictionBenchmark):
        figures = benchmark.score(source, flags.predictions)
        outcome = Outcome(0, 0, figures)
        result = Result(benchmark.name, source.split, flags.predictions.name, outcome)
        folder = flags.out or OUT / benchmark.name / source.split
        folder.mkdir(parents=True, exist_ok=True)
    else:
        result, folder = _predict(benchmark, source, flags, segmenter, backend)
    write_json(folder / METRICS, result.to_json(), indent=1)
    print(table(benchmark, [result]))
    print(f"\n{details(benchmark, [result])}\n\n{folder / METRICS}")
    return _said_failures(result, folder)


def _said_failures(result: Result, folder: Path) -> int:
    failures = result.outcome.failures
    if not failures:
        return 0
    for key, error in list(failures.items())[:10]:
        print(f"failed: {key}: {error}", file=sys.stderr)
    more = f"{len(failures)} of {result.outcome.samples} samples failed and are in no figure"
    return _complain(f"{more}; {folder / 'failures.jsonl'} lists them, the same command tries them again", 1)


def _source(benchmark: AnyBenchmark, flags: argparse.Namespace) -> Source:
    split = flags.split or benchmark.splits[0]
    if split not in benchmark.splits:
        raise ConfigError(f"{benchmark.name} has no split {split!r}; it has {', '.join(benchmark.splits)}")
    if benchmark.files and (flags.root is None or not flags.root.is_dir()):
        what = "needs --root" if flags.root is None else f"there is no folder {flags.root}: --root is"
        raise ConfigError(
            f"{benchmark.name}: {what} the folder of the data set; `python -m evals list {benchmark.name}`"
        )
    return Source((flags.root or Path()).resolve(), split)


def _predict(
    benchmark: PhraseBenchmark | QuestionBenchmark,
    source: Source,
    flags: argparse.Namespace,
    segmenter: "Segmenter | None",
    backend: "MLLM | None",
) -> tuple[Result, Path]:
    from evals.predict import EncodedOnce, PhrasePredictor, QuestionPredictor
    from evals.runner import Run, Shard
    from sam3agent.agent.budget import Budget
    from sam3agent.api import make_backend, make_segmenter

    settings = _settings(flags)
    part, parts = _shard(flags.shard)
    if flags.concurrency < 1 or (flags.limit is not None and flags.limit < 1):
        raise ConfigError("--concurrency and --limit must be at least 1")
    segmenter = segmenter or make_segmenter(settings)
    about = _identity(benchmark, source, flags, segmenter.name, settings)
    folder = flags.out or _default_folder(benchmark, source, flags)
    if isinstance(benchmark, PhraseBenchmark):
        predictor, system = PhrasePredictor(EncodedOnce(segmenter, 1), benchmark.threshold), segmenter.name
    else:
        backend = backend or make_backend(settings)
        budget = Budget(settings.max_calls, settings.max_segmenter_calls, settings.max_seconds)
        predictor = QuestionPredictor(EncodedOnce(segmenter), backend, budget, folder, flags.keep_pictures)
        system = f"{segmenter.name} + {backend.name}"
    samples = Shard(benchmark.read(source), flags.limit, part, parts)
    if not len(samples):
        raise DataError(f"{source.root}: there is no sample in split {source.split!r}")
    with Journal(folder, {**about, "system": system}) as journal:
        outcome = Run(samples, predictor, benchmark.scorer(), journal, flags.concurrency).run()
    return Result(benchmark.name, source.split, system, outcome, {**about, "limit": flags.limit}), folder


def _settings(flags: argparse.Namespace) -> "Settings":
    from sam3agent.config import load_settings

    names = ("weights", "device", "dtype", "mllm", "model", "base_url", "max_calls")
    return load_settings({name: getattr(flags, name, None) for name in names})


def _shard(text: str | None) -> tuple[int, int]:
    """ "2/4" -> (1, 4)."""
    if text is None:
        return 0, 1
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise ConfigError(f"--shard {text}: expected i/n with i from 1 to n, such as 2/4")
    return part - 1, parts


def _default_folder(benchmark: AnyBenchmark, source: Source, flags: argparse.Namespace) -> Path:
    shard = f"-{flags.shard.replace('/', '-of-')}" if flags.shard else ""
    return OUT / benchmark.name / f"{source.split}{shard}"


def _identity(
    benchmark: AnyBenchmark, source: Source, flags: argparse.Namespace, weights: str, settings: "Settings"
) -> dict[str, Any]:
    """What must be the same for a run to be gone on with."""
    return {
        "benchmark": benchmark.name,
        "split": source.split,
        "root": str(source.root) if benchmark.files else "",
        "weights": weights,
        "weights_file": _stamp(weights),
        "dtype": settings.dtype,
        "max_calls": settings.max_calls,
        "shard": flags.shard,
    }


def _stamp(weights: str) -> str | None:
    """Size and time of a local weights file, so that other weights of the same name are noticed."""
    from sam3model.resources import TINY_WEIGHTS, asset

    try:
        path = asset(TINY_WEIGHTS) if weights == "tiny" else Path(weights)
        stat = path.stat()
    except (Sam3Error, OSError):
        return None
    return f"{stat.st_size} bytes, {stat.st_mtime_ns}"
