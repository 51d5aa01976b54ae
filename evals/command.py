"""The command line: `list`, `report`, `simulated`, `eyesight`, and benchmarks by their names."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.benchmark_command import check_flags, evaluate
from evals.benchmark_registry import BENCHMARKS, find
from evals.benchmark_types import AnyBenchmark
from evals.command_flags import listing, make_parser, parse_flags
from evals.intervals import has_intervals
from evals.plain_text import short_line
from evals.run_folders import OUT
from evals.run_parts import Models
from sam3model.errors import CheckpointError, ConfigError, DataError, InputError, Sam3Error
from sam3model.printable import PrintableFormatter, prepare_streams

if TYPE_CHECKING:
    from evals.click_runner import ImagePredicting
    from sam3agent.mllm.base import MLLM
    from sam3agent.segmenter import Segmenter

log = logging.getLogger(__name__)


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    prepare_streams()
    models = Models(segmenter, backend, predictor, image_predictor)
    try:
        return _guarded(lambda: _dispatch(arguments, models))
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to resume", 130)


def _guarded(action: Callable[[], int]) -> int:
    """The exit code of an action; an exception becomes one line."""
    try:
        return action()
    except (InputError, ConfigError, DataError, CheckpointError) as error:
        return _fail(error, 2)
    except Sam3Error as error:
        return _fail(error, 1)
    except BrokenPipeError:  # e.g. `… | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (the interpreter flushes it at the end)
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except MemoryError:
        return _fail("the memory is used up: use --limit or --shard, or a smaller --concurrency", 1)
    except Exception as error:
        log.debug("traceback", exc_info=error)
        return _fail(f"unexpected error, please report it: {type(error).__name__}: {error}", 1)


def _fail(message: object, code: int) -> int:
    print(f"evals: {short_line(message)}", file=sys.stderr)
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
    if name == "simulated":
        from evals.simulated.simulated_command import simulated

        return simulated(rest)
    if name == "eyesight":
        from evals.eyesight.eyesight_command import eyesight

        return eyesight(rest, models.backend)
    count = next((i for i, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    return _evaluate(arguments[:count], arguments[count:], models)


def _evaluate(names: Sequence[str], rest: Sequence[str], models: Models) -> int:
    """Evaluate benchmarks one after the other; one that fails does not stop the others."""
    if not names:
        raise ConfigError(f"{rest[0]} comes before the name of a benchmark; see `python -m evals list`")
    benchmarks = [find(name) for name in dict.fromkeys(names)]
    if len(benchmarks) == 1:
        return _one(benchmarks[0], parse_flags(make_parser(benchmarks[0]), rest), models)
    flags = parse_flags(make_parser(None), rest)
    check_flags(flags)
    if flags.predictions is not None:
        raise ConfigError("--predictions belong to one benchmark; name only one")
    return max([_guarded(lambda b=b: _one(b, _own(flags, b), models)) for b in benchmarks])


def _own(flags: argparse.Namespace, benchmark: AnyBenchmark) -> argparse.Namespace:
    """The flags of one of several benchmarks, which has its own folder."""
    own = {**vars(flags), "out": flags.out and flags.out / benchmark.name}
    if flags.resamples and not has_intervals(benchmark):
        log.warning("%s has no confidence intervals: --resamples changes nothing there", benchmark.name)
        own["resamples"] = None
    return argparse.Namespace(**own)


def _one(benchmark: Any, flags: argparse.Namespace, models: Models) -> int:
    problems = evaluate(benchmark, flags, models)
    return max([_fail(problem, 1) for problem in problems], default=0)


def _report(arguments: Sequence[str]) -> int:
    from evals.run_report import report

    parser = argparse.ArgumentParser("python -m evals report", description="Show finished runs in one table.")
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[OUT], help=f"run folders, or folders of run folders (default: {OUT})"
    )
    parser.add_argument("--out", type=Path, help="folder for report.md and report.json")
    flags = parse_flags(parser, arguments)
    print(report(flags.folders, flags.out), end="")
    return 0
