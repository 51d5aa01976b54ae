import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam3model.errors import MetricError
from sam3model.metrics.mask_iou import ReasoningIoU, ReferringIoU, mask_overlap
from sam3model.metrics.overlap import as_rle, rle_areas

EMPTY = np.zeros((4, 4), bool)
LEFT = np.array([[1, 1, 0, 0]] * 4, bool)
TOP = LEFT.T
THREE = np.array([[1, 1, 1, 0]] * 4, bool)


@settings(deadline=None)
@given(st.tuples(*[arrays(bool, (5, 7))] * 3))
def test_counts_match_pixels(masks):
    prediction, target, ignore = masks
    counts = mask_overlap(as_rle(prediction), target, ignore)
    assert counts.intersection == (prediction & target & ~ignore).sum()
    assert counts.union == ((prediction | target) & ~ignore).sum()


def test_reasoning_giou_and_ciou():
    metric = ReasoningIoU()
    metric.update("quarter", TOP, LEFT)  # 4 of 12 pixels
    metric.update("no target, empty prediction", EMPTY, EMPTY)
    result = metric.compute()
    assert result.giou == pytest.approx((4 / (12 + 1e-5) + 1) / 2)
    assert result.ciou == pytest.approx(4 / 12)


def test_ignored_pixels_are_not_counted():
    metric = ReasoningIoU()
    metric.update("ignored right half", np.ones((4, 4), bool), LEFT, ~LEFT)
    assert metric.compute().ciou == 1


def test_generalised_referring():
    metric, other = ReferringIoU(), ReferringIoU()
    metric.update("hit", THREE, LEFT)  # 8 of 12 pixels
    metric.update("no target, empty prediction", EMPTY, EMPTY)
    other.update("no target, false positive", TOP, EMPTY)
    other.update("missed", EMPTY, LEFT)
    metric.merge(pickle.loads(pickle.dumps(other)))
    result = metric.compute()
    assert result.giou == pytest.approx((8 / 12 + 1 + 0 + 0) / 4)
    assert result.ciou == pytest.approx(8 / (12 + 8 + 8))
    assert (result.n_acc, result.t_acc) == (0.5, 0.5)
    assert result.precision_at == {0.5: 0.5, 0.6: 0.5, 0.7: 0.0, 0.8: 0.0, 0.9: 0.0}
    assert "Pr@0.7" in result.table()


def test_invalid_input_is_refused():
    with pytest.raises(MetricError, match="different sizes"):
        mask_overlap(EMPTY, np.zeros((4, 5), bool))
    with pytest.raises(MetricError, match="of shape"):
        mask_overlap(np.zeros(4, bool), EMPTY)
    with pytest.raises(MetricError, match="ReasoningIoU: no samples"):
        ReasoningIoU().compute()


def test_areas_of_more_masks_than_pycocotools_supports():
    assert rle_areas([as_rle(LEFT)] * 600).tolist() == [8] * 600
