"""The candidate pool: an immutable value. Ids are given once, survive later searches and are never reused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sam3agent.masks import Mask, Masklet
from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.segmenter import FoundInstances

Verdict = Literal["accept", "reject", "unsure"]

SAME_OBJECT_IOU = 0.8
"""Two masks of different phrases that overlap at least this much are one object and share one id."""


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A masklet under its id.

    phrases: (phrase, score) of every phrase that found it, the latest last. verdict: None until examined;
    judged_as: the phrase that the verdict is about. colours: name -> fraction of its pixels; path: where it is on every
    frame; both None until they are measured. replaces: the ids that were there before a split or merge made it.
    """

    id: int
    masklet: Masklet
    phrases: tuple[tuple[str, float], ...]
    verdict: Verdict | None = None
    reason: str = ""
    judged_as: str = ""
    colours: Mapping[str, float] | None = None
    path: MaskletPath | None = None
    replaces: frozenset[int] = frozenset()

    @property
    def mask(self) -> Mask:
        """The mask on the key frame; for an image, the mask."""
        return self.masklet.mask

    @property
    def frame(self) -> int:
        """The key frame; for an image, 0."""
        return self.masklet.key_frame

    @property
    def score(self) -> float:
        """The highest of its scores."""
        return max(score for _, score in self.phrases)

    def score_for(self, phrase: str) -> float | None:
        """Its score for one phrase; None if that phrase did not find it."""
        return dict(self.phrases).get(phrase)


@dataclass(frozen=True, eq=False, slots=True)
class MaskPool:
    """Candidates in the order of their ids. Every method returns a new pool."""

    candidates: tuple[Candidate, ...] = ()
    next_id: int = 1

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids in the pool, ascending."""
        return tuple(candidate.id for candidate in self.candidates)

    def get(self, mask_id: int) -> Candidate | None:
        """The candidate with this id; None if it never existed or was discarded."""
        return next((candidate for candidate in self.candidates if candidate.id == mask_id), None)

    def found_by(self, phrase: str) -> tuple[Candidate, ...]:
        """The candidates that a phrase found, best first."""
        found = [(score, c) for c in self.candidates if (score := c.score_for(phrase)) is not None]
        return tuple(c for _, c in sorted(found, key=lambda pair: -pair[0]))

    def add(self, phrase: str, found: Iterable[tuple[Masklet, float]]) -> tuple["MaskPool", tuple[int, ...]]:
        """Add masklets with their scores, best first; the new pool, and the ids that the phrase found, in order.

        An object found before keeps its id, and takes a masklet of several frames if it had one of a single frame. A
        duplicate of a better masklet of the same phrase is dropped.
        """
        alive, next_id, ids = list(self.candidates), self.next_id, list[int]()
        for masklet, score in found:
            index = next((i for i, c in enumerate(alive) if c.masklet.likeness(masklet) >= SAME_OBJECT_IOU), None)
            if index is not None and alive[index].id in ids:
                continue
            if index is None:
                alive.append(Candidate(next_id, masklet, ((phrase, score),)))
                ids.append(next_id)
                next_id += 1
            else:
                old = alive[index]
                others = tuple(pair for pair in old.phrases if pair[0] != phrase)
                known = replace(old, phrases=(*others, (phrase, score)))
                followed = len(old.masklet.areas) == 1 < len(masklet.areas)
                alive[index] = replace(known, masklet=masklet, path=None) if followed else known
                ids.append(old.id)
        return MaskPool(tuple(alive), next_id), tuple(ids)

    def extend(self, mask_id: int, masklet: Masklet) -> "MaskPool":
        """The pool with one candidate on more frames, under the same id."""
        extended = (replace(c, masklet=masklet, path=None) if c.id == mask_id else c for c in self.candidates)
        return replace(self, candidates=tuple(extended))

    def put(self, mask_id: int, masklet: Masklet, phrase: str, score: float) -> "MaskPool":
        """The pool with a masklet under an id, in place of what is there; what was measured of that is forgotten."""
        old = self.get(mask_id)
        others = () if old is None else tuple(pair for pair in old.phrases if pair[0] != phrase)
        made_from = frozenset[int]() if old is None else old.replaces
        new = Candidate(mask_id, masklet, (*others, (phrase, score)), replaces=made_from)
        kept = [c for c in self.candidates if c.id != mask_id]
        alive = sorted([*kept, new], key=lambda candidate: candidate.id)
        return MaskPool(tuple(alive), max(self.next_id, mask_id + 1))

    def packed(self) -> "MaskPool":
        """The pool with its masks stored as RLE, for one that is not used for a while."""
        return replace(self, candidates=tuple(replace(c, masklet=c.masklet.packed()) for c in self.candidates))

    def reserved(self, next_id: int) -> "MaskPool":
        """The pool, with no new id below `next_id`."""
        return replace(self, next_id=max(self.next_id, next_id))

    def judge(self, mask_id: int, verdict: Verdict, reason: str, phrase: str = "") -> "MaskPool":
        """The pool with one verdict recorded, and the phrase that it is about."""
        given = {"verdict": verdict, "reason": reason, "judged_as": phrase}
        judged = (replace(c, **given) if c.id == mask_id else c for c in self.candidates)
        return replace(self, candidates=tuple(judged))

    def coloured(self, colours: Mapping[int, Mapping[str, float]]) -> "MaskPool":
        """The pool with the colours of some candidates, by id."""
        known = (replace(c, colours=colours[c.id]) if c.id in colours else c for c in self.candidates)
        return replace(self, candidates=tuple(known))

    def on_paths(self, paths: Mapping[int, MaskletPath]) -> "MaskPool":
        """The pool with the paths of some candidates, by id."""
        known = (replace(c, path=paths[c.id]) if c.id in paths else c for c in self.candidates)
        return replace(self, candidates=tuple(known))

    def on_paths_of(self, other: "MaskPool") -> "MaskPool":
        """The pool with the paths that another one has of the same masklets, so that they are measured once."""
        known = {c.masklet: c.path for c in other.candidates if c.path}
        new = {c.id: known[c.masklet] for c in self.candidates if not c.path and c.masklet in known}
        return self.on_paths(new) if new else self

    def discard(self, ids: Iterable[int]) -> "MaskPool":
        """The pool without some candidates; their ids are not reused."""
        gone = set(ids)
        return replace(self, candidates=tuple(c for c in self.candidates if c.id not in gone))

    def replaced(self, ids: Sequence[int], masklets: Sequence[Masklet]) -> tuple["MaskPool", tuple[int, ...]]:
        """The pool with masklets in place of some candidates, and the new ids. They keep all phrases and scores.

        Colours are those of the largest candidate; verdicts are given anew.
        """
        old = [c for c in self.candidates if c.id in ids]
        scores: dict[str, float] = {}
        for phrase, score in (pair for c in old for pair in c.phrases):
            scores[phrase] = max(score, scores.get(phrase, 0.0))
        colours = max(old, key=lambda c: c.masklet.area).colours
        new_ids = tuple(range(self.next_id, self.next_id + len(masklets)))
        gone = frozenset(ids).union(*(c.replaces for c in old))
        made = (
            Candidate(new_id, masklet, tuple(scores.items()), colours=colours, replaces=gone)
            for new_id, masklet in zip(new_ids, masklets, strict=True)
        )
        left = self.discard(ids)
        return MaskPool((*left.candidates, *made), self.next_id + len(masklets)), new_ids

    def missing(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Those of the ids that are not in the pool."""
        return tuple(i for i in ids if i not in self.ids)


def masklets(instances: FoundInstances, frame: int = 0) -> list[tuple[Masklet, float]]:
    """What a segmenter found on one frame, for `MaskPool.add`: non-empty masks with their scores, best first."""
    order = np.argsort(-np.asarray(instances.scores), kind="stable")
    masks = ((Mask.from_full(instances.masks[row]), float(instances.scores[row])) for row in order)
    return [(Masklet.of(mask, frame), score) for mask, score in masks if mask is not None]


def listed_masks(ids: Iterable[int]) -> str:
    """Ids in words: "mask 1", "masks 1, 2", or "no masks"."""
    listed = [str(mask_id) for mask_id in ids]
    return f"mask{'s' * (len(listed) > 1)} {', '.join(listed)}" if listed else "no masks"


def missing_masks(missing: Iterable[int], alive: Iterable[int]) -> str:
    """The error sentence for ids that are not in the pool."""
    unknown = ", ".join(str(mask_id) for mask_id in missing)
    return f"there is no mask {unknown}; the masks are {', '.join(str(mask_id) for mask_id in alive) or 'none yet'}"
