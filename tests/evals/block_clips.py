"""Clips of moving blocks, and stand-ins for both predictors that know the ground truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from sam3model.frame_results import FrameResult
from sam3model.instances import Instances
from sam3model.object_prediction import ObjectMasks
from sam3model.ops.masks import encode_rle, mask_to_box

WIDTH, HEIGHT, FRAMES = 64, 48, 8
KINDS = ("ball", "ball", "car")
COLOURS = ((255, 0, 0), (0, 0, 255), (0, 255, 0))
QUERIES = [
    SimpleNamespace(phrase="ball", ids=(0, 1)),
    SimpleNamespace(phrase="red ball", ids=(0,)),
    SimpleNamespace(phrase="car", ids=(2,)),
    SimpleNamespace(phrase="yellow ball", ids=()),
]
ENTERS = 3
"""The car is seen from this frame on."""


def masks_at(t: int) -> list[np.ndarray]:
    """Three blocks of 12 x 12: two balls that move right by 2 pixels per frame, and a car that enters below."""
    masks = []
    for one, (x, y) in enumerate(((2 + 2 * t, 4), (2 + 2 * t, 20), (40, 34))):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        if one < 2 or t >= ENTERS:
            mask[y : y + 12, x : x + 12] = True
        masks.append(mask)
    return masks


class BlockClip:
    """A stand-in for `sam3model.playground.Clip`; `index` is drawn into a corner, so that frames tell clips apart."""

    count = FRAMES
    objects = tuple(SimpleNamespace(kind=kind) for kind in KINDS)

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.rendered: list[int] = []

    def frame(self, t: int) -> Any:
        self.rendered.append(t)
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[-1, -1] = t, self.index, 0
        owners = np.zeros((HEIGHT, WIDTH), np.uint8)
        for one, mask in enumerate(masks_at(t)):
            image[mask], owners[mask] = COLOURS[one], one + 1
        return SimpleNamespace(image=image, owners=owners, visible=(1.0, 1.0, float(t >= ENTERS)))


@dataclass
class KnowingImages:
    """An image predictor that returns the ground truth; finds=False: nothing. calls: what it was asked for."""

    finds: bool = True
    calls: list[str] = field(default_factory=list)

    def encode(self, image: Any) -> Any:
        return int(np.asarray(image)[-1, -1, 0])

    def predict(self, encoded: Any, phrases: Sequence[str]) -> list[Instances]:
        self.calls += phrases
        found = []
        for phrase in phrases:
            ids = next((query.ids for query in QUERIES if query.phrase == phrase), ()) if self.finds else ()
            masks = np.stack([masks_at(encoded)[one] for one in ids]) if ids else np.zeros((0, HEIGHT, WIDTH), bool)
            boxes = np.array([mask_to_box(mask) if mask.any() else (0, 0, 0, 0) for mask in masks], np.float32)
            found.append(Instances(masks, boxes.reshape(-1, 4), np.full(len(ids), 0.9, np.float32), phrase))
        return found

    def predict_object(self, encoded: Any, **prompt: Any) -> ObjectMasks:
        masks = np.stack([self._pointed_at(encoded, point) for point in prompt["points"]])
        return ObjectMasks(masks[:, None], np.ones((len(masks), 1), np.float32), np.zeros((len(masks), 1, 4, 4), "f"))

    def _pointed_at(self, t: int, points: Any) -> np.ndarray:
        (x, y), *_ = points
        own = [mask for mask in masks_at(t) if mask[int(y), int(x)]] if self.finds else []
        return own[0] if own else np.zeros((HEIGHT, WIDTH), bool)


@dataclass
class KnowingTracker:
    """A video predictor that returns the ground truth.

    finds: else nothing. swap: from this frame on, the two balls have each other's identity. opened: number of sessions.
    passes: (first frame, number of frames after it) of all propagations.
    """

    finds: bool = True
    swap: int | None = None
    opened: int = 0
    passes: list[tuple[int | None, int | None]] = field(default_factory=list)

    def open(self, source: Any) -> "KnowingSession":
        self.opened += 1
        return KnowingSession(self, len(source))


class KnowingSession:
    def __init__(self, owner: KnowingTracker, count: int) -> None:
        self.owner, self.count = owner, count
        self.given: dict[int, int] = {}
        self.phrases: list[str] = []

    def add_phrases(self, phrases: Sequence[str]) -> None:
        self.phrases += phrases

    def add_mask(self, mask: np.ndarray, *, frame: int, object_id: int) -> None:
        (self.given[object_id],) = (one for one, own in enumerate(masks_at(frame)) if np.array_equal(own, mask))

    def add_points(self, points: Any, labels: Any, *, frame: int, object_id: int) -> None:
        ((x, y),) = points
        assert list(labels) == [1]
        (self.given[object_id],) = (one for one, own in enumerate(masks_at(frame)) if own[int(y), int(x)])

    def propagate(self, *, start: int, frames: int | None = None) -> Iterator[FrameResult]:
        self.owner.passes.append((start, frames))
        for t in range(start, self.count if frames is None else start + frames + 1):
            rows = [(object_id, None, one) for object_id, one in self.given.items()]
            for query in QUERIES:
                if query.phrase in self.phrases:
                    rows += [(10 * len(rows) + one, query.phrase, one) for one in query.ids]
            yield self._result(t, rows if self.owner.finds else [])

    def _result(self, t: int, rows: list[tuple[int, str | None, int]]) -> FrameResult:
        shown = masks_at(t)
        if self.owner.swap is not None and t >= self.owner.swap:
            shown = [shown[1], shown[0], shown[2]]
        return FrameResult(
            frame=t,
            time=t / 25,
            size=(WIDTH, HEIGHT),
            ids=np.array([row[0] for row in rows], np.int64),
            boxes=np.zeros((len(rows), 4), np.float32),
            scores=np.full(len(rows), 0.9, np.float32),
            tracker_scores=np.ones(len(rows), np.float32),
            masks=tuple(encode_rle(shown[row[2]]) for row in rows),
            phrases=tuple(row[1] for row in rows),
        )
