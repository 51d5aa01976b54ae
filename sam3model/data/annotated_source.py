"""Training samples from annotated images: phrases chosen, image transformed and resized, fixed by seed and index."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage, AnnotatedPhrase
from sam3model.data.epochs import epoch_position
from sam3model.data.faults import Faults
from sam3model.data.image_files import read_image
from sam3model.data.image_view import ImageView
from sam3model.data.queries import FindQuery, Sample
from sam3model.data.query_sampling import QuerySampler, mentions_position, mirrored
from sam3model.data.transforms import Transform
from sam3model.errors import DataError
from sam3model.ops.boxes import BOX_JITTER, jitter_box
from sam3model.structures import VISUAL

_TRIES = 100


@dataclass(frozen=True, slots=True)
class AnnotatedSource:
    """Sample `index` of a dataset: an image, size x size, with its queries.

    Every epoch has an order of its own; without `shuffle`, the order of the dataset. An image that cannot be read, or
    has no query left after the transforms, is replaced by another one.

    exemplars: fraction of positive queries that get a jittered box of one instance as a prompt; half of these lose
    their phrase. mask_phrases: maximum number of positive queries with masks; None: all. mask_stride: masks are
    (size / stride) squared. broken: maximum fraction of unreadable images.

    Raises (when called):
        DataError: too many images are unreadable, or none has a query left.
    """

    data: AnnotatedDataset
    sampler: QuerySampler = field(default_factory=QuerySampler)
    seed: int = 0
    size: int = 256
    exemplars: float = 0.0
    mask_phrases: int | None = None
    mask_stride: int = 1
    transforms: Sequence[Transform] = ()
    shuffle: bool = True
    broken: float = 0.1
    faults: Faults = field(default_factory=Faults)

    def __call__(self, index: int) -> Sample:
        """Read the image of this index and make its queries."""
        count = len(self.data)
        for attempt in range(_TRIES):
            rng = self._rng(index, attempt)
            image = self.data.images[self._position(index) if attempt == 0 else int(rng.integers(count))]
            try:
                if sample := self._sample(image, rng):
                    return sample
            except DataError as error:
                self.faults.note(str(error), image.name)
                self.faults.refuse_beyond(self.broken, count, f"images of {self.data.name}")
        raise DataError(f"{self.data.name}: {_TRIES} images in a row have no query left: check data.transforms")

    def phrases(self, index: int) -> list[AnnotatedPhrase]:
        """The phrases chosen for the image of this index, if it can be read, before any transform."""
        return self._choose(self.data.images[self._position(index)], self._rng(index))

    @staticmethod
    def read(image: AnnotatedImage) -> Tensor:
        """The whole image (3, H, W) uint8. Raises `DataError`, a short reason."""
        return read_image(image.path, image.size)

    def _rng(self, index: int, attempt: int = 0) -> np.random.Generator:
        return np.random.default_rng((self.seed % 2**63, index, attempt))

    def _choose(self, image: AnnotatedImage, rng: np.random.Generator) -> list[AnnotatedPhrase]:
        return self.sampler.choose(image, self.data.vocabulary, rng)

    def _position(self, index: int) -> int:
        return epoch_position(self.seed, index, len(self.data)) if self.shuffle else index % len(self.data)

    def _sample(self, image: AnnotatedImage, rng: np.random.Generator) -> Sample | None:
        """An image and its queries; None if none is left."""
        phrases = self._choose(image, rng)
        boxes = np.array([one.box for phrase in phrases for one in phrase.annotations]).reshape(-1, 4)
        view = ImageView.whole(image.size, boxes, keep_whole=any(mentions_position(one.phrase) for one in phrases))
        for transform in self.transforms:
            view = transform(view, rng)
        queries: list[FindQuery] = []
        for number, phrase in enumerate(phrases):
            masked = self.mask_phrases is None or number < self.mask_phrases
            if query := self._query(phrase, view, masked, rng):
                queries.append(query)
        if not queries:
            return None
        return Sample(view.pixels(self.read(image), self.size), tuple(queries), image.name)

    def _query(
        self, phrase: AnnotatedPhrase, view: ImageView, masked: bool, rng: np.random.Generator
    ) -> FindQuery | None:
        """The query of a phrase in a view; None if no instance is visible enough, but the phrase may still match."""
        fractions, boxes, masks = view.instances(phrase.annotations, self.size // self.mask_stride, masked=masked)
        kept = (fractions > 0) & (fractions >= view.min_visible)
        complete = kept.sum() == (fractions > 0).sum()
        exhaustive = bool(phrase.exhaustive and complete)
        if not kept.any() and not exhaustive:
            return None
        query = FindQuery(
            mirrored(phrase.phrase) if view.mirrored else phrase.phrase,
            boxes[kept],
            masks[kept],
            exhaustive,
            None if phrase.pixel_exhaustive is None else bool(phrase.pixel_exhaustive and complete),
        )
        return self._with_exemplar(query, rng) if kept.any() and rng.random() < self.exemplars else query

    @staticmethod
    def _with_exemplar(query: FindQuery, rng: np.random.Generator) -> FindQuery:
        box = query.boxes[rng.integers(len(query.boxes))]
        exemplar = jitter_box(box, rng.uniform(-BOX_JITTER, BOX_JITTER, 4)).astype(np.float32)
        return replace(query, phrase=VISUAL if rng.random() < 0.5 else query.phrase, exemplars=exemplar[None])
