"""The phrases and exemplars of a session, in the order in which they were given."""

from collections.abc import Callable, Iterable, Sequence

from sam3model.errors import InputError
from sam3model.structures import VISUAL, TextTokens
from sam3model.untrusted import clean_line
from sam3model.video.frame_detector import Concepts, Exemplars


class ConceptList:
    """What a session looks for. A concept keeps its place, and objects that it finds carry this index."""

    def __init__(self, encode: Callable[[Sequence[str]], TextTokens]) -> None:
        """encode: phrases -> their text tokens."""
        self._encode = encode
        self._exemplars: list[Exemplars | None] = []
        self.names: list[str | None] = []
        self.concepts: Concepts | None = None

    def add_phrases(self, phrases: Sequence[str]) -> None:
        """Add those phrases that are new. Raises `InputError` for an empty phrase, or a string instead of a list."""
        if isinstance(phrases, str) or not isinstance(phrases, Iterable):
            given = "one string" if isinstance(phrases, str) else type(phrases).__name__
            raise InputError(f"phrases must be a list of phrases, not {given}")
        given = list(phrases)
        if not given or any(not isinstance(phrase, str) or not clean_line(phrase) for phrase in given):
            raise InputError("a phrase is empty: give short noun phrases, e.g. 'red ball'")
        known = {_key(name) for name in self.names}
        new = {_key(phrase): " ".join(phrase.split()) for phrase in given if _key(phrase) not in known}
        self._change([*self.names, *new.values()], [*self._exemplars, *(None for _ in new)])

    def add_exemplars(self, exemplars: Exemplars, phrase: str | None) -> None:
        """Add exemplars: to their phrase, in place of earlier ones, or as a concept of their own (None)."""
        if phrase is not None and (not isinstance(phrase, str) or not clean_line(phrase)):
            raise InputError("the phrase is empty: leave it out, or give a short noun phrase, e.g. 'red ball'")
        keys = [_key(name) for name in self.names]
        if phrase is None or _key(phrase) not in keys:
            name = None if phrase is None else " ".join(phrase.split())
            self._change([*self.names, name], [*self._exemplars, exemplars])
            return
        changed = list(self._exemplars)
        changed[keys.index(_key(phrase))] = exemplars
        self._change(self.names, changed)

    def _change(self, names: list[str | None], exemplars: list[Exemplars | None]) -> None:
        text = self._encode([VISUAL if name is None else name for name in names])
        self.concepts = Concepts(tuple(names), text, tuple(exemplars))
        self.names, self._exemplars = names, exemplars


def _key(name: str | None) -> str | None:
    """Phrases that the tokenizer reads alike have one key."""
    return None if name is None else " ".join(name.lower().split())
