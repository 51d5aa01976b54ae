"""Correction rounds: mistakes become prompts, encoders run once, and everything can be reproduced."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches
from sam3model.data.playground_source import PlaygroundSource
from sam3model.data.queries import split
from sam3model.errors import ConfigError
from sam3model.losses import LossConfig, LossTerms, Sam3LossWrapper, Targets
from sam3model.structures import Detections, QueryOutputs
from sam3model.text import Tokenizer
from sam3model.training.annotator import (
    Annotator,
    CorrectionPrompt,
    extend_prompt,
    find_mistakes,
    innermost_point,
    random_point,
    validation_annotator,
)
from sam3model.training.passes import detect
from sam3model.training.settings import CorrectionConfig
from sam3model.training.step import train_step
from sam3model.training.stop_signal import StopSignal
from sam3model.training.validate import validate
from tests.training.conftest import concept_run

SIDE = 32
LEFT, RIGHT = [0.2, 0.5, 0.2, 0.4], [0.75, 0.5, 0.3, 0.6]  # cxcywh of two instances far from each other
ALWAYS = CorrectionConfig(rounds=1, fraction=1.0)


def drawn(*boxes: list[float]) -> torch.Tensor:
    """Masks (n, SIDE, SIDE) of cxcywh boxes with their corners cut off."""
    y, x = (torch.arange(SIDE) + 0.5)[:, None] / SIDE, (torch.arange(SIDE) + 0.5) / SIDE
    shapes = [((x - cx).abs() / w + (y - cy).abs() / h) < 0.6 for cx, cy, w, h in boxes]
    inside = [((x - cx).abs() < w / 2) & ((y - cy).abs() < h / 2) for cx, cy, w, h in boxes]
    return torch.stack([a & b for a, b in zip(shapes, inside, strict=True)]) if boxes else torch.zeros(0, SIDE, SIDE)


def truth_of(*boxes: list[float], masks: bool = True) -> Targets:
    return Targets.from_prompts(
        [torch.tensor(boxes).reshape(-1, 4)], [drawn(*boxes)] if masks else None, is_exhaustive=[True]
    )


def detected(*boxes: list[float], masks: bool = True) -> Detections:
    """Detections of one prompt: these boxes with a high score, and one other with a low score."""
    every = [*boxes, [0.5, 0.1, 0.1, 0.1]]
    logits = torch.tensor([[9.0] * len(boxes) + [-9.0]])
    made = (drawn(*every).float() * 20 - 10)[None] if masks else None
    return Detections(QueryOutputs(logits, torch.tensor([every]), made), torch.tensor([9.0]), torch.zeros(0))


def correction(
    found: Detections, truth: Targets, boxes: float, careful: bool = False, seed: int = 0
) -> CorrectionPrompt | None:
    """The correction for these detections."""
    annotator = Annotator(replace(ALWAYS, boxes=boxes), careful=careful)
    (mistakes,) = find_mistakes(found, truth, annotator.config)
    return annotator.correction(mistakes, np.random.default_rng(seed))


def on(place: tuple[float, ...], mask: torch.Tensor) -> bool:
    x, y = place
    return bool(mask[int(y * SIDE), int(x * SIDE)])


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
@pytest.mark.parametrize("seed", range(5))
def test_a_missed_instance_is_corrected_and_a_found_one_is_not(masks, seed):
    found, truth = detected(LEFT, masks=masks), truth_of(LEFT, RIGHT, masks=masks)
    point = correction(found, truth, boxes=0.0, seed=seed)
    assert point.positive and len(point.place) == 2
    assert np.abs(np.subtract(point.place, RIGHT[:2])) @ [1, 0] <= 0.15
    assert not masks or on(point.place, truth.masks[1])
    box = correction(found, truth, boxes=1.0, seed=seed)
    assert box.positive and box.place == pytest.approx(RIGHT, abs=0.05 * 0.6)
    assert correction(found, truth, boxes=1.0, careful=True).place == pytest.approx(RIGHT)


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
@pytest.mark.parametrize("truths", [[LEFT], []], ids=["positive prompt", "negative prompt"])
def test_a_wrong_detection_gets_a_negative_correction(masks, truths):
    found, truth = detected(*truths, RIGHT, masks=masks), truth_of(*truths, masks=masks)
    point = correction(found, truth, boxes=0.0)
    assert not point.positive and (not masks or on(point.place, drawn(RIGHT)[0]))
    box = correction(found, truth, boxes=1.0, careful=True)
    assert not box.positive and box.place == pytest.approx(RIGHT)


def test_only_known_mistakes_are_corrected():
    right = detected(LEFT), truth_of(LEFT)
    assert correction(*right, boxes=0.5) is None
    partly = replace(truth_of(LEFT), is_exhaustive=torch.tensor([False]))
    assert correction(detected(LEFT, RIGHT), partly, boxes=0.5) is None
    hidden = replace(truth_of(LEFT, RIGHT), object_ids=torch.tensor([0, -1]))
    assert correction(detected(LEFT), hidden, boxes=0.5) is None
    small = [RIGHT[0], RIGHT[1], 0.2, 0.4]  # IoU too low to be found, but not a wrong detection
    assert correction(detected(LEFT, small), truth_of(LEFT, RIGHT), boxes=0.5).positive


def test_unreachable_and_broken_boxes_are_handled():
    outside, speck = [1.5, 0.5, 0.2, 0.2], [0.503, 0.511, 1e-3, 1e-3]
    assert correction(detected(masks=False), truth_of(outside, masks=False), boxes=0.0) is None
    place = correction(detected(masks=False), truth_of(speck, masks=False), boxes=0.0).place
    assert np.abs(np.subtract(place, speck[:2])).max() <= 5.1e-4
    broken = detected(RIGHT)
    for name in ("logits", "boxes", "masks"):
        nonsense = replace(broken.main, **{name: torch.full_like(getattr(broken.main, name), torch.nan)})
        assert correction(replace(broken, main=nonsense), truth_of(LEFT), boxes=0.0) is not None  # and no error


def test_a_badly_covered_instance_is_corrected_where_it_is_not_covered():
    top = [RIGHT[0], 0.3, 0.3, 0.2]
    found, truth = detected(top), truth_of(RIGHT)
    for seed in range(5):
        place = correction(found, truth, boxes=0.0, seed=seed).place
        assert on(place, truth.masks[0]) and not on(place, drawn(top)[0])


def test_a_careful_annotator_clicks_the_middle_of_the_largest_mistake():
    point = correction(detected(), truth_of(LEFT, RIGHT), boxes=0.0, careful=True)
    depth = distance_transform_edt(drawn(RIGHT)[0])
    assert depth[int(point.place[1] * SIDE), int(point.place[0] * SIDE)] == depth.max()
    ring = np.ones((9, 9), bool)
    ring[2:7, 2:7] = False
    assert ring[tuple((innermost_point(ring)[::-1] * 9).astype(int))]


def test_random_points_cover_a_region():
    region = np.zeros((4, 6), bool)
    region[1, 2] = region[3, 5] = True
    rng = np.random.default_rng(0)
    points = {tuple(random_point(region, rng)) for _ in range(50)}
    assert points == {(2.5 / 6, 1.5 / 4), (5.5 / 6, 3.5 / 4)}


def test_a_prompt_grows_by_one_box_and_one_point_padded_where_unused():
    added = [CorrectionPrompt((0.5, 0.5, 0.2, 0.2), True), CorrectionPrompt((0.1, 0.9), False), None]
    once = extend_prompt(None, added, "cpu")
    assert once.box_mask.tolist() == [[False], [True], [True]]
    assert once.point_mask.tolist() == [[True], [False], [True]]
    twice = extend_prompt(once, added[::-1], "cpu")
    assert torch.equal(twice.boxes[:, :1], once.boxes)
    assert twice.box_mask.tolist() == [[False, True], [True, True], [True, False]]
    assert twice.box_labels[~twice.box_mask].tolist() == [1, 1]
    assert twice.point_labels[~twice.point_mask].tolist() == [0, 0]


def a_run(settings, **changes):
    """A small run with a low score threshold, so that there are wrong detections, and one of its batches.

    Some of the batch's prompts have exemplars, and some have masks.
    """
    run = concept_run(settings(**{"interactive": {"rounds": 2, "fraction": 1.0, "threshold": 0.2}, **changes}))
    return run, next(run.batches(StopSignal()))


def test_padding_in_prompts_changes_no_output(settings):
    run, batch = a_run(settings)
    with torch.no_grad():
        model, nothing = run.model.eval(), [None] * len(batch.ids)
        plain = model(batch.pixels, batch.ids, batch.geometry, batch.image_index)
        padded = model(batch.pixels, batch.ids, extend_prompt(batch.geometry, nothing, "cpu"), batch.image_index)
    torch.testing.assert_close(padded.main.logits, plain.main.logits)
    torch.testing.assert_close(padded.main.boxes, plain.main.boxes)


def test_every_pass_equals_a_call_with_its_prompt_and_the_encoders_run_once(settings):
    run, batch = a_run(settings)
    model, prompts, encoded = run.model.eval(), [], []
    model.vision.register_forward_hook(lambda *_: encoded.append("image"))
    model.text.register_forward_hook(lambda *_: encoded.append("text"))

    def noted(correct, found, prompt):
        prompts.append(correct(found, prompt))
        return prompts[-1]

    corrections = [partial(noted, correct) for correct in run.task.annotator.corrections(batch)]
    with torch.no_grad():
        passes = run.network(batch.pixels, batch.ids, batch.geometry, batch.image_index, None, corrections)
        assert encoded == ["image", "text"]
        alone = [model(batch.pixels, batch.ids, p, batch.image_index) for p in (batch.geometry, *prompts)]
    assert len(passes) == 3
    for one, other in zip(passes, alone, strict=True):
        torch.testing.assert_close(one.main.masks, other.main.masks)
        torch.testing.assert_close(one.main.logits, other.main.logits)
    assert not torch.equal(alone[0].main.logits, alone[1].main.logits)


def test_the_loss_of_two_passes_is_their_sum(settings):
    run, batch = a_run(settings, interactive={"rounds": 1, "fraction": 1.0})
    loss = Sam3LossWrapper(LossConfig())
    passes = detect(run.network, batch, torch.float32, run.task.annotator.corrections(batch))
    both = loss.over_passes(passes, batch.targets)
    first, second = (loss(one, batch.targets) for one in passes)
    assert both.total.item() == pytest.approx((first.total + second.total).item(), rel=1e-5)
    assert both.losses["loss_bbox"] == pytest.approx(first.losses["loss_bbox"] + second.losses["loss_bbox"])


def test_corrections_do_not_depend_on_chunks_or_on_the_generator_of_the_run(settings):
    run, batch = a_run(settings)
    batch = replace(batch, names=(*batch.names[:-1], "b\udce4r.png"))  # a file name that is not valid UTF-8
    state = torch.get_rng_state()

    def final_prompt(part):
        prompt = part.geometry
        for correct in run.task.annotator.corrections(part, step=3):
            with torch.no_grad():
                found = run.model.eval()(part.pixels, part.ids, prompt, part.image_index)
            prompt = correct(found, prompt)
        return prompt

    whole, parts = final_prompt(batch), [final_prompt(chunk) for chunk in split(batch, 2)]
    assert (~whole.box_mask).sum() + (~whole.point_mask).sum() > (~batch.geometry.box_mask).sum()
    for name in ("boxes", "box_labels", "box_mask", "points", "point_labels", "point_mask"):
        mine, theirs = getattr(whole, name), torch.cat([getattr(part, name) for part in parts])
        assert torch.allclose(mine.float(), theirs.float(), atol=1e-5), name
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fraction_of_the_steps_has_rounds(settings):
    _, batch = a_run(settings)
    annotator = Annotator(CorrectionConfig(rounds=4, fraction=0.25), seed=7)
    counts = [len(annotator.corrections(batch, step)) for step in range(200)]
    assert set(counts) == {0, 4} and 30 < counts.count(4) < 70
    assert not Annotator(CorrectionConfig(rounds=0, fraction=1.0)).corrections(batch)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_with_rounds_has_the_same_next_losses_bit_for_bit(settings, precision):
    changes = {"precision": precision, "budget": {"steps": 4}, "optim": {"accumulate": 2},
               "interactive": {"rounds": 2, "fraction": 0.5, "threshold": 0.2}}  # fmt: skip

    def losses(name, steps):
        run = concept_run(settings(name=name, **changes))
        stream = run.batches(StopSignal())
        return [run.step(next(stream)).loss for _ in range(steps)], run

    whole, _ = losses("whole", 4)
    first, run = losses("again", 2)
    run.save()
    assert first + losses("again", 2)[0] == whole
    assert np.isfinite(whole).all() and max(whole) > 2 * min(whole)  # some steps have rounds, some have none


def test_scenes_are_learned_with_rounds_and_points_train_their_parameters(settings):
    run, _ = a_run(settings, optim={"lr": 3e-3}, loss={"o2m_weight": 0.0})
    source = Sam3ImageDataset(PlaygroundSource("train", size=64, phrases=2, mask_stride=4))
    (batch,) = batches(source, CachedTokenizer(Tokenizer(16)), batch=2, images=2)
    before = run.model.geometry.points_pool_project.weight.clone()
    reports = [train_step(run.network, run.task, run.optimizer, batch, run.config.optim) for _ in range(25)]
    assert reports[-1].loss < 0.7 * reports[0].loss
    assert not torch.equal(run.model.geometry.points_pool_project.weight, before)


class Obedient(torch.nn.Module):
    """Finds the instances that the prompts point at, and nothing without prompts; ignores the image."""

    def __init__(self, truth: Targets) -> None:
        super().__init__()
        self.truth, self.prompts = truth, []

    def forward(self, pixels, ids, prompt, image_index, mask_prompts=None, corrections=()):
        passes = [self.predict(prompt)]
        for correct in corrections:
            prompt = correct(passes[-1], prompt)
            self.prompts.append(prompt)
            passes.append(self.predict(prompt))
        return tuple(passes)

    def predict(self, prompt) -> Detections:
        truth = self.truth
        boxes, masks = truth.padded(truth.boxes, 0.5), truth.padded(truth.masks * 20.0 - 10, -10)
        hit = torch.zeros(boxes.shape[:2], dtype=torch.bool)
        if prompt is not None:
            places = torch.cat((prompt.boxes[..., :2], prompt.points), 1)[:, :, None]
            hidden = torch.cat((prompt.box_mask, prompt.point_mask), 1)[..., None]
            centre, half = boxes[:, None, :, :2], boxes[:, None, :, 2:] / 2
            hit = (((places - centre).abs() < half).all(-1) & ~hidden).any(1)  # (P, T)
            hit &= torch.arange(hit.shape[1]) < truth.num_boxes[:, None]
        logits = torch.where(hit, 9.0, -9.0)
        return Detections(QueryOutputs(logits, boxes, masks), torch.full((truth.prompts,), 9.0), torch.zeros(0))


@pytest.mark.parametrize("boxes", [0.0, 1.0], ids=["points", "boxes"])
def test_validation_reports_the_metrics_after_corrections(settings, boxes):
    source = Sam3ImageDataset(PlaygroundSource("val", size=64, phrases=3))
    (batch,) = batches(source, CachedTokenizer(Tokenizer(16)), batch=3, images=3)
    most = int(batch.targets.num_boxes.max())
    config = settings(interactive={"boxes": boxes}, validation={"rounds": most})
    model = Obedient(batch.targets)
    seen = validate(
        model, lambda *_: LossTerms(torch.tensor(2.0), {}), [batch], threshold=0.5, precision=torch.float32,
        interaction=validation_annotator(config).corrections,
    ).metrics  # fmt: skip
    ious = [seen["mean_IoU"], *(seen[f"mean_IoU@{number}"] for number in range(1, most + 1))]
    assert ious == sorted(ious) and ious[0] == 0 and ious[1] > 0
    assert seen[f"cgF1@{most}"] > 0.9 > seen["cgF1"]
    labels = model.prompts[-1].box_mask if boxes else model.prompts[-1].point_mask
    assert (~labels).sum(1).tolist() == batch.targets.num_boxes.tolist()  # one per instance, and then no more


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="must be from 0 to 1, not 2"):
        CorrectionConfig(fraction=2.0)
    with pytest.raises(ConfigError, match="0 for none, not -1"):
        CorrectionConfig(rounds=-1)
