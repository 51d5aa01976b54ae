"""Detector and tracker in one run: both train, on the same model, and each as it would alone."""

import json

import pytest
import torch
from torch import Tensor

from sam3model.checkpoint import load
from sam3model.data.clip_sample import ClipSample
from sam3model.data.playground_clips import PlaygroundClips
from sam3model.errors import ConfigError
from sam3model.parse import merge, parse
from sam3model.training.joint_settings import JointTrainConfig
from sam3model.training.joint_task import JointBatch, JointTask
from sam3model.training.run import TrainingRun, train
from sam3model.training.stop_signal import StopSignal
from tests.training.conftest import SETTINGS
from tests.training.test_parallel import curve, launch
from tests.training.tiny_clips import CLIP_SETTINGS, sliding_squares
from train.app import main

STAGE = {"batch": 2, "frames": 3, "objects": 2, "images": 4, "phrases": 3, "mask_phrases": 3, "mask_stride": 2}
SHARED = ("name", "precision", "log_every", "model", "budget", "optim", "schedule", "ema")
JOINT_SETTINGS = {key: CLIP_SETTINGS[key] for key in SHARED} | {
    "stages": [STAGE],
    "images": {key: SETTINGS[key] for key in ("data", "loss", "validation")},
    "clips": {key: CLIP_SETTINGS[key] for key in ("data", "prompts", "validation")},
}


@pytest.fixture(autouse=True)
def squares(monkeypatch):
    """Clips of squares in place of Playground clips, which take longer to render than a step."""

    def drawn(source: PlaygroundClips, index: int) -> ClipSample:
        return sliding_squares(index, source.frames, source.objects, source.mask_stride)

    monkeypatch.setattr(PlaygroundClips, "__call__", drawn)


@pytest.fixture
def joint(tmp_path):
    """A function that makes small settings, with changes, in a temporary folder."""
    return lambda **changes: parse(JointTrainConfig, merge(JOINT_SETTINGS | {"out": str(tmp_path)}, changes))


def steps_of(config: JointTrainConfig, count: int) -> tuple[list[float], TrainingRun]:
    run = TrainingRun(JointTask(config))
    stream = run.batches(StopSignal())
    return [run.step(next(stream)).loss for _ in range(count)], run


def gradients(run: TrainingRun, loss: Tensor) -> dict[str, Tensor]:
    run.optimizer.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in run.model.named_parameters() if value.grad is not None}


def test_the_gradient_is_the_weighted_sum_of_those_of_images_and_clips_alone(joint):
    run = TrainingRun(JointTask(joint(images={"weight": 2.0}, clips={"weight": 0.5})))
    task, network = run.task, run.network
    batch = next(task.batches(0, 0, 2, 2))
    together = gradients(run, task.loss(network, batch, 0).total)
    images = gradients(run, task.images.loss(network.images, batch.images, 0).total)
    clips = gradients(run, task.clips.loss(network.clips, batch.clips, 0).total)
    assert any(name.startswith("detector.decoder.") for name in images)
    assert any(name.startswith("tracker.memory_encoder.") for name in clips)
    trunk = {name for name in images.keys() & clips.keys() if name.startswith("detector.vision.trunk.")}
    assert trunk
    for name, value in together.items():
        expected = 2.0 * images.get(name, torch.zeros(())) + 0.5 * clips.get(name, torch.zeros(()))
        torch.testing.assert_close(value, expected.expand_as(value), atol=1e-5, rtol=1e-4, msg=name)


def test_processes_share_images_and_clips_as_one_process_sees_them(joint):
    task = JointTask(joint())

    def names(first: int, count: int) -> list[tuple[str, ...]]:
        stream = task.batches(0, first, count, 2)
        batches: list[JointBatch] = [next(stream) for _ in range(2)]
        return [(*batch.images.names, *batch.clips.names) for batch in batches]

    for start in (0, 6):
        alone, first, second = names(start, 2), names(start, 1), names(start + 1, 1)
        for whole, *halves in zip(alone, first, second, strict=True):
            assert sorted(whole) == sorted(name for half in halves for name in half)
    assert names(2, 2)[0] == names(0, 2)[1], "a resumed run sees the batch that would have come next"


def test_a_run_that_is_interrupted_goes_on_bit_for_bit_and_its_weights_have_all_parts(joint, tmp_path):
    whole, _ = steps_of(joint(name="whole"), 4)
    first, run = steps_of(joint(), 2)
    run.save()
    second, _ = steps_of(joint(), 2)
    assert first + second == whole
    result = train(joint(), JointTask)
    assert result.metrics["both"] == (result.metrics["image_cgF1"] + result.metrics["clip_J"]) / 2
    model = load(result.weights, parts=None)
    assert model.tracker is not None
    assert {path.parent.name for path in (tmp_path / "test" / "panels").rglob("*.png")} == {"images", "clips"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"frozen": ["detector."], "trained": ["detector.vision.neck.interactive."]}}, "use task=clips"),
        ({"stages": [STAGE | {"images": 3}], "optim": {"accumulate": 2}}, "stages.images 3 must be a multiple"),
        ({"images": {"weight": 0.0}}, "images.weight"),
    ],
)
def test_settings_that_make_no_sense_are_refused(joint, changes, message):
    with pytest.raises(ConfigError, match=message):
        JointTask(joint(**changes)).build()


def test_another_data_set_of_either_kind_is_another_run(joint):
    TrainingRun(JointTask(joint())).save()
    for changes in ({"images": {"data": {"negatives": 0.1}}}, {"clips": {"data": {"visits": 1}}}):
        with pytest.raises(ConfigError, match="choose another name"):
            TrainingRun(JointTask(joint(**changes)))
    TrainingRun(JointTask(joint(clips={"data": {"prefetch": 7}})))


def test_the_command_checks_both_data_sets(tmp_path, capsys):
    words = ["experiment=playground_tiny_joint", f"out={tmp_path}", "name=seen"]
    assert main(["check", *words]) == 0
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {
        "contact_sheet_images.png", "contact_sheet_clips.png",
    }  # fmt: skip
    assert "clips" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path, monkeypatch):
    monkeypatch.undo()  # the other processes render Playground clips
    words = [
        "experiment=playground_tiny_joint", f"out={tmp_path}", "budget.steps=2", "budget.minutes=null",
        "log_every=1", "seed=3",
        "model.weights=null", f"model.overrides={json.dumps(CLIP_SETTINGS['model']['overrides'])}".replace('"', ""),
        f"stages=[{json.dumps(STAGE)}]".replace('"', ""), "images.validation.images=2", "clips.validation.clips=2",
        "clips.validation.frames=3",
    ]  # fmt: skip
    assert main([*words, "name=one"]) == 0
    launch([*words, "name=two"])
    assert curve(tmp_path / "two") == pytest.approx(curve(tmp_path / "one"), rel=1e-4)
