"""What a phrase means in Playground: descriptions of objects, and the words that are no part of one."""

from functools import lru_cache

from sam3model.playground.descriptions import Description
from sam3model.playground.kinds import KINDS
from sam3model.playground.palette import COLOURS

NOUNS = {
    word: kind.name for kind in KINDS.values() for pair in ((kind.name, kind.plural), *kind.synonyms) for word in pair
}
"""Kind by noun, singular or plural, synonyms too."""

_SMALL_WORDS = {"in", "wearing", "the", "a", "an", "all", "every", "of", "with"}
ANYTHING = {"object", "objects", "thing", "things"}


@lru_cache(maxsize=4096)
def understand(phrase: str) -> tuple[tuple[Description, ...], tuple[str, ...]]:
    """Descriptions that a phrase names (several where it says "and"), and the words that are no part of them."""
    found, extra = list[Description](), list[str]()
    for part in phrase.lower().split(" and "):
        colour = pattern = size = kind = ""
        for word in part.replace(",", " ").split():
            if word in COLOURS and not colour:
                colour = word
            elif word in ("striped", "dotted") and not pattern:
                pattern = word
            elif word in ("small", "large") and not size:
                size = word
            elif word in NOUNS and not kind:
                kind = NOUNS[word]
            elif word not in _SMALL_WORDS:
                extra.append(word)
        if kind:
            found.append(Description(kind, colour, pattern, size))
    return tuple(found), tuple(extra)
