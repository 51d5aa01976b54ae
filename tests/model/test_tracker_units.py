"""Heads, memory encoder, memory selection and memory attention of the tracker against the official numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sam3model.config import TrackerConfig
from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures, ObjectPrompt
from sam3model.tracker.memory_bank import ObjectOutput, seen_score
from sam3model.tracker.memory_plan import closest_conditioning, plan_memory, seen_frames, uses_candidates
from sam3model.tracker.tracker_model import Tracker, upsample_mask
from tests.model.video_goldens import INTERACTIVE, TRACKER, arrays, detector_config, fill, record


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def parts(name: str) -> tuple[InteractiveHeads, Tracker]:
    heads = InteractiveHeads(detector_config(), INTERACTIVE)
    tracker = Tracker(detector_config(), TRACKER)
    fill(heads, "interactive.", name)
    fill(tracker, "tracker.", name)
    return heads, tracker


def features_of(name: str, rows: slice) -> ObjectFeatures:
    numbers = arrays(name)
    return ObjectFeatures(numbers["feat.s2"][rows], numbers["feat.s0"][rows], numbers["feat.s1"][rows])


def close(found: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def prompt_of(case: str, rows: int) -> ObjectPrompt:
    numbers = arrays("interactive_small")
    points, labels = numbers["pe.point_coords"][:rows], numbers["pe.point_labels"][:rows]
    first = torch.ones(rows, 1, dtype=torch.long)
    blank = ObjectPrompt.blank(rows, torch.device("cpu"))
    return {
        "one_click": ObjectPrompt(points[:, :1], first),
        "clicks": ObjectPrompt(points, labels),
        "box": ObjectPrompt(numbers["pe.boxes_xyxy"][:rows].unflatten(-1, (2, 2)), torch.tensor([[2, 3]] * rows)),
        "click_prevmask": ObjectPrompt(points[:, :1], first, numbers["pe.mask_logits"][:rows]),
        "mask168": ObjectPrompt(blank.points, blank.labels, numbers["heads.mask_input_168"]),
        "empty": blank,
    }[case]


@pytest.mark.parametrize("case", ["one_click", "clicks", "box", "click_prevmask", "mask168", "empty"])
def test_mask_heads_with_pointer_and_object_score(case: str) -> None:
    heads, tracker = parts("interactive_small")
    numbers, notes = arrays("interactive_small"), record("interactive_small")[f"heads.{case}"]
    features = features_of("interactive_small", slice(notes["batch"]))
    embedding = heads.without_memory(features.embedding)
    prompt = prompt_of(case, notes["batch"])
    found = tracker.predict(heads, embedding, features, prompt, candidates=notes["multimask"])
    expected = numbers[f"heads.{case}.low_res_multimasks"]
    best = numbers[f"heads.{case}.ious"].argmax(-1)
    close(found.masks[:, 0], expected[torch.arange(len(best)), best], 5e-3)
    close(found.ious, numbers[f"heads.{case}.ious"], 1e-4)
    close(found.pointers, numbers[f"heads.{case}.obj_ptr"], 1e-4)
    close(found.scores, numbers[f"heads.{case}.object_score_logits"], 1e-4)
    if f"heads.{case}.high_res_masks" in numbers:
        close(upsample_mask(found.masks[:1], (168, 168)), numbers[f"heads.{case}.high_res_masks"], 5e-3)


def test_a_mask_is_accepted_as_output() -> None:
    heads, tracker = parts("interactive_small")
    numbers = arrays("interactive_small")
    given = numbers["maskout.mask_inputs"]
    found = tracker.accept_mask(heads, features_of("interactive_small", slice(4)), given)
    close(tracker.mask_downsample(given), numbers["maskout.mask_downsample"], 1e-4)
    close(found.masks, numbers["maskout.low_res_masks"], 5e-3)
    close(found.ious, numbers["maskout.ious"], 0)
    close(found.pointers, numbers["maskout.obj_ptr"], 1e-4)
    close(found.scores, numbers["maskout.object_score_logits"], 1e-4)


@pytest.mark.parametrize(
    ("case", "side", "binary"), [("from_pts", 168, True), ("tracked", 168, False), ("tracked192", 192, False)]
)
def test_memory_is_encoded(case: str, side: int, binary: bool) -> None:
    _, tracker = parts("tracker_small")
    numbers = arrays("tracker_small")
    logits = upsample_mask(numbers["memenc.pred_masks_168"], (side, side))
    scores = numbers["memenc.object_score_logits"]
    found = tracker.write_memory(numbers["feat.s2"][:2], logits, scores, binary)
    close(found, numbers[f"memenc.{case}.features"], 1e-3)


CASES = [name for name, case in record("tracker_small")["memcond"]["cases"].items() if "memory_block_frames" in case]


@pytest.mark.parametrize("name", CASES)
def test_memory_is_selected_and_read(name: str) -> None:
    _, tracker = parts("tracker_small")
    numbers, pool = arrays("tracker_small"), record("tracker_small")["memcond"]
    case = pool["cases"][name]
    limit = case["num_frames"]
    rows = {frame: row for row, frame in enumerate(pool["frame_of_row"]) if limit > 20 or frame < limit}
    config = TrackerConfig(memory_selection=case["use_memory_selection"])
    plan = plan_memory(
        case["frame_idx"],
        [frame for frame in pool["cond_frames_in_insertion_order"] if frame in rows],
        {frame: pool["eff_iou_score"][str(frame)] for frame in pool["non_cond_frames"] if frame in rows},
        config,
        count=limit,
        reverse=case["track_in_reverse"],
    )
    assert [frame for frame, _ in plan.maps] == case["memory_block_frames"]
    assert [row for _, row in plan.maps] == case["memory_block_tpos_rows"]
    assert [frame for frame, _ in plan.pointers] == case["pointer_frames"]
    assert [offset for _, offset in plan.pointers] == case["pointer_time_offsets"]
    tokens = tracker.join_memory(
        [(numbers["memcond.maskmem_features"][rows[frame]], row) for frame, row in plan.maps],
        [(numbers["memcond.obj_ptr"][rows[frame]], offset) for frame, offset in plan.pointers],
        plan.pointer_span,
    )
    pointer_codes = tokens.position[0, tokens.rotated :]
    close(pointer_codes, numbers[f"memcond.{name}.pointer_tokens_pos"].reshape(pointer_codes.shape), 1e-3)
    if f"memcond.{name}.prompt" in numbers:
        close(tokens.memory[0], numbers[f"memcond.{name}.prompt"][:, 0], 1e-3)
        close(tokens.position[0], numbers[f"memcond.{name}.prompt_pos"][:, 0], 1e-3)
    rows_of_batch = [
        tracker.read_memory(
            numbers["feat.s2"][2 + i : 3 + i],
            type(tokens)(tokens.memory[i : i + 1], tokens.position, tokens.rotated),
        )
        for i in range(2)
    ]
    close(torch.cat(rows_of_batch), numbers[f"memcond.{name}.out"], 1e-3)
    expected = tracker.memory_attention(
        numbers["feat.s2"][2:4], numbers["feat.pos2"], tokens.memory, tokens.position, tokens.rotated
    )
    close(expected, numbers[f"memcond.{name}.out"], 1e-3)


@pytest.mark.parametrize("name", ["init", "nomem"])
def test_without_memory_an_embedding_is_added(name: str) -> None:
    heads, _ = parts("tracker_small")
    numbers = arrays("tracker_small")
    close(heads.without_memory(numbers["feat.s2"][2:4]), numbers[f"memcond.{name}.out"], 1e-5)


def logic(section: str) -> list[dict[str, Any]]:
    return record("video_logic")[section]


@pytest.mark.parametrize("case", logic("select_cond_frames"))
def test_closest_conditioning_frames(case: dict[str, Any]) -> None:
    found = closest_conditioning(
        case["frame_idx"], case["cond_frames"], case["max_cond_frame_num"], case["keep_first_cond_frame"]
    )
    assert list(found) == case["selected_in_order"]
    assert [frame for frame in case["cond_frames"] if frame not in found] == case["unselected"]


@pytest.mark.parametrize("case", logic("frame_filter"))
def test_frames_on_which_objects_were_seen(case: dict[str, Any]) -> None:
    config = TrackerConfig(selection_threshold=case["mf_threshold"], max_pointers=case["max_obj_ptrs"])
    scores = {int(frame): score for frame, score in case["eff_iou_score"].items()}
    found = seen_frames(case["frame_idx"], scores, config, count=case["num_frames"], reverse=case["reverse"])
    assert found == case["out"]


@pytest.mark.parametrize("case", logic("use_multimask"))
def test_when_candidates_are_used(case: dict[str, Any]) -> None:
    found = uses_candidates(
        case["num_points"] or 0,
        first_prompt=case["is_init_cond_frame"],
        while_tracking=case["multimask_output_for_tracking"],
    )
    assert found == case["out"]


@pytest.mark.parametrize("case", logic("mem_score"))
def test_how_well_a_frame_was_seen(case: dict[str, Any]) -> None:
    scores = torch.tensor(case["object_score_logits"]).unsqueeze(1)
    assert seen_score(scores, torch.tensor(case["iou_score"])) == pytest.approx(case["out"], abs=1e-6)


def test_rows_of_an_output() -> None:
    output = ObjectOutput(torch.rand(3, 1, 4, 4), torch.rand(3, 3), torch.rand(3, 8), torch.rand(3, 1))
    assert torch.equal(output.rows(torch.tensor([2])).pointers, output.pointers[2:])
