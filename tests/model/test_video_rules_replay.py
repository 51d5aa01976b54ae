"""All rules in the order of the pipeline, on recorded detections and tracked masks of a whole clip of the reference."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sam3model.config import VideoConfig
from sam3model.frame_results import FrameResult
from sam3model.ops.masks import decode_rle
from sam3model.video.detection_nms import keep_detections
from sam3model.video.full_size_masks import full_size_masks
from sam3model.video.mask_cleanup import clean_masks
from sam3model.video.occlusion import OcclusionStep, hide_recently_occluded
from sam3model.video.planning import FrameDetections, FramePlan, TrackedMasks, plan_frame
from sam3model.video.track_ledger import TrackLedger
from tests.model.shown_frames import full_masks, relative_xywh, show
from tests.model.video_logic_goldens import FOLDER, with_int_keys

CLIP = json.loads((FOLDER / "video_small.json").read_text())
ARRAYS = np.load(FOLDER / "video_small.npz")
RUN = CLIP["runs"]["hs0"]
SIZE = CLIP["video_width"], CLIP["video_height"]
PARAMS = CLIP["base_params"]
CONFIG = VideoConfig(
    detection_score=PARAMS["score_threshold_detection"],
    detection_nms=PARAMS["det_nms_thresh"],
    match_iou=PARAMS["assoc_iou_thresh"],
    track_match_iou=PARAMS["trk_assoc_iou_thresh"],
    new_object_score=PARAMS["new_det_thresh"],
    recondition_every=PARAMS["recondition_every_nth_frame"],
    hole_area=PARAMS["fill_hole_area"],
    occlusion_iou=PARAMS["suppress_overlapping_based_on_recent_occlusion_threshold"],
    hotstart_delay=0,
    hotstart_unmatched=0,
    hotstart_duplicate=0,
)


@dataclass(frozen=True)
class Pass:
    """One frame processed once."""

    frame: int
    detections: FrameDetections
    plan: FramePlan
    occlusion: OcclusionStep
    output: FrameResult
    ledger: TrackLedger


def detections_of(frame: int) -> FrameDetections:
    scores = torch.from_numpy(ARRAYS["det.pred_logits_before_nms"][frame]).sigmoid()
    masks = torch.from_numpy(ARRAYS["det.masks"][frame])
    kept = keep_detections(masks, scores, CONFIG.detection_score, CONFIG.detection_nms)
    return FrameDetections(masks[kept], scores[kept].numpy(), ARRAYS["det.boxes_xyxy"][frame][kept])


def process(ledger: TrackLedger, frame: int, tracks: TrackedMasks) -> Pass:
    detections = detections_of(frame)
    plan, after = plan_frame(ledger, detections, tracks, frame=frame, config=CONFIG)
    occlusion = hide_recently_occluded(
        tracks.masks, tracks.ids, ledger.last_occluded, frame=frame, iou=CONFIG.occlusion_iou, removed=plan.removed
    )
    new = clean_masks(detections.masks[list(plan.new)], CONFIG.hole_area)
    masks = full_size_masks(torch.cat([occlusion.masks, new]), SIZE)
    tracked = torch.from_numpy(tracks.score_logits).sigmoid().tolist()
    tracker_scores = dict(zip(tracks.ids, tracked, strict=True)) | {i: after.scores[i] for i in plan.new_ids}
    output = show(masks, [*tracks.ids, *plan.new_ids], after.scores, tracker_scores)
    return Pass(frame, detections, plan, occlusion, output, after.occluded(occlusion.last_occluded))


@pytest.fixture(scope="module")
def passes() -> list[Pass]:
    """The prompted frame, and then all frames, the prompted one again."""
    nothing = TrackedMasks((), torch.zeros(0, 48, 48), np.zeros(0, np.float32))
    done = [process(TrackLedger(), 0, nothing)]
    for frame in range(CLIP["num_frames"]):
        masks = torch.from_numpy(ARRAYS[f"hs0.trk_masks_before.{frame}"])
        logits = np.float32(RUN["plan"][str(frame)]["trk_score_logits"])
        done.append(process(done[-1].ledger, frame, TrackedMasks(done[-1].ledger.ids, masks, logits)))
    return done


def test_every_frame_is_planned_as_in_the_reference(passes):
    for step in passes[1:]:
        expected = RUN["plan"][str(step.frame)]
        association = step.plan.association
        assert list(step.plan.new) == expected["new_det_inds"]
        assert list(step.plan.new_ids) == expected["new_obj_ids"]
        assert list(association.unmatched) == expected["unmatched"]
        assert association.matched == with_int_keys(expected["det_to_trk"])
        assert association.confident == with_int_keys(expected["high_conf"])
        assert list(step.plan.removed) == expected["newly_removed"]
        assert list(step.plan.suppressed) == expected["suppressed"]
        np.testing.assert_allclose(step.detections.scores, expected["det_scores"], atol=1e-5)


def test_every_frame_hides_the_same_objects_as_in_the_reference(passes):
    for step in passes[1:]:
        expected = RUN["plan"][str(step.frame)]
        ids = expected["trk_obj_ids"]
        assert [i for i, hidden in zip(ids, step.occlusion.hidden, strict=True) if hidden] == (
            expected["occlusion_suppressed"]
        )
        assert step.occlusion.last_occluded == with_int_keys(expected["last_occluded"])


def test_every_frame_shows_the_same_objects_as_in_the_reference(passes):
    assert len(passes) == len(RUN["outputs"])
    for step, expected in zip(passes, RUN["outputs"], strict=True):
        output = step.output
        assert (step.frame, output.ids.tolist()) == (expected["frame"], expected["obj_ids"])
        np.testing.assert_allclose(output.scores, expected["probs"], atol=1e-5)
        np.testing.assert_allclose(output.tracker_scores, expected["tracker_probs"], atol=1e-5)
        np.testing.assert_allclose(relative_xywh(output), expected["boxes_xywh"], atol=1e-6)
        for mask, counts in zip(full_masks(output), expected["mask_rle_counts"], strict=True):
            shown = decode_rle({"size": SIZE[::-1], "counts": counts})
            assert (mask != shown).mean() <= 1e-3
    assert passes[-1].ledger.scores == pytest.approx(with_int_keys(RUN["obj_id_to_score"]), abs=1e-5)
