"""Playground scenes: nothing to download, scene `i` of a split is always the same."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from evals.registry import PhraseSample, QuestionSample, Rle, Source
from evals.scorers.concepts import Concept
from evals.scorers.referring import Wanted, union

if TYPE_CHECKING:
    from PIL import Image

    from sam3model.playground import Scene

SCENES = 500
QUESTIONS = 200
SPLITS = ("heldout",)


class PlaygroundPhrases(Sequence[PhraseSample[tuple[Concept, ...]]]):
    """The scenes of a split with all their phrases, positives and negatives; drawn when asked for."""

    def __init__(self, split: str, count: int = SCENES) -> None:
        self._split = split
        self._indices = range(count)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> PhraseSample[tuple[Concept, ...]]: ...

    @overload
    def __getitem__(self, index: slice) -> "PlaygroundPhrases": ...

    def __getitem__(self, index: int | slice) -> "PhraseSample[tuple[Concept, ...]] | PlaygroundPhrases":
        if isinstance(index, slice):
            part = PlaygroundPhrases(self._split)
            part._indices = self._indices[index]
            return part
        return _phrase_sample(self._split, self._indices[index])


def _phrase_sample(split: str, index: int) -> PhraseSample[tuple[Concept, ...]]:
    from sam3model.playground import phrases, scene

    shown = scene(split, index)
    queries = phrases(shown)
    masks = _masks(shown)
    truth = tuple(
        Concept(f"{split}/{index}/{number}", (tuple(masks[i] for i in query.ids),))
        for number, query in enumerate(queries)
    )
    return PhraseSample(f"{split}/{index}", lambda: _picture(shown), tuple(query.phrase for query in queries), truth)


def read_phrases(source: Source) -> PlaygroundPhrases:
    """500 scenes of the split."""
    return PlaygroundPhrases(source.split)


def read_questions(source: Source) -> list[QuestionSample[Wanted]]:
    """The first 200 questions of the split, scene by scene."""
    from sam3model.playground import questions, scene

    samples: list[QuestionSample[Wanted]] = []
    index = 0
    while len(samples) < QUESTIONS:
        shown = scene(source.split, index)
        masks = _masks(shown)
        for number, asked in enumerate(questions(shown)):
            mask = union([masks[i] for i in asked.ids], (shown.image.shape[0], shown.image.shape[1]))
            key = f"{source.split}/{index}/{number}"
            samples.append(
                QuestionSample(key, lambda shown=shown: _picture(shown), asked.text, Wanted(mask, asked.kind))
            )
        index += 1
    return samples[:QUESTIONS]


def _masks(shown: "Scene") -> list[Rle]:
    from sam3model.ops.masks import encode_rle

    return [encode_rle(thing.mask) for thing in shown.objects]


def _picture(shown: "Scene") -> "Image.Image":
    from PIL import Image

    return Image.fromarray(shown.image)
