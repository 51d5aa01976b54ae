"""Measurements in processes of their own, so that peak memory is that of one measurement."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def measure_apart(module: str, task: "DataclassInstance", **environment: str) -> Any:
    """What `python -m benchmarks.MODULE --task JSON` prints last, read as JSON. Its failure ends the program."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--task", json.dumps(asdict(task))]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=os.environ | environment)
    if done.returncode:
        raise SystemExit(f"{module} failed for {task}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory() -> float:
    """The most memory that this process has had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
