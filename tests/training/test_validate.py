"""Metrics and panels of validation."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from sam3model.data.annotated_source import AnnotatedSource
from sam3model.data.coco_dataset import read_coco
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches
from sam3model.data.dataset_layout import find_files
from sam3model.data.playground_source import PlaygroundSource
from sam3model.losses.terms import LossTerms
from sam3model.structures import Detections, QueryOutputs
from sam3model.text import Tokenizer
from sam3model.training.best_metric import default_metric
from sam3model.training.panel import Example, draw_panel, paint, save_panel
from sam3model.training.validate import validate
from tests.data.annotated_sets import boxes_only, one_class, small_coco


class Oracle(torch.nn.Module):
    """Predicts the ground truth of one batch, with its boxes moved by `shift`."""

    def __init__(self, targets, shift: float) -> None:
        super().__init__()
        self.targets, self.shift = targets, shift

    def forward(self, pixels, ids, geometry, image_index, mask_prompts=None, corrections=()):
        truth, count = self.targets, self.targets.num_boxes[:, None]
        logits = torch.where(torch.arange(12) < count, 9.0, -9.0)
        boxes = truth.padded(truth.boxes, 0.5)
        boxes = torch.cat((boxes, boxes.new_full((truth.prompts, 12 - boxes.shape[1], 4), 0.5)), 1)
        masks = truth.padded(truth.masks * 20.0 - 10, -10)
        masks = torch.cat((masks, masks.new_full((truth.prompts, 12 - masks.shape[1], *masks.shape[2:]), -10)), 1)
        presence = torch.where(truth.num_boxes > 0, 9.0, -9.0)
        return (Detections(QueryOutputs(logits, boxes + self.shift, masks), presence, torch.zeros(0)),)


def validated(source, shift: float):
    """Validation of the oracle on four images of a source."""
    (batch,) = batches(Sam3ImageDataset(source), CachedTokenizer(Tokenizer(16)), batch=4, images=4)

    def loss(*_):
        return LossTerms(torch.tensor(2.0), {})

    oracle = Oracle(batch.targets, shift).eval()
    return validate(oracle, loss, [batch], threshold=0.5, precision=torch.float32, examples=3)


SCENES = PlaygroundSource("val", size=64, phrases=4)


def test_the_ground_truth_scores_1_and_moved_boxes_have_no_ap():
    seen = validated(SCENES, 0.0)
    assert seen.metrics["cgF1"] == pytest.approx(1, abs=1e-3)
    assert seen.metrics["AP"] == pytest.approx(1, abs=1e-3)
    assert seen.metrics["mean_IoU"] == pytest.approx(1)
    assert seen.metrics["loss"] == 2
    assert validated(SCENES, 5.0).metrics["AP"] == 0
    assert len(seen.examples) == 3
    for example in seen.examples:
        assert example.image.shape == (64, 64, 3)
        assert np.array_equal(example.predicted, example.truth)


def incomplete(index: int, part: str, least: int):
    """A scene in which prompts with at least `least` instances lack an instance, or its mask."""
    sample, queries = SCENES(index), []
    for query in sample.queries:
        if len(query.boxes) >= least:
            masks = query.masks.copy()
            masks[0] = False
            without = {"boxes": query.boxes[1:], "masks": query.masks[1:], "exhaustive": False}
            query = replace(query, **({"masks": masks} if part == "mask" else without))  # noqa: PLW2901
        queries.append(query)
    return replace(sample, queries=tuple(queries))


@pytest.mark.parametrize("part", ["mask", "instance"])
def test_what_is_not_annotated_completely_does_not_count_against_a_model(part):
    def found(least: int):
        tokenize, source = CachedTokenizer(Tokenizer(16)), partial(incomplete, part=part, least=least)
        whole, batch = (next(batches(Sam3ImageDataset(one), tokenize, batch=12, images=12)) for one in (SCENES, source))
        oracle = Oracle(whole.targets, 0.0).eval()
        none = LossTerms(torch.zeros(()), {})
        return validate(oracle, lambda *_: none, [batch], threshold=0.5, precision=torch.float32).metrics

    metrics = found(least=2)
    for name in ("cgF1", "positive_micro_F1", "mean_IoU", "AP"):
        assert metrics[name] == pytest.approx(1, abs=1e-3), name
    assert metrics["absent_right"] == 1
    every = found(least=1)  # nothing is complete: figures that are too low are better than none
    assert every["AP"] and every["AP"] > 0


@pytest.mark.parametrize("made", [small_coco, boxes_only, one_class])
def test_the_ground_truth_scores_1_in_the_default_metric_and_0_in_constant_ones(tmp_path, made):
    made(tmp_path, count=10)
    source = AnnotatedSource(read_coco(find_files(tmp_path, "train")), size=64)
    best, _, constant = default_metric(concept for index in range(4) for concept in source.phrases(index))
    metrics = validated(source, 0.0).metrics
    assert metrics[best] == pytest.approx(1, abs=1e-3)
    assert {name for name in ("cgF1", "positive_micro_F1", "mean_IoU", "AP") if not metrics[name]} == set(constant)


def test_masks_are_painted_in_their_place_only():
    image = np.full((8, 8, 3), 100, np.uint8)
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2] = True
    painted, plain = paint(image, mask), paint(image, mask[:0])
    assert (painted[:4] != plain[:4]).any(-1).all()
    assert np.array_equal(painted[4:], plain[4:])


def test_a_panel_is_written_only_with_examples(tmp_path):
    example = Example(np.zeros((8, 8, 3), np.uint8), "a phrase", np.zeros((0, 4, 4), bool), np.ones((2, 4, 4), bool))
    path = tmp_path / "panels" / "step.png"
    save_panel([example] * 5, path)
    assert Image.open(path).size == draw_panel([example] * 5).size
    save_panel([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
