"""How long a question takes with sam3-tiny: cold (a new process) and warm, and what encoding takes of it.

python benchmarks/ask.py [--runs 10]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sam3agent import Agent
from sam3agent.images import open_image
from sam3model.resources import asset

QUERY = "leftmost player in white"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    picture = asset("match.png")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, "-m", "sam3agent", "ask", str(picture), QUERY, "--out", str(out / "cold"), "--json"]
        cold = median(lambda: subprocess.run(command, check=True, capture_output=True), min(runs, 3))
        agent = Agent()
        agent.ask(picture, QUERY)
        warm = median(lambda: agent.ask(picture, QUERY), runs)
        files = median(lambda: agent.ask(picture, QUERY, out=out / "warm"), runs)
        image = open_image(picture)
        encode = median(lambda: agent.open(image), runs)
    rows = [
        ("cold: new process, import, weights, answer, files", cold),
        ("warm, files written", files),
        ("warm, nothing written", warm),
        ("  of which encoding the picture", encode),
    ]
    for name, seconds in rows:
        print(f"{name:<52} {seconds:7.3f} s {seconds / warm:6.1f} x warm")


def median(work: Callable[[], object], runs: int) -> float:
    """Median wall time of `work`, in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
