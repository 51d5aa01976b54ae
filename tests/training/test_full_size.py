"""The released size can be trained with 24 GiB of memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MAX_MEMORY = 24 * 2**30
WORDS = [
    "model=sam3", "model.checkpointing=true", "ema.decay=0", "data.workers=0", "budget.steps=1", "threads=2",
    "stages=[{size: 0, batch: 1, phrases: 2, mask_phrases: 2, mask_stride: 4}]",
]  # fmt: skip
STEP = """
import sys
from sam3model.training.concept_task import ConceptTask
from sam3model.training.run import TrainingRun
from sam3model.training.stop_signal import StopSignal
from train.compose import settings

run = TrainingRun(ConceptTask(settings(sys.argv[1:])))
for batch in run.batches(StopSignal()):
    outcome = run.step(batch)
assert outcome.bad is None, outcome.bad
print(run.progress.step, outcome.loss)
"""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 for the peak memory of a process")
def test_a_step_of_the_released_size_stays_below_24_gib(tmp_path):
    command = [sys.executable, "-c", STEP, *WORDS, f"out={tmp_path}"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    said = run.stdout.read()
    _, status, usage = os.wait4(run.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert said.split()[0] == "1"
    assert 12 * 2**30 < usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) < MAX_MEMORY
