"""Questions about what happens in Playground clips. The target is a mask over space and time: all frames, stacked."""

from functools import lru_cache
from typing import TYPE_CHECKING

from evals.readers.playground_clips import CLIPS, FRAMES
from evals.samples import DatasetSplit, QuestionSample, Rle
from evals.scorers.referring import MaskTarget, union

if TYPE_CHECKING:
    from evals.clip_questions.true_clips import RenderedClip, TrueClips, TrueTracker
    from sam3agent.media import ClipMedia

PER_CLIP = 6


class ClipQuestions:
    """The questions about the first 50 clips of a split, of 24 frames each; a clip is rendered when it is needed."""

    def __init__(self, split: str) -> None:
        from sam3model.playground import clip, clip_questions

        self._split = split
        self._questions = [
            (index, number, question)
            for index in range(CLIPS)
            for number, question in enumerate(clip_questions(clip(split, index, frames=FRAMES), PER_CLIP))
        ]

    def __len__(self) -> int:
        return len(self._questions)

    def __getitem__(self, index: int) -> QuestionSample[MaskTarget]:
        clip, number, question = self._questions[index]
        mask = _stacked(_rendered(self._split, clip), question.ids)
        key = f"{self._split}/{clip}/{number}"
        return QuestionSample(key, lambda: _media(self._split, clip), question.text, MaskTarget(mask, question.kind))


def read(dataset: DatasetSplit) -> ClipQuestions:
    """The questions of a split."""
    return ClipQuestions(dataset.split)


@lru_cache(maxsize=1)
def true_clips() -> "TrueClips":
    """A segmenter that knows the masks of the clips of the benchmark."""
    from evals.clip_questions.true_clips import TrueClips

    return TrueClips()


def true_tracker() -> "TrueTracker":
    """A tracker that knows them."""
    from evals.clip_questions.true_clips import TrueTracker

    return TrueTracker(true_clips())


@lru_cache(maxsize=4)
def _rendered(split: str, index: int) -> "RenderedClip":
    from evals.clip_questions.true_clips import RenderedClip
    from sam3model.playground import clip

    return RenderedClip.of(clip(split, index, frames=FRAMES))


def _media(split: str, index: int) -> "ClipMedia":
    rendered = _rendered(split, index)
    true_clips().add(rendered)
    return rendered.media()


def _stacked(clip: "RenderedClip", ids: tuple[int, ...]) -> Rle:
    """Where the objects are on all frames, one frame below the other."""
    from evals.rle_masks import stacked

    width, height = clip.size
    return union([stacked(clip.masks[i], (height, width)) for i in ids], (height * len(clip.frames), width))
