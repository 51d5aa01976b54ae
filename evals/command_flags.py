"""Flags of the command line, and the list of benchmarks."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from evals.benchmark_registry import BENCHMARKS
from evals.benchmark_types import (
    AnyBenchmark,
    MaskletBenchmark,
    PhraseBenchmark,
    QuestionBenchmark,
    VideoBenchmark,
    asks_agent,
    scores_predictions,
)
from evals.intervals import LEVEL, RESAMPLES, has_intervals
from evals.run_folders import OUT
from evals.run_parts import METHODS
from evals.scorers.playground_clips import PROTOCOLS
from sam3model.errors import ConfigError


def listing(benchmarks: Sequence[AnyBenchmark]) -> str:
    """Title, splits, figures, required files and download of each benchmark."""
    parts = []
    for b in benchmarks:
        files = "\n".join(f"    {line}" for line in b.files)
        needs = f"  --root contains\n{files}\n" if b.files else ""
        layout = f"  --predictions  {b.layout}\n" if scores_predictions(b) else ""
        parts.append(
            f"{b.name}: {b.title}\n  splits   {', '.join(b.splits)}\n  figures  {', '.join(b.headline)}\n"
            f"{needs}{layout}  download with: {b.get}\n"
        )
    return "\n".join(parts)


def make_parser(benchmark: AnyBenchmark | None) -> argparse.ArgumentParser:
    """The flags of a benchmark, or all of them."""
    name = benchmark.name if benchmark else "NAME"
    parser = argparse.ArgumentParser(
        f"python -m evals {name}" if benchmark else "python -m evals NAME [NAME ...]",
        description=benchmark.title if benchmark else "Run benchmarks, `list` them, or `report` finished runs.",
        epilog=None if benchmark else f"NAME is one of {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("--root", type=Path, help="folder of the data set")
    splits = f"one of {', '.join(benchmark.splits)}" if benchmark else "split of the data set"
    parser.add_argument("--split", help=splits)
    parser.add_argument("--out", type=Path, help=f"folder of the run (default: {OUT}/{name}/SPLIT-WEIGHTS)")
    if benchmark is None or scores_predictions(benchmark):
        layout = benchmark.layout if benchmark else "videos and coco, see `list`"
        parser.add_argument("--predictions", type=Path, help=f"score these and run no model: {layout}")
        if isinstance(benchmark, VideoBenchmark) and benchmark.run is None:
            return parser
    parser.add_argument("--limit", type=int, help="use only the first LIMIT samples")
    parser.add_argument("--shard", help="i/n: every n-th sample, starting with the i-th; `report` joins the shards")
    drawn = f"resamples for the {LEVEL} %% confidence intervals (default: {RESAMPLES}; 0: no intervals)"
    drawn = drawn if benchmark is None or has_intervals(benchmark) else argparse.SUPPRESS
    parser.add_argument("--resamples", type=int, help=drawn)
    parser.add_argument("--weights", help="tiny (included), facebook/sam3, or a path")
    parser.add_argument("--device", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", help="auto, float32, bfloat16, or int8 (processors: least memory)")
    if benchmark is None or asks_agent(benchmark):
        parser.add_argument("--mllm", help="rules (no MLLM) or openai (any compatible server)")
        parser.add_argument("--model", help="name of the MLLM on the server")
        parser.add_argument("--base-url", help="URL of the server, e.g. http://localhost:8000/v1")
        parser.add_argument("--effort", help="low, medium or high: how many close looks a question gets")
        parser.add_argument("--without", help="parts of the agent's policy to switch off, with commas between them")
        parser.add_argument("--max-calls", type=int, help="maximum number of MLLM calls per question")
        parser.add_argument("--max-seconds", type=float, help="maximum time per question in seconds")
        parser.add_argument("--keep-images", action="store_true", help="keep images and overlays with the traces")
        parser.add_argument("--keep-pictures", dest="keep_images", action="store_true", help=argparse.SUPPRESS)
    if benchmark is None or isinstance(benchmark, MaskletBenchmark):
        clips = "" if benchmark else "playground-video only: "
        methods = "tracker (the video predictor), repeat (its first mask), detections (per frame, linked by IoU)"
        parser.add_argument(
            "--method", choices=(*METHODS, "all"), default="all", help=f"{clips}{methods}, or all (default), one by one"
        )
        prompts = "mask (of the first frame), click (one, there), phrase; default: all three"
        parser.add_argument("--protocol", nargs="+", choices=PROTOCOLS, default=PROTOCOLS, help=f"{clips}{prompts}")
    if benchmark is None or isinstance(benchmark, PhraseBenchmark | QuestionBenchmark):
        usual = f" (default: {benchmark.threshold})" if isinstance(benchmark, PhraseBenchmark) else ""
        parser.add_argument("--threshold", type=float, help=f"minimum score of a mask, between 0 and 1{usual}")
        parser.add_argument("--concurrency", type=int, default=4, help="samples processed at once (default: 4)")
    return parser


def parse_flags(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse; raises `ConfigError` if argparse would exit."""

    def refuse(message: str) -> None:
        raise ConfigError(f"{message} (see {parser.prog} --help)")

    parser.error = refuse  # type: ignore[method-assign,assignment]
    return parser.parse_args(arguments)
