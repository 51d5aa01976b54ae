"""Saved states: what resumes from them, what they refuse, and what a killed or stopped run leaves."""

import json
import math
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sam3model.errors import CheckpointError, ConfigError, TrainingError
from sam3model.training.concept_task import ConceptTask
from sam3model.training.resume import rank_of, require_same_run
from sam3model.training.run import TrainingRun, train
from sam3model.training.run_settings import BudgetConfig
from sam3model.training.state import Progress, StateFolder, own_folder, random_state, restore_random
from sam3model.training.validate import Validation
from tests.training.conftest import METRICS, concept_run, losses_of
from tests.training.killed_runs import check_run_killed_while_saving


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_has_the_same_next_losses_bit_for_bit(settings, precision):
    config = settings(
        precision=precision, budget={"steps": 6}, optim={"accumulate": 2}, model={"overrides": {"dropout": 0.2}}
    )
    whole, through = losses_of(config, 6)
    config = replace(config, name="again")
    first, run = losses_of(config, 3)
    run.save()
    rest, resumed = losses_of(config, 3)
    assert first + rest == whole
    assert resumed.progress.step == 6
    assert all(torch.equal(value, resumed.ema.average[name]) for name, value in through.ema.average.items())


def test_a_damaged_state_is_skipped_and_old_ones_are_pruned(tmp_path):
    states = StateFolder(tmp_path, keep=2)
    for step in (1, 2, 3):
        states.save(Progress(step=step), {"value": torch.tensor(step)})
    newest = tmp_path / "step_00000003.pt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000002.pt", newest.name]
    newest.write_bytes(newest.read_bytes()[:100])
    progress, parts = states.load()
    assert (progress.step, parts["value"].item()) == (2, 2)
    torch.save({"progress": {"step": 3, "laps": 7}, "value": torch.tensor(3)}, newest)  # of another version
    assert states.load()[0].step == 2


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
@pytest.mark.parametrize("keep", [1, 2])
def test_states_after_a_damaged_one_are_kept(tmp_path, caplog, keep, content):
    (tmp_path / "step_00000005.pt").write_bytes(content)
    states = StateFolder(tmp_path, keep)
    states.save(Progress(step=3), {})
    assert states.load()[0].step == 3
    assert "skipping the damaged state" in caplog.text and "weights_only" not in caplog.text
    for step in (4, 6, 7):
        states.save(Progress(step=step), {})
        assert StateFolder(tmp_path, keep).load()[0].step == step
    kept = [path.name for path in sorted(tmp_path.iterdir())]
    assert kept == [f"step_{step:08d}.pt" for step in (6, 7)[-keep:]]


def test_a_run_whose_states_are_all_damaged_does_not_start_over_in_silence(settings):
    config = settings(budget={"steps": 2})
    folder = own_folder(config)
    (folder / "step_00000002.pt").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"no saved state in .* can be read: start over with resume=false"):
        concept_run(config)
    assert concept_run(replace(config, resume=False)).progress.step == 0


def test_a_state_of_another_model_is_refused_in_one_line(settings):
    concept_run(settings()).save()
    with pytest.raises(ConfigError, match=r"decoder.queries=8, not 9: choose another name") as refusal:
        concept_run(settings(model={"overrides": {"decoder": {"queries": 9}}}))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"seed": 1}, "seed=0, not 1"), ({"data": {"negatives": 0.1}}, "data.negatives=0.4, not 0.1")],
)
def test_a_state_of_another_seed_or_data_set_is_refused(settings, changes, message):
    concept_run(settings()).save()
    with pytest.raises(ConfigError, match=message):
        concept_run(settings(**changes))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({}, {"model": {"overrides": {"dropout": 0.2}}}, "model.overrides.dropout=null, not 0.2"),
        ({}, {"data": {"hard_negatives": {"ball": ["cube"]}}}, r'data.hard_negatives.ball=null, not \["cube"\]'),
        ({"data": {"hard_negatives": {"ball": ["cube"]}}}, {}, r'data.hard_negatives.ball=\["cube"\], not null'),
    ],
)
def test_a_setting_that_is_given_or_left_out_makes_another_run(settings, before, after, message):
    was, now = settings(**before), settings(**after)
    with pytest.raises(ConfigError, match=message):
        require_same_run(json.dumps(asdict(was)), now, own_folder(now))
    require_same_run(json.dumps(asdict(was)), was, own_folder(was))


def test_a_data_set_that_was_moved_is_the_same(settings, tmp_path, monkeypatch, caplog):
    def run(root: object):
        return settings(data={"source": "coco", "root": str(root)})

    new, old = tmp_path / "new" / "birds", tmp_path / "old" / "birds"
    for folder in (new / "train", new / "val", tmp_path / "new" / "cats" / "train"):
        folder.mkdir(parents=True)
    moved, kept = run(new / "train"), json.dumps(asdict(run(old / "train")))
    require_same_run(kept, moved, tmp_path)
    assert "is taken for it" in caplog.text
    monkeypatch.chdir(new)
    require_same_run(json.dumps(asdict(moved)), run("train"), tmp_path)
    require_same_run(json.dumps(asdict(run("~nobody-has-this-name/birds/train"))), moved, tmp_path)
    (old / "train").mkdir(parents=True)
    for other in (run(new / "val"), run(tmp_path / "new" / "cats" / "train"), moved):
        with pytest.raises(ConfigError, match=r"data\.root="):
            require_same_run(kept, other, tmp_path)


def test_a_run_does_not_write_over_the_weights_that_it_starts_from(settings):
    own = Path(train(settings(budget={"steps": 1}), ConceptTask).weights).with_name("best.safetensors")
    own.with_name("final.safetensors").unlink()  # as of a run that was killed
    for weights in (own, own.parent):
        again = settings(resume=False, model={"weights": str(weights)})
        with pytest.raises(ConfigError, match=r"this run would write over .* choose another name"):
            train(again, ConceptTask)
        assert own.is_file()
    assert concept_run(replace(again, name="other")).progress.step == 0


def test_changed_settings_apply_to_a_resumed_run(settings):
    _, run = losses_of(settings(), 2)
    run.save()
    rates = {"vision.": 1e-5}
    resumed = concept_run(settings(optim={"lr": 1e-6, "rates": rates, "weight_decay": 0.3}, data={"workers": 1}))
    fresh = concept_run(settings(name="fresh", optim={"lr": 1e-6, "rates": rates, "weight_decay": 0.3}))
    for ours, theirs in zip(resumed.optimizer.param_groups, fresh.optimizer.param_groups, strict=True):
        assert {**ours, "params": 0} == {**theirs, "params": 0}
    before, after = (
        {name: part.optimizer.state[parameter] for name, parameter in part.model.named_parameters()}
        for part in (run, resumed)
    )
    assert all(torch.equal(after[name]["exp_avg"], values["exp_avg"]) for name, values in before.items() if values)


def test_what_a_kill_or_a_crash_left_behind_is_tidied_up(settings):
    config = settings()
    folder = own_folder(config)
    left = [".step_00000003.pt.0a1b2c3d", ".best.safetensors.0a1b2c3d", ".final.safetensors.0a1b2c3d"]
    for name in left:
        (folder / name).write_bytes(b"torn")
    (folder / "scalars.jsonl").write_bytes(b'{"step": 0, "loss": 1.0}\n\xff\xfe\x00\n[3]\n{"step": null}\n{"st')
    run = concept_run(config)
    with run.open_log():
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
        assert (folder / "scalars.jsonl").read_text() == '{"step": 0, "loss": 1.0}\n'


def test_a_run_that_starts_over_removes_the_old_output(settings):
    config = settings(budget={"steps": 3})
    train(config, ConceptTask)
    train(replace(config, resume=False, budget=BudgetConfig(steps=1)), ConceptTask)
    run = concept_run(config)
    assert run.progress.step == 1
    assert [path.name for path in run.folder.glob("step_*")] == ["step_00000001.pt"]
    assert [path.name for path in run.folder.glob("panels/*")] == ["step_00000001.png"]
    assert len(list(run.folder.glob("events.*"))) == 1


def test_the_best_weights_are_kept_in_an_extended_run(settings, monkeypatch):
    def validated_as(value: float) -> None:
        monkeypatch.setattr(
            "sam3model.training.concept_task.validate", lambda *_, **__: Validation(dict(METRICS, cgF1=value), ())
        )

    def best() -> float:
        with safe_open(folder / "best.safetensors", "pt") as file:
            return json.loads(file.metadata()["training"])["metrics"]["cgF1"]

    folder = None
    for steps, value, kept in ((1, 0.5, 0.5), (2, 0.2, 0.5), (3, 0.7, 0.7), (4, math.nan, 0.7)):
        validated_as(value)
        folder = train(settings(budget={"steps": steps}), ConceptTask).weights.parent
        assert best() == kept


@pytest.mark.parametrize(("preset", "has_best"), [("sam3_tiny", True), ("sam3_tiny", False), (None, True)])
def test_a_run_goes_on_without_the_weights_that_it_started_from(settings, tmp_path, caplog, preset, has_best):
    start = tmp_path / "start.safetensors"
    concept_run(settings(name="before")).export("final.safetensors", {}).rename(start)
    config = settings(name="whole", model={"weights": str(start), "preset": preset})
    whole, _ = losses_of(config, 4)
    config = replace(config, name="again")
    first, run = losses_of(config, 2)
    run.save()
    if has_best:
        run.export("best.safetensors", {"loss": 1.0})
    start.unlink()
    rest, _ = losses_of(config, 2)
    assert first + rest == whole
    assert f"no weights at {start}" in caplog.text and "the run goes on from its state" in caplog.text
    with pytest.raises(CheckpointError, match="no weights at"):
        concept_run(replace(config, resume=False))


def test_of_equal_weights_those_with_the_lowest_loss_are_the_best():
    first, worse, none = {"J": 0.5, "loss": 2.0}, {"J": 0.4, "loss": 1.0}, {"J": 0.5, "loss": None}
    assert rank_of(first, "J") == rank_of(dict(first), "J")
    assert rank_of(worse, "J") < rank_of(first, "J") < rank_of({"J": 0.5, "loss": 1.9}, "J") < rank_of(none, "J")
    for useless in ({"J": math.nan, "loss": 1.0}, {"J": None, "loss": 1.0}, {"J": 1.0, "loss": math.inf}):
        assert rank_of(useless, "J") is None


def test_a_run_killed_while_saving_resumes_from_the_state_before(settings, monkeypatch):
    config = settings(budget={"steps": 4}, checkpoint={"every_minutes": 1e-9})
    check_run_killed_while_saving(config, ConceptTask, losses_of, monkeypatch)


def test_a_run_that_is_stopped_often_is_still_validated(settings):
    config = settings(validation={"every_minutes": 25})
    run = concept_run(config)
    for minutes in (10, 20):
        run.progress.seconds = 60.0 * minutes
        assert not run.due("validation", 25)
        run.save()
        run = concept_run(config)
    run.progress.seconds = 60.0 * 26
    assert run.due("validation", 25)
    assert not run.due("validation", 25)


def test_sigterm_saves_and_the_same_config_finishes(settings, monkeypatch):
    config = settings(budget={"steps": 3})
    step = TrainingRun.step

    def killed_after_first(run: TrainingRun, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return step(run, batch)

    monkeypatch.setattr(TrainingRun, "step", killed_after_first)
    assert train(config, ConceptTask).status == "stopped"
    monkeypatch.setattr(TrainingRun, "step", step)
    result = train(config, ConceptTask)
    assert (result.status, result.progress.step) == ("finished", 3)
    lines = [json.loads(line) for line in (result.weights.parent / "scalars.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]


def test_repeated_signals_of_a_scheduler_end_the_run_as_preempted(settings, monkeypatch):
    step = TrainingRun.step

    def preempted(run: TrainingRun, batch):
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return step(run, batch)

    monkeypatch.setattr(TrainingRun, "step", preempted)
    config = settings(budget={"steps": 3})
    assert train(config, ConceptTask).status == "preempted"
    assert StateFolder(concept_run(config).folder, 1).load()[0].step == 1


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.9), (0.9, 0.0)])
def test_averages_turned_on_or_off_start_from_the_resumed_weights(settings, before, after):
    _, run = losses_of(settings(ema={"decay": before}), 2)
    run.save()
    resumed = concept_run(settings(ema={"decay": after}))
    assert resumed.progress.step == 2
    assert bool(resumed.ema.average) == bool(after)
    with resumed.ema.applied_to(resumed.model) as lent:
        torch.testing.assert_close(lent.state_dict(), run.model.state_dict())


@pytest.mark.gpu
def test_a_resumed_run_with_dropout_has_the_same_next_losses_on_a_gpu(settings):
    config = settings(device="cuda", model={"overrides": {"dropout": 0.2}}, budget={"steps": 4})
    whole, _ = losses_of(config, 4)
    config = replace(config, name="again")
    first, run = losses_of(config, 2)
    run.save()
    assert first + losses_of(config, 2)[0] == whole


def test_a_state_of_a_gpu_is_resumed_on_a_cpu():
    state = random_state(torch.device("cpu")) | {"random_cuda": torch.zeros(16, dtype=torch.uint8)}
    ahead = torch.rand(3)
    restore_random(state, torch.device("cpu"))
    assert torch.equal(torch.rand(3), ahead)


def test_a_state_with_the_key_names_of_older_versions_is_resumed(settings):
    config = settings(data={"max_images": 3})
    _, run = losses_of(config, 2)
    run.save()
    (path,) = run.folder.glob("step_*.pt")
    parts = torch.load(path, weights_only=True)
    parts["progress"]["pictures"] = parts["progress"].pop("samples")
    old = json.loads(parts["config"])
    old["data"]["pictures"] = old["data"].pop("max_images")
    torch.save(parts | {"config": json.dumps(old)}, path)
    assert concept_run(config).progress.samples == 4
    with pytest.raises(ConfigError, match=r"data\.max_images=3, not 5: choose another name"):
        concept_run(settings(data={"max_images": 5}))
