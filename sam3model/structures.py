"""The values that travel between the stages: frozen, batch-first, typed.

Legend of shapes, used in every docstring of this package:
    B pictures in the batch          P prompts ("queries to the model"; each names its picture by `image_index`)
    Q object queries                 T text tokens            N prompt elements (boxes, points, class token)
    D model width (`d_model`)        L decoder layers         H, W rows and columns of a map; S side of the model input
Boxes are float32. Normalised boxes are cxcywh in 0..1 of the picture; "xyxy pixels" are x0, y0, x1, y1 in the original
picture.
Padding masks are boolean with True = padding (ignored).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

VISUAL = "visual"
"""The phrase of a prompt that says everything by its boxes and points, as in the official code."""


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What `encode_image` makes of a batch of pictures.

    levels: detector pyramid, finest first, each (B, D, H_i, W_i); the last one has the size of the token grid.
    positions: sine position code of each level, each (1, D, H_i, W_i).
    trunk: output of the vision trunk (B, C, H, W), from which the tracker's pyramid can be made later; None if dropped.
    laterals: the pixel decoder's share of every mask that depends on the picture alone, coarsest first, each
        (B, D, H_i, W_i); None until `Sam3ImageModel.prepare_masks`, which lets go of all levels but the last.
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
        """Nothing but padding, so many boxes and points for each prompt, in the middle of the picture."""
        parts = []
        for count, numbers in ((boxes, 4), (points, 2)):
            parts.append(torch.full((prompts, count, numbers), 0.5, device=device))
            parts.append(torch.ones(prompts, count, dtype=torch.long, device=device))
            parts.append(torch.ones(prompts, count, dtype=torch.bool, device=device))
        return cls(*parts)

    def to(self, device: torch.device | str) -> "GeometryPrompt":
        """The same prompt on another device."""
        return GeometryPrompt(
            boxes=self.boxes.to(device),
            box_labels=self.box_labels.to(device),
            box_mask=self.box_mask.to(device),
            points=self.points.to(device),
            point_labels=self.point_labels.to(device),
            point_mask=self.point_mask.to(device),
            masks=None if self.masks is None else self.masks.to(device),
        )


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Encoded prompt elements: tokens (P, N, D) and padding mask (P, N)."""

    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class QueryOutputs:
    """What one decoder layer says of one set of queries.

    logits (P, Q) match of query and prompt, without presence; boxes (P, Q, 4) normalised cxcywh;
    masks (P, Q, H, W) mask logits at the finest pyramid level, None where not made.
    mask_rows (M,) the prompts that masks were made for, in rising order: masks is then (M, Q, H, W); None: all prompts.
    """

    logits: Tensor
    boxes: Tensor
    masks: Tensor | None = None
    mask_rows: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """Output of a full grounding pass.

    main: last decoder layer. presence (P,) logit that the phrase is in the picture at all.
    queries (P, Q, D) normed output of the last layer.
    semantic (P, 1, H, W) logits or None; with `main.mask_rows`, (M, 1, H, W) for those prompts.
    one_to_many: the second half of the queries in training, None otherwise.
    aux, aux_one_to_many, aux_presence: the earlier layers in order, for the auxiliary losses (empty unless training).
    before: what the same call said before each correction of the prompts, in order.
    """

    main: QueryOutputs
    presence: Tensor
    queries: Tensor
    semantic: Tensor | None = None
    one_to_many: QueryOutputs | None = None
    aux: tuple[QueryOutputs, ...] = ()
    aux_one_to_many: tuple[QueryOutputs, ...] = ()
    aux_presence: tuple[Tensor, ...] = ()
    before: tuple["Detections", ...] = ()

    @property
    def passes(self) -> tuple["Detections", ...]:
        """What was said before each correction and, last, after all of them: this."""
        return (*self.before, self)


Correction = Callable[[Detections, GeometryPrompt | None], GeometryPrompt]
"""From what a model found, and the prompts that it was asked with, to those that it is asked with next."""
