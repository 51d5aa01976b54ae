"""A segmenter with perfect masks that reads carelessly: nouns, colours, patterns and sizes; it skips the rest.

With it, only the understanding of questions is measured. Like a small model, it does not mind words that it does not
know, so a grammar that lets "half" or "than" through gets masks for them.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sam3agent.knowledge import drawn_knowledge
from sam3agent.media import Media
from sam3agent.segmenter import FoundInstances, Prompt
from sam3model.errors import InputError
from sam3model.playground.clip import ClipObject
from sam3model.playground.kinds import KINDS
from sam3model.playground.palette import COLOURS
from sam3model.playground.scene import Scene, SceneObject

SCORE = 0.95
ANYTHING = {"object", "thing", "item", "anything", "something"}
PEOPLE = {"person", "people", "human", "man", "guy"}

_NOUNS = {
    word: kind.name
    for kind in KINDS.values()
    for word in (kind.name, kind.plural, *(name for pair in kind.synonyms for name in pair))
}


class TrueMasks:
    """A `Segmenter` for known scenes, recognised by their pixels."""

    name = "true masks"

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = {_digest(scene.image): scene for scene in scenes}

    def open(self, media: Media) -> "TrueMaskSession":
        """The masks of a scene. Raises `InputError` for any other image."""
        scene = self._scenes.get(_digest(np.asarray(media.frame(0))))
        if scene is None:
            raise InputError("true masks are known of Playground scenes of this benchmark only")
        return TrueMaskSession(scene)


class TrueMaskSession:
    """The objects of one scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.knowledge = replace(drawn_knowledge("true masks"), drawn_only=False)

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        """None: there is no text window."""
        return ()

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        """All objects with the first noun of each phrase and all its attributes."""
        return [self._found(phrase) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        """The same for the phrase of a prompt."""
        return self._found(prompt.phrase or "")

    def _found(self, phrase: str) -> FoundInstances:
        chosen = [self._scene.objects[i] for i in fitting(self._scene.objects, phrase)]
        height, width = self._scene.image.shape[:2]
        return FoundInstances.of([one.mask for one in chosen], (width, height), np.full(len(chosen), SCORE))


def fitting(objects: Sequence[SceneObject | ClipObject], phrase: str) -> list[int]:
    """Places of the objects that have the first noun of a phrase and all its attributes."""
    words = re.findall(r"\w+", phrase.lower())
    return [i for i, one in enumerate(objects) if _fits(one, words)]


def _fits(one: SceneObject | ClipObject, words: Sequence[str]) -> bool:
    noun = next((word for word in words if word in _NOUNS or word in ANYTHING or word in PEOPLE), None)
    if noun is None:
        return False
    kinds = {"player", "referee"} if noun in PEOPLE else {one.kind} if noun in ANYTHING else {_NOUNS[noun]}
    colours, patterns, sizes = (
        {word for word in words if word in known} for known in (COLOURS, ("striped", "dotted"), ("small", "large"))
    )
    return (
        one.kind in kinds
        and (not colours or one.colour in colours)
        and (not patterns or one.pattern in patterns)
        and (not sizes or one.size in sizes)
    )


def _digest(pixels: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(pixels).tobytes(), digest_size=16).digest()
