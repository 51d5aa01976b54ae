"""Box, classification, mask and semantic losses against the official numbers, in value and in gradient."""

from dataclasses import fields

import pytest
import torch

from sam3model.errors import InputError
from sam3model.losses import (
    Boxes,
    IABCEMdetr,
    Masks,
    Matches,
    PointSampler,
    SemanticSegCriterion,
    Targets,
    TrackingScales,
)
from sam3model.structures import QueryOutputs
from tests.losses.reference import Case, names

DEGENERATE = {"IABCE/nan_zero_area_pair", "IABCE/nan_logit"}


@pytest.mark.parametrize("name", names("Boxes/"))
def test_boxes(name):
    case = Case.load(name)
    p = case.params
    criterion = Boxes(l1_weight=p["weight_dict"]["loss_bbox"], giou_weight=p["weight_dict"]["loss_giou"])
    matches = case.matches()
    if not p.get("apply_loss_to_det_queries_in_video_grounding", True):
        matches = matches.from_query(p["Q_det"])
    terms = criterion(case["pred_boxes"], matches, case.targets(), p["num_boxes"])
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)


def classification(params: dict) -> IABCEMdetr:
    known = {f.name for f in fields(IABCEMdetr)}
    plain = {k: v for k, v in params.items() if k in known}
    weights = {
        "weight": params["weight_dict"]["loss_ce"],
        "presence_weight": params["weight_dict"].get("presence_loss", 0.0),
    }
    if params.get("use_separate_loss_for_det_and_trk"):
        plain["tracking_scales"] = TrackingScales(
            params["det_exhaustive_loss_scale_pos"], params["det_exhaustive_loss_scale_neg"],
            params["det_non_exhaustive_loss_scale_pos"], params["det_non_exhaustive_loss_scale_neg"],
            params["trk_loss_scale_pos"], params["trk_loss_scale_neg"],
        )  # fmt: skip
    return IABCEMdetr(**plain, **weights)


def classify(case: Case):
    targets, matches = case.targets(), case.matches()
    presence = None if case["presence_logit_dec"] is None else case["presence_logit_dec"][:, 0]
    ignored = None
    if case.params.get("no_loss_for_fp_propagation"):
        ignored = ~targets.is_exhaustive[:, None] & (case["pred_old_obj_ids"] == -2)
    if not case.params.get("apply_loss_to_det_queries_in_video_grounding", True):
        ignored = (torch.arange(case["pred_logits"].shape[1]) < case["Q_det"]).expand(targets.prompts, -1)
    return classification(case.params)(
        case["pred_logits"][..., 0], case["pred_boxes"], presence, matches, targets,
        first_track_query=case["Q_det"] or 0, ignored=ignored,
    )  # fmt: skip


@pytest.mark.parametrize("name", [n for n in names("IABCE/") if n not in DEGENERATE])
def test_classification(name):
    case = Case.load(name)
    terms = classify(case)
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)


def test_zero_area_pair_gives_a_finite_loss():
    """The official soft target is nan here. Ours has IoU 0, so the target sits on its floor."""
    case = Case.load("IABCE/nan_zero_area_pair")
    logits = case["pred_logits"].requires_grad_()
    terms = classify(case)
    (gradient,) = torch.autograd.grad(terms.total, logits)
    assert terms.total.isfinite() and gradient.isfinite().all() and gradient.abs().sum() > 0
    case.check_finite_terms(terms)


def test_nan_logit_stays_visible():
    """A nan logit makes the loss nan, so that a broken model is noticed; the presence loss does not depend on it.

    The stored F1 is left out: there one nan makes the metric read all scores as logits and call every query positive.
    """
    case = Case.load("IABCE/nan_logit")
    del case.expected["ce_f1"]
    terms = classify(case)
    assert terms.losses["loss_ce"].isnan()
    case.check_finite_terms(terms)


def test_last_target_wins_if_one_query_matches_several():
    targets = Targets.from_prompts([torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.6, 0.5, 0.4, 0.4]])])
    logits, boxes = torch.full((1, 3), 2.0), torch.tensor([[0.5, 0.5, 0.4, 0.4]]).expand(1, 3, 4)
    index = torch.zeros(2, dtype=torch.int64)
    both = IABCEMdetr()(logits, boxes, None, Matches(index, index, torch.tensor([0, 1])), targets)
    last = IABCEMdetr()(logits, boxes, None, Matches(index[:1], index[:1], torch.tensor([1])), targets)
    first = IABCEMdetr()(logits, boxes, None, Matches(index[:1], index[:1], torch.tensor([0])), targets)
    assert both.total == last.total
    assert abs(both.total - first.total) > 0.01


def mask_criterion(params: dict) -> Masks:
    sampler = None
    if "num_sample_points" in params:
        sampler = PointSampler(
            params["num_sample_points"], params["oversample_ratio"], params["importance_sample_ratio"]
        )
    weights = params.get("weight_dict", {"loss_mask": 200.0, "loss_dice": 10.0})
    return Masks(
        weights["loss_mask"],
        weights["loss_dice"],
        params.get("focal_alpha", 0.25),
        params.get("focal_gamma", 2.0),
        sampler,
    )


@pytest.mark.parametrize("name", names("Masks/"))
def test_masks(name):
    case = Case.load(name)
    criterion, masks = mask_criterion(case.params), case["pred_masks"]
    if masks is None:  # targets without masks, and auxiliary layers, which have no predicted ones
        outputs = QueryOutputs(torch.zeros(1, 2), torch.rand(1, 2, 4), None)
        one = torch.zeros(1, dtype=torch.int64)
        terms = criterion(outputs, Matches(one, one, one), Targets.from_prompts([torch.rand(1, 4)]), 3.0)
        case.check_terms(terms)
        return
    draws = None if case["candidates_xy"] is None else (case["candidates_xy"], case["random_xy"])
    outputs = QueryOutputs(masks.new_zeros(masks.shape[:2]), masks.new_zeros(*masks.shape[:2], 4), masks)
    terms = criterion(outputs, case.matches(), case.targets(), case.params["num_boxes"], draws)
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)


def test_masks_of_chosen_prompts_only():
    """Masks of only the prompts with targets give the same loss and gradient as masks of all prompts."""
    case = Case.load("Masks/dense")
    targets, matches, criterion = case.targets(), case.matches(), mask_criterion(case.params)
    rows = torch.nonzero(targets.num_boxes)[:, 0]
    masks = case["pred_masks"]
    chosen = masks.detach()[rows].requires_grad_()
    blank = masks.new_zeros(masks.shape[:2]), masks.new_zeros(*masks.shape[:2], 4)
    whole = criterion(QueryOutputs(*blank, masks), matches, targets, 5.0).total
    part = criterion(QueryOutputs(*blank, chosen, rows), matches, targets, 5.0).total
    assert part == whole
    assert torch.equal(torch.autograd.grad(part, chosen)[0], torch.autograd.grad(whole, masks)[0][rows])
    with pytest.raises(InputError, match="mask_prompts"):
        criterion(QueryOutputs(*blank, chosen[:1], rows[:1]), matches, targets, 5.0)


def semantic_criterion(params: dict) -> SemanticSegCriterion:
    known = {f.name for f in fields(SemanticSegCriterion)}
    weights = params["weight_dict"]
    return SemanticSegCriterion(
        seg_weight=weights["loss_semantic_seg"], dice_weight=weights["loss_semantic_dice"],
        presence_weight=weights.get("loss_semantic_presence", 1.0), **{k: v for k, v in params.items() if k in known},
    )  # fmt: skip


@pytest.mark.parametrize("name", [n for n in names("SemanticSeg/") if n != "SemanticSeg/all_negative_downsample"])
def test_semantic(name):
    case = Case.load(name)
    terms = semantic_criterion(case.params)(case["semantic_seg"], case.targets(), case["presence_logit"][:, 0])
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)


@pytest.mark.parametrize("presence_head", [True, False])
def test_semantic_without_any_target_at_low_resolution(presence_head):
    """The official code fails here. With the presence gate there is no loss; without it every pixel is negative."""
    case = Case.load("SemanticSeg/all_negative_downsample")
    criterion = semantic_criterion(case.params | {"presence_head": presence_head})
    logits = case["semantic_seg"].requires_grad_()
    terms = criterion(logits, case.targets())
    (gradient,) = torch.autograd.grad(terms.total, logits)
    assert terms.metrics["miou_semantic_seg"] == 1
    if presence_head:
        assert terms.total == 0 and not gradient.any()
    else:
        assert terms.total > 0 and (gradient > 0).all()


def test_semantic_of_chosen_prompts_only():
    case = Case.load("SemanticSeg/finetune_config")
    targets, criterion = case.targets(), semantic_criterion(case.params)
    rows = torch.nonzero(targets.num_boxes)[:, 0]
    whole = criterion(case["semantic_seg"], targets)
    part = criterion(case["semantic_seg"][rows], targets, rows=rows)
    torch.testing.assert_close(part.total, whole.total)


@pytest.mark.parametrize("presence_head", [True, False])
def test_semantic_loss_ignores_prompts_with_unknown_pixels(presence_head):
    """Two instances per prompt; in the second prompt one has no mask, so segmenting both is not a mistake."""
    criterion = SemanticSegCriterion(presence_head=presence_head, presence_loss=presence_head)
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, :, :4], masks[1, :, 4:] = True, True
    boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]])
    known, half = torch.tensor([True, True]), torch.tensor([True, False])
    unsure = Targets.from_prompts(
        [boxes, boxes], [masks, masks & half[:, None, None]], is_valid_mask=[known, half],
        is_pixel_exhaustive=[True, False],
    )  # fmt: skip
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    presence = torch.zeros(2)
    terms = criterion(logits, unsure, presence)
    (gradient,) = torch.autograd.grad(terms.total, logits)
    assert gradient[0].any() and not gradient[1].any()
    alone = criterion(logits[:1], Targets.from_prompts([boxes], [masks]), presence[:1])
    torch.testing.assert_close(terms.total, alone.total)
    torch.testing.assert_close(terms.metrics["miou_semantic_seg"], alone.metrics["miou_semantic_seg"])
    nothing = criterion(logits[1:], unsure.of_prompts(1, 2), presence[1:])
    assert nothing.total == 0
