"""Association and tracker losses against the official numbers."""

import pytest
import torch

from sam3model.losses import Det2TrkAssoc, MultiStepMultiMasksAndIous, TrackerStep, TrackingByDetectionAssoc
from sam3model.losses.tracker_loss import iou_loss
from tests.losses.reference import Case, names


@pytest.mark.parametrize("name", names("Det2TrkAssoc/"))
def test_detections_are_associated_with_tracks(name):
    case = Case.load(name)
    options = {k: v for k, v in case.params.items() if k not in ("num_boxes", "weight_dict")}
    criterion = Det2TrkAssoc(weight=case.params["weight_dict"]["loss_det2trk_assoc"], **options)
    terms = criterion(
        case["det2trk_assoc_logits"], case["matched_object_ids"], case["pred_logits"][..., 0], case["is_exhaustive"],
        case.params["num_boxes"],
    )  # fmt: skip
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)


@pytest.mark.parametrize("name", names("TrackingByDetectionAssoc/"))
def test_detections_and_tracks_are_associated_both_ways(name):
    case = Case.load(name)
    weights = case.params["weight_dict"]
    criterion = TrackingByDetectionAssoc(weights["loss_det2trk_assoc"], weights["loss_trk2det_assoc"])
    terms = criterion(
        case["det2trk_assoc_logits"], case["matched_object_ids"], case["prev_trk_object_ids"], case.params["num_boxes"]
    )
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)


def test_without_tracks_there_is_nothing_to_associate():
    ids = torch.tensor([[1, -1, 2]])
    for logits in (torch.randn(1, 3, 2, requires_grad=True), torch.randn(1, 3, 6, requires_grad=True)):
        tracks = torch.full((1, logits.shape[2] - 2), -1)
        both = torch.cat((ids, tracks), 1)
        terms = Det2TrkAssoc(use_fp_loss=True)(logits, both, both.float(), torch.tensor([True]), 1.0)
        (gradient,) = torch.autograd.grad(terms.total, logits)
        assert terms.total == 0 and not gradient.any()


@pytest.mark.parametrize("name", names("iou_loss/"))
def test_iou_loss(name):
    case = Case.load(name)
    p = case.params
    loss = iou_loss(
        case["logits"], case["targets"], case["pred_ious"], p["num_boxes"], p["use_l1_loss"], p["loss_on_multimask"]
    )
    case.check("loss", loss)
    case.check_grads("loss_sum", loss.sum())


def clip(case: Case) -> list[list[TrackerStep]]:
    def step(frame: int, index: int) -> TrackerStep:
        get = lambda key: case[f"frame{frame}.step{index}.multistep_{key}"]  # noqa: E731
        return TrackerStep(get("pred_multimasks_high_res"), get("pred_ious"), get("object_score_logits")[:, 0])

    return [[step(0, i) for i in range(3)], [step(1, 0)]]


@pytest.mark.parametrize("name", [n for n in names("tracker/") if n != "tracker/inputs"])
def test_tracker(name):
    case = Case.load(name)
    first = case.expected.pop("frame0_only")
    weights = case.params["weight_dict"]
    options = {k: v for k, v in case.params.items() if k != "weight_dict"}
    criterion = MultiStepMultiMasksAndIous(
        weights["loss_mask"], weights["loss_dice"], weights["loss_iou"], weights["loss_class"], **options
    )
    frames, targets = clip(case), case["target_masks"].bool()
    terms = criterion(frames, targets)
    case.check_terms(terms)
    case.check_grads("core_loss", terms.total)
    case.expected = first
    case.check_terms(criterion(frames[:1], targets[:1]))


def test_tracker_defaults_are_those_of_the_published_recipe():
    params = Case.load("tracker/sam21_finetune").params
    default = MultiStepMultiMasksAndIous()
    assert all(getattr(default, k) == v for k, v in params.items() if k != "weight_dict")


def test_only_the_best_candidate_is_trained():
    torch.manual_seed(0)
    truth = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    truth[..., 2:6, 2:6] = True
    good, bad = truth.float() * 4 - 2, truth.float() * -4 + 2
    masks = torch.cat((bad, good, bad), 1).requires_grad_()
    step = TrackerStep(masks, torch.rand(1, 3), torch.zeros(1))
    (gradient,) = torch.autograd.grad(MultiStepMultiMasksAndIous()([[step]], truth).total, masks)
    assert gradient[:, 1].any() and not gradient[:, [0, 2]].any()
