"""Six sessions with clicks, boxes and masks on an eight-frame clip, step by step against the official tracker."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures
from sam3model.tracker.group import Clicks, ObjectGroup, TrackerParts
from sam3model.tracker.memory_bank import FrameMemory
from sam3model.tracker.propagation import track_frame, write_tracked
from sam3model.tracker.tracker_model import Tracker
from tests.model.video_goldens import INTERACTIVE, TRACKER, arrays, detector_config, fill, record

SET = "tracker_small"
NOTES = record(SET)


class Session:
    """One scenario, with the features of every frame at hand."""

    def __init__(self, memory_selection: bool, bfloat16: bool) -> None:
        config = replace(TRACKER, memory_selection=memory_selection, bfloat16_memory=bfloat16)
        heads, tracker = InteractiveHeads(detector_config(), INTERACTIVE), Tracker(detector_config(), config)
        fill(heads, "interactive.", SET)
        fill(tracker, "tracker.", SET)
        self.parts = TrackerParts(heads, tracker)
        size = NOTES["video_height"], NOTES["video_width"]
        self.group = ObjectGroup(self.parts, size, NOTES["num_frames"])

    def features(self, frame: int) -> ObjectFeatures:
        numbers, rows = arrays(SET), slice(frame, frame + 1)
        return ObjectFeatures(numbers["feat.s2"][rows], numbers["feat.s0"][rows], numbers["feat.s1"][rows])

    def prompt(self, step: list[Any]) -> tuple[int, int]:
        kind, frame, object_id, *rest = step
        if kind == "mask":
            mask = arrays(SET)[f"prompt.{rest[0]}"].float()
            self.group.add_masks(frame, [object_id], mask[None], self.features(frame))
            return frame, object_id
        if kind == "box":
            points, labels = torch.tensor(rest[0]).reshape(2, 2), torch.tensor([2, 3])
        else:
            points, labels = torch.tensor(rest[0]), torch.tensor(rest[1])
        self.group.add_points(
            frame,
            object_id,
            Clicks(points * self.parts.tracker.image_size, labels),
            self.features(frame),
            keep_old=kind == "points_more",
            use_memory=kind in ("points_mem", "points_more"),
        )
        return frame, object_id

    def propagate(self, start: int | None, limit: int | None, reverse: bool) -> list[tuple[int, FrameMemory, bool]]:
        for frame in self.group.drafted_frames():
            self.group.remember_prompts(frame, self.features(frame))
        start = min(self.group.bank.conditioning) if start is None else start
        last = NOTES["num_frames"] - 1 if not reverse else 0
        if limit is not None:
            last = max(start - limit, 0) if reverse else min(start + limit, last)
        outputs = []
        for frame in range(start, last - 1, -1) if reverse else range(start, last + 1):
            track_frame(self.parts, [self.group], frame, self.features(frame), reverse=reverse)
            write_tracked(self.parts, [self.group], frame, self.features(frame))
            memory = self.group.bank.get(frame)
            assert memory is not None
            outputs.append((frame, memory, frame in self.group.bank.conditioning))
        return outputs


def scenarios() -> list[tuple[str, str]]:
    prefixes = {"", *(name.split(".")[0] + "." for name in NOTES["propagations"] if name.startswith("bf16mem."))}
    return [
        (prefix, name)
        for prefix in sorted(prefixes)
        for name in NOTES["scenarios"]
        if any(one.startswith(f"{prefix}{name}.") for one in NOTES["propagations"])
    ]


@pytest.mark.parametrize(("prefix", "name"), scenarios())
@torch.inference_mode()
def test_scenario(prefix: str, name: str) -> None:
    scenario = NOTES["scenarios"][name]
    session = Session(scenario["memsel"], bfloat16=bool(prefix))
    check = Checker(f"{prefix}{name}", loose=bool(prefix))
    for step in scenario["steps"]:
        if step[0] == "prop":
            _, key, start, limit, reverse = step
            check.propagation(key, session, session.propagate(start, limit, reverse))
        elif step[0] == "remove":
            session.group.remove(step[1])
        else:
            frame, object_id = session.prompt(step)
            check.prompt(session, frame, object_id)


class Checker:
    """Comparisons with the tolerances of the specification; `loose` for memory rounded to bfloat16."""

    def __init__(self, name: str, loose: bool) -> None:
        self.name, self.numbers = name, arrays(SET)
        self.mask_atol, self.score_atol = (0.5, 0.05) if loose else (5e-2, 3e-3)
        self.pointer_atol, self.iou_atol = (0.1, 0.05) if loose else (5e-3, 1e-3)
        self.prompts = 0

    def close(self, key: str, found: Tensor, atol: float) -> None:
        if key in self.numbers:
            torch.testing.assert_close(found, self.numbers[key], atol=atol, rtol=0, msg=lambda text: f"{key}: {text}")

    def prompt(self, session: Session, frame: int, object_id: int) -> None:
        key = f"{self.name}.prompt{self.prompts}"
        self.prompts += 1
        assert NOTES["prompt_outputs"][key]["obj_ids"] == session.group.ids
        output = session.group._output_on(frame, object_id)
        assert output is not None
        self.close(f"{key}.low_res_mask", output.masks[0, 0], self.mask_atol)
        self.close(f"{key}.obj_ptr", output.pointers[0], self.pointer_atol)
        self.close(f"{key}.object_score_logit", output.scores[0], self.score_atol)
        self.same_signs(f"{key}.video_res_mask_bits", session.group.shown_masks(frame)[:, 0] > 0)

    def propagation(self, step: str, session: Session, outputs: list[tuple[int, FrameMemory, bool]]) -> None:
        key = f"{self.name}.{step}"
        notes = NOTES["propagations"][key]
        assert [frame for frame, _, _ in outputs] == notes["frames"]
        assert session.group.ids == notes["obj_ids"]
        assert [conditioning for _, _, conditioning in outputs] == notes["is_conditioning"]
        if f"{key}.low_res_masks" not in self.numbers:
            return  # only the decisions of this one were recorded
        memories = [memory for _, memory, _ in outputs]
        masks = torch.stack([one.output.masks[:, 0] for one in memories])
        self.close(f"{key}.low_res_masks", masks, self.mask_atol)
        signs = (masks > 0) == (self.numbers[f"{key}.low_res_masks"] > 0)
        assert signs.float().mean() > (0.98 if "bf16" in key else 0.999)
        self.close(
            f"{key}.object_score_logits", torch.stack([m.output.scores[:, 0] for m in memories]), self.score_atol
        )
        self.close(f"{key}.obj_ptr", torch.stack([m.output.pointers for m in memories]), self.pointer_atol)
        for row, (_, memory, conditioning) in enumerate(outputs):
            if not conditioning:
                expected = self.numbers[f"{key}.iou_predictions"][row]
                torch.testing.assert_close(memory.output.ious, expected, atol=self.iou_atol, rtol=0)
                if f"{key}.eff_iou_score" in self.numbers:
                    assert memory.seen == pytest.approx(float(self.numbers[f"{key}.eff_iou_score"][row]), abs=1e-2)
        if f"{key}.maskmem_features" in self.numbers:
            for memory, expected in zip(memories, self.numbers[f"{key}.maskmem_features"], strict=False):
                assert memory.memory is not None
                torch.testing.assert_close(memory.memory, expected, atol=1e-3, rtol=0)

    def same_signs(self, key: str, found: Tensor) -> None:
        if key not in self.numbers:
            return
        expected = self.numbers.bits(key)
        assert found.shape == expected.shape
        assert np.mean(found.numpy() != expected) < 1e-3, key
