"""The mask pool: an immutable value. Ids are given once, survive later calls and are never used again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from sam3agent.segmenter import InstancesLike

Verdict = Literal["accept", "reject", "unsure"]

SAME_OBJECT_IOU = 0.8
"""Two masks of different phrases that overlap this much are one object and share one id."""


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask stored inside its tight box, so that a hundred of them on a panorama stay small.

    crop: (h, w) bool; x, y: its top left corner; width, height: the whole picture.
    """

    crop: np.ndarray
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def from_full(cls, mask: np.ndarray) -> "Mask | None":
        """From an (H, W) mask; None where nothing is set."""
        mask = np.asarray(mask, dtype=bool)
        rows = np.flatnonzero(mask.any(1))
        if not rows.size:
            return None
        band = mask[rows[0] : rows[-1] + 1]
        columns = np.flatnonzero(band.any(0))
        # Booleans made by Pillow hold 255 for true; compare bytes so that ours hold 1, which `view(uint8)` relies on.
        crop = np.ascontiguousarray(band[:, columns[0] : columns[-1] + 1]).view(np.uint8) > 0
        return cls(crop, int(columns[0]), int(rows[0]), mask.shape[1], mask.shape[0])

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight xyxy box in pixels; x1 and y1 lie just outside."""
        return self.x, self.y, self.x + self.crop.shape[1], self.y + self.crop.shape[0]

    @cached_property
    def area(self) -> int:
        """Pixels set."""
        return int(self.crop.sum())

    def intersection(self, other: "Mask") -> int:
        """Pixels set in both."""
        x0, y0 = max(self.x, other.x), max(self.y, other.y)
        x1, y1 = min(self.box[2], other.box[2]), min(self.box[3], other.box[3])
        if x0 >= x1 or y0 >= y1:
            return 0
        mine = self.crop[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
        theirs = other.crop[y0 - other.y : y1 - other.y, x0 - other.x : x1 - other.x]
        return int((mine & theirs).sum())

    def iou(self, other: "Mask") -> float:
        """Intersection over union."""
        shared = self.intersection(other)
        return shared / (self.area + other.area - shared)

    def full(self) -> np.ndarray:
        """The mask at the size of the picture, (H, W) bool."""
        mask = np.zeros((self.height, self.width), dtype=bool)
        x0, y0, x1, y1 = self.box
        mask[y0:y1, x0:x1] = self.crop
        return mask

    def to_rle(self) -> dict[str, Any]:
        """COCO run-length code with `counts` as text: {"size": [H, W], "counts": "…"}."""
        from pycocotools import mask as coco

        rle: dict[str, Any] = dict(coco.encode(np.asfortranarray(self.full().view(np.uint8))))
        return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}

    @classmethod
    def from_rle(cls, rle: dict[str, Any]) -> "Mask | None":
        """The inverse of `to_rle`."""
        from pycocotools import mask as coco

        return cls.from_full(coco.decode({"size": rle["size"], "counts": rle["counts"].encode("ascii")}))


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A mask under its id. phrases: phrase -> score of every phrase that found it; verdict: None until examined."""

    id: int
    mask: Mask
    phrases: tuple[tuple[str, float], ...]
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def score(self) -> float:
        """The best of its scores."""
        return max(score for _, score in self.phrases)

    def score_for(self, phrase: str) -> float | None:
        """Its score for one phrase; None if that phrase did not find it."""
        return dict(self.phrases).get(phrase)


@dataclass(frozen=True, eq=False, slots=True)
class MaskPool:
    """The candidates in the order of their ids. Every method returns a new pool."""

    candidates: tuple[Candidate, ...] = ()
    next_id: int = 1

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids alive, ascending."""
        return tuple(candidate.id for candidate in self.candidates)

    def get(self, mask_id: int) -> Candidate | None:
        """The candidate of an id, None if it never existed or was discarded."""
        return next((candidate for candidate in self.candidates if candidate.id == mask_id), None)

    def found_by(self, phrase: str) -> tuple[Candidate, ...]:
        """The candidates that a phrase found, best first."""
        found = [(score, c) for c in self.candidates if (score := c.score_for(phrase)) is not None]
        return tuple(c for _, c in sorted(found, key=lambda pair: -pair[0]))

    def add(self, phrase: str, instances: InstancesLike) -> tuple["MaskPool", tuple[int, ...]]:
        """The pool with one more result, and the ids that the phrase found, best first.

        An object found before keeps its id; a mask that shows the same object as a better one is dropped.
        """
        alive, next_id, found = list(self.candidates), self.next_id, list[int]()
        for row in np.argsort(-np.asarray(instances.scores), kind="stable"):
            mask, score = Mask.from_full(instances.masks[row]), instances.scores[row]
            if mask is None:
                continue
            index = next((i for i, c in enumerate(alive) if _same(c, mask)), None)
            if index is not None and alive[index].id in found:
                continue
            if index is None:
                alive.append(Candidate(next_id, mask, ((phrase, float(score)),)))
                found.append(next_id)
                next_id += 1
            else:
                old = alive[index]
                others = tuple(pair for pair in old.phrases if pair[0] != phrase)
                alive[index] = replace(old, phrases=(*others, (phrase, float(score))))
                found.append(old.id)
        return MaskPool(tuple(alive), next_id), tuple(found)

    def judge(self, mask_id: int, verdict: Verdict, reason: str) -> "MaskPool":
        """The pool with one verdict written down."""
        judged = (replace(c, verdict=verdict, reason=reason) if c.id == mask_id else c for c in self.candidates)
        return replace(self, candidates=tuple(judged))

    def discard(self, ids: Iterable[int]) -> "MaskPool":
        """The pool without some masks; their ids are not used again."""
        gone = set(ids)
        return replace(self, candidates=tuple(c for c in self.candidates if c.id not in gone))

    def missing(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Those of the ids that are not in the pool."""
        return tuple(i for i in ids if i not in self.ids)


def _same(candidate: Candidate, mask: Mask) -> bool:
    """Whether a mask shows the object of a candidate."""
    return candidate.mask.iou(mask) >= SAME_OBJECT_IOU
