"""`python -m evals eyesight`: how often an MLLM judges masks rightly, at a glance and at a close look."""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from evals.command_flags import parse_flags
from sam3model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evals.eyesight.eyesight_cases import EyesightCase
    from evals.eyesight.eyesight_looks import SeenMask
    from sam3agent.mllm.base import MLLM

DESCRIPTION = """Show an MLLM masks whose truth is known, as the agent shows them: numbered in one image, and each by
itself. Prints how often its verdicts are right, and what to tell the agent. An image costs one call, and one for each
of its masks (at most 12)."""


def eyesight(arguments: Sequence[str], backend: "MLLM | None" = None) -> int:
    """Run the command and print the figures. backend: in place of that of the flags.

    Raises `ConfigError` for invalid flags, `DataError` for a damaged file, `MLLMError` for an unusable server.
    """
    flags = parse_flags(_parser(), arguments)
    if flags.images_count < 1 or flags.first_scene < 0:
        raise ConfigError("--count must be at least 1, and --first-scene at least 0")
    from evals.eyesight.eyesight_cases import check_sources
    from evals.eyesight.eyesight_figures import EyesightFigures, advice, table

    check_sources(flags.coco, flags.images)
    asked = backend or _backend(flags)
    from sam3agent.api import run_to_end

    found = run_to_end(_all(_cases(flags), asked))
    usable = [mask for mask in found if mask.glance is not None]
    if not usable:
        raise ConfigError("no reply at a glance was usable; try the server with: sam3agent doctor --probe")
    if len(usable) < len(found):
        print(f"{len(found) - len(usable)} masks had no usable reply at a glance", file=sys.stderr)
    measured = EyesightFigures(found)
    spread = measured.spread()
    figures = measured.compute()
    print(f"{asked.name}\n{table(figures, spread)}\n{advice(figures, spread)}")
    return 0


async def _all(cases: "Iterator[EyesightCase]", backend: "MLLM") -> "list[SeenMask]":
    from evals.eyesight.eyesight_looks import seen

    try:
        found = list["SeenMask"]()
        for number, case in enumerate(cases, start=1):
            found += await seen(case, backend)
            print(f"\rimage {number}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return found
    finally:
        await backend.close()


def _cases(flags: argparse.Namespace) -> "Iterator[EyesightCase]":
    from evals.eyesight.eyesight_cases import coco_cases, playground_cases

    if flags.coco:
        return islice(coco_cases(flags.coco, flags.images, flags.images_count), flags.images_count)
    return playground_cases(flags.images_count, flags.first_scene)


def _backend(flags: argparse.Namespace) -> "MLLM":
    from sam3agent.api import make_backend
    from sam3agent.config import load_settings

    names = ("mllm", "model", "base_url", "temperature", "max_tokens", "thinking", "timeout")
    settings = load_settings({name: getattr(flags, name) for name in names})
    if settings.backend == "rules":
        raise ConfigError("eyesight is measured of an MLLM: give --model or --base-url")
    return make_backend(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m evals eyesight", description=DESCRIPTION)
    parser.add_argument("--mllm", help="openai (any compatible server) or vllm (in this process)")
    parser.add_argument("--model", help="name of the MLLM on the server")
    parser.add_argument("--base-url", help="URL of the server, e.g. http://localhost:8000/v1")
    parser.add_argument("--temperature", type=float, help="of the replies; by default that of the MLLM's family")
    parser.add_argument("--max-tokens", type=int, help="of a reply; by default that of the MLLM's family")
    parser.add_argument("--thinking", help="on or off, for an MLLM that can do both")
    parser.add_argument("--timeout", type=float, help="maximum time of one call in seconds")
    parser.add_argument("--count", dest="images_count", type=int, default=60, help="number of images (default: 60)")
    parser.add_argument("--first-scene", type=int, default=0, help="first drawn scene; others have other objects")
    parser.add_argument("--coco", type=Path, help="annotations in COCO format, in place of drawn scenes")
    parser.add_argument("--images", type=Path, help="folder of their images")
    return parser
