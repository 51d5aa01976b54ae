"""Runs as jobs, through Hydra's submitit launcher on this machine instead of Slurm."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sam3model.checkpoint import load
from sam3model.errors import ConfigError
from tests.training.test_clip_cli import words_of as clip_words
from tests.training.test_parallel import ROOT, words_of
from train.app import main
from train.compose import composed
from train.launch import combinations, launch

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
LOCAL = "hydra/launcher=submitit_local"


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the tasks of a job in /proc")
def test_a_job_of_two_tasks_that_is_preempted_is_queued_again_and_finishes(tmp_path):
    words = words_of(tmp_path, "budget.steps=30", "optim.lr=0", LOCAL, "hydra.launcher.tasks_per_node=2")
    command = [sys.executable, "-m", "train", "launch", *words]
    scalars, jobs = tmp_path / "test" / "scalars.jsonl", tmp_path / "jobs"
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        until = time.monotonic() + 600
        while not (scalars.exists() and scalars.read_text()) and run.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        controller = next(int(path.name) for path in jobs.glob("*/.submitit/*") if path.name.isdigit())
        for task in children(controller):
            os.kill(task, signal.SIGUSR2)
        out, error = run.communicate(timeout=600)
    finally:
        run.kill()
        for controller in (int(path.name) for path in jobs.glob("*/.submitit/*") if path.name.isdigit()):
            if children(controller):
                os.kill(controller, signal.SIGTERM)
    logs = "".join(path.read_text() for path in jobs.glob("*/.submitit/*/*.err"))
    logs += "".join(path.read_text() for path in jobs.glob("*/.submitit/*/*.out"))
    assert run.returncode == 0, error + logs
    assert out.splitlines()[-1] == str(tmp_path / "test")
    assert "SIGUSR2: stopping after this step" in logs
    assert "Requeued job" in logs
    assert "resuming at step" in logs
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 31))
    assert (tmp_path / "test" / "final.safetensors").exists()


def test_a_job_trains_on_clips(tmp_path):
    words = clip_words(tmp_path, "budget.steps=1", "validation.clips=1", LOCAL)
    command = [sys.executable, "-m", "train", "launch", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "test" / "final.safetensors", parts=None).tracker is not None


def test_slurm_gets_one_task_per_gpu():
    words = ["hydra/launcher=slurm", "hydra.launcher.nodes=2", "hydra.launcher.gpus_per_node=4"]
    launcher = composed(words, hydra=True)["hydra"]["launcher"]
    assert launcher["_target_"].endswith("SlurmLauncher")
    assert (launcher["nodes"], launcher["tasks_per_node"]) == (2, "${.gpus_per_node}")


def test_a_sweep_has_all_combinations():
    words = ["optim.lr=0.1,0.2", "stages=[{size: 64, batch: 2}]", "seed=1,2"]
    assert list(combinations(words)) == [
        [lr, words[1], seed] for lr in ("optim.lr=0.1", "optim.lr=0.2") for seed in ("seed=1", "seed=2")
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optim.lrr=1", LOCAL], "did you mean 'lr'?"),
        (["seed=1", "hydra.launcher.nodez=2", LOCAL], "hydra.launcher.nodez"),
        (["seed=1", "hydra/launcher=basic"], "choose slurm, submitit_slurm or submitit_local"),
        (["seed=1,2", LOCAL], "two jobs of the sweep would write to the same folder"),
        (["seed=[1", LOCAL], "the value of 'seed' cannot be read"),
        (["experiment=playground_tiny,playground_tiny_clicks", LOCAL], "one task, not clips and concepts"),
    ],
)
def test_invalid_settings_are_reported_in_one_line_before_anything_is_submitted(words, message, capsys):
    assert main(["launch", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_slurm_or_the_plugin_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match="Slurm is missing"):
        launch(["seed=1"])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'sam3agent\[slurm\]'"):
        launch(["seed=1"])
