"""Questions over Playground scenes, written in many ways, with the objects that answer them."""

from typing import TYPE_CHECKING

from evals.samples import DatasetSplit, QuestionSample
from evals.scorers.phrasings import PhrasingTarget

if TYPE_CHECKING:
    from evals.phrasings.phrasing_set import Phrasing
    from evals.phrasings.true_masks import TrueMasks

SPLITS = ("all", "tuned", "held-back")
"""Wordings that the grammar was tuned on, and those that nobody looked at meanwhile."""


def read(dataset: DatasetSplit) -> list[QuestionSample[PhrasingTarget]]:
    """The questions of a split."""
    from evals.phrasings.phrasing_set import phrasings

    wanted = {"all": (False, True), "tuned": (False,), "held-back": (True,)}[dataset.split]
    return [_sample(one) for one in phrasings() if one.held_back in wanted]


def true_masks() -> "TrueMasks":
    """A segmenter that knows the masks of all scenes of the benchmark."""
    from evals.phrasings.phrasing_set import scenes
    from evals.phrasings.true_masks import TrueMasks

    return TrueMasks(scenes())


def _sample(one: "Phrasing") -> QuestionSample[PhrasingTarget]:
    from PIL import Image

    from sam3model.ops.masks import encode_rle

    masks = None if one.ids is None else tuple(encode_rle(one.scene.objects[i].mask) for i in one.ids)
    target = PhrasingTarget(masks, one.kind, one.partial)
    return QuestionSample(one.key, lambda: Image.fromarray(one.scene.image), one.text, target)
