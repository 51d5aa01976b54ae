"""`python -m train` on the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from sam3model.errors import ConfigError
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.state import StateFolder
from tests.training.conftest import SETTINGS, TINY_MODEL
from train.app import main
from train.compose import composed, settings

ROOT = Path(__file__).parents[2]


def overrides(folder: Path) -> list[str]:
    """The small settings of the other tests as command-line overrides."""
    stage = yaml.safe_dump(SETTINGS["stages"], default_flow_style=True, width=1000).strip()
    model = yaml.safe_dump(TINY_MODEL, default_flow_style=True, width=1000).strip()
    return [
        "experiment=playground_tiny", f"out={folder}", "name=cli", "budget.minutes=null", "budget.steps=2",
        "data.workers=1", "validation.images=2", "validation.batch=2", "validation.phrases=3", "precision=float32",
        f"stages={stage}", f"model.overrides={model}",
    ]  # fmt: skip


def test_a_run_writes_weights_and_prints_a_summary(tmp_path):
    command = [sys.executable, "-m", "train", *overrides(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "final.safetensors: 4 images" in done.stdout
    assert {"best.safetensors", "final.safetensors", "scalars.jsonl", "step_00000002.pt"} <= {
        path.name for path in (tmp_path / "cli").iterdir()
    }
    last = json.loads((tmp_path / "cli" / "scalars.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 2
    assert last["val/loss"] > 0


def test_sigterm_to_the_whole_group_saves_the_state(tmp_path):
    scalars = tmp_path / "cli" / "scalars.jsonl"
    command = [sys.executable, "-m", "train", *overrides(tmp_path), "budget.steps=1000000", "log_every=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        until = time.monotonic() + 100
        while not (scalars.exists() and scalars.read_text()) and run.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGTERM)
        said = run.communicate(timeout=60)[1]
    finally:
        run.kill()
    assert run.returncode == 143, said
    assert "the same command resumes it" in said
    saved = StateFolder(scalars.parent, 1).load()
    assert saved is not None
    assert saved[0].step == len(scalars.read_text().splitlines()) > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optim.lrr=1"], "unknown setting 'optim.lrr'; did you mean 'lr'?"),
        (["+ema.decai=1"], "unknown setting 'ema.decai'; did you mean 'decay'?"),
        (["experiment=playground_tinny"], "did you mean 'playground_tiny'?"),
        (["optim.lr=fast"], "optim.lr"),
        (["stages=[{size: 100"], "size: 100"),
        (["budget.minutes=3"], "either steps or minutes"),
        (["model.weights=nowhere.safetensors"], "nowhere.safetensors"),
        (["data=coco", "data.root=nowhere"], "nowhere"),
        (["device=abacus"], "abacus"),
        (["optim.lr=-1"], "optim.lr must be 0 or more, not -1"),
        (
            ["experiment=finetune", "data.hard_negatives=[cat]"],
            "data.hard_negatives=[cat] does not fit: cannot merge a mapping with a list",
        ),
        (["data.root=photos"], "data.root has no effect with data.source=playground: leave it out, or choose another"),
        (
            ["experiment=finetune_video", "data.root=x", "data.automatic=true"],
            "data.automatic has no effect with data.source=davis",
        ),
        (
            ["experiment=finetune_video", "data.source=coco", "data.root=x", "data.transforms=[{flip: {chance: 0.1}}]"],
            "data.transforms has no effect with data.source=coco",
        ),
        (
            ["experiment=playground_tiny_joint", "clips.data.motion.shift=0.3"],
            "clips.data.motion has no effect with clips.data.source=playground",
        ),
        (
            ["experiment=playground_tiny_joint", "images.validation.every_minutes=3"],
            "images.validation.every_minutes has no effect: set validation.every_minutes",
        ),
        (["stages.9.batch=2"], "stages.9.batch=2 does not fit: list index out of range"),
        (["stages.first.batch=2"], "parts of a list have numbers, as in stages.0.batch: "),
        (["name=../elsewhere"], "name must be the name of one folder"),
        (["stages=[{size: 40, batch: 2}, {size: 256, batch: 2}]"], "stages.size must be a multiple of 64 pixels"),
        (
            ["check", "stages=[{size: 32}]", "model.overrides.vit={image_size: 32, window: 4}"],
            "stages.size must be at least 64 pixels",
        ),
    ],
)
def test_bad_settings_are_one_line_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_every_experiment_composes():
    for path in (ROOT / "train" / "configs" / "experiment").glob("*.yaml"):
        roots = [] if path.stem.startswith("playground") else ["data.root=somewhere"]
        config = settings([f"experiment={path.stem}", *roots])
        assert config.name == path.stem
        assert config.model.resolve()


def test_what_experiments_set_for_other_sources_is_no_mistake():
    config = settings(["experiment=finetune_video", "data.source=coco", "data.root=somewhere", "data.reverse=0.0"])
    assert isinstance(config, ClipTrainConfig) and config.data.transforms
    assert settings(["data.negatives=0.1", "data.broken=0.1"]), "broken has its default"


def test_an_override_that_fits_nowhere_is_named():
    with pytest.raises(ConfigError, match=r"an override \(optim=\[1,2\]\) does not fit: "):
        composed(["optim=[1,2]"])
