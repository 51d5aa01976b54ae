"""Playground scenes as training pictures: squashed to the model's square, with a few of their phrases."""

from dataclasses import dataclass, replace

import numpy as np

from sam3model.data.queries import FindQuery, Sample
from sam3model.data.view import shrink
from sam3model.ops.resize import preprocess
from sam3model.playground import PhraseQuery, Scene, phrases, scene
from sam3model.playground.dice import Dice
from sam3model.playground.scene import SIZES
from sam3model.structures import VISUAL

FULL = 256
"""Side of the square in which a scene of ordinary size has its ordinary scale."""


@dataclass(frozen=True, slots=True)
class PlaygroundSource:
    """Sample `index` of a split: the picture, size x size, and up to `phrases` queries, all fixed by seed and index.

    A size below 256 shows a smaller scene at the same scale, with as many fewer things.
    negatives: share of phrases that match nothing. mask_stride: masks are (size / stride) squared.
    exemplars: share of positive queries that get a slightly moved box of one of their things as well; half of these, if
    they name a kind and nothing else, have only the box.
    outlined: so many positive queries keep their masks (None: all).
    """

    split: str
    seed: int = 0
    size: int = FULL
    phrases: int = 4
    negatives: float = 0.4
    exemplars: float = 0.0
    outlined: int | None = None
    mask_stride: int = 1

    def __call__(self, index: int) -> Sample:
        """Render the scene and choose what it is asked."""
        number = index + self.seed * 10**9
        picture = self._scene(number)
        dice = Dice(self.split, number, "queries", self.phrases)
        chosen = self._choose(phrases(picture), dice)
        outlined = [query for query in chosen if query.ids][: self.outlined]
        queries = tuple(self._query(picture, query, dice, query in outlined) for query in chosen)
        return Sample(preprocess(picture.image, self.size), queries, f"playground/{self.split}/{number}")

    def _scene(self, number: int) -> Scene:
        if self.size >= FULL:
            return scene(self.split, number)
        share = self.size / FULL
        width, height = Dice(self.split, number, "canvas").weighted(SIZES)
        most = max(2, round(15 * share**2))
        return scene(self.split, number, size=(round(width * share), round(height * share)), count=(1, most))

    def _choose(self, queries: list[PhraseQuery], dice: Dice) -> list[PhraseQuery]:
        """At most `phrases` of them in random order, the share of negatives as near to `negatives` as they allow."""
        positive = [query for query in queries if query.ids]
        negative = [query for query in queries if not query.ids]
        wanted = sum(dice.chance(self.negatives) for _ in range(self.phrases))
        wanted = min(len(negative), max(wanted, self.phrases - len(positive)))
        return dice.some(positive, self.phrases - wanted) + dice.some(negative, wanted)

    def _query(self, picture: Scene, query: PhraseQuery, dice: Dice, outlined: bool) -> FindQuery:
        things = [picture.objects[i] for i in query.ids]
        height, width = picture.image.shape[:2]
        corners = np.array([thing.box for thing in things], np.float32).reshape(-1, 2, 2) / (width, height)
        boxes = np.concatenate((corners.mean(1), corners[:, 1] - corners[:, 0]), axis=1)
        masks = np.stack([thing.mask for thing in things]) if things else np.zeros((0, height, width), bool)
        side = self.size // self.mask_stride
        masks = shrink(masks, side) if outlined else np.zeros((len(things), side, side), bool)
        found = FindQuery(query.phrase, boxes, masks)
        if not things or not dice.chance(self.exemplars):
            return found
        box = boxes[dice.integer(0, len(boxes) - 1)]
        moved = box + [dice.uniform(-0.05, 0.05) * side for side in (*box[2:], *box[2:])]
        plain = query.description == replace(query.description, colour="", pattern="", size="")
        phrase = VISUAL if plain and dice.chance(0.5) else query.phrase
        return replace(found, phrase=phrase, exemplars=moved[None].astype(np.float32))
