"""A segmenter with known errors over Playground scenes: a function of the scene, the phrase and a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evals.simulated.luck import luck
from evals.simulated.phrase_words import ANYTHING, understand
from sam3agent.media import Media
from sam3agent.segmenter import FoundInstances, Prompt, SegmenterSession
from sam3model.errors import InputError
from sam3model.playground import Scene, SceneObject
from sam3model.playground.descriptions import Description


@dataclass(frozen=True)
class MaskNoise:
    """What the segmenter gets wrong; chances.

    miss: a named object is not found; half of it belongs to the object, so that other phrases miss it too.
    attribute: an object of the kind but with other attributes is found. other: any other object is found.
    part: only a part of an object is found. jitter: outlines are off by about a pixel. odd_nothing: a phrase with words
    that a segmenter does not understand finds nothing; odd_recall: else each object is found with this chance.
    and_recall: each object is found by a phrase with "and".
    """

    miss: float = 0.08
    attribute: float = 0.20
    other: float = 0.03
    part: float = 0.04
    jitter: bool = True
    odd_nothing: float = 0.4
    odd_recall: float = 0.6
    and_recall: float = 0.6


PERFECT = MaskNoise(0, 0, 0, 0, jitter=False, and_recall=1.0)


@dataclass
class NoisySegmenter:
    """Segments one scene."""

    scene: Scene
    noise: MaskNoise = field(default_factory=MaskNoise)
    seed: int = 0
    name: str = "simulated"

    def open(self, media: Media) -> SegmenterSession:
        """Itself: it knows its scene."""
        return self

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> Sequence[FoundInstances]:
        """What each phrase finds."""
        return [self._segment(" ".join(phrase.lower().split())) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        """Raises `InputError`: boxes and points are not simulated."""
        raise InputError("the simulated segmenter takes phrases only")

    def _segment(self, phrase: str) -> FoundInstances:
        described, extra = understand(phrase)
        generic = any(word in ANYTHING for word in extra)
        odd = bool(extra) and not generic
        rows = list[tuple[float, np.ndarray]]()
        if (described or generic) and not (odd and self._luck(phrase, "nothing") < self.noise.odd_nothing):
            for thing in self.scene.objects:
                score = self._score(thing, phrase, described[:1] if odd else described, generic, odd)
                if score and (mask := self._mask(thing, phrase, right=score[1])).any():
                    rows.append((score[0], mask))
        rows.sort(key=lambda row: -row[0])
        height, width = self.scene.image.shape[:2]
        return FoundInstances.of([mask for _, mask in rows], (width, height), [score for score, _ in rows])

    def _score(
        self, thing: SceneObject, phrase: str, described: Sequence[Description], generic: bool, odd: bool
    ) -> tuple[float, bool] | None:
        """The score of an object that a phrase finds, and whether it is right; None if it is not found."""
        noise = self.noise
        if generic or any(what.matches(thing) for what in described):
            recall = noise.odd_recall if odd or generic else noise.and_recall if len(described) > 1 else 1.0
            always = self._luck(thing.id, "hard?") < 0.5
            missed = self._luck(thing.id, "miss") if always else self._luck(phrase, thing.id, "miss")
            if missed < noise.miss or self._luck(phrase, thing.id, "recall") >= recall:
                return None
            return 0.6 + 0.38 * self._luck(phrase, thing.id, "score"), True
        chance = noise.attribute if any(what.kind == thing.kind for what in described) else noise.other
        if self._luck(phrase, thing.id, "false") >= chance:
            return None
        return 0.5 + 0.35 * self._luck(phrase, thing.id, "score"), False

    def _mask(self, thing: SceneObject, phrase: str, *, right: bool) -> np.ndarray:
        """The mask of an object as it is found."""
        mask = thing.mask
        if right and self._luck(phrase, thing.id, "part?") < self.noise.part:
            mask = _part(thing, self._luck(phrase, thing.id, "part"))
        return _jittered(mask, self._luck(phrase, thing.id, "jitter")) if self.noise.jitter else mask

    def _luck(self, *key: object) -> float:
        return luck((self.seed, self.scene.name), *key)


def _part(thing: SceneObject, dice: float) -> np.ndarray:
    """Less than half of an object: its top, or its left."""
    x0, y0, x1, y1 = thing.box
    keep = np.zeros_like(thing.mask)
    if dice < 0.5:
        keep[: y0 + int((y1 - y0) * 0.42)] = True
    else:
        keep[:, : x0 + int((x1 - x0) * 0.42)] = True
    return thing.mask & keep


def _jittered(mask: np.ndarray, dice: float) -> np.ndarray:
    """Grown or shrunk by a pixel, or moved by one."""
    if dice < 0.25:
        return mask | _moved(mask, 1, 0) | _moved(mask, 0, 1)
    if dice < 0.5:
        shrunk = mask & _moved(mask, 1, 0) & _moved(mask, 0, 1)
        return shrunk if shrunk.any() else mask
    return _moved(mask, 1, 0) if dice < 0.75 else _moved(mask, 0, -1)


def _moved(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    """The mask moved by at most a few pixels; what leaves the image is lost."""
    height, width = mask.shape
    out = np.zeros_like(mask)
    out[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = mask[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return out
