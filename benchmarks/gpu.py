"""Check and time on a GPU what was only ever run on a CPU: see `benchmarks/gpu.sh`.

    python -m benchmarks.gpu                                  # under six minutes on one H100
    python -m benchmarks.gpu --device cpu --size small        # its logic, on any machine
    python -m benchmarks.gpu --steps image video-5            # some steps

Each step runs in a process of its own with a time limit: what fails costs one step, and is reported.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu_steps import Step, run_all, run_step

STEPS = (
    Step("agreement", 70), Step("image", 170), Step("video-5", 40), Step("training", 50), Step("training-fsdp", 50),
    Step("training-lora", 50), Step("video-1", 30), Step("video-16", 40), Step("video-64", 50), Step("tests", 50),
    Step("graphs", 90),
)  # fmt: skip
"""The most important first: what no time is left for is named in the table."""

SECONDS = 345.0


def work_of(name: str) -> Callable[..., None]:
    """What a step does."""
    from benchmarks import gpu_image, gpu_training, gpu_video

    return (gpu_image.STEPS | gpu_video.STEPS | gpu_training.STEPS)[name]


def machine(device: str) -> dict[str, Any]:
    """Facts about the machine and its software."""
    import torch

    facts = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "torch": torch.__version__,
             "python": platform.python_version(), "device": device}  # fmt: skip
    if device.startswith("cuda"):
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
    try:
        import transformers
    except ImportError:
        return facts
    return facts | {"transformers": transformers.__version__}


def main() -> int:
    """Run all steps, or one step in this process; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [step.name for step in STEPS]
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=["released", "small"], default="released")
    parser.add_argument("--steps", nargs="+", choices=names, default=names, metavar="STEP", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all steps together")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--step", choices=names, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        from benchmarks.gpu_setup import Setting

        setting, work = Setting.of(chosen.device, chosen.size), work_of(chosen.step)
        return run_step(lambda report: work(setting, report))
    import torch

    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        sys.stderr.write("no GPU: torch sees no CUDA device (logic only: --device cpu --size small)\n")
        return 2
    head = machine(chosen.device)
    print(", ".join(f"{name} {value}" for name, value in head.items()))

    def command(step: Step) -> list[str]:
        where = ["--device", chosen.device, "--size", chosen.size]
        return [sys.executable, "-m", "benchmarks.gpu", *where, "--step", step.name]

    return run_all([step for step in STEPS if step.name in chosen.steps], command, chosen.seconds, chosen.out, head)


if __name__ == "__main__":
    sys.exit(main())
