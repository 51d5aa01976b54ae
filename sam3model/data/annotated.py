"""Annotated pictures as training samples: chosen, asked, transformed and squashed, all fixed by seed and index."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from sam3model.data.asking import Asking, mirrored, says_where
from sam3model.data.faults import Faults
from sam3model.data.pictures import read_picture
from sam3model.data.queries import FindQuery, Sample
from sam3model.data.records import AnnotatedSet, Concept, Record
from sam3model.data.transforms import Transform
from sam3model.data.view import View, show
from sam3model.errors import DataError
from sam3model.structures import VISUAL

_TRIES = 100


@dataclass(frozen=True, slots=True)
class AnnotatedSource:
    """Sample `index` of a data set: a picture, size x size, with its queries.

    The set is gone through again and again, each time in an order of its own; in its own order without `shuffle`.
    A picture that cannot be read, or of which a transform leaves nothing to ask, is replaced by another one.
    exemplars: share of positive queries that get a slightly moved box of one of their things as well; half of these
    have only the box. outlined: so many positive queries keep their masks (None: all). mask_stride: masks are
    (size / stride) squared. broken: share of pictures that may turn out to be unreadable.

    Raises (when called):
        DataError: more pictures are broken than that, or none can be asked anything.
    """

    data: AnnotatedSet
    asking: Asking = field(default_factory=Asking)
    seed: int = 0
    size: int = 256
    exemplars: float = 0.0
    outlined: int | None = None
    mask_stride: int = 1
    transforms: Sequence[Transform] = ()
    shuffle: bool = True
    broken: float = 0.1
    faults: Faults = field(default_factory=Faults)

    def __call__(self, index: int) -> Sample:
        """Read the picture and choose what it is asked."""
        count = len(self.data.records)
        for attempt in range(_TRIES):
            rng = self._rng(index, attempt)
            record = self.data.records[self._number(index) if attempt == 0 else int(rng.integers(count))]
            try:
                if sample := self._sample(record, rng):
                    return sample
            except DataError as error:
                self.faults.note(str(error), record.name)
                self.faults.refuse_beyond(self.broken, count, f"pictures of {self.data.name}")
        raise DataError(f"{self.data.name}: {_TRIES} pictures in a row leave nothing to ask: check data.transforms")

    def asked(self, index: int) -> list[Concept]:
        """What the picture of this number is asked if it can be read, before any transform."""
        return self._choose(self.data.records[self._number(index)], self._rng(index))

    def _rng(self, index: int, attempt: int = 0) -> np.random.Generator:
        return np.random.default_rng((self.seed % 2**63, index, attempt))

    def _choose(self, record: Record, rng: np.random.Generator) -> list[Concept]:
        return self.asking.choose(record, self.data.vocabulary, rng)

    def _number(self, index: int) -> int:
        turn, place = divmod(index, len(self.data.records))
        return int(_order(self.seed % 2**63, turn, len(self.data.records))[place]) if self.shuffle else place

    def _sample(self, record: Record, rng: np.random.Generator) -> Sample | None:
        """A picture and its queries; None if nothing is left to ask."""
        asked = self._choose(record, rng)
        boxes = np.array([thing.box for concept in asked for thing in concept.things]).reshape(-1, 4)
        view = View.whole(record.size, boxes, located=any(says_where(concept.phrase) for concept in asked))
        for transform in self.transforms:
            view = transform(view, rng)
        queries: list[FindQuery] = []
        for number, concept in enumerate(asked):
            outlined = self.outlined is None or number < self.outlined
            if query := self._query(concept, view, outlined, rng):
                queries.append(query)
        if not queries:
            return None
        return Sample(view.pixels(read_picture(record.path, record.size), self.size), tuple(queries), record.name)

    def _query(self, concept: Concept, view: View, outlined: bool, rng: np.random.Generator) -> FindQuery | None:
        """What is seen of a concept; None if only parts too small to ask for, or what was never annotated, are."""
        side = self.size // self.mask_stride
        seen = [show(thing, view, side, outlined=outlined) for thing in concept.things]
        seen = [shown for shown in seen if shown.share > 0]
        kept = [shown for shown in seen if shown.share >= view.keep]
        whole = len(kept) == len(seen)
        exhaustive = concept.exhaustive and whole
        if not kept and not exhaustive:
            return None
        query = FindQuery(
            mirrored(concept.phrase) if view.mirrored else concept.phrase,
            np.array([shown.box for shown in kept], np.float32).reshape(-1, 4),
            np.stack([shown.mask for shown in kept]) if kept else np.zeros((0, side, side), bool),
            exhaustive,
            concept.pixel_exhaustive and whole,
        )
        return self._with_exemplar(query, rng) if kept and rng.random() < self.exemplars else query

    @staticmethod
    def _with_exemplar(query: FindQuery, rng: np.random.Generator) -> FindQuery:
        box = query.boxes[rng.integers(len(query.boxes))]
        moved = (box + rng.uniform(-0.05, 0.05, 4) * np.tile(box[2:], 2)).astype(np.float32)
        return replace(query, phrase=VISUAL if rng.random() < 0.5 else query.phrase, exemplars=moved[None])


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, turn, count)).permutation(count)
