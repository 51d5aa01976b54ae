"""A load test of the MCP server over HTTP: many clients for a while, on this machine only.

    python -m benchmarks.mcp_load --clients 100 --seconds 60

Every client opens a session of its own, searches, looks, measures, asks and makes mistakes; some hang up in the middle.
Meanwhile a probe measures masks of an image that nobody else uses. The test fails if a reply is an error that is not a
sentence, if the probe waits longer than 500 ms (median), or if the server does not leave when it is told to stop.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
from mcp import Client
from mcp.types import CallToolResult, TextContent

R = TypeVar("R")

ASSETS = Path(__file__).parents[1] / "assets"
IMAGES = 6
PROBE = "probe.png"

LATE_SECONDS = 30.0
"""How long calls may still take when the time is over."""


@dataclass
class LoadReport:
    """What was seen. took: seconds by tool. odd: replies that are no sentence. rss: memory in bytes, over time.

    cores: how many cores the server had on average. On a busy machine it has few, and every figure is that much larger.
    """

    took: dict[str, list[float]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    cores: float = 0.0

    def add(self, name: str, seconds: float, result: CallToolResult) -> None:
        """Note one reply."""
        self.took.setdefault(name, []).append(seconds)
        self.outcomes["error" if result.is_error else "result"] += 1
        said = " ".join(part.text for part in result.content if isinstance(part, TextContent))
        if result.is_error and (said.endswith(f"tool {name}") or "Traceback" in said or "\n" in said):
            self.odd.append(f"{name}: {said[:200]}")

    def lines(self) -> list[str]:
        """The figures, a line each."""
        tools = [f"{name:16} {len(took):6} calls, {_figures(took)}" for name, took in sorted(self.took.items())]
        memory = f"memory {self.rss[0] >> 20} MiB after the first calls, {max(self.rss) >> 20} MiB at most, "
        return [
            *tools,
            f"replies: {dict(self.outcomes)}",
            memory + f"{self.rss[-1] >> 20} MiB at the end, {self.cores:.2f} cores",
        ]


def _figures(took: list[float]) -> str:
    ordered = sorted(took)
    high = ordered[int(0.95 * (len(ordered) - 1))]
    median, high, most = (f"{1000 * seconds:.0f} ms" for seconds in (statistics.median(ordered), high, ordered[-1]))
    return f"median {median}, 95 % below {high}, most {most}"


async def use(address: str, number: int, until: float, report: LoadReport) -> None:
    """One client, until the time is over."""
    dice = random.Random(number)
    while time.monotonic() < until:
        async with Client(address, mode=dice.choice(("auto", "legacy"))) as client:
            for _ in range(dice.randint(1, 12)):
                if time.monotonic() > until:
                    break
                name, arguments = _call(dice)
                with anyio.move_on_after(0.05 if dice.random() < 0.03 else 120):  # some lose patience
                    await _timed(client, name, arguments, report)
                await asyncio.sleep(dice.expovariate(0.5))


def _call(dice: random.Random) -> tuple[str, dict[str, Any]]:
    image = {"image": f"{dice.randrange(IMAGES)}.png"}
    kinds: list[tuple[float, str, dict[str, Any]]] = [
        (0.30, "segment_phrase", {**image, "phrases": [dice.choice(("player", "ball", "player in red"))]}),
        (0.20, "measure_masks", image),
        (0.15, "examine_masks", {**image, "ids": [dice.randint(1, 8)]}),
        (0.15, "ask", {**image, "question": dice.choice(("leftmost player in white", "the ball", "all but one"))}),
        (0.10, "select_masks", {**image, "ids": [1, 2]}),
        (0.10, "segment_phrase", {"image": dice.choice(("none.png", "/etc/passwd", "https://a.org/b")), "phrases": 7}),
    ]
    (chosen,) = dice.choices(kinds, [weight for weight, *_ in kinds])
    return chosen[1], chosen[2]


async def _timed(client: Client, name: str, arguments: dict[str, Any], report: LoadReport, label: str = "") -> None:
    began = time.monotonic()
    result = await client.call_tool(name, arguments)
    report.add(label or name, time.monotonic() - began, result)


async def probe(address: str, until: float, report: LoadReport) -> None:
    """Measure masks of an image that nobody else uses, twice a second."""
    async with Client(address) as client:
        await client.call_tool("segment_phrase", {"image": PROBE, "phrases": ["player"]})
        while time.monotonic() < until:
            await _timed(client, "measure_masks", {"image": PROBE}, report, "probe")
            await asyncio.sleep(0.5)


async def watch(pid: int, until: float, report: LoadReport) -> None:
    """Note the memory of the server every second."""
    while time.monotonic() < until:
        report.rss.append(memory_of(pid))
        await asyncio.sleep(1)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def load(address: str, pid: int, clients: int, seconds: float) -> LoadReport:
    """All clients at once."""
    report = LoadReport()
    async with Client(address) as first:  # loads the weights
        for number in range(IMAGES):
            await first.call_tool("segment_phrase", {"image": f"{number}.png", "phrases": ["player"]})
    began, used = time.monotonic(), _cpu_seconds(pid)
    until = began + seconds
    work: list[Awaitable[None]] = [use(address, number, until, report) for number in range(clients)]
    with anyio.move_on_after(seconds + LATE_SECONDS) as late:
        await asyncio.gather(*work, probe(address, until, report), watch(pid, until, report))
    report.outcomes["clients cut off"] = int(late.cancelled_caught)
    report.cores = (_cpu_seconds(pid) - used) / (time.monotonic() - began)
    report.rss.append(memory_of(pid))
    return report


def with_server(folder: Path, run: Callable[[str, int], R]) -> tuple[R, float]:
    """The result of a run against a server of its own, and how long the server took to leave."""
    for name in [*(f"{number}.png" for number in range(IMAGES)), PROBE]:
        shutil.copy(ASSETS / "match.png", folder / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sam3agent", "mcp", "--http", f"127.0.0.1:{port}", "--root", str(folder)]
    with subprocess.Popen([*command, "--out", str(folder / "out")], stderr=subprocess.PIPE) as server:
        try:
            _ = server.stderr and server.stderr.readline()  # it is ready
            report = run(f"http://127.0.0.1:{port}/mcp", server.pid)
        finally:
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)
            took = time.monotonic() - began
            server.kill()
    return report, took


def main() -> int:
    """Run the test and print the figures; exit code 1 if it fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report, took = with_server(
            Path(folder).resolve(),
            lambda address, pid: asyncio.run(load(address, pid, given.clients, given.seconds)),
        )
    lines = [*report.lines(), f"the server left {took:.2f} s after SIGTERM", *report.odd[:10]]
    sys.stdout.write("\n".join(lines) + "\n")
    failed = bool(report.odd) or statistics.median(report.took["probe"]) > 0.5 or took > 1.5
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
