"""Steps of `benchmarks.gpu` about training: steps on rendered scenes, whole, sharded and with adapters; `gpu` tests."""

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.gpu_setup import Setting, peak_gigabytes, wait
from benchmarks.gpu_steps import Report, SkipStepError
from sam3model.detector.model import Sam3ImageModel
from sam3model.parse import merge, parse
from sam3model.training.concept_task import ConceptTask
from sam3model.training.parallel import fully_sharded
from sam3model.training.passes import MultiPassModel
from sam3model.training.run import TrainingRun
from sam3model.training.settings import TrainConfig
from sam3model.training.stop_signal import StopSignal

COUNTED = 3
"""Steps that are timed, after one that is not."""

NEEDED_BY_TESTS = ("pytest", "hydra", "tensorboard")

_SMALL: dict[str, Any] = {
    "d_model": 32, "heads": 2,
    "vit": {
        "image_size": 64, "patch_size": 16, "pretrain_image_size": 64, "width": 32, "depth": 2, "heads": 2,
        "window": 4, "global_blocks": [1],
    },
    "text": {"width": 16, "heads": 1, "layers": 1, "projection_dim": 16},
    "geometry": {"layers": 1, "ffn": 32, "roi_size": 2}, "fusion": {"layers": 1, "ffn": 32},
    "decoder": {"layers": 2, "ffn": 32, "queries": 8}, "scoring": {"hidden": 32}, "segmentation": {"groups": 8},
}  # fmt: skip


def steps(setting: Setting, report: Report, kind: str) -> None:
    """Complete steps on the device: `whole`, `fsdp` (shards of one process) or `lora`."""
    with tempfile.TemporaryDirectory() as out:
        if kind == "fsdp":
            _join_alone(setting, out)
        task = (_ShardedTask if kind == "fsdp" else ConceptTask)(_config(setting, kind, out))
        with setting.device:  # drawing the first weights on the CPU takes longer than all steps
            run = TrainingRun(task)
        before = {name: value.detach().clone() for name, value in itertools.islice(_trained(run), 4)}
        times = []
        for batch in itertools.islice(run.batches(StopSignal()), COUNTED + 1):
            wait(setting.device)
            start = time.perf_counter()
            outcome = run.step(batch)
            wait(setting.device)
            times.append(time.perf_counter() - start)
            report.check(f"step {len(times)}: loss", outcome.loss, most=1e6)
            report.check(f"step {len(times)}: norm of the gradient", outcome.grad_norm, least=1e-12)
        moved = sum(not torch.equal(value, dict(_trained(run))[name]) for name, value in before.items())
        report.check("of the first weights, those that changed", moved, least=1)
        report.figure("step", 1e3 * sorted(times[1:])[COUNTED // 2], "ms")
        report.figure("first step", 1e3 * times[0], "ms")
        report.figure("peak memory", peak_gigabytes(setting), "GB")
    if kind == "fsdp":
        dist.destroy_process_group()


def device_tests(setting: Setting, report: Report) -> None:
    """The tests that are marked `gpu`."""
    if setting.device.type != "cuda":
        raise SkipStepError("there is no GPU")
    missing = [name for name in NEEDED_BY_TESTS if subprocess.run([sys.executable, "-c", f"import {name}"],
               capture_output=True, check=False).returncode]  # fmt: skip
    if missing:
        raise SkipStepError(f"not installed: {', '.join(missing)}")
    root = Path(__file__).parents[1]
    files = [str(path) for path in (root / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    report.note((done.stdout.strip().splitlines() or ["no output"])[-1])
    report.check("exit code of the tests", done.returncode, most=0)


def _config(setting: Setting, kind: str, out: str) -> TrainConfig:
    small = setting.size == "small"
    values: dict[str, Any] = {
        "name": kind, "out": out, "device": str(setting.device), "resume": False, "precision": "auto",
        "model": {"preset": "sam3", "checkpointing": not small},
        "data": {"workers": 0}, "budget": {"steps": 1000}, "ema": {"decay": 0.0},
        "stages": [{"size": 1008, "batch": 1, "phrases": 4, "mask_phrases": 2, "mask_stride": 4}],
        "optim": {"lr": 1e-5}, "schedule": {"kind": "constant", "warmup": 0},
    }  # fmt: skip
    if small:
        values = merge(values, {"model": {"preset": "sam3_tiny", "overrides": _SMALL}, "precision": "float32"})
        values["stages"] = [{"size": 64, "batch": 1, "phrases": 3, "mask_stride": 4}]
    if kind == "lora":
        values = merge(values, {"model": {"lora": {"rank": 8}}})
    return parse(TrainConfig, values)


def _join_alone(setting: Setting, folder: str) -> None:
    """A process group of this process alone."""
    on_cuda = setting.device.type == "cuda"
    if on_cuda:
        torch.cuda.set_device(0)
    meeting = (Path(folder) / "processes").absolute().as_uri()
    dist.init_process_group("nccl" if on_cuda else "gloo", init_method=meeting, rank=0, world_size=1)


class _ShardedTask(ConceptTask):
    """Shards the model although there is one process, which `World.spread` does not."""

    def network(self, model: Sam3ImageModel) -> MultiPassModel:
        network = super().network(model)
        fully_sharded(network, model.shards())
        return network


def _trained(run: TrainingRun) -> Any:
    return ((name, value) for name, value in run.model.named_parameters() if value.requires_grad)


STEPS: dict[str, Callable[[Setting, Report], None]] = {
    "training": partial(steps, kind="whole"),
    "training-fsdp": partial(steps, kind="fsdp"),
    "training-lora": partial(steps, kind="lora"),
    "tests": device_tests,
}
