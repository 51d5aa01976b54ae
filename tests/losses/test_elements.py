"""The building blocks against the official numbers: focal, dice, box overlaps, point sampling, semantic merge."""

import math

import pytest
import torch

from sam3model.losses.dense_mask_loss import DenseMaskLoss, resized
from sam3model.losses.focal import dice_elements, dice_loss, focal_elements, sigmoid_focal_loss
from sam3model.losses.mask_loss import PointSampler, point_sample
from sam3model.losses.semantic_loss import instance_to_semantic, segment_miou
from sam3model.ops.boxes import box_area, box_iou, generalized_box_iou, paired_giou, paired_iou
from tests.losses.reference import Case, names


@pytest.mark.parametrize("name", names("focal/"))
def test_focal(name):
    case = Case.load(name)
    p, logits, targets = case.params, case["logits"], case["targets"]
    loss = sigmoid_focal_loss(
        logits, targets, p["num_boxes"], p["alpha"], p["gamma"], multimask=p.get("loss_on_multimask", False)
    )
    case.check("loss", loss)
    if "loss_elem" in case.expected:
        elements = focal_elements(logits, targets, p["alpha"], p["gamma"])
        case.check("loss_elem", elements)
        case.check_grads("elem_weighted_sum", (elements * case["elem_weight"]).sum())
    for of in {"loss", "loss_sum"} & set(case.grads):
        case.check_grads(of, sigmoid_focal_loss(
            logits, targets, p["num_boxes"], p["alpha"], p["gamma"], multimask=p.get("loss_on_multimask", False)
        ).sum())  # fmt: skip


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_focal_gradient_is_finite_for_saturated_logits(gamma, target):
    logits = torch.tensor([-300.0, -40.0, -17.5, 17.5, 40.0, 300.0], requires_grad=True)
    loss = focal_elements(logits, torch.full_like(logits, target), alpha=0.5, gamma=gamma)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.isfinite().all() and gradient.isfinite().all()
    if target == 1.0:  # right and certain: no push; wrong and certain: the full push of the logistic loss
        assert gradient[-1].abs() < 1e-6
        assert gradient[0] == pytest.approx(-0.5, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.6, 2.0])
@pytest.mark.parametrize("alpha", [-1.0, 0.25])
@pytest.mark.parametrize("chunk", [1, 300, 10**6])
def test_dense_mask_loss_is_the_plain_formula(monkeypatch, gamma, alpha, chunk):
    """The hand-written gradient, in chunks of any size, equals differentiation of the formula in float64."""
    monkeypatch.setattr("sam3model.losses.dense_mask_loss.CHUNK_ON_CPU", chunk)
    torch.manual_seed(0)
    masks, target = torch.rand(3, 10, 12) > 0.6, torch.tensor([0, 2, 2, 1, 0])
    logits = (3 * torch.randn(5, 5, 6)).requires_grad_()
    total, sums = DenseMaskLoss.apply(logits, masks, target, (200.0, 10.0), (alpha, gamma))
    exact = logits.detach().double().requires_grad_()
    full = resized(exact, masks.shape[1:]).flatten(1)
    truth = masks[target].flatten(1)
    focal, dice = sigmoid_focal_loss(full, truth, 1.0, alpha, gamma), dice_loss(full, truth, 1.0)
    plain = 200 * focal + 10 * dice
    torch.testing.assert_close(total.double(), plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sums.double(), torch.stack((focal, dice)), rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(2 * total, logits)
    (expected,) = torch.autograd.grad(2 * plain, exact)
    torch.testing.assert_close(gradient.double(), expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_dense_mask_gradient_is_finite_for_saturated_logits():
    logits = torch.tensor([[[-300.0, 300.0], [-40.0, 40.0]]]).requires_grad_()
    masks = torch.tensor([[[True, True], [False, False]]])
    for gamma in (0.0, 0.5, 2.0):
        total, _ = DenseMaskLoss.apply(logits, masks, torch.tensor([0]), (200.0, 10.0), (0.25, gamma))
        assert total.isfinite() and torch.autograd.grad(total, logits)[0].isfinite().all()


@pytest.mark.parametrize("name", names("dice/"))
def test_dice(name):
    case = Case.load(name)
    multimask = case.params.get("loss_on_multimask", False)
    loss = dice_loss(case["logits"], case["targets"], case.params["num_boxes"], multimask=multimask)
    case.check("loss", loss)
    for of in case.grads:
        case.check_grads(of, loss.sum())
    if "loss_elem" in case.expected:
        elements = dice_elements(case["logits"].flatten(1), case["targets"].flatten(1))
        stored = torch.as_tensor(case.expected["loss_elem"])
        torch.testing.assert_close(elements.detach().reshape(stored.shape), stored, rtol=1e-5, atol=1e-6)


def test_box_overlaps_of_pairs():
    case = Case.load("box/diag")
    giou = paired_giou(case["pred_xyxy"], case["target_xyxy"])
    case.check("iou", paired_iou(case["pred_xyxy"], case["target_xyxy"]))
    case.check("giou", giou)
    case.check_grads("sum_one_minus_giou", (1 - giou).sum())


def test_box_overlaps_of_all_pairs():
    case = Case.load("box/pairwise")
    a, b = case["a_xyxy"], case["b_xyxy"]
    iou = box_iou(a, b)
    case.check("iou", iou)
    case.check("giou", generalized_box_iou(a, b))
    # union = (|a| + |b|) / (1 + iou)
    case.check("union", (box_area(a)[:, None] + box_area(b)) / (1 + iou))


def test_degenerate_boxes_are_finite():
    """The overlap is 0 where the official one is nan (0/0); inverted boxes have area 0, not a negative one."""
    case = Case.load("box/degenerate")
    pred, target = case["pred_xyxy"].requires_grad_(), case["target_xyxy"]
    for overlap, stored in (
        (paired_iou(pred, target), case.expected["iou_list"]),
        (paired_giou(pred, target), case.expected["giou_list"]),
    ):
        (gradient,) = torch.autograd.grad(overlap.sum(), pred)
        assert overlap.isfinite().all() and gradient.isfinite().all()
        for i, number in enumerate(stored):
            ordered = bool((pred[i, 2:] >= pred[i, :2]).all() and (target[i, 2:] >= target[i, :2]).all())
            if number == "nan":
                assert overlap[i] == 0
            elif ordered:
                assert overlap[i].item() == pytest.approx(number, rel=1e-5, abs=1e-6)


def test_point_sample():
    case = Case.load("point_sample/0")
    image, points = case["image"], case["coords_xy"]
    values = torch.stack([point_sample(channel, points) for channel in image.unbind(1)], 1)
    values = values.reshape(case.expected["values"].shape)
    case.check("values", values)
    case.check_grads("weighted_sum", (values * case["weight"]).sum())


@pytest.mark.parametrize("name", names("uncertain_points/"))
def test_uncertain_points(name):
    case = Case.load(name)
    p = case.params
    sampler = PointSampler(p["num_points"], p["oversample_ratio"], p["importance_sample_ratio"])
    logits, candidates = case["logits"], case["candidates_xy"]
    plain = case["random_xy"] if case["random_xy"] is not None else candidates[:, :0]
    case.check("coords_xy", sampler.select(logits.reshape(-1, *logits.shape[-2:]), candidates, plain))


def test_drawn_points_have_the_requested_number():
    sampler = PointSampler(num_points=10, oversample=3, importance=0.75)
    candidates, plain = sampler.draw(4, torch.device("cpu"))
    assert candidates.shape == (4, 30, 2) and plain.shape == (4, 3, 2)
    points = sampler.select(torch.randn(4, 8, 8), candidates, plain)
    assert points.shape == (4, 10, 2) and points.min() >= 0 and points.max() <= 1


def test_semantic_merge():
    case = Case.load("semantic_merge/0")
    merged = instance_to_semantic(case["instance_masks"].bool(), case["num_instances"])
    assert torch.equal(merged, case.expected["semantic"].bool().reshape(merged.shape))


@pytest.mark.parametrize("name", names("segment_miou/"))
def test_segment_miou(name):
    case = Case.load(name)
    got = segment_miou(case["source"].bool(), case["target"].bool())
    assert math.isclose(got.item(), case.expected["miou"], rel_tol=1e-6)
