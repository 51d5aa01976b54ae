"""What finds masks: a protocol, so that the agent runs over the local model, a remote one, or a scripted one.

`LocalSegmenter` wraps `sam3model.image.Sam3ImagePredictor`.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from sam3agent.deadlines import still_wanted
from sam3agent.knowledge import WeightsKnowledge, knowledge_from
from sam3agent.local_model import LocalModel
from sam3agent.masks import Mask
from sam3agent.media import Media

DEFAULT_THRESHOLD = 0.5
"""Minimum mask score if none is given."""

SAME_OBJECT = 0.6
"""Two masks of different kinds that overlap at least this much are one object."""

ENCODED_FRAMES = 2
"""Number of encoded frames that a session of `LocalSegmenter` keeps."""


@dataclass(frozen=True, eq=False, slots=True)
class FoundInstances:
    """All instances that one prompt found on one frame.

    masks: (n, H, W) bool, at the size of the frame. boxes: (n, 4) float32 xyxy in pixels. scores: (n,) float32, 0..1.
    """

    masks: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, masks: ArrayLike, size: tuple[int, int], scores: ArrayLike) -> Self:
        """Masks (H, W) of a frame of `size` (width, height), with their tight boxes."""
        width, height = size
        stacked = np.array(masks, bool).reshape(-1, height, width)
        boxes = [mask.box if (mask := Mask.from_full(full)) else (0, 0, 0, 0) for full in stacked]
        return cls(stacked, np.array(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32))


@dataclass(frozen=True, slots=True)
class Prompt:
    """Example boxes and points in pixels, with or without a phrase. Label 1 is a positive example, 0 a negative one."""

    phrase: str | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    box_labels: tuple[int, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    point_labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectClicks:
    """What describes one object, in pixels: clicks, a box around it, or both.

    points: xy; label 1 is on the object, 0 beside it. box: xyxy. candidates: ask for three masks instead of the best.
    earlier: a mask of the object that the clicks correct.
    """

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    candidates: bool = False
    earlier: Mask | None = None


class SegmenterSession(Protocol):
    """One medium; each frame is encoded once and prompted many times. `threshold`: minimum score, None for default."""

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> Sequence[FoundInstances]:
        """All instances of each phrase on one frame, best first; one result per phrase, in order."""
        ...

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        """All instances on one frame that match the examples and the phrase of a prompt."""
        ...


@runtime_checkable
class ObjectSession(Protocol):
    """A session that can also segment one object by clicks."""

    def segment_object(self, clicks: ObjectClicks, frame: int = 0) -> FoundInstances:
        """The mask of one object on one frame, or its candidates; the scores are predicted IoUs.

        Raises `InputError` if the weights cannot do that.
        """
        ...


@runtime_checkable
class ClosableSession(Protocol):
    """A session that holds much memory until it is closed."""

    def close(self) -> None:
        """Let go of the encoded frames; a frame that is prompted again is encoded again."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Opens media. `name` is reported in answers and traces."""

    @property
    def name(self) -> str:
        """The weights in use, e.g. "tiny"."""
        ...

    def open(self, media: Media) -> SegmenterSession:
        """A session on a medium, with its first frame encoded."""
        ...


class LocalSegmenter:
    """The image model in this process. The weights are loaded when the first medium is opened, and kept.

    Safe to call from any thread; calls run one at a time, because one call uses all cores.
    """

    def __init__(
        self, weights: str = "tiny", device: str = "auto", dtype: str = "auto", *, model: LocalModel | None = None
    ) -> None:
        """model: a model to share with a tracker, in place of `weights`, `device` and `dtype`."""
        self.model = model or LocalModel(weights, device, dtype)
        self.name = self.model.weights
        self._lock = threading.Lock()

    def open(self, media: Media) -> SegmenterSession:
        """Encode the first frame. Raises `CheckpointError` if the weights cannot be loaded."""
        with self._lock:
            still_wanted()
            return _LocalSession(self.model.image_predictor(), media, self._lock, self.name)


class _LocalSession:
    """A predictor and the encoded frames of one medium."""

    def __init__(self, predictor: Any, media: Media, lock: threading.Lock, weights: str) -> None:
        self._predictor = predictor
        self.knowledge = _knowledge(predictor, weights)
        self._media = media
        self._lock = lock
        self._encoded: OrderedDict[int, Any] = OrderedDict()
        self._encode(0)

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> Sequence[FoundInstances]:
        meant = [self.knowledge.meant(phrase) or (phrase,) for phrase in phrases]
        with self._lock:
            still_wanted()
            encoded = self._encode(frame)
            found = [
                [
                    _of_one_prompt(one)
                    for one in self._predictor.predict(encoded, list(some), threshold=_threshold(threshold))
                ]
                for some in meant
            ]
        return [results[0] if len(results) == 1 else _merged(results) for results in found]

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        return self._predictor.unread_words(phrase)

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        with self._lock:
            found = self._predictor.predict_prompt(
                self._encode(frame),
                phrase=prompt.phrase,
                boxes=np.asarray(prompt.boxes, np.float32).reshape(-1, 4),
                box_labels=list(prompt.box_labels),
                points=np.asarray(prompt.points, np.float32).reshape(-1, 2),
                point_labels=list(prompt.point_labels),
                threshold=_threshold(threshold),
            )
        return _of_one_prompt(found)

    def _encode(self, frame: int) -> Any:
        """The encoded frame; the caller holds the lock."""
        kept = self._encoded
        if frame not in kept:
            kept[frame] = self._predictor.encode(self._media.frame(frame))
        kept.move_to_end(frame)
        while len(kept) > ENCODED_FRAMES:
            kept.popitem(last=False)
        return kept[frame]

    def close(self) -> None:
        self._encoded = OrderedDict()  # without the lock, which a thread that was given up may hold for long

    def segment_object(self, clicks: ObjectClicks, frame: int = 0) -> FoundInstances:
        with self._lock:
            encoded = self._encode(frame)
            found = self._predictor.predict_object(
                encoded,
                points=clicks.points or None,
                point_labels=clicks.labels or None,
                box=clicks.box,
                mask=_logits(clicks.earlier, self._predictor),
                multimask=True if clicks.candidates else None,
            )
        found = found if clicks.candidates else found.best
        return FoundInstances.of(found.masks, encoded.size, found.ious)


def _of_one_prompt(found: Any) -> FoundInstances:
    return FoundInstances(found.masks, found.boxes, found.scores)


def _merged(results: Sequence[FoundInstances]) -> FoundInstances:
    """The instances of several phrases as one result, best first; of two masks of one object the better one stays."""
    masks = np.concatenate([result.masks for result in results])
    boxes = np.concatenate([result.boxes for result in results])
    scores = np.concatenate([result.scores for result in results])
    kept = list[int]()
    for row in np.argsort(-scores, kind="stable"):
        if all(_overlap(masks[row], masks[other]) < SAME_OBJECT for other in kept):
            kept.append(int(row))
    return FoundInstances(masks[kept], boxes[kept], scores[kept])


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two masks (H, W)."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def _logits(mask: Mask | None, predictor: Any) -> np.ndarray | None:
    """A mask as low-resolution logits (1, side, side), as a predictor with interactive heads reads it."""
    if mask is None or predictor.interactive is None:
        return None
    from sam3model.video.session_prompts import previous_mask

    return previous_mask(mask.to_rle(), predictor.interactive.prompt_encoder.mask_side)[0].numpy()


def _knowledge(predictor: Any, weights: str) -> WeightsKnowledge:
    """What the weights of a predictor know."""
    report = getattr(predictor, "report", None)
    return knowledge_from(weights, report.metadata if report else {})


def _threshold(given: float | None) -> float:
    return DEFAULT_THRESHOLD if given is None else given
