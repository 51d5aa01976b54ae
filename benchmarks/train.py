"""Throughput and memory of the trainer, by default for sam3-tiny on rendered scenes.

    python -m benchmarks.train                                     # a few minutes on two cores
    python -m benchmarks.train --compile                           # torch.compile too; compiling takes minutes
    python -m benchmarks.train --preset sam3 --batch 1 --steps 4   # the released size, in about 20 GiB

Every case runs in its own process, so that its peak memory can be measured. The first half of the steps is warm-up.

images/s  in the second half, including time spent waiting for data.
waiting   fraction of that time in which the trainer waited for a batch.
peak      resident memory of the trainer (its data worker is another process), or memory allocated on the device.
step      time of a complete step, with logging, divided by that of a bare step (forward, loss, backward, optimiser).
          The two alternate on the same batches with the same weights; this is the median ratio.
"""

import argparse
import itertools
import json
import logging
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.apart import measure_apart, peak_memory
from sam3model.data.queries import Batch
from sam3model.training.concept_task import ConceptTask
from sam3model.training.run import TrainingRun, train
from sam3model.training.settings import TrainConfig
from sam3model.training.stop_signal import StopSignal
from train.compose import concept_settings

MAX_WAITING = 0.05
MAX_STEP = 1.15
CASES = {"plain": "", "checkpointing": "model.checkpointing=true", "compiled": "model.compile=true"}


@dataclass(frozen=True)
class Case:
    """One case to measure. name: a key of `CASES`, or `step` for the ratio to a bare step. size: 0 for the preset's."""

    name: str
    preset: str
    steps: int
    size: int
    batch: int
    threads: int
    device: str
    clock: str


def config_of(case: Case, out: str) -> TrainConfig:
    """The recipe of sam3-tiny with a single stage and as little validation as possible."""
    words = [
        "experiment=playground_tiny", f"model={case.preset}", f"out={out}", "log_every=1",
        f"threads={case.threads}", f"device={case.device}", f"budget={{steps: {case.steps}, minutes: null}}",
        f"stages=[{{size: 0, batch: {case.batch}, phrases: 6, mask_phrases: 3, mask_stride: 2}}]",
        "validation={images: 1, batch: 1, phrases: 1, examples: 0, every_minutes: 1e9}",
        "checkpoint.every_minutes=1e9",
    ]  # fmt: skip
    if case.size:
        words.append(f"model.overrides={{vit: {{image_size: {case.size}}}}}")
    return concept_settings([*words, *filter(None, [CASES.get(case.name)])])


def measure(case: Case) -> dict[str, float]:
    """Run one case in this process."""
    with tempfile.TemporaryDirectory() as out:
        return step_ratio(case, out) if case.name == "step" else throughput(case, out)


def throughput(case: Case, out: str) -> dict[str, float]:
    """Measure a complete run, from its log."""
    config = config_of(case, out)
    train(config, ConceptTask)
    lines = [json.loads(line) for line in (Path(out) / config.name / "scalars.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "samples" in line]
    first, last = lines[len(lines) // 2 - 1], lines[-1]
    seconds = last["seconds"] - first["seconds"]
    waited = last["waiting"] * last["seconds"] - first["waiting"] * first["seconds"]
    return {
        "images_per_s": (last["samples"] - first["samples"]) / seconds,
        "waiting": max(waited, 0.0) / seconds,
        "peak": peak_gibibytes(case.device),
    }


def step_ratio(case: Case, out: str) -> dict[str, float]:
    """Median ratio of the time of a complete step to that of a bare one, on batches in memory."""
    run = TrainingRun(ConceptTask(config_of(case, out)))
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[case.clock]
    batches = [batch.to(run.world.device) for batch in itertools.islice(run.batches(StopSignal()), case.steps)]
    ratios = []
    with run.open_log() as log:
        for number, batch in enumerate(batches):
            turns: list[Callable[[Batch], Any]] = [lambda batch: run.record_step(log, run.step(batch)), bare_step(run)]
            order = (0, 1) if number % 2 else (1, 0)
            seconds = {turn: timed(clock, turns[turn], batch) for turn in order}
            ratios.append(seconds[0] / seconds[1])
    return {"step": statistics.median(ratios[len(ratios) // 2 :])}


def bare_step(run: TrainingRun) -> Callable[[Batch], None]:
    """Forward, loss, backward and update, with the model, loss and optimiser of the run."""

    def step(batch: Batch) -> None:
        run.optimizer.zero_grad()
        run.task.loss(run.network, batch, run.progress.step).total.backward()
        run.optimizer.step()

    return step


def timed(clock: Callable[[], float], step: Callable[[Batch], Any], batch: Batch) -> float:
    """Seconds that a step takes, including its work on the device."""
    wait = torch.cuda.synchronize if batch.pixels.is_cuda else lambda: None
    wait()
    start = clock()
    step(batch)
    wait()
    return clock() - start


def peak_gibibytes(device: str) -> float:
    """Peak memory of this process in GiB, on the device it computes on."""
    on_cuda = torch.device(device).type == "cuda"
    return (torch.cuda.max_memory_allocated() if on_cuda else peak_memory()) / 2**30


def report(results: dict[str, dict[str, float]]) -> None:
    """Print the table, with ratios to the plain case, and the targets."""
    plain = results["plain"]
    print(f"\n{'':16}{'images/s':>12}{'waiting':>10}{'peak':>12}{'speed':>9}{'memory':>9}")
    for name, f in results.items():
        if name == "step":
            continue
        figures = f"{f['images_per_s']:>12.2f}{100 * f['waiting']:>8.1f} %{f['peak']:>8.2f} GiB"
        ratios = f"{f['images_per_s'] / plain['images_per_s']:>8.2f}x{f['peak'] / plain['peak']:>8.2f}x"
        print(f"{name:16}{figures}{ratios}")
    print(f"\nwaiting for data: {100 * plain['waiting']:.1f} %, target < {100 * MAX_WAITING:.0f} %")
    print(f"complete step / bare step: {results['step']['step']:.2f}x, target <= {MAX_STEP}x")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["sam3_tiny", "sam3"], default="sam3_tiny")
    parser.add_argument("--steps", type=int, default=24, help="per case, at least 4; the first half is warm-up")
    parser.add_argument("--size", type=int, default=0, help="side of the model input in pixels; 0: the preset's")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--threads", type=int, default=0, help="number of threads; 0: torch's default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="of the step ratio; cpu if busy")
    parser.add_argument("--compile", action="store_true", help="also measure torch.compile")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    if arguments.task:
        print(json.dumps(measure(Case(**json.loads(arguments.task)))))
        return
    threads = arguments.threads or torch.get_num_threads()
    results = {}
    for name in ("plain", "checkpointing", *(["compiled"] if arguments.compile else []), "step"):
        print(f"measuring {name}", file=sys.stderr)
        case = Case(name, arguments.preset, max(arguments.steps, 4), arguments.size, arguments.batch, threads,
                    arguments.device, arguments.clock)  # fmt: skip
        results[name] = measure_apart("train", case)
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"{arguments.preset}, batch {arguments.batch}, {threads} threads, {platform.machine()}, {arguments.device}")
    report(results)


if __name__ == "__main__":
    main()
