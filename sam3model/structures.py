"""The values that stages of the model pass to each other: frozen, batch-first, typed.

Letters for shapes, used in every docstring of this package:
    B images in the batch            P prompts; `image_index` (P,) gives the image of each one
    Q object queries                 T text tokens            N prompt elements (boxes, points, class token)
    D model width (`d_model`)        L decoder layers         H, W rows and columns of a map; S side of the model input
Boxes are float32. Normalised boxes are cxcywh as fractions of the image; "xyxy pixels" are x0, y0, x1, y1 in the
original image. Padding masks are boolean; True is padding, which is ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

VISUAL = "visual"
"""The phrase of prompts that consist of boxes and points only, as in the official code."""


def map_tensors(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """A copy of nested dataclasses and tuples with every tensor replaced by `change(tensor)`."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return type(value)(map_tensors(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{item.name: map_tensors(getattr(value, item.name), change) for item in fields(value)})
    return value


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Encoded images.

    levels: detector pyramid, finest first, each (B, D, H_i, W_i); the last one has the size of the token grid.
    positions: sine position encoding of each level, each (1, D, H_i, W_i).
    trunk: output of the vision trunk (B, C, H, W), for making the tracker's pyramid later; None if dropped.
    laterals: the part of the pixel decoder that depends on the image only, coarsest first, each (B, D, H_i, W_i); None
        before `Sam3ImageModel.prepare_masks`, which drops all levels but the last.
    """

    levels: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    trunk: Tensor | None = None
    laterals: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, slots=True)
class TextTokens:
    """Encoded phrases: tokens (P, T, D) and padding mask (P, T)."""

    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class GeometryPrompt:
    """Boxes and points of P prompts, padded to the longest.

    boxes (P, Nb, 4) normalised cxcywh; box_labels (P, Nb) 1 positive, 0 negative; box_mask (P, Nb) True = padding.
    points (P, Np, 2) normalised xy; point_labels (P, Np); point_mask (P, Np).
    masks (P, 1, H, W) binary mask prompts or None; only a model with `GeometryConfig.mask_encoder` accepts them.
    """

    boxes: Tensor
    box_labels: Tensor
    box_mask: Tensor
    points: Tensor
    point_labels: Tensor
    point_mask: Tensor
    masks: Tensor | None = None

    @classmethod
    def blank(
        cls, prompts: int, boxes: int = 0, points: int = 0, device: torch.device | str | None = None
    ) -> "GeometryPrompt":
        """Padding only: this many boxes and points per prompt, in the centre of the image."""
        parts = []
        for count, numbers in ((boxes, 4), (points, 2)):
            parts.append(torch.full((prompts, count, numbers), 0.5, device=device))
            parts.append(torch.ones(prompts, count, dtype=torch.long, device=device))
            parts.append(torch.ones(prompts, count, dtype=torch.bool, device=device))
        return cls(*parts)

    def to(self, device: torch.device | str) -> "GeometryPrompt":
        """The same prompt on another device."""
        return map_tensors(self, lambda part: part.to(device))


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Encoded prompt elements: tokens (P, N, D) and padding mask (P, N)."""

    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class QueryOutputs:
    """Output of one decoder layer for one set of queries.

    logits (P, Q): match of query and prompt, without presence. boxes (P, Q, 4) normalised cxcywh.
    masks (P, Q, H, W): mask logits at the finest pyramid level, or None.
    mask_rows (M,): indices of the prompts that have masks, ascending; masks is then (M, Q, H, W). None: all prompts.
    """

    logits: Tensor
    boxes: Tensor
    masks: Tensor | None = None
    mask_rows: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """Output of a complete pass over P prompts.

    main: output of the last decoder layer. presence (P,): logit that the phrase is in the image at all.
    queries (P, Q, D): normalised output of the last layer.
    semantic (P, 1, H, W): logits or None; with `main.mask_rows`, (M, 1, H, W) for those prompts.
    In training only: one_to_many, the second half of the queries; aux, aux_one_to_many and aux_presence, the earlier
    layers in order.
    """

    main: QueryOutputs
    presence: Tensor
    queries: Tensor
    semantic: Tensor | None = None
    one_to_many: QueryOutputs | None = None
    aux: tuple[QueryOutputs, ...] = ()
    aux_one_to_many: tuple[QueryOutputs, ...] = ()
    aux_presence: tuple[Tensor, ...] = ()
