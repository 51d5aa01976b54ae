"""Simulated prompts of clips, and which objects and frames have a loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sam3model.interactive.prompt_encoder import BOX_END, BOX_START, INSIDE, OUTSIDE, PADDING
from sam3model.losses.tracker_loss import MultiStepMultiMasksAndIous, TrackerStep
from sam3model.training.clip_prompts import SimulatedUser, draw_plan
from sam3model.training.clip_settings import PromptConfig
from tests.training.tiny_clips import SIDE

CAREFUL = SimulatedUser(SIDE)


def disc(x: int, y: int, radius: int, side: int = SIDE) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def hit(mask: torch.Tensor, point: torch.Tensor) -> bool:
    """Whether a point, as the prompt encoder reads it, is on a mask of the size of the model input."""
    column, row = (int(value) for value in (point + 0.5).floor())
    return bool(mask[row, column])


def careless(step: int, objects: int) -> SimulatedUser:
    return SimulatedUser(SIDE, [(0, step, row) for row in range(objects)])


@pytest.mark.parametrize("step", range(20))
def test_clicks_are_on_the_object_or_on_a_mistake(step):
    truth, predicted = torch.stack([disc(20, 20, 9), disc(40, 40, 12)]), torch.stack([disc(26, 20, 9), disc(40, 40, 5)])
    user = careless(step, 2)
    first = user.prompt("click", truth)
    assert first.labels.tolist() == [[INSIDE], [INSIDE]]
    assert all(hit(mask, point[0]) for mask, point in zip(truth, first.points, strict=True))
    click = user.correct(predicted, truth, 1)
    for row in range(2):
        inside = click.labels[row, 0] == INSIDE
        region = truth[row] & ~predicted[row] if inside else predicted[row] & ~truth[row]
        assert inside or click.labels[row, 0] == OUTSIDE
        assert hit(region, click.points[row, 0])
    assert click.labels[1, 0] == INSIDE  # nothing is in excess


def test_a_careful_user_clicks_in_the_middle_of_the_largest_mistake():
    truth, small, large = disc(20, 20, 10), disc(50, 10, 3), disc(45, 45, 8)
    assert CAREFUL.prompt("click", truth[None]).points[0, 0].tolist() == pytest.approx([20, 20], abs=1)
    click = CAREFUL.correct((truth | small | large)[None], truth[None], 1)
    assert click.labels.tolist() == [[OUTSIDE]]
    assert click.points[0, 0].tolist() == pytest.approx([45, 45], abs=1)
    missed = CAREFUL.correct(small[None], (truth | small)[None], 1)
    assert missed.labels.tolist() == [[INSIDE]]
    assert missed.points[0, 0].tolist() == pytest.approx([20, 20], abs=1)


@pytest.mark.parametrize("careful", [0.0, 0.5, 1.0])
def test_some_clicks_are_as_careful_as_asked(careful):
    truth, predicted = disc(20, 20, 9)[None], disc(26, 20, 9)[None]
    middle, deepest = CAREFUL.prompt("click", truth).points, CAREFUL.correct(predicted, truth, 1).points
    users = [SimulatedUser(SIDE, [(0, step, 0)], careful) for step in range(100)]
    for same in (
        [user.prompt("click", truth).points.equal(middle) for user in users],
        [user.correct(predicted, truth, 1).points.equal(deepest) for user in users],
    ):
        assert np.mean(same) == pytest.approx(careful, abs=0.12)


def test_single_frames_may_have_corrections_of_their_own():
    config = PromptConfig(corrected=0.0, corrected_alone=1.0)
    assert all(sum(draw_plan(config, 1, (0, step)).corrections) > 0 for step in range(50))
    assert not any(any(draw_plan(config, 4, (0, step)).corrections) for step in range(50))
    same = replace(config, corrected=0.3, corrected_alone=None)
    few = np.mean([any(draw_plan(same, 1, (0, step)).corrections) for step in range(400)])
    assert few == pytest.approx(0.3, abs=0.08)


def test_clicks_on_coarser_masks_are_in_pixels_of_the_model_input():
    truth = disc(10, 20, 6, SIDE // 2)
    assert CAREFUL.prompt("click", truth[None]).points[0, 0].tolist() == pytest.approx([20.5, 40.5], abs=1)


def test_a_careful_box_is_exact_and_a_careless_one_misses_by_a_tenth_at_most():
    truth = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    truth[0, 10:50, 20:40] = True
    exact = CAREFUL.prompt("box", truth)
    assert exact.labels.tolist() == [[BOX_START, BOX_END]]
    assert exact.points.tolist() == [[[20, 10], [40, 50]]]
    boxes = torch.cat([careless(step, 1).prompt("box", truth).points for step in range(40)])
    misses = boxes - exact.points
    assert (misses[..., 0].abs() <= 2).all() and (misses[..., 1].abs() <= 4).all()
    assert misses.abs().amax((0, 1)).min() > 1
    assert ((boxes >= 0) & (boxes <= SIDE)).all()


def test_empty_objects_get_padding_and_perfect_masks_a_click_inside():
    nothing, truth = torch.zeros(1, SIDE, SIDE, dtype=torch.bool), disc(30, 30, 9)[None]
    for user in (CAREFUL, careless(1, 1)):
        assert user.prompt("click", nothing).labels.tolist() == [[PADDING]]
        assert user.prompt("box", nothing).labels.tolist() == [[PADDING, PADDING]]
        assert user.correct(nothing, nothing, 1).labels.tolist() == [[PADDING]]
        again = user.correct(truth, truth, 1)
        assert again.labels.tolist() == [[INSIDE]] and hit(truth[0], again.points[0, 0])


def test_choices_for_an_object_do_not_depend_on_the_others():
    truth = torch.stack([disc(20, 20, 9), disc(40, 40, 12)])
    both = careless(3, 2).prompt("click", truth).points
    alone = SimulatedUser(SIDE, [(0, 3, 1)]).prompt("click", truth[1:]).points
    assert torch.equal(both[1:], alone)
    assert not torch.equal(both, careless(4, 2).prompt("click", truth).points)


def test_plans_are_fixed_by_their_key_and_follow_the_settings():
    config = PromptConfig(max_corrections=3, max_later_corrections=2)
    plans = [draw_plan(config, 4, (0, step)) for step in range(400)]
    assert plans == [draw_plan(config, 4, (0, step)) for step in range(400)]
    kinds = np.array([plan.kind for plan in plans])
    assert (kinds == "mask").mean() == pytest.approx(0.5, abs=0.1)
    assert (kinds == "box").mean() == pytest.approx(0.25, abs=0.1)
    corrections = np.array([plan.corrections for plan in plans])
    assert corrections[:, 0].max() == 3 and corrections[:, 1:].max() == 2
    assert not corrections[kinds == "mask", 0].any()
    assert corrections[kinds == "mask"].any(1).mean() == pytest.approx(0.5, abs=0.12)
    assert ((corrections[:, 1:] > 0).sum(1) <= 1).all()
    assert {plan.kind for plan in (draw_plan(config, 1, (0, step)) for step in range(50))} == {"box", "click"}
    assert not any(any(draw_plan(replace(config, corrected=0.0), 4, (0, step)).corrections) for step in range(50))


def step_of(objects: int, seed: int = 0) -> TrackerStep:
    rng = torch.Generator().manual_seed(seed)
    return TrackerStep(
        torch.randn(objects, 3, 16, 16, generator=rng, requires_grad=True),
        torch.rand(objects, 3, generator=rng, requires_grad=True),
        torch.randn(objects, generator=rng, requires_grad=True),
    )


def test_objects_have_no_loss_on_frames_where_they_are_not_annotated():
    truth = torch.stack([disc(8, 8, 4, 16), disc(5, 5, 3, 16)])[None].repeat(2, 1, 1, 1)
    known = torch.tensor([[True, False], [True, True]])
    frames = [(step_of(2, 0),), (step_of(2, 1),)]
    terms = MultiStepMultiMasksAndIous()(frames, truth, known)
    terms.total.backward()
    for part in (frames[0][0].masks, frames[0][0].ious, frames[0][0].object_logits):
        assert part.grad[0].any() and not part.grad[1].any()
    for part in (frames[1][0].masks, frames[1][0].ious, frames[1][0].object_logits):
        assert part.grad[0].any() and part.grad[1].any()
    unseen = truth.clone()
    unseen[0, 1] = False  # what is not annotated may be anything
    assert MultiStepMultiMasksAndIous()(frames, unseen, known).total == terms.total


def test_objects_that_are_absent_train_only_their_visibility():
    truth = torch.stack([disc(8, 8, 4, 16), torch.zeros(16, 16, dtype=torch.bool)])[None]
    step = step_of(2)
    MultiStepMultiMasksAndIous()([(step,)], truth, torch.ones(1, 2, dtype=torch.bool)).total.backward()
    assert step.masks.grad[0].any() and not step.masks.grad[1].any()
    assert step.ious.grad[0].any() and not step.ious.grad[1].any()
    assert step.object_logits.grad[0] < 0 < step.object_logits.grad[1]
