"""Questions against a server that does everything wrong: how they end, whether in time, and how the memory grows.

python -m tests.fuzz.chaos_run [--questions 1000] [--seconds 6] [--concurrency 4] [--stand-in]
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3agent.agent.budget import Budget
from sam3agent.api import Agent
from sam3agent.images import read_source
from sam3agent.media import open_media
from sam3agent.mllm.errors import MLLMError
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from sam3model.resources import asset
from tests.drawn_match import drawing, segmenter

ROOT = Path(__file__).parents[2]
GRACE = 2.0
"""Seconds that a question may take beyond its budget."""

_BATCH = 100
SETTLED = 200
"""Questions after which the process should not grow any more."""


@dataclass
class ChaosReport:
    """What happened. lost: questions that had accepted masks and ended without any. memory: MB after a question."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: dict[int, float] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(self.outcomes.values())

    @property
    def growth(self) -> float:
        """Growth of the memory from the settled state to the end, as a fraction."""
        first = self.memory[min(SETTLED, max(self.memory))]
        return self.memory[max(self.memory)] / first - 1


@contextmanager
def chaos_process() -> Iterator[str]:
    """The URL of a chaos server in a process of its own."""
    command = [sys.executable, "-m", "tests.mllm.chaos_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


async def ask_all(agent: Agent, image: Any, questions: int, concurrency: int, folder: Path) -> ChaosReport:
    """Ask, `concurrency` at a time, and look at each answer and its trace."""
    report = ChaosReport()

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            out = folder / str(number)
            started = time.monotonic()
            try:
                answer = await agent.aask(image, "leftmost player in white", out=out)
            except MLLMError as error:
                report.outcomes[f"refused ({type(error).__name__})"] += 1
            else:
                report.outcomes[answer.status] += 1
                report.reasons[answer.reason.partition(" (")[0].partition(":")[0][:60]] += answer.status == "exhausted"
                if accepted(out) and answer.status == "exhausted" and not answer.masks:
                    report.lost.append(answer.reason)
            taken = time.monotonic() - started
            report.slowest = max(report.slowest, taken)
            if taken > agent.budget.seconds + GRACE:
                report.late.append(taken)
            shutil.rmtree(out, ignore_errors=True)

    for first in range(0, questions, _BATCH):
        numbers = iter(range(first, min(first + _BATCH, questions)))
        await asyncio.gather(*(work(numbers) for _ in range(concurrency)))
        report.memory[report.done] = resident()  # with no question under way, whose image would count
        print(f"{report.done:5} questions, {report.memory[report.done]:.0f} MB", flush=True)
    await agent.backend.close()
    return report


def accepted(folder: Path) -> bool:
    """Whether a trace has an accepted mask."""
    trace = folder / "trace.jsonl"
    records = [json.loads(line) for line in trace.read_bytes().splitlines()] if trace.is_file() else []
    return any(record["event"] == "finding" and record["verdict"] == "accept" for record in records)


def resident() -> float:
    """Memory of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def run(questions: int, seconds: float, concurrency: int, *, stand_in: bool = False) -> ChaosReport:
    """Questions with a budget of `seconds` each.

    stand_in: about a drawn image with a segmenter that knows it, so that agent and server take all the time.
    """
    with chaos_process() as url, tempfile.TemporaryDirectory() as folder:
        endpoint = Endpoint(url, connect_s=2, read_s=3, reply_s=3, retries=1, backoff_s=0.05, longest_pause_s=0.2)
        own = segmenter() if stand_in else None
        image = drawing() if stand_in else read_source(asset("match.png"))
        agent = Agent(own, OpenAIBackend(endpoint, "chaos"), Budget(20, 8, seconds))
        agent.open(open_media(image))  # loads the weights, which is not part of a question
        return asyncio.run(ask_all(agent, image, questions, concurrency, Path(folder)))


def main() -> None:
    """Ask and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--stand-in", action="store_true", help="a drawn image and no weights")
    flags = parser.parse_args()
    started = time.monotonic()
    report = run(flags.questions, flags.seconds, flags.concurrency, stand_in=flags.stand_in)
    for name, count in report.outcomes.most_common():
        print(f"{count:5} {name}")
    for reason, count in report.reasons.most_common(12):
        print(f"      {count:4} {reason}")
    print(f"slowest {report.slowest:.1f} s, {len(report.late)} later than {flags.seconds + GRACE:.0f} s")
    print(
        f"{len(report.lost)} lost what they had accepted; memory grew by {report.growth:.1%} after question {SETTLED}"
    )
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
