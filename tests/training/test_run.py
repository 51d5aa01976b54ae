"""Small runs from end to end: training, resuming after a kill, and refusing what does not fit."""

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sam3model.checkpoint import load
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches
from sam3model.data.playground_source import PlaygroundSource
from sam3model.errors import ConfigError, InputError, OutputError, TrainingError
from sam3model.text import Tokenizer
from sam3model.training.concept_task import ConceptTask
from sam3model.training.run import train
from sam3model.training.run_settings import BudgetConfig, RunConfig
from sam3model.training.state import Progress, StateFolder, alone_in, own_folder
from sam3model.training.step import train_step
from sam3model.training.stop_signal import StopSignal
from sam3model.training.training_log import TrainingLog
from sam3model.training.validate import Validation
from tests.training.conftest import METRICS, concept_run


def test_four_scenes_are_memorised(settings):
    # Without one-to-many matches: their number, and so their loss, grows as the model improves.
    config = settings(optim={"lr": 3e-3}, loss={"o2m_weight": 0.0})
    run = concept_run(config)
    source = Sam3ImageDataset(PlaygroundSource("train", size=64, phrases=2, mask_stride=4))
    (batch,) = batches(source, CachedTokenizer(Tokenizer(16)), batch=4, images=4)
    losses = [train_step(run.network, run.task, run.optimizer, batch, config.optim).loss for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("hardware", [True, False])
def test_the_precision_is_what_the_device_has_in_hardware_unless_it_is_named(settings, monkeypatch, hardware):
    monkeypatch.setattr("sam3model.devices.has_native_bfloat16", lambda _: hardware)
    found = ConceptTask(settings(precision="auto")).precision
    assert found is (torch.bfloat16 if hardware else torch.float32)
    assert ConceptTask(settings(precision="bfloat16")).precision is torch.bfloat16


def test_a_full_disk_leaves_the_last_good_state(tmp_path, monkeypatch):
    states = StateFolder(tmp_path, keep=1)
    states.save(Progress(step=1), {})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert states.save(Progress(step=2), {}) is None
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.pt"]


def test_a_full_disk_loses_scalars_and_panels_but_not_the_run(settings, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OutputError("cannot write it: No space left on device")

    class Full(TrainingLog):
        def __init__(self, folder: Path, since: int) -> None:
            super().__init__(folder, since)
            self.file.close()
            self.file = Path("/dev/full").open("a")  # noqa: SIM115

    monkeypatch.setattr("sam3model.training.concept_task.save_panel", full)
    monkeypatch.setattr("sam3model.training.run.TrainingLog", Full)
    assert train(settings(budget={"steps": 2}), ConceptTask).status == "finished"
    assert "No space left" in caplog.text


def test_non_finite_scalars_are_valid_json(tmp_path):
    with TrainingLog(tmp_path, 0) as report:
        report.scalars(1, {"loss": math.nan, "grad_norm": math.inf, "bad": "loss of a.png"})
    (line,) = (tmp_path / "scalars.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {
        "step": 1, "loss": None, "grad_norm": None, "bad": "loss of a.png",
    }  # fmt: skip


def test_no_time_is_left_when_the_last_step_exceeds_the_budget(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("sam3model.training.training_log._LINE_SECONDS", -1.0)
    with caplog.at_level(logging.INFO), TrainingLog(tmp_path, 0) as report:
        report.progress(11, 1.047, 31.4, 1.6, 0.6)
    assert caplog.messages == ["100.0% · step 11 · loss 1.600 · 0.6 samples/s · 0:00:00 left"]


def test_tensorboard_gets_the_same_scalars(tmp_path):
    with TrainingLog(tmp_path, 0) as report:
        report.scalars(1, {"loss": 2.5, "bad": None})
        report.scalars(2, {"loss": 1.5, "bad": None})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 2.5), (2, 1.5)]


def test_a_folder_that_cannot_be_made_is_refused(settings):
    with pytest.raises(ConfigError, match="out: cannot make the folder /dev/null/runs"):
        concept_run(settings(out="/dev/null/runs"))


def test_a_non_finite_loss_changes_no_weight_and_names_the_samples(settings):
    run = concept_run(settings())
    batch = next(run.batches(StopSignal()))
    batch.pixels[0, 0, 0, 0] = torch.nan
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    outcome = run.step(batch)
    assert "playground/train/0" in outcome.bad
    assert run.progress.bad_in_a_row == run.progress.bad_steps == 1
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())


def test_bad_steps_in_a_row_stop_the_run_with_its_state_saved(settings, monkeypatch):
    config = settings(max_bad_steps=2)
    whole = PlaygroundSource.__call__

    def broken(source: PlaygroundSource, index: int):
        sample = whole(source, index)
        return replace(sample, pixels=sample.pixels * torch.nan)

    monkeypatch.setattr(PlaygroundSource, "__call__", broken)
    with pytest.raises(TrainingError, match="2 non-finite steps in a row"):
        train(config, ConceptTask)
    with pytest.raises(TrainingError, match="2 non-finite steps in a row"):
        train(config, ConceptTask)  # two more, not one
    assert StateFolder(concept_run(config).folder, 1).load()[0].bad_steps == 4


def test_a_run_from_weights_is_in_float32_with_the_dropout_of_its_config(settings):
    weights = train(settings(budget={"steps": 1}), ConceptTask).weights
    run = concept_run(settings(name="tuned", model={"weights": str(weights), "overrides": {"dropout": 0.2}}))
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}
    assert run.model.config.dropout == 0.2


def test_non_finite_final_weights_are_an_error(settings, monkeypatch):
    metrics = dict(METRICS, loss=math.nan)
    monkeypatch.setattr("sam3model.training.concept_task.validate", lambda *_, **__: Validation(metrics, ()))
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(settings(budget={"steps": 1}), ConceptTask)


def test_an_unknown_device_is_refused(settings):
    with pytest.raises(InputError, match="unknown device 'abacus'"):
        concept_run(settings(device="abacus"))


def test_a_second_run_in_a_folder_is_refused(settings):
    config = settings(budget={"steps": 1})
    with alone_in(own_folder(config), first=True), pytest.raises(ConfigError, match="another run is writing into"):
        train(config, ConceptTask)


def test_a_folder_without_a_name_is_refused():
    with pytest.raises(ConfigError, match="out: the folder has no name"):
        RunConfig(out=" ")


def test_without_averages_the_artefact_is_the_model_as_it_is(settings):
    config = settings(ema={"decay": 0.0})
    result, run = train(config, ConceptTask), concept_run(config)
    assert not run.ema.average
    for name, value in load(result.weights).detector.state_dict().items():
        torch.testing.assert_close(value.float(), run.model.state_dict()[name].half().float())


def test_applying_the_averages_changes_neither_them_nor_the_weights(settings):
    run = concept_run(settings())
    run.step(next(run.batches(StopSignal())))
    average, own = (
        {name: value.clone() for name, value in state.items()} for state in (run.ema.average, run.model.state_dict())
    )
    with run.ema.applied_to(run.model) as lent:
        assert not lent.training
        assert all(torch.equal(value, average[name]) for name, value in lent.state_dict().items())
    assert run.model.training
    assert all(torch.equal(value, own[name]) for name, value in run.model.state_dict().items())
    assert all(torch.equal(value, average[name]) for name, value in run.ema.average.items())


def test_the_artefact_is_half_precision_averages_with_config_and_record(settings):
    config = settings()
    result = train(config, ConceptTask)
    with safe_open(result.weights, "pt") as file:
        record = json.loads(file.metadata()["training"])
        dtypes = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert dtypes == {torch.float16}
    assert record["progress"]["samples"] == 8
    assert record["settings"]["name"] == "test"
    assert record["metrics"].keys() >= {"cgF1", "IL_MCC", "loss"}
    model, run = load(result.weights).detector, concept_run(config)
    assert model.config == config.model.resolve()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value.float(), run.ema.average[name].half().float())


def test_a_run_shorter_than_the_interval_of_the_averages_saves_what_it_has_learned(settings):
    run = concept_run(settings(ema={"every": 4}))
    stream = run.batches(StopSignal())
    before = run.model.state_dict()["decoder.query_embed.weight"].clone()
    for _ in range(2):
        run.step(next(stream))
    saved = run.artefact().state_dict()["decoder.query_embed.weight"]
    assert torch.equal(saved, run.model.state_dict()["decoder.query_embed.weight"].half().float())
    assert not torch.equal(saved, before.half().float())


def test_a_budget_of_minutes_is_used_up_and_decays_to_its_end(settings):
    config = replace(settings(schedule={"kind": "cosine", "final": 0.0}), budget=BudgetConfig(minutes=0.02))
    run = concept_run(config)
    rates = []
    for batch in run.batches(StopSignal()):
        rates.append(run.rate)
        run.step(batch)
    assert len(rates) > 1
    assert rates == sorted(rates, reverse=True)
    assert run.done >= 1
