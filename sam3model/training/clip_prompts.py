"""A simulated user of the tracker: prompts, and clicks on the mistakes of its masks (SAM 2, appendix D.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sam3model.interactive.heads import ObjectPrompt
from sam3model.interactive.prompt_encoder import BOX_END, BOX_START, INSIDE, OUTSIDE, PADDING
from sam3model.training.annotator import innermost_point, random_point
from sam3model.training.clip_settings import PromptConfig

PromptKind = Literal["mask", "box", "click"]


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """How the objects of a batch are prompted: on the first frame, and the correction clicks on each of its frames.

    corrections: one number for each frame.
    """

    kind: PromptKind
    corrections: tuple[int, ...]


def draw_plan(config: PromptConfig, frames: int, key: tuple[int, ...]) -> PromptPlan:
    """The plan of a training step; the same for the same key, in every process."""
    rng = np.random.default_rng(key)
    weights = np.array([config.masks if frames > 1 else 0.0, config.boxes, config.clicks])
    kind: PromptKind = ("mask", "box", "click")[rng.choice(3, p=weights / weights.sum())]
    corrections = [0] * frames
    corrected = config.corrected
    if frames == 1 and config.corrected_alone is not None:
        corrected = config.corrected_alone
    if rng.random() < corrected:
        number = int(rng.integers(1, config.max_corrections + 1)) if config.max_corrections else 0
        if kind != "mask":
            corrections[0] = number
        if frames > 1 and (kind == "mask" or rng.random() < config.corrected_later):
            corrections[int(rng.integers(1, frames))] = min(number, config.max_later_corrections)
    return PromptPlan(kind, tuple(corrections))


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """Prompts objects and corrects their masks.

    size: side of the model input, in pixels; prompts are in these. keys: seed of the choices for each object. None: a
    careful user, who clicks in the middle of an object or a mistake and draws exact boxes. careful: fraction of the
    clicks of other users that are in the middle, too.
    """

    size: int
    keys: Sequence[tuple[int, ...]] | None = None
    careful: float = 0.0

    def prompt(self, kind: PromptKind, truth: Tensor) -> ObjectPrompt:
        """A click on, or a box around, each of N objects; truth (N, H, W) bool. An empty mask gets padding."""
        rows = [self._first(kind, mask, self._rng(row, 0)) for row, mask in enumerate(_arrays(truth))]
        points = torch.tensor(np.stack([points for points, _ in rows]), dtype=torch.float32, device=truth.device)
        return ObjectPrompt(points, torch.tensor([labels for _, labels in rows], device=truth.device))

    def correct(self, predicted: Tensor, truth: Tensor, visit: int) -> ObjectPrompt:
        """One click on the largest mistake of each of N masks, or a random one; both (N, H, W) bool.

        visit: number of the correction. A perfect mask gets a click inside the object, or padding if it is empty.
        """
        clicks = []
        for row, (mine, wanted) in enumerate(zip(_arrays(predicted), _arrays(truth), strict=True)):
            clicks.append(self._click(wanted & ~mine, mine & ~wanted, wanted, self._rng(row, visit)))
        points = torch.tensor(np.array([[place] for place, _ in clicks]), dtype=torch.float32, device=truth.device)
        return ObjectPrompt(points, torch.tensor([[label] for _, label in clicks], device=truth.device))

    def _rng(self, row: int, visit: int) -> np.random.Generator | None:
        return None if self.keys is None else np.random.default_rng((*self.keys[row], visit))

    def _first(
        self, kind: PromptKind, mask: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, list[int]]:
        if kind == "box":
            if not mask.any():
                return np.zeros((2, 2)), [PADDING, PADDING]
            return self._box(mask, rng), [BOX_START, BOX_END]
        place, label = self._click(mask, np.zeros_like(mask), mask, rng)
        return place[None], [label]

    def _box(self, mask: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Corners (2, 2); a careless user misses each side by up to a tenth of the box, at most 20 pixels."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        corners = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]) * (self.size / mask.shape[0])
        if rng is not None:
            reach = np.minimum(0.1 * (corners[1] - corners[0]), 20)
            corners = corners + rng.uniform(-1, 1, (2, 2)) * reach
        return corners.clip(0, self.size)

    def _click(
        self, missed: np.ndarray, excess: np.ndarray, wanted: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, int]:
        """A point in pixels and its label."""
        if rng is not None and self.careful and rng.random() < self.careful:
            rng = None
        if rng is None:
            inside = missed.sum() >= excess.sum()
        else:
            total = int(missed.sum() + excess.sum())
            inside = total == 0 or rng.integers(total) < missed.sum()
        region, label = (missed, INSIDE) if inside else (excess, OUTSIDE)
        if not region.any():
            region, label = wanted, INSIDE
        if not region.any():
            return np.zeros(2), PADDING
        place = innermost_point(region) if rng is None else random_point(region, rng)
        return place * self.size - 0.5, label  # the prompt encoder adds half a pixel


def joined(first: ObjectPrompt, second: ObjectPrompt, mask: Tensor) -> ObjectPrompt:
    """The points of both prompts, with the logits of the present mask (N, 1, h, w)."""
    return ObjectPrompt(
        torch.cat((first.points, second.points), dim=1), torch.cat((first.labels, second.labels), dim=1), mask
    )


def _arrays(masks: Tensor) -> np.ndarray:
    return masks.detach().cpu().numpy()
