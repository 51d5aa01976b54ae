"""`python -m train` of clicks and tracker as processes: one, and two that share the work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from sam3model.checkpoint import load
from sam3model.parse import merge
from sam3model.training.clip_task import ClipTask
from sam3model.training.run import train
from sam3model.training.state import StateFolder
from tests.training.test_parallel import ROOT, curve, launch
from tests.training.tiny_clips import CLIP_SETTINGS, TRACKED
from train.compose import settings

SHARED = {
    "budget": {"steps": 3}, "prompts": {"corrected": 1.0, "max_corrections": 2}, "optim": {"lr": 1e-4, "clip": 1.0},
    "validation": {"clips": 3},
}  # fmt: skip


def words_of(folder: Path, *more: str) -> list[str]:
    """The small settings of the other tests as command-line overrides."""
    values = merge(CLIP_SETTINGS, SHARED)
    for group in ("model", "data", "optim"):  # as one override each, these would name a config file
        values |= {f"{group}.{key}": value for key, value in values.pop(group).items()}
    plain = {key: yaml.safe_dump(value, default_flow_style=True, width=10**6) for key, value in values.items()}
    return ["task=clips", *(f"{key}={text.splitlines()[0]}" for key, text in plain.items()), f"out={folder}", *more]


def test_the_experiment_of_clicks_writes_weights_with_clicks(tmp_path):
    model = yaml.safe_dump(TRACKED, default_flow_style=True, width=10**6).strip()
    command = [
        sys.executable, "-m", "train", "experiment=playground_tiny_clicks", f"out={tmp_path}", "name=cli",
        f"model.overrides={model}", "model.weights=null", "budget.minutes=null", "budget.steps=2",
        "stages=[{batch: 2, frames: 1, objects: 3, mask_stride: 2}]",
        "validation={frames: 1, clips: 2, batch: 2, objects: 3, metric: IoU@3}",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "final.safetensors: 4 clips" in done.stdout
    folder = tmp_path / "cli"
    last = json.loads((folder / "scalars.jsonl").read_text().splitlines()[-1])
    assert {"val/loss", "val/IoU@1", "val/IoU@3", "val/IoU_box"} <= last.keys()
    model = load(folder / "final.safetensors", parts=None)
    assert model.config.parts == ("detector", "interactive")  # the tracker was not trained
    assert len(list((folder / "panels").glob("*.png"))) == 1
    _, saved = StateFolder(folder, 1).load()
    averages = saved["ema"]["interactive.no_mem_embed"]
    torch.testing.assert_close(model.interactive.no_mem_embed.float(), averages, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
@pytest.mark.parametrize("stills", [0, 2])
def test_two_processes_have_the_losses_and_metrics_of_one(tmp_path, parallel, stills):
    stage = {**CLIP_SETTINGS["stages"][0], "stills": stills}
    words = words_of(tmp_path, f"stages=[{json.dumps(stage).replace(chr(34), '')}]")
    train(settings(words), ClipTask)
    launch([*words, f"parallel={parallel}", f"name={parallel}"])
    alone, together = tmp_path / "test", tmp_path / parallel
    assert curve(together) == pytest.approx(curve(alone), rel=1e-4)
    assert len(curve(together)) == 3
    one, two = (json.loads((folder / "scalars.jsonl").read_text().splitlines()[-1]) for folder in (alone, together))
    assert {"val/J", "val/J_click", "val/visible"} <= one.keys()
    assert two == pytest.approx(one, rel=1e-2, abs=1e-2)
    mine, theirs = (load(folder / "final.safetensors", parts=None).state_dict() for folder in (alone, together))
    assert max((mine[name].float() - theirs[name].float()).abs().max().item() for name in mine) < 2e-3
