"""Playground scenes, generated on demand; scene `i` of a split is always the same."""

from typing import TYPE_CHECKING

from evals.samples import DatasetSplit, PhraseSample, QuestionSample, Rle
from evals.scorers.concepts import PhraseTarget
from evals.scorers.referring import MaskTarget, union

if TYPE_CHECKING:
    from PIL import Image

    from sam3model.playground import Scene

SCENES = 500
QUESTIONS = 200
SPLITS = ("heldout",)


class PlaygroundPhrases:
    """The first 500 scenes of a split with all phrases, positive and negative; generated on access."""

    def __init__(self, split: str) -> None:
        self._split = split

    def __len__(self) -> int:
        return SCENES

    def __getitem__(self, index: int) -> PhraseSample[tuple[PhraseTarget, ...]]:
        from sam3model.playground import phrases, scene

        key = f"{self._split}/{index}"
        drawn = scene(self._split, index)
        queries = phrases(drawn)
        masks = _masks(drawn)
        targets = tuple(
            PhraseTarget(f"{key}/{number}", (tuple(masks[i] for i in query.ids),))
            for number, query in enumerate(queries)
        )
        return PhraseSample(key, lambda: _image(drawn), tuple(query.phrase for query in queries), targets)


def read_phrases(dataset: DatasetSplit) -> PlaygroundPhrases:
    """The first 500 scenes of the split."""
    return PlaygroundPhrases(dataset.split)


def read_questions(dataset: DatasetSplit) -> list[QuestionSample[MaskTarget]]:
    """The first 200 questions of the split, scene by scene."""
    from sam3model.playground import questions, scene

    samples: list[QuestionSample[MaskTarget]] = []
    index = 0
    while len(samples) < QUESTIONS:
        drawn = scene(dataset.split, index)
        masks = _masks(drawn)
        for number, question in enumerate(questions(drawn)):
            mask = union([masks[i] for i in question.ids], (drawn.image.shape[0], drawn.image.shape[1]))
            key = f"{dataset.split}/{index}/{number}"
            samples.append(
                QuestionSample(key, lambda drawn=drawn: _image(drawn), question.text, MaskTarget(mask, question.kind))
            )
        index += 1
    return samples[:QUESTIONS]


def _masks(drawn: "Scene") -> list[Rle]:
    from sam3model.ops.masks import encode_rle

    return [encode_rle(item.mask) for item in drawn.objects]


def _image(drawn: "Scene") -> "Image.Image":
    from PIL import Image

    return Image.fromarray(drawn.image)
