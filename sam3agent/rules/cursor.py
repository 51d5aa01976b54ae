"""A place in the words of a question."""

from functools import cache

from sam3agent.rules.question_text import NotRead

MAX_LOOKS = 6000
"""How often the words ahead may be compared: readings of a hopeless text multiply. A usual question needs 200."""


class Cursor:
    """Reads tokens from left to right. Whatever is not taken is not understood."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.notes: list[str] = []
        self._looks = 0

    def peek(self, ahead: int = 0) -> str:
        """A token, by default the next one; empty after the last."""
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else ""

    def seen(self, *phrases: str) -> str:
        """The longest of the phrases that comes next; empty if none does."""
        self._looks += 1
        if self._looks > MAX_LOOKS:
            raise NotRead("the question is too complicated for the built-in rules")
        fitting = (phrase for phrase in phrases if self._comes(phrase))
        return max(fitting, key=lambda phrase: len(_split(phrase)), default="")

    def take(self, *phrases: str) -> str:
        """Step over the longest of the phrases that comes next, and return it; empty if none does."""
        found = self.seen(*phrases)
        self.at += len(_split(found))
        return found

    def next(self) -> str:
        """Step over one token and return it."""
        self.at += 1
        return self.tokens[self.at - 1]

    def refuse(self, why: str = "") -> NotRead:
        """The error for the rest of the question from here."""
        rest = " ".join(self.tokens[self.at :]).replace(" ,", ",")
        if why:
            return NotRead(why)
        return NotRead(f'"{rest[:80]}" was not understood' if rest else "the question ends too early")

    def _comes(self, phrase: str) -> bool:
        words = _split(phrase)
        return all(self.peek(ahead) == word for ahead, word in enumerate(words))


@cache
def _split(phrase: str) -> tuple[str, ...]:
    return tuple(phrase.split())
