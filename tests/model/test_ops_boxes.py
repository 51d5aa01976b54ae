"""Boxes: conversions, overlaps computed by hand, and finite values for boxes of zero area."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam3model.ops import boxes as ops
from tests.model.weight_rule import golden

coordinates = st.integers(-2000, 2000).map(lambda x: x / 1000)
sizes = st.integers(0, 1000).map(lambda x: x / 1000)
box = st.tuples(coordinates, coordinates, sizes, sizes).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
some_boxes = st.lists(box, min_size=1, max_size=4).map(lambda rows: torch.tensor(rows, dtype=torch.float32))


@settings(deadline=None)
@given(some_boxes)
def test_formats_round_trip(xyxy: Tensor) -> None:
    torch.testing.assert_close(ops.cxcywh_to_xyxy(ops.xyxy_to_cxcywh(xyxy)), xyxy, atol=1e-6, rtol=1e-6)
    for (x0, y0, x1, y1), box in zip(xyxy.tolist(), map(ops.xyxy_to_xywh, xyxy.tolist()), strict=True):
        x, y, width, height = box
        assert (x, y, x + width, y + height) == pytest.approx((x0, y0, x1, y1))


@settings(deadline=None)
@given(some_boxes, some_boxes)
def test_overlaps_are_bounded_and_symmetric(a: Tensor, b: Tensor) -> None:
    iou, giou = ops.box_iou(a, b), ops.generalized_box_iou(a, b)
    assert iou.shape == giou.shape == (len(a), len(b))
    assert (iou >= 0).all() and (iou <= 1 + 1e-5).all()
    assert (giou >= -1 - 1e-5).all() and (giou <= iou + 1e-5).all()
    torch.testing.assert_close(giou, ops.generalized_box_iou(b, a).T)


def test_hand_computed_overlaps() -> None:
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    b = torch.tensor([[1.0, 1.0, 3.0, 3.0], [4.0, 0.0, 6.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    torch.testing.assert_close(ops.box_iou(a, b), torch.tensor([[1 / 7, 0.0, 1.0]]))
    torch.testing.assert_close(ops.generalized_box_iou(a, b), torch.tensor([[1 / 7 - 2 / 9, -4 / 12, 1.0]]))
    torch.testing.assert_close(ops.paired_iou(a, b), ops.box_iou(a, b)[0])
    assert ops.box_area(torch.tensor([[1.0, 1.0, 0.0, 4.0]])).item() == 0


@pytest.mark.parametrize("function", [ops.paired_iou, ops.paired_giou])
def test_boxes_of_zero_area_have_finite_overlaps_and_gradients(function) -> None:
    a = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.9], [0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    b = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.9], [1.0, 1.0, 1.0, 1.0]])
    value = function(a, b)
    value.sum().backward()
    assert value.isfinite().all()
    assert a.grad is not None and a.grad.isfinite().all()


def test_inverse_sigmoid_matches_the_reference() -> None:
    g = golden()
    actual = ops.inverse_sigmoid(g["edge.inverse_sigmoid.in"])
    torch.testing.assert_close(actual, g["edge.inverse_sigmoid.out"], atol=1e-6, rtol=0)
