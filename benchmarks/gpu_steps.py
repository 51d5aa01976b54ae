"""Steps that run one after the other, each in a process of its own with a time limit, and one table of their results.

A step prints JSON lines: figures, checks, and why it was skipped. What it printed before it failed or ran out of time
is kept. The results are written after every step.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sam3model.files import write_json

FAILED = ("failed", "timed out", "not run")
LEAST_SECONDS = 5.0
"""A step is not started with less time than this."""


class SkipStepError(Exception):
    """The machine lacks what a step needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step and its limit in seconds."""

    name: str
    seconds: float


@dataclass(slots=True)
class Outcome:
    """How a step ended (`ok`, `skipped`, `failed`, `timed out`, `not run`), and what it measured.

    figures: value and unit by name. checks: (value, what was asked, whether it holds) by name.
    """

    name: str
    status: str = "ok"
    seconds: float = 0.0
    message: str = ""
    figures: dict[str, tuple[float, str]] = field(default_factory=dict)
    checks: dict[str, tuple[float, str, bool]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Report:
    """What a step reports, line by line, on its standard output."""

    def figure(self, name: str, value: float, unit: str) -> None:
        """A measured value; NaN, which says that it cannot be measured here, is left out."""
        if not math.isnan(value):
            self._line(figure=name, value=value, unit=unit)

    def check(self, name: str, value: float, *, least: float | None = None, most: float | None = None) -> None:
        """A value with a limit; the step fails if it is missed, but goes on."""
        limits = [f"at least {least:g}"] if least is not None else []
        limits += [f"at most {most:g}"] if most is not None else []
        holds = (least is None or value >= least) and (most is None or value <= most)  # NaN holds nothing
        self._line(check=name, value=value, asked=", ".join(limits), holds=holds)

    def note(self, text: str) -> None:
        """What a reader should know."""
        self._line(note=text)

    def _line(self, **values: Any) -> None:
        print(json.dumps(values), flush=True)


def run_step(work: Callable[[Report], None]) -> int:
    """Run a step in this process; the exit code."""
    try:
        work(Report())
    except SkipStepError as error:
        print(json.dumps({"skipped": str(error)}), flush=True)
    return 0


def run_all(steps: Sequence[Step], command: Callable[[Step], list[str]], seconds: float, out: Path, head: Any) -> int:
    """Run steps apart within a number of seconds altogether; the exit code: 1 if one did not end well.

    command: the command of a step. out: JSON file, written after every step. head: JSON-ready facts about the machine.
    """
    end, outcomes = time.monotonic() + seconds, []
    for step in steps:
        limit = min(step.seconds, end - time.monotonic())
        outcome = _run_apart(step, command(step), limit)
        outcomes.append(outcome)
        print("\n".join(lines_of(outcome)), flush=True)
        done = len(outcomes) == len(steps)
        write_json(out, {**head, "complete": done, "steps": [asdict(one) for one in outcomes]}, indent=1)
    bad = [one.name for one in outcomes if one.status in FAILED]
    print(f"\n{len(outcomes) - len(bad)} of {len(outcomes)} steps ended well{'; not: ' if bad else ''}{', '.join(bad)}")
    return 1 if bad else 0


def _run_apart(step: Step, command: list[str], limit: float) -> Outcome:
    outcome, start = Outcome(step.name), time.monotonic()
    if limit < LEAST_SECONDS:
        outcome.status, outcome.message = "not run", "no time was left"
        return outcome
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            printed, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its helpers too, which compile kernels
            printed, errors = process.communicate()
            outcome.status, outcome.message = "timed out", f"after {limit:.0f} s"
    outcome.seconds = time.monotonic() - start
    for line in printed.splitlines():
        _read(line, outcome)
    if outcome.status == "ok" and process.returncode:
        outcome.status, outcome.message = "failed", (errors.strip().splitlines() or ["no message"])[-1]
        sys.stderr.write(errors)
    elif outcome.status == "ok" and not all(holds for _, _, holds in outcome.checks.values()):
        outcome.status, outcome.message = "failed", "a check does not hold"
    return outcome


def _read(line: str, outcome: Outcome) -> None:
    """Take over a line of a step; anything else that was printed is left out."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError:
        return
    match values:
        case {"figure": name, "value": value, "unit": unit}:
            outcome.figures[name] = value, unit
        case {"check": name, "value": value, "asked": asked, "holds": holds}:
            outcome.checks[name] = value, asked, holds
        case {"note": text}:
            outcome.notes.append(text)
        case {"skipped": why}:
            outcome.status, outcome.message = "skipped", why


def lines_of(outcome: Outcome) -> list[str]:
    """A step in the table."""
    ending = outcome.status + (f": {outcome.message}" if outcome.message else "")
    lines = [f"{outcome.name:<18} {outcome.seconds:6.1f} s  {ending}"]
    lines += [f"    {name:<52} {value:10.4g} {unit}" for name, (value, unit) in outcome.figures.items()]
    for name, (value, asked, holds) in outcome.checks.items():
        lines.append(f"    {name:<52} {value:10.4g} {asked}: {'yes' if holds else 'NO'}")
    return lines + [f"    {note}" for note in outcome.notes]
