"""What weights know, judged from their training record: which words, and whether they have seen photographs."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol, runtime_checkable

from sam3model.errors import Sam3Error

GENERIC = ("object", "thing", "item", "anything", "something", "everything")
"""Nouns that mean every kind there is."""

DRAWN_ONLY = "knows drawn scenes only"
"""What a notice says about weights that have seen no photographs."""
_DRAWN = "playground"
"""Training sources that are drawn scenes begin with this."""
_GROUPS = {
    "person": ("player", "referee"), "human": ("player", "referee"), "people": ("player", "referee"),
    "man": ("player", "referee"), "guy": ("player", "referee"),
    "animal": ("cat", "dog", "fish", "bird", "butterfly", "turtle"),
    "vehicle": ("car", "truck", "bus", "bicycle", "boat", "plane", "rocket"), "fruit": ("apple", "banana", "pear"),
    "food": ("apple", "banana", "pear", "cake"), "plant": ("tree", "flower", "cactus", "mushroom"),
    "shape": ("star", "heart", "triangle", "square", "ring", "cross"),
}  # fmt: skip
_PATTERNS = ("striped", "dotted", "small", "large", "in", "wearing", "and")


@dataclass(frozen=True, slots=True)
class WeightsKnowledge:
    """What weights know.

    weights: their name. kinds: every kind of object of their training data in the singular; empty if it is open.
    words: all words of their phrases. drawn_only: whether they were trained on drawn scenes alone.
    """

    weights: str = ""
    kinds: tuple[str, ...] = ()
    words: frozenset[str] = field(default=frozenset(), repr=False)
    drawn_only: bool = False

    @property
    def notice(self) -> str:
        """What to know before trusting these weights on a photograph; empty if there is nothing to say."""
        if not self.drawn_only:
            return ""
        name = "sam3-tiny" if self.weights == "tiny" else self.weights
        return f"{name} {DRAWN_ONLY}; for photographs use --weights facebook/sam3"

    def unknown(self, phrase: str) -> tuple[str, ...]:
        """Words of a phrase that the weights were not trained on; always empty if their data is open."""
        if not self.kinds:
            return ()
        return tuple(word for word in phrase.split() if word not in self.words and word not in _GENERAL)

    def meant(self, phrase: str) -> tuple[str, ...]:
        """The phrases to search for one whose noun is general, "red object" or "person": one per kind that it means.

        Empty if its noun is not general, or if the training data is open.
        """
        words = phrase.split()
        at = next((i for i, word in enumerate(words) if word in _GENERAL), None)
        if at is None or not self.kinds or any(word in self.kinds for word in words):
            return ()
        kinds = [kind for kind in _GROUPS.get(words[at], self.kinds) if kind in self.kinds]
        return tuple(" ".join([*words[:at], kind, *words[at + 1 :]]) for kind in kinds)

    def suggestion(self, word: str) -> str | None:
        """The known word that is most like an unknown one; None if none is."""
        return next(iter(get_close_matches(word, sorted(self.words), n=1, cutoff=0.75)), None)


_GENERAL = frozenset((*GENERIC, *_GROUPS))


@runtime_checkable
class Knowing(Protocol):
    """A session that can say what its weights know."""

    @property
    def knowledge(self) -> WeightsKnowledge:
        """What the weights know."""
        ...

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        """The last words of a phrase that do not fit into the text window, so that they change nothing."""
        ...


OPEN = WeightsKnowledge()
"""Nothing is known about the weights."""


def knowledge_of(session: object) -> WeightsKnowledge:
    """What the weights of a session know."""
    return session.knowledge if isinstance(session, Knowing) else OPEN


def unread_words(session: object, phrase: str) -> tuple[str, ...]:
    """The last words of a phrase that the weights of a session do not read."""
    return session.unread_words(phrase) if isinstance(session, Knowing) else ()


def unread_warning(phrase: str, unread: Collection[str]) -> str:
    """The sentence about words that are not read."""
    return f'the phrase is longer than the text window of the weights; these words are not read: "{" ".join(unread)}"'


def knowledge_from(weights: str, metadata: Mapping[str, str]) -> WeightsKnowledge:
    """What weights with this header know. Without a readable record nothing is assumed."""
    if not str(_source(metadata)).startswith(_DRAWN):
        return WeightsKnowledge(weights)
    return drawn_knowledge(weights)


def drawn_knowledge(weights: str) -> WeightsKnowledge:
    """The knowledge of weights that were trained on Playground."""
    from sam3model.playground.kinds import KINDS
    from sam3model.playground.palette import COLOURS

    names = {name for kind in KINDS.values() for pair in ((kind.name, kind.plural), *kind.synonyms) for name in pair}
    return WeightsKnowledge(weights, tuple(KINDS), frozenset({*names, *COLOURS, *_PATTERNS}), drawn_only=True)


def read_knowledge(weights: str) -> WeightsKnowledge:
    """What weights on disk know, from their header alone. Raises `CheckpointError` if they are unreadable."""
    from sam3model.checkpoint import find_weights
    from sam3model.checkpoint.tensor_files import open_tensors

    path = find_weights(weights, download=False)
    if path.is_file() and path.suffix != ".safetensors":
        return WeightsKnowledge(weights)
    return knowledge_from(weights, open_tensors(path).metadata)


def notice_of(weights: str) -> str:
    """What to know before trusting weights on a photograph; empty if they say nothing, or cannot be read."""
    try:
        return read_knowledge(weights).notice
    except Sam3Error:
        return ""


def _source(metadata: Mapping[str, str]) -> Any:
    """The data source in the training record of the detector; None if there is no record."""
    try:
        return json.loads(metadata["training"])["settings"]["data"]["source"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
