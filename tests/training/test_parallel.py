"""Two processes have the losses and metrics of one, with DDP and with FSDP."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sam3model.checkpoint import load
from sam3model.errors import ConfigError
from sam3model.parse import merge
from sam3model.training.concept_task import ConceptTask
from sam3model.training.parallel import World
from sam3model.training.run import train
from tests.training.conftest import SETTINGS
from train.compose import settings

ROOT = Path(__file__).parents[2]
CHANGES = {
    "seed": 3,
    "budget": {"steps": 3}, "optim": {"lr": 1e-3, "clip": 1.0},
    "validation": {"images": 1}, "stages": [{"size": 64, "batch": 4, "phrases": 6, "mask_stride": 4}],
    "data": {"exemplars": 1.0}, "interactive": {"rounds": 1, "fraction": 0.2, "threshold": 0.2},
}  # fmt: skip


def curve(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def words_of(folder: Path, *more: str) -> list[str]:
    """The small settings of the other tests as command-line overrides."""
    values = merge(SETTINGS, CHANGES)
    for group in ("model", "data", "optim"):  # as one override each, these would name a config file
        values |= {f"{group}.{key}": value for key, value in values.pop(group).items()}
    plain = {key: yaml.safe_dump(value, default_flow_style=True, width=10**6) for key, value in values.items()}
    return [*(f"{key}={text.splitlines()[0]}" for key, text in plain.items()), f"out={folder}", *more]


def launch(words: list[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "train",
        *words,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[:6000]


def test_two_processes_have_the_metrics_of_one(tmp_path):
    words = ["optim.lr=0", "budget.steps=1", "log_every=1"]  # the weights stay exactly those of the seed
    words += ["validation={images: 5, batch: 2, phrases: 3, threshold: 0.0, examples: 4}"]
    train(settings(words_of(tmp_path, *words)), ConceptTask)
    launch(words_of(tmp_path, *words, "name=two"))
    alone, together = (
        json.loads((tmp_path / name / "scalars.jsonl").read_text().splitlines()[-1]) for name in ("test", "two")
    )
    assert {"val/loss", "val/cgF1", "val/AP", "val/mean_IoU"} <= alone.keys()
    assert alone["val/mean_IoU"] > 0
    assert alone == together
    panels = [(tmp_path / name / "panels" / "step_00000001.png").read_bytes() for name in ("test", "two")]
    assert panels[0] == panels[1]


@pytest.mark.parametrize(
    ("batch", "accumulate", "share"), [(12, 1, 6), (12, 3, 6), (12, 2, 6), (6, 2, None), (3, 1, None)]
)
def test_every_process_takes_chunks_of_whole_images(batch, accumulate, share):
    world = World(size=2)
    if share:
        assert world.share(batch, accumulate) == share
        return
    with pytest.raises(ConfigError, match=f"stages.batch {batch} cannot be split evenly among 2 processes") as error:
        world.share(batch, accumulate)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_two_processes_have_the_loss_curve_of_one(tmp_path, parallel):
    train(settings(words_of(tmp_path)), ConceptTask)
    launch(words_of(tmp_path, f"parallel={parallel}", f"name={parallel}"))
    alone, together = tmp_path / "test", tmp_path / parallel
    assert curve(together) == pytest.approx(curve(alone), rel=1e-4)
    assert {path.name for path in together.iterdir() if not path.name.startswith("events")} == {
        "best.safetensors", "final.safetensors", "panels", "scalars.jsonl", "step_00000003.pt",
    }  # fmt: skip
    one, two = (load(folder / "final.safetensors").state_dict() for folder in (alone, together))
    assert max((one[name].float() - two[name].float()).abs().max().item() for name in one) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_resume_exactly(tmp_path, parallel):
    words = [f"parallel={parallel}", "budget.steps=4"]
    launch(words_of(tmp_path, *words, "name=through"))
    launch(words_of(tmp_path, *words, "budget.steps=2", "name=resumed"))
    launch(words_of(tmp_path, *words, "name=resumed"))
    assert len(curve(tmp_path / "through")) == 4
    assert curve(tmp_path / "resumed") == curve(tmp_path / "through")


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_train_adapters_like_one(tmp_path, parallel):
    adapters = "model.lora={rank: 2, alpha: 4.0}"
    train(settings(words_of(tmp_path, adapters)), ConceptTask)
    launch(words_of(tmp_path, adapters, f"parallel={parallel}", f"name={parallel}"))
    alone, together = tmp_path / "test", tmp_path / parallel
    assert curve(together) == pytest.approx(curve(alone), rel=1e-4)
    one, two = (load(folder / "final.safetensors").state_dict() for folder in (alone, together))
    assert max((one[name].float() - two[name].float()).abs().max().item() for name in one) < 2e-3
