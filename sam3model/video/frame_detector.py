"""Find the instances of every phrase on a frame."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sam3model.config import VideoConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.detector.scoring import joint_logits
from sam3model.ops.boxes import cxcywh_to_xyxy
from sam3model.structures import GeometryPrompt, ImageFeatures, TextTokens
from sam3model.video.detection_nms import keep_detections
from sam3model.video.planning import FrameDetections


@dataclass(frozen=True, slots=True)
class Exemplars:
    """Boxes on one frame that show what is meant: for one prompt, normalised, with the frame that they are on."""

    frame: int
    prompt: GeometryPrompt


@dataclass(frozen=True, slots=True)
class Concepts:
    """What is looked for on every frame.

    names: a phrase for each prompt; None for exemplars alone. text: their tokens, (P, T, D). exemplars: for each
    prompt, or None.
    """

    names: tuple[str | None, ...]
    text: TextTokens
    exemplars: tuple[Exemplars | None, ...]

    def geometry(self, frame: int, device: torch.device) -> GeometryPrompt | None:
        """The exemplars that count on a frame, padded over the prompts; None if there are none.

        Those of a frame also count on the next one: the official code computes it ahead with the same prompt.
        """
        active = [one if one and frame in (one.frame, one.frame + 1) else None for one in self.exemplars]
        longest = max((one.prompt.boxes.shape[1] for one in active if one), default=0)
        if not longest:
            return None
        prompt = GeometryPrompt.blank(len(active), boxes=longest, device=device)
        for row, one in enumerate(active):
            if one:
                count = one.prompt.boxes.shape[1]
                prompt.boxes[row, :count] = one.prompt.boxes[0]
                prompt.box_labels[row, :count] = one.prompt.box_labels[0]
                prompt.box_mask[row, :count] = False
        return prompt

    def accepted(self, frame: int) -> list[bool]:
        """Which prompts may find objects on a frame: those without a phrase only on the frame of their exemplars."""
        return [
            name is not None or (one is not None and one.frame == frame)
            for name, one in zip(self.names, self.exemplars, strict=True)
        ]


@torch.inference_mode()
def detect(
    model: Sam3ImageModel, features: ImageFeatures, concepts: Concepts, frame: int, config: VideoConfig
) -> FrameDetections:
    """Detections of all prompts on a frame, after non-maximum suppression within each prompt.

    Masks are computed for queries above the score threshold only.
    """
    device = features.levels[-1].device
    accepted = [row for row, yes in enumerate(concepts.accepted(frame)) if yes]
    if not accepted:
        return no_detections(features)
    index = torch.zeros(len(concepts.names), dtype=torch.long, device=device)
    geometry = model.encode_geometry(concepts.geometry(frame, device), features, index)
    grounding = model.fuse_and_decode(features, concepts.text, geometry, index)
    scores = joint_logits(grounding.logits.float(), grounding.presence.float()).sigmoid()  # (P, Q)
    wanted = scores > config.detection_score
    wanted[[row for row in range(len(wanted)) if row not in accepted]] = False
    select = wanted.nonzero()  # (K, 2)
    if not len(select):
        return no_detections(features)
    masks = model.decode_masks(grounding, features, index, select).float()
    chosen = scores[select[:, 0], select[:, 1]]
    keep = _without_duplicates(masks, chosen, select[:, 0], config)
    boxes = cxcywh_to_xyxy(grounding.boxes.float())[select[:, 0], select[:, 1]]
    return FrameDetections(masks[keep], chosen[keep].cpu().numpy(), boxes[keep].cpu().numpy(), select[keep, 0].tolist())


def no_detections(features: ImageFeatures) -> FrameDetections:
    """Nothing found."""
    height, width = (features.laterals or features.levels)[-1].shape[-2:]
    masks = torch.zeros(0, height, width, device=features.levels[-1].device)
    return FrameDetections(masks, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), [])


def _without_duplicates(masks: Tensor, scores: Tensor, rows: Tensor, config: VideoConfig) -> Tensor:
    """Indices of the masks to keep, in order, after suppression within each prompt."""
    kept: list[int] = []
    for row in rows.unique().tolist():
        own = (rows == row).nonzero().squeeze(-1)
        chosen = keep_detections(masks[own], scores[own], config.detection_score, config.detection_nms)
        kept += own[torch.from_numpy(chosen).to(own.device)].tolist()
    return torch.tensor(sorted(kept), device=masks.device)
