"""Every stage runs with all its tensors on an accelerator, which is pretended: no tensor of the CPU meets one of it.

The branches for accelerators (rotary tables of cosines, masks cleaned on the device, full-size masks in one piece) give
what those for a CPU give.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from torch.utils import backend_registration

ROOT = Path(__file__).parents[2]
STAGES = ("image", "clicks", "phrases_in_clip", "objects_in_clip", "concept_step", "clip_step")

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this version of torch cannot pretend to have a device",
)


@cache
def outcomes() -> dict[str, Any]:
    """What all stages found, in a process of their own."""
    command = [sys.executable, "-m", "tests.model.gpu_stages"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_stays_on_the_device_and_agrees_with_the_cpu(stage: str) -> None:
    found = outcomes()[stage]
    assert "error" not in found, found["error"]
    assert found["values"] and found["difference"] < 1e-3


def test_tensors_on_two_devices_do_not_meet() -> None:
    """Else the test above could not fail."""
    assert "on the CPU and on the GPU" in outcomes()["meeting"]["error"]


def test_phrases_do_not_make_the_cpu_wait_one_by_one() -> None:
    found = outcomes()["waits_by_phrases"]
    assert found["4"] - found["1"] == 3, "one wait for the full-size masks of each further phrase"
