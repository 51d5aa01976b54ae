"""Throughput and memory of training, through the trainer itself: sam3-tiny on rendered scenes, unless told otherwise.

    python -m benchmarks.train                                     # a few minutes on two cores
    python -m benchmarks.train --compile                           # torch.compile too, which begins with minutes of it
    python -m benchmarks.train --preset sam3 --batch 1 --steps 4   # the released size, in about 20 GiB

Every case is a run in a process of its own, so that its peak memory is its own. Its first half warms up.

pictures/s  of the second half, waiting for data included.
waiting     share of that time in which the trainer had no batch to work on.
peak        resident memory of the trainer (its data worker is another process), or memory allocated on the device.
step        what the trainer does with a batch, logging included, against forward, loss, backward and optimiser step
            alone: in turns on the same batches with the same weights, and the middle one of the ratios counts.
"""

import argparse
import itertools
import json
import logging
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sam3model.data.queries import Batch
from sam3model.training.run import Run, StopSignal, train
from sam3model.training.settings import TrainConfig
from sam3model.training.step import evaluate
from train.app import settings

MOST_WAITING = 0.05
MOST_STEP = 1.15
CASES = {"plain": "", "checkpointing": "model.checkpointing=true", "compiled": "model.compile=true"}


@dataclass(frozen=True)
class Task:
    """One case to measure; `step` is the case of a step against a bare one. size: 0 is the model's own."""

    case: str
    preset: str
    steps: int
    size: int
    batch: int
    threads: int
    device: str
    clock: str


def config_of(task: Task, out: str) -> TrainConfig:
    """The recipe of sam3-tiny as one stage of so many steps, with as little validation as there can be."""
    words = [
        "experiment=playground_tiny", f"model={task.preset}", f"out={out}", "log_every=1",
        f"threads={task.threads}", f"device={task.device}", f"budget={{steps: {task.steps}, minutes: null}}",
        f"stages=[{{size: 0, batch: {task.batch}, phrases: 6, mask_phrases: 3, mask_stride: 2}}]",
        "validation={images: 1, batch: 1, phrases: 1, examples: 0, every_minutes: 1e9}",
        "checkpoint.every_minutes=1e9",
    ]  # fmt: skip
    if task.size:
        words.append(f"model.overrides={{vit: {{image_size: {task.size}}}}}")
    return settings([*words, *filter(None, [CASES.get(task.case)])])


def measure(task: Task) -> dict[str, float]:
    """Run one case in this process."""
    with tempfile.TemporaryDirectory() as out:
        return step_ratio(task, out) if task.case == "step" else throughput(task, out)


def throughput(task: Task, out: str) -> dict[str, float]:
    """A whole run, from what it wrote about itself."""
    config = config_of(task, out)
    train(config)
    lines = [json.loads(line) for line in (Path(out) / config.name / "scalars.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "pictures" in line]
    first, last = lines[len(lines) // 2 - 1], lines[-1]
    seconds = last["seconds"] - first["seconds"]
    waited = last["waiting"] * last["seconds"] - first["waiting"] * first["seconds"]
    return {
        "pictures_per_s": (last["pictures"] - first["pictures"]) / seconds,
        "waiting": max(waited, 0.0) / seconds,
        "peak": peak_memory(task.device),
    }


def step_ratio(task: Task, out: str) -> dict[str, float]:
    """The trainer's step and a bare one in turns, on batches that are there already."""
    run = Run(config_of(task, out))
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[task.clock]
    batches = [batch.to(run.world.device) for batch in itertools.islice(run.batches(StopSignal()), task.steps)]
    ratios = []
    with run.report() as report:
        for number, batch in enumerate(batches):
            turns: list[Callable[[Batch], Any]] = [lambda batch: run.tell(report, run.step(batch)), bare_step(run)]
            order = (0, 1) if number % 2 else (1, 0)
            seconds = {turn: timed(clock, turns[turn], batch) for turn in order}
            ratios.append(seconds[0] / seconds[1])
    return {"step": statistics.median(ratios[len(ratios) // 2 :])}


def bare_step(run: Run) -> Callable[[Batch], None]:
    """What no trainer can do without, with the run's own model, loss and optimiser."""

    def step(batch: Batch) -> None:
        run.optimizer.zero_grad()
        evaluate(run.net, run.loss, batch, run.precision)[1].total.backward()
        run.optimizer.step()

    return step


def timed(clock: Callable[[], float], step: Callable[[Batch], Any], batch: Batch) -> float:
    """Seconds that a step takes, to the end of what it started on the device."""
    wait = torch.cuda.synchronize if batch.pixels.is_cuda else lambda: None
    wait()
    start = clock()
    step(batch)
    wait()
    return clock() - start


def peak_memory(device: str) -> float:
    """Peak of this process in GiB, on the device that it computes on."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def measure_apart(task: Task) -> dict[str, float]:
    """Run one case in a fresh process."""
    print(f"measuring {task.case}", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks.train", "--task", json.dumps(asdict(task))]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        sys.exit(f"{task.case} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def report(results: dict[str, dict[str, float]]) -> None:
    """The table, with ratios to the plain case, and the targets."""
    plain = results["plain"]
    print(f"\n{'':16}{'pictures/s':>12}{'waiting':>10}{'peak':>12}{'speed':>9}{'memory':>9}")
    for case, f in results.items():
        if case == "step":
            continue
        figures = f"{f['pictures_per_s']:>12.2f}{100 * f['waiting']:>8.1f} %{f['peak']:>8.2f} GiB"
        ratios = f"{f['pictures_per_s'] / plain['pictures_per_s']:>8.2f}x{f['peak'] / plain['peak']:>8.2f}x"
        print(f"{case:16}{figures}{ratios}")
    print(f"\nwaiting for data: {100 * plain['waiting']:.1f} %, target < {100 * MOST_WAITING:.0f} %")
    print(f"step : bare step: {results['step']['step']:.2f}x, target <= {MOST_STEP}x")


def main() -> None:
    """Measure what the arguments say, each case in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["sam3_tiny", "sam3"], default="sam3_tiny")
    parser.add_argument("--steps", type=int, default=24, help="of each case, at least 4; the first half warms up")
    parser.add_argument("--size", type=int, default=0, help="side of the model input; 0: the preset's")
    parser.add_argument("--batch", type=int, default=4, help="pictures in a step")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes by itself")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="of steps; cpu: on a busy machine")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    if arguments.task:
        print(json.dumps(measure(Task(**json.loads(arguments.task)))))
        return
    threads = arguments.threads or torch.get_num_threads()
    results = {}
    for case in ("plain", "checkpointing", *(["compiled"] if arguments.compile else []), "step"):
        results[case] = measure_apart(
            Task(
                case, arguments.preset, max(arguments.steps, 4), arguments.size, arguments.batch, threads,
                arguments.device, arguments.clock,
            )
        )  # fmt: skip
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"{arguments.preset}, batch {arguments.batch}, {threads} threads, {platform.machine()}, {arguments.device}")
    report(results)


if __name__ == "__main__":
    main()
