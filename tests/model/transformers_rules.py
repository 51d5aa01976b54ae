"""What transformers does otherwise than the official code, which we follow. Each function replaces one of our rules.

Further differences need no code: transformers processes the prompted frame once (so the test propagates from the next
frame on), never selects memory by its score and rounds it to bfloat16 (read from its configuration), and on a CPU
without the package `kernels` keeps duplicates, holes and specks (switched off in the recorded configuration). Three
more do not show in a clip whose objects all start on the first frame: transformers compares areas before memory is
written at the low resolution, writes the memory of older objects again, as binary masks, on frames on which another one
starts, and corrects tracks with their own masks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sam3model.build import Sam3Model
from sam3model.interactive.heads import ObjectPrompt
from sam3model.interactive.prompt_encoder import resize_mask
from sam3model.structures import PromptTokens
from sam3model.tracker import group
from sam3model.tracker.group import ObjectGroup
from sam3model.tracker.memory_bank import FrameMemory, ObjectOutput
from sam3model.tracker.tracker_model import Tracker
from sam3model.video import session_work
from sam3model.video.clip_tracker import ClipTracker
from sam3model.video.frame_encoder import EncodedFrame, FrameEncoder


def follow_transformers(patch: pytest.MonkeyPatch, model: Sam3Model, *, without: str = "") -> None:
    """Replace the rules of the whole pipeline, but for the one named `without`."""
    rules = {
        "no_geometry_tokens": (model.detector, "encode_geometry", no_geometry_tokens),
        "exact_features": (session_work, "FrameEncoder", exact_features),
        "start_objects": (ClipTracker, "_prompt", start_objects),
    }
    for name, (owner, attribute, rule) in rules.items():
        if name != without:
            patch.setattr(owner, attribute, rule)


def track_as_transformers(patch: pytest.MonkeyPatch) -> None:
    """Replace the rules of the tracker alone."""
    patch.setattr(Tracker, "write_memory", write_memory)
    patch.setattr(group, "without_overlaps", lambda logits: logits)  # prompted objects keep pixels that they share


def no_geometry_tokens(prompt: None, features: Any, index: Tensor) -> PromptTokens:
    """Without boxes, transformers leaves out the geometry encoder; officially, its class token is always there."""
    width = features.levels[-1].shape[1]
    return PromptTokens(torch.zeros(len(index), 0, width), torch.zeros(len(index), 0, dtype=torch.bool))


def exact_features(
    detector: Any, heads: Any, frames: Any, preprocess: Callable[[np.ndarray], Tensor], bfloat16: bool
) -> FrameEncoder:
    """transformers rounds memory to bfloat16, but not the features of a frame; officially, both are rounded."""
    return FrameEncoder(detector, heads, frames, preprocess, bfloat16=False)


def start_objects(
    self: ClipTracker, group: ObjectGroup, frame: int, ids: Sequence[int], logits: Tensor, features: EncodedFrame
) -> None:
    """The prompt and the first memory of new objects."""
    parts, objects = self.parts, features.objects
    tracker = parts.tracker
    # A pixel belongs to the object if its logit, not its probability, is at least 0.5, before any resizing. The mask
    # is then brought to the size of the model input instead of 16 pixels per cell.
    masks = resize_mask((logits >= 0.5).float().unsqueeze(1), tracker.image_size)
    # The pointer comes from the best of three masks; officially, from the single mask.
    prompt = ObjectPrompt.blank(len(masks), masks.device, tracker.mask_downsample(masks))
    output = tracker.predict(parts.heads, objects.embedding, objects, prompt, candidates=True)
    certain = 20 * masks - 10
    scores = torch.where(masks.flatten(1).amax(1, keepdim=True) > 0, 10.0, -10.0)
    pointers = torch.where(scores > 0, output.pointers, tracker.no_obj_ptr)
    low_res = resize_mask(certain, parts.heads.prompt_encoder.mask_side)
    memory = write_memory(tracker, objects.embedding, certain, scores, binary=True)  # objects keep shared pixels
    group.ids.extend(ids)
    group.bank.condition(frame, FrameMemory(ObjectOutput(low_res, torch.ones(len(ids), 1), pointers, scores), memory))


def write_memory(tracker: Tracker, embedding: Tensor, logits: Tensor, scores: Tensor, binary: bool) -> Tensor:
    """Masks are resized as logits before they become binary or probabilities; officially, after that."""
    logits = resize_mask(logits, tracker.mask_side)
    masks = ((logits > 0).float() if binary else logits.sigmoid()) * 20 - 10
    memory = tracker.memory_encoder(embedding, masks)
    memory = memory + (scores <= 0).float()[:, :, None, None] * tracker.no_obj_embed_spatial[:, :, None, None]
    return memory.bfloat16().float()
