"""Training samples from Playground scenes: the image resized to the model's square, with some of its phrases."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from sam3model.data.image_view import shrink
from sam3model.data.queries import FindQuery, Sample
from sam3model.ops.boxes import BOX_JITTER, jitter_box, xyxy_to_cxcywh
from sam3model.ops.resize import preprocess
from sam3model.playground import PhraseQuery, Scene, phrases, scene
from sam3model.playground.dice import Dice
from sam3model.playground.scene import SIZES
from sam3model.structures import VISUAL

FULL = 256
"""Side of the square, in pixels, that shows a scene of ordinary size at its ordinary scale."""


@dataclass(frozen=True, slots=True)
class PlaygroundSource:
    """Sample `index` of a split: an image, size x size, with up to `phrases` queries, fixed by seed and index.

    A size below 256 shows a smaller scene at the same scale, with proportionally fewer objects.

    negatives: fraction of phrases that match nothing. exemplars: fraction of positive queries that get a jittered box
    of one instance as a prompt; half of these lose their phrase, if it is only the name of a kind. mask_phrases:
    maximum number of positive queries with masks; None: all. mask_stride: masks are (size / stride) squared.
    """

    split: str
    seed: int = 0
    size: int = FULL
    phrases: int = 4
    negatives: float = 0.4
    exemplars: float = 0.0
    mask_phrases: int | None = None
    mask_stride: int = 1

    def __call__(self, index: int) -> Sample:
        """Render the scene of this index and make its queries."""
        number = index + self.seed * 10**9
        shown = self._scene(number)
        dice = Dice(self.split, number, "queries", self.phrases)
        chosen = self._choose(phrases(shown), dice)
        masked = [query for query in chosen if query.ids][: self.mask_phrases]
        queries = tuple(self._query(shown, query, dice, query in masked) for query in chosen)
        return Sample(preprocess(shown.image, self.size), queries, f"playground/{self.split}/{number}")

    def _scene(self, number: int) -> Scene:
        if self.size >= FULL:
            return scene(self.split, number)
        scale = self.size / FULL
        width, height = Dice(self.split, number, "canvas").weighted(SIZES)
        count = (1, max(2, round(15 * scale**2)))
        return scene(self.split, number, size=(round(width * scale), round(height * scale)), count=count)

    def _choose(self, queries: list[PhraseQuery], dice: Dice) -> list[PhraseQuery]:
        """At most `phrases` of them, positive ones first, with the fraction of negatives as close as possible."""
        positive = [query for query in queries if query.ids]
        negative = [query for query in queries if not query.ids]
        wanted = sum(dice.chance(self.negatives) for _ in range(self.phrases))
        wanted = min(len(negative), max(wanted, self.phrases - len(positive)))
        return dice.some(positive, self.phrases - wanted) + dice.some(negative, wanted)

    def _query(self, shown: Scene, query: PhraseQuery, dice: Dice, masked: bool) -> FindQuery:
        objects = [shown.objects[i] for i in query.ids]
        height, width = shown.image.shape[:2]
        corners = np.array([one.box for one in objects], np.float32).reshape(-1, 4) / (width, height, width, height)
        boxes = xyxy_to_cxcywh(torch.from_numpy(corners)).numpy()
        side = self.size // self.mask_stride
        masks = np.zeros((len(objects), side, side), bool)
        if masked and objects:
            masks = shrink(np.stack([one.mask for one in objects]), side)
        found = FindQuery(query.phrase, boxes.astype(np.float32), masks)
        if not objects or not dice.chance(self.exemplars):
            return found
        box = boxes[dice.integer(0, len(boxes) - 1)]
        shifts = np.array([dice.uniform(-BOX_JITTER, BOX_JITTER) for _ in range(4)])
        only_kind = query.description == replace(query.description, colour="", pattern="", size="")
        phrase = VISUAL if only_kind and dice.chance(0.5) else query.phrase
        return replace(found, phrase=phrase, exemplars=jitter_box(box, shifts).astype(np.float32)[None])
