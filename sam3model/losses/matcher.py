"""Matching of queries with targets: one-to-one by minimum cost, one-to-many by score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sam3model.errors import InputError
from sam3model.ops.boxes import box_iou, cxcywh_to_xyxy, generalized_box_iou
from sam3model.structures import QueryOutputs
from sam3model.targets import Targets

FORBIDDEN = 1e9  # cost of an impossible pair
REJECTED = 1e8  # assigned pairs that cost at least this are dropped


@dataclass(frozen=True, slots=True)
class Matches:
    """Matched pairs: prompt (M,), query (M,) and packed target index (M,); int64 on one device."""

    prompt: Tensor
    query: Tensor
    target: Tensor

    def __len__(self) -> int:
        return self.prompt.shape[0]

    def from_query(self, first: int) -> "Matches":
        """The pairs whose query is `first` or later: the tracking queries of a video batch."""
        kept = self.query >= first
        return Matches(self.prompt[kept], self.query[kept], self.target[kept])


@dataclass(frozen=True, slots=True)
class HungarianMatcher:
    """One-to-one matching by minimum total cost (DETR; official `BinaryHungarianMatcherV2`).

    cost = cost_bbox * L1(cxcywh) + cost_class * class - cost_giou * GIoU. The class cost is the focal loss of a
    positive target minus that of a negative one; without `focal`, minus the probability. stable: multiply the
    probability by (GIoU + 1) / 2 first.

    Where the official matcher fails, this one works: a pair whose cost is not finite (nan or infinite logit or box) is
    never matched, two zero-area boxes have IoU 0, and `repeats` with too few queries still returns real targets.
    """

    cost_class: float = 2.0
    cost_bbox: float = 5.0
    cost_giou: float = 2.0
    focal: bool = True
    alpha: float = 0.25
    gamma: float = 2.0
    stable: bool = False

    @torch.no_grad()
    def __call__(
        self,
        logits: Tensor,
        boxes: Tensor,
        targets: Targets,
        *,
        repeats: int = 1,
        query_valid: Tensor | None = None,
        target_valid: Tensor | None = None,
    ) -> Matches:
        """Match logits (k * P, Q) and cxcywh boxes (k * P, Q, 4) with the targets of P prompts, repeated k times.

        repeats: number of queries per target. query_valid (k * P, Q), target_valid (N,): False excludes. Pairs are
        ordered by row of `logits`, then by target.

        Raises:
            InputError: the number of rows is not a multiple of P.
        """
        if targets.prompts == 0 or logits.shape[0] % targets.prompts:
            raise InputError(f"matcher: {logits.shape[0]} rows of predictions do not fit {targets.prompts} prompts")
        copies = logits.shape[0] // targets.prompts
        counts, starts = targets.num_boxes.tolist() * copies, targets.starts().tolist() * copies
        rows = [row for row, count in enumerate(counts) if count]
        if not rows:
            empty = torch.zeros(0, dtype=torch.int64, device=logits.device)
            return Matches(empty, empty, empty)
        pick = torch.tensor(rows, device=logits.device)
        prompt = pick % targets.prompts
        cost = self.cost(logits[pick], boxes[pick], targets.padded(targets.boxes)[prompt])  # (R, Q, T)
        cost = torch.where(cost.isfinite(), cost, FORBIDDEN)
        if query_valid is not None:
            cost = cost.masked_fill(~query_valid[pick, :, None], FORBIDDEN)
        if target_valid is not None:
            cost = cost.masked_fill(~targets.padded(target_valid)[prompt, None, :], FORBIDDEN)
        table = cost.cpu().numpy()
        pairs = [
            _assign(table[i, :, : counts[row]], row, starts[row], repeats) for i, row in enumerate(rows)
        ]  # each (3, M_row)
        return Matches(*torch.from_numpy(np.concatenate(pairs, axis=1)).to(logits.device))

    def match_layers(self, layers: Sequence[QueryOutputs], targets: Targets) -> list[Matches]:
        """Match layers of equal size with the same targets, with one cost table and one copy to the CPU for all."""
        logits = torch.cat([layer.logits.detach() for layer in layers])
        boxes = torch.cat([layer.boxes.detach() for layer in layers])
        matches = self(logits, boxes, targets)
        layer = torch.div(matches.prompt, targets.prompts, rounding_mode="floor")
        sizes = torch.bincount(layer, minlength=len(layers)).tolist()
        parts = (matches.prompt % targets.prompts).split(sizes), matches.query.split(sizes), matches.target.split(sizes)
        return [Matches(*part) for part in zip(*parts, strict=True)]

    def cost(self, logits: Tensor, boxes: Tensor, target_boxes: Tensor) -> Tensor:
        """Costs in float32: logits (R, Q), boxes (R, Q, 4), target boxes (R, T, 4), all cxcywh -> (R, Q, T)."""
        logits, boxes = logits.float(), boxes.float()
        giou = generalized_box_iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(target_boxes))
        l1 = (boxes[:, :, None] - target_boxes[:, None]).abs().sum(-1)
        return self.cost_bbox * l1 + self.cost_class * self._class_cost(logits[..., None], giou) - self.cost_giou * giou

    def _class_cost(self, logits: Tensor, giou: Tensor) -> Tensor:
        p = logits.sigmoid()
        if self.stable:
            p = p * (giou + 1) / 2
        if not self.focal:
            return -p
        log_p, log_not_p = (p.log(), (1 - p).log()) if self.stable else (F.logsigmoid(logits), F.logsigmoid(-logits))
        return (1 - self.alpha) * p**self.gamma * log_not_p - self.alpha * (1 - p) ** self.gamma * log_p


def _assign(cost: np.ndarray, row: int, start: int, repeats: int) -> np.ndarray:
    """Solve the assignment of one prompt: cost (Q, T) -> (3, M) of row, query and packed target, in target order."""
    tiled = np.tile(cost, (1, repeats)) if repeats > 1 else cost
    query, column = linear_sum_assignment(tiled)
    kept = tiled[query, column] < REJECTED
    query, column = query[kept], column[kept]
    order = np.argsort(column, kind="stable")
    return np.stack((np.full(len(order), row), query[order], start + column[order] % cost.shape[1]))


@dataclass(frozen=True, slots=True)
class OneToManyMatcher:
    """Match every target with its best queries (official `BinaryOneToManyMatcher`; the o2m queries of DAC-DETR).

    score = alpha * p + (1 - alpha) * IoU. A query is matched if its score is above `threshold` and above the
    1 - topk / Q quantile of the target's scores; queries that tie at the quantile are all dropped.

    Differs from the official matcher in two cases: a query with a nan logit or box is invalid (there it leaves every
    target of its prompt unmatched), and if Q < topk every query but the lowest passes the quantile (there it fails).
    """

    alpha: float = 0.3
    threshold: float = 0.4
    topk: int = 4

    @torch.no_grad()
    def __call__(
        self,
        logits: Tensor,
        boxes: Tensor,
        targets: Targets,
        *,
        query_valid: Tensor | None = None,
        target_valid: Tensor | None = None,
    ) -> Matches:
        """Match logits (P, Q) and cxcywh boxes (P, Q, 4); a query may match several targets.

        query_valid (P, Q), target_valid (N,): False excludes. Pairs are ordered by prompt, query, target.
        """
        if not len(targets):
            empty = torch.zeros(0, dtype=torch.int64, device=logits.device)
            return Matches(empty, empty, empty)
        real = targets.padded(torch.ones(len(targets), dtype=torch.bool, device=logits.device))
        if target_valid is not None:
            real = real & targets.padded(target_valid)
        truth = cxcywh_to_xyxy(targets.padded(targets.boxes))
        iou = box_iou(cxcywh_to_xyxy(boxes.float()), truth)  # (P, Q, T)
        score = self.alpha * logits.float().sigmoid()[..., None] + (1 - self.alpha) * iou
        sane = ~logits.isnan() & boxes.isfinite().all(-1)
        valid = sane if query_valid is None else sane & query_valid
        score = score.masked_fill(~valid[..., None], -FORBIDDEN)
        cut = score.quantile(max(0.0, 1 - self.topk / logits.shape[1]), dim=1, keepdim=True)
        prompt, query, slot = ((score > cut) & (score > self.threshold) & real[:, None]).nonzero().unbind(-1)
        return Matches(prompt, query, targets.starts().to(logits.device)[prompt] + slot)
