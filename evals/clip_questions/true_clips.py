"""A segmenter and tracker with perfect masks of Playground clips, which reads phrases carelessly.

With it, only the understanding of questions, and of what objects do, is measured. See `evals.phrasings.true_masks`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evals.phrasings.true_masks import SCORE, fitting
from evals.samples import Rle
from sam3agent.knowledge import drawn_knowledge
from sam3agent.media import ClipMedia, Media
from sam3agent.segmenter import FoundInstances, Prompt
from sam3agent.tracker import ANY_OBJECTS, TrackOptions
from sam3model.errors import InputError

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult
    from sam3model.frames import FrameSource
    from sam3model.playground import Clip, ClipObject


@dataclass(frozen=True, eq=False)
class RenderedClip:
    """A clip with all its pixels. frames: each (H, W, 3) uint8. masks: of every object on every frame, None unseen."""

    objects: "tuple[ClipObject, ...]"
    frames: tuple[NDArray[np.uint8], ...]
    masks: tuple[tuple[Rle | None, ...], ...]
    rate: float

    @classmethod
    def of(cls, planned: "Clip") -> "RenderedClip":
        """All frames of a planned clip, rendered."""
        from sam3model.ops.masks import encode_rle

        frames = [planned.frame(t) for t in range(planned.count)]
        masks = tuple(
            tuple(encode_rle(mask) if (mask := frame.owners == one + 1).any() else None for frame in frames)
            for one in range(len(planned.objects))
        )
        return cls(planned.objects, tuple(frame.image for frame in frames), masks, planned.rate)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.frames[0].shape[:2]
        return width, height

    def media(self) -> ClipMedia:
        """The frames as a clip."""
        from sam3model.frames import FrameList

        return ClipMedia(FrameList(list(self.frames), rate=self.rate), "the clip")

    def found(self, phrase: str) -> list[int]:
        """Ids of the objects that a phrase fits and some frame shows."""
        return [i for i in fitting(self.objects, phrase) if any(self.masks[i])]


class TrueClips:
    """A `Segmenter` for clips that were added, recognised by their first frame."""

    name = "true masks"

    def __init__(self) -> None:
        self._clips: dict[bytes, RenderedClip] = {}

    def add(self, clip: RenderedClip) -> None:
        """Make a clip known; of many, the latest are kept."""
        self._clips[_digest(clip.frames[0])] = clip
        while len(self._clips) > 16:
            self._clips.pop(next(iter(self._clips)))

    def open(self, media: Media) -> "TrueClipSession":
        """A session on a clip. Raises `InputError` for any other."""
        return self.session(np.asarray(media.frame(0)))

    def session(self, first: "NDArray[Any]") -> "TrueClipSession":
        """A session on the clip with this first frame. Raises `InputError` if it is unknown."""
        clip = self._clips.get(_digest(first))
        if clip is None:
            raise InputError("true masks are known of Playground clips of this benchmark only")
        return TrueClipSession(clip)


@dataclass(frozen=True)
class TrueTracker:
    """An `ObjectTracker` for the same clips."""

    clips: TrueClips
    name: str = TrueClips.name

    def open(self, source: "FrameSource", options: TrackOptions = ANY_OBJECTS) -> "TrueClipSession":
        """A session on a clip. Raises `InputError` for any other."""
        return self.clips.session(source.frame(0))


class TrueClipSession:
    """The objects of one clip, for phrases only."""

    def __init__(self, clip: RenderedClip) -> None:
        self._clip = clip
        self._phrases: tuple[str, ...] = ()
        self.knowledge = replace(drawn_knowledge("true masks"), drawn_only=False)

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        """None: there is no text window."""
        return ()

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        """All objects of each phrase on a frame."""
        return [self._on_frame(phrase, frame) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        """The same for the phrase of a prompt."""
        return self._on_frame(prompt.phrase or "", frame)

    def add_phrases(self, phrases: Sequence[str], *, frame: int = 0) -> "FrameResult":
        """Follow all objects of these phrases, too."""
        self._phrases = (*self._phrases, *phrases)
        return self._result(frame)

    def propagate(
        self, *, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> "Iterator[FrameResult]":
        """Every frame with the objects that were asked for; forwards only."""
        return (self._result(t) for t in range(start or 0, len(self._clip.frames)))

    def add_exemplars(self, *_: Any, **__: Any) -> Any:
        """Not offered."""
        raise InputError("true masks follow phrases only")

    add_points = add_box = add_mask = add_exemplars

    def _on_frame(self, phrase: str, frame: int) -> FoundInstances:
        from sam3model.ops.masks import decode_rle

        rles = [rle for i in self._clip.found(phrase) if (rle := self._clip.masks[i][frame])]
        return FoundInstances.of([decode_rle(dict(rle)) for rle in rles], self._clip.size, np.full(len(rles), SCORE))

    def _result(self, t: int) -> "FrameResult":
        from sam3model.frame_results import FrameResult

        rows = [
            (100 * number + i, phrase, rle)
            for number, phrase in enumerate(self._phrases)
            for i in self._clip.found(phrase)
            if (rle := self._clip.masks[i][t])
        ]
        full = np.full(len(rows), SCORE, np.float32)
        return FrameResult(
            frame=t,
            time=t / self._clip.rate,
            size=self._clip.size,
            ids=np.array([row[0] for row in rows], np.int64),
            boxes=np.zeros((len(rows), 4), np.float32),
            scores=full,
            tracker_scores=full,
            masks=tuple(dict(row[2]) for row in rows),
            phrases=tuple(row[1] for row in rows),
        )


def _digest(pixels: "NDArray[Any]") -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(pixels).tobytes(), digest_size=16).digest()
