"""Runs of clicks and tracker from end to end: what trains, what is kept, what is refused, and what survives a kill."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sam3model.backbone.vit import ViT
from sam3model.build import build
from sam3model.checkpoint import load, save_native
from sam3model.data.clip_sample import ClipSample
from sam3model.data.playground_clips import PlaygroundClips
from sam3model.data.playground_stills import PlaygroundStills
from sam3model.errors import ConfigError, TrainingError
from sam3model.training.clip_settings import TRACKED_PARTS, ClipModelConfig
from sam3model.training.clip_task import ClipTask
from sam3model.training.run import TrainingRun, train
from sam3model.training.run_settings import BudgetConfig
from sam3model.training.state import StateFolder
from sam3model.training.step import StepReport, train_step
from sam3model.training.stop_signal import StopSignal
from tests.training.killed_runs import check_run_killed_while_saving
from tests.training.tiny_clips import SIDE, TRACKED, batch_of, clip_run, clip_settings, sliding_squares

INTERACTIVE_NECK = "detector.vision.neck.interactive."
UNUSED = (f"{INTERACTIVE_NECK}3.", "tracker.no_mem_pos_enc")
"""In the weights, as in the released ones, but never computed."""

CANDIDATE = "output_hypernetworks_mlps."


@pytest.fixture(autouse=True)
def squares(monkeypatch):
    """Clips of squares in place of Playground clips and scenes, which take longer to render than a step."""

    def drawn(source: PlaygroundClips, index: int) -> ClipSample:
        assert source.size == SIDE
        return sliding_squares(index, source.frames, source.objects, source.mask_stride)

    def still(source: PlaygroundStills, index: int) -> ClipSample:
        return sliding_squares(1000 + index % 1000, 1, source.objects, source.mask_stride)

    monkeypatch.setattr(PlaygroundClips, "__call__", drawn)
    monkeypatch.setattr(PlaygroundStills, "__call__", still)


def losses_of(config, steps: int) -> tuple[list[float], TrainingRun]:
    """Losses of the next `steps` steps of a new or resumed run, and the run."""
    run = clip_run(config)
    stream = run.batches(StopSignal())
    return [run.step(next(stream)).loss for _ in range(steps)], run


def state_of(run: TrainingRun) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def changed(run: TrainingRun, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}


def count_trunk_passes(monkeypatch) -> list[int]:
    """A list that grows with the number of images of every pass of the trunk."""
    passes, forward = [], ViT.forward

    def counted(trunk: ViT, pixels: Tensor):
        passes.append(len(pixels))
        return forward(trunk, pixels)

    monkeypatch.setattr(ViT, "forward", counted)
    return passes


@pytest.mark.parametrize("given", [True, False])
def test_clicks_alone_keep_a_tracker_that_the_weights_have(tmp_path, given):
    parts = TRACKED_PARTS if given else ("detector", "interactive")
    start = build(ClipModelConfig(overrides=TRACKED).resolve(), parts=parts)
    save_native(start, tmp_path / "start.safetensors", dtype=torch.float32)
    config = clip_settings(tmp_path, budget={"steps": 1}, validation={"frames": 1, "clips": 2, "batch": 2})
    model = replace(config.model, weights=str(tmp_path / "start.safetensors"))
    config = replace(config, model=model, stages=(replace(config.stages[0], frames=1),))
    for steps in (1, 2):
        config = replace(config, budget=BudgetConfig(steps=steps))
        kept = load(train(config, ClipTask).weights, parts=None, dtype=torch.float32)
        assert (kept.tracker is not None) == given
        for name, value in start.state_dict().items():
            if name.startswith("tracker."):
                torch.testing.assert_close(kept.state_dict()[name], value, atol=1e-3, rtol=1e-3)
        (tmp_path / "start.safetensors").unlink(missing_ok=True)  # a resumed run does not need it


def test_a_clip_is_memorised(tmp_path):
    # One plan for all steps, since the loss of different prompts and corrections cannot be compared.
    prompts = {"masks": 1.0, "boxes": 0.0, "clicks": 1e-9, "corrected": 0.0}
    config = clip_settings(tmp_path, optim={"lr": 3e-3}, prompts=prompts)
    run = clip_run(config)
    batch = batch_of(1, 2)
    losses = [train_step(run.network, run.task, run.optimizer, batch, config.optim).loss for _ in range(30)]
    assert losses[-1] < 0.6 * losses[0]


def test_every_part_of_clicks_and_tracker_trains_and_the_rest_is_frozen(tmp_path):
    config = clip_settings(tmp_path, prompts={"corrected": 1.0, "corrected_later": 1.0})
    run = clip_run(config)
    before = state_of(run)
    for step in range(12):
        assert train_step(run.network, run.task, run.optimizer, batch_of(step), config.optim, step).bad is None
    different = changed(run, before)
    trained = ("interactive.", "tracker.", INTERACTIVE_NECK)
    expected = {name for name in before if name.startswith(trained) and not name.startswith(UNUSED)}
    expected -= {name for name, _ in run.model.named_buffers()}
    assert any(name.startswith("tracker.memory_encoder.") for name in expected)
    assert different <= expected
    assert {
        name for name in expected - different if CANDIDATE not in name
    } == set()  # a candidate may never be the best
    assert any(CANDIDATE in name for name in different)


def test_a_trainable_trunk_changes_and_is_trained_by_the_masks_of_later_frames(tmp_path):
    frozen = ["detector.text.", "detector.decoder."]
    config = clip_settings(tmp_path, model={"frozen": frozen}, prompts={"masks": 1.0, "boxes": 1e-9, "clicks": 0.0})
    run = clip_run(config)
    before = state_of(run)
    assert run.step(batch_of(1, 2)).bad is None
    trunk = {name for name in before if name.startswith("detector.vision.trunk.")}
    assert trunk - changed(run, before) <= {name for name in trunk if "freqs" in name}
    assert trunk & changed(run, before)


def test_a_frozen_trunk_runs_once_for_all_visits_of_a_batch(tmp_path, monkeypatch):
    passes = count_trunk_passes(monkeypatch)
    losses_of(clip_settings(tmp_path, data={"visits": 3}, budget={"steps": 7}), 7)
    assert passes == [3, 6, 6, 6]  # a clip to measure its scale for the new tracker, then 2 clips of 3 frames


def test_a_frozen_trunk_runs_once_for_all_visits_of_every_chunk(tmp_path, monkeypatch):
    passes = count_trunk_passes(monkeypatch)
    losses_of(clip_settings(tmp_path, data={"visits": 3}, optim={"accumulate": 2}, budget={"steps": 6}), 6)
    assert passes == [3, 3, 3, 3, 3]  # a clip to measure its scale, then 2 batches of 2 chunks of 1 clip


def test_a_stage_with_longer_clips_may_start_between_visits(tmp_path):
    stages = [{"batch": 2, "frames": 2, "objects": 2}, {"batch": 2, "frames": 4, "objects": 2}]
    losses, _ = losses_of(clip_settings(tmp_path, stages=stages, data={"visits": 2}, budget={"steps": 6}), 6)
    assert all(loss > 0 for loss in losses)


def test_stills_share_the_steps_of_clips(tmp_path, monkeypatch):
    stage = {"batch": 2, "frames": 3, "objects": 2, "stills": 4}
    run = clip_run(clip_settings(tmp_path, stages=[stage], optim={"accumulate": 2}))
    batch = next(run.batches(StopSignal()))
    assert batch.names == ("squares/0", "squares/1")
    assert batch.stills.names == ("squares/1000", "squares/1001", "squares/1002", "squares/1003")
    assert run.task.size(batch) == (2, 12)
    assert [part.stills.names for part in run.task.chunks(batch, 2)] == [batch.stills.names[:2], batch.stills.names[2:]]
    passes = count_trunk_passes(monkeypatch)
    terms = run.task.loss(run.network, batch, 0)
    assert passes == [6, 4]
    losses = {name: value.item() for name, value in terms.losses.items()}
    weights = {"mask": 20.0, "dice": 1.0, "iou": 1.0, "class": 1.0}
    parts = [weight * losses[f"{of}loss_{name}"] for of in ("", "still_") for name, weight in weights.items()]
    assert terms.total.item() == pytest.approx(sum(parts), rel=1e-5)
    doubled = clip_run(clip_settings(tmp_path, name="doubled", stages=[stage], data={"stills_weight": 2.0}))
    doubled.model.load_state_dict(run.model.state_dict())
    assert doubled.task.loss(doubled.network, batch, 0).total.item() == pytest.approx(
        sum(parts) + sum(parts[4:]), rel=1e-4
    )


def test_stills_that_cannot_be_shared_are_refused(tmp_path):
    stage = {"batch": 2, "frames": 3, "objects": 2, "stills": 3}
    with pytest.raises(ConfigError, match=r"stages.stills 3 cannot be split evenly"):
        ClipTask(clip_settings(tmp_path, stages=[stage], optim={"accumulate": 2}))


@pytest.mark.parametrize(("precision", "stills"), [("float32", 0), ("bfloat16", 0), ("float32", 3)])
def test_a_resumed_run_has_the_same_next_losses_bit_for_bit(tmp_path, precision, stills):
    overrides = {"detector": {"vit": {"drop_path": 0.3}}, "tracker": {"dropout": 0.2}}
    config = clip_settings(
        tmp_path, precision=precision, budget={"steps": 6}, data={"visits": 2}, model={"overrides": overrides},
        prompts={"corrected": 1.0}, stages=[{"batch": 2, "frames": 3, "objects": 2, "stills": stills}],
    )  # fmt: skip
    whole, through = losses_of(config, 6)
    config = replace(config, name="again")
    first, run = losses_of(config, 3)  # between two visits
    run.save()
    rest, resumed = losses_of(config, 3)
    assert first + rest == whole
    assert len(set(whole)) == 6
    assert all(torch.equal(value, resumed.ema.average[name]) for name, value in through.ema.average.items())


def test_a_non_finite_loss_changes_no_weight_and_names_the_clips(tmp_path):
    run = clip_run(clip_settings(tmp_path))
    batch = next(run.batches(StopSignal()))
    batch.frames[1, 0, 0, 0, 0] = torch.nan
    before = state_of(run)
    outcome = run.step(batch)
    assert "squares/0, squares/1" in outcome.bad
    assert run.progress.bad_in_a_row == run.progress.bad_steps == 1
    assert not changed(run, before)


def test_bad_steps_in_a_row_stop_the_run_with_its_state_saved(tmp_path, monkeypatch):
    config = clip_settings(tmp_path, max_bad_steps=2, budget={"steps": 9})

    def broken(source: PlaygroundClips, index: int) -> ClipSample:
        sample = sliding_squares(index, source.frames, source.objects, source.mask_stride)
        return replace(sample, frames=sample.frames * torch.nan)

    monkeypatch.setattr(PlaygroundClips, "__call__", broken)
    with pytest.raises(TrainingError, match="2 non-finite steps in a row, the last one in the loss of squares/"):
        train(config, ClipTask)
    progress, _ = StateFolder(Path(config.out) / config.name, 1).load()
    assert (progress.step, progress.bad_steps) == (2, 2)


def report(run: TrainingRun, chunks: int, *numbers: int) -> tuple[StepReport, dict[str, Tensor]]:
    """Report and gradients of a step on these clips, in chunks, that changes nothing."""
    still = torch.optim.SGD(run.model.parameters(), lr=0.0)
    optim = replace(run.config.optim, accumulate=chunks, clip=None)
    found = train_step(run.network, run.task, still, batch_of(*numbers), optim, step=3)
    return found, {name: value.grad for name, value in run.model.named_parameters() if value.grad is not None}


def test_chunks_have_the_loss_and_the_gradients_of_the_whole_batch(tmp_path):
    run = clip_run(clip_settings(tmp_path, prompts={"corrected": 1.0}))
    (whole, at_once), (cut, in_chunks) = report(run, 1, 1, 2, 3, 4), report(run, 2, 1, 2, 3, 4)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-5)
    assert at_once.keys() == in_chunks.keys()
    largest = max(value.abs().max().item() for value in at_once.values())
    for name, value in at_once.items():
        torch.testing.assert_close(in_chunks[name], value, rtol=1e-3, atol=1e-4 * largest)


def test_a_run_killed_while_saving_resumes_from_the_state_before(tmp_path, monkeypatch):
    config = clip_settings(tmp_path, budget={"steps": 4}, checkpoint={"every_minutes": 1e-9})
    check_run_killed_while_saving(config, ClipTask, losses_of, monkeypatch)
