"""Properties that hold for any input: a few fixed examples in every test run, and minutes of new ones with `-m slow`.

`SAM3AGENT_TEST_FUZZ_MINUTES` is the time of the long run (default 10), shared by the properties that pytest collected.
"""

import functools
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

MINUTES = float(os.environ.get("SAM3AGENT_TEST_FUZZ_MINUTES", "10"))

SECONDS = 30.0
"""Maximum time of one example."""

MAX_MEMORY = 1 << 30
"""Maximum memory that one example may take, in bytes; with sam3-tiny, the process then stays under 2 GB."""

_CHUNK = 25
_collected: list[str] = []


def fuzzed(*strategies: st.SearchStrategy[Any], quick: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test of a property: `check(folder, *values)` must not raise. `folder` is new and empty for each example.

    quick: number of examples without `-m slow`; they are the same in every run.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        _collected.append(check.__name__)

        @pytest.mark.parametrize("lasting", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "long"])
        def test(lasting: bool, tmp_path: Path) -> None:
            if not lasting:
                _run(check, strategies, tmp_path, quick, start=0)
                return
            ends = time.monotonic() + MINUTES * 60 / len(_collected)
            while time.monotonic() < ends:
                _run(check, strategies, tmp_path, _CHUNK, start=random.SystemRandom().getrandbits(60))

        functools.update_wrapper(
            test, check, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=()
        )
        del test.__wrapped__  # pytest would read the arguments of the check as fixtures
        return test

    return decorate


def _run(check: Callable[..., None], strategies: Any, parent: Path, number: int, start: int) -> None:
    folder = parent / "example"

    @seed(start)
    @settings(max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(*strategies))
    def examples(values: tuple[Any, ...]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with bounded():
            check(folder, *values)

    examples()


@contextmanager
def bounded() -> Iterator[None]:
    """Fails if the block takes longer than `SECONDS`, or lets the process pass `MAX_MEMORY`."""
    before = _peak(reset=True)
    previous = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    taken = _peak() - before
    assert taken <= MAX_MEMORY, f"{taken / 1e9:.1f} GB of memory"


class TooLongError(BaseException):
    """Not an `Exception`, so that the code under test does not take it for one of its own."""


def _too_long(*_: Any) -> None:
    raise TooLongError(f"longer than {SECONDS} s")


def _peak(*, reset: bool = False) -> int:
    """The most memory that the process has had, in bytes; since the last reset, where the system can."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
