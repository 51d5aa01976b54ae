"""Reads what an object of a clip does: a verb with its order, its side, its object, and what it is before or after."""

from dataclasses import replace
from functools import cache
from typing import Literal

from sam3agent.rules.clip_lexicon import (
    BALLS,
    MEASURES,
    MOMENTARY,
    PAIR_VERBS,
    SIDE_WORDS,
    VERBS,
    gerund_readings,
    readings,
)
from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.grammar import QuestionReader
from sam3agent.rules.lexicon import SIDES
from sam3agent.rules.question_plan import Happening, Side
from sam3agent.rules.question_text import NotRead
from sam3agent.rules.words import ORDINALS

_NEVER = ("does not", "do not", "did not", "never", "does never", "do never", "has not", "have not")
_Order = tuple[int, int]
"""Place in the order of time, 0 for none, and how many from there."""


class EventReader(QuestionReader):
    """What objects do. A noun phrase that a verb must follow ends before the verb: "which dog leaves"."""

    _before_verb = False
    _noun_at: int | None = None
    _verb_end = -1

    def noun(self, draft: PhraseDraft) -> None:
        """Adjectives and noun; refuses "the ball kicked by the player", which is no noun."""
        self._noun_at, self._before_verb = (self.at if self._before_verb else None), False
        try:
            super().noun(draft)
        finally:
            self._noun_at = None
        if (
            self.peek() == "by"
            and draft.adjectives
            and (draft.noun.endswith("ed") or draft.noun in ("overtaken", "hit"))
        ):
            self.at -= 1
            raise self.refuse()

    def is_content(self, ahead: int = 0) -> bool:
        """Whether a token can be an adjective or a noun; where a verb must follow the noun, a verb is none."""
        if self._noun_at is not None and ahead == 0 and self.at > self._noun_at and self._verb_ahead():
            return False
        return super().is_content(ahead)

    def _verb_ahead(self) -> bool:
        """Whether a verb comes next, and not a noun such as "stop sign"."""
        place = self.at
        words = (_measure_words(), _pair_words(), _verb_words())
        found = any(self._longest(table) for table in words) and not super().is_content()
        self.at = place
        return found

    def _does_ahead(self) -> bool:
        """Whether something that an object does comes next."""
        place = self.at
        negated = bool(self.take(*_NEVER))
        found = negated or any(self._longest(table) for table in (_measure_words(), _pair_words(), _verb_words()))
        self.at = place
        return found

    def _happens(self, draft: PhraseDraft, order: _Order = (0, 1)) -> bool:
        """A verb with all that belongs to it."""
        place = self.at
        if not order[0] and (measure := self._longest(_measure_words())):
            words, count = " ".join(self.tokens[place : self.at]), draft.number or 1
            draft.number = None
            return self._told(draft, Happening(measure, words, order=1, count=count))
        negated = bool(self.take(*_NEVER))
        return self._does(draft, _pair_words(), _verb_words(), negated, order, place)

    def _participle(self, draft: PhraseDraft) -> bool:
        """ "leaving the picture", "not moving"; after "the first dog", an order of time."""
        place = self.at
        negated = bool(self.take("not"))
        pairs, verbs = _pair_gerunds(), _verb_gerunds()
        counted = draft.start is not None and draft.axis is None
        order = (draft.start or 0, draft.number or 1) if counted else (0, 1)
        found = self._does(draft, pairs, verbs, negated, order, place)
        if found and counted:
            draft.start = draft.number = None
        return found

    def _participle_ahead(self) -> bool:
        """Whether "leaving" or another verb of motion in -ing comes next."""
        place = self.at
        found = bool(self._longest(_verb_gerunds()))
        self.at = place
        return found

    def _does(
        self,
        draft: PhraseDraft,
        pairs: dict[str, str],
        verbs: dict[str, str],
        negated: bool,
        order: _Order,
        place: int,
    ) -> bool:
        """A verb of one of two tables with all that belongs to it; back to `place` if there is none."""
        if name := self._longest(pairs):
            return self._done_to(draft, name, " ".join(self.tokens[place : self.at]), negated, order)
        name = self._longest(verbs)
        if not name:
            self.at = place
            return False
        side = self._side_of(name)
        words = " ".join(self.tokens[place : self.at])
        order = self._order_after(draft, order, name, words, negated)
        if name == "moves":  # "do not move" is a verb of its own, and "move" its opposite
            name, negated = "stays", not negated
        return self._told(draft, self._compared(Happening(name, words, negated, *order, side=side)))

    def _done_to(self, draft: PhraseDraft, name: str, words: str, negated: bool, order: _Order) -> bool:
        """A verb and its object."""
        anchor = self.noun_phrase(anchor=True)
        if anchor.pronoun or anchor.bare or anchor.options:
            anchor.lend(draft if anchor.pronoun and draft.noun else PhraseDraft(noun="object"))
        targets = tuple(anchor.targets())
        if name == "touches" and any(target.what.noun not in BALLS for target in targets):
            raise NotRead(f'touches are measured of a ball only, and not of "{targets[0].what.noun}"')
        if name == "approaches":
            if negated:
                raise NotRead(f'"{words}" was not understood')
            order = (1, 1)
        else:
            order = self._order_after(draft, order, name, words, negated)
        happening = Happening(name, words, negated, *order, anchors=targets)
        return self._told(draft, self._compared(happening))

    def _told(self, draft: PhraseDraft, happening: Happening) -> bool:
        """Put a happening on a phrase; what stands right behind it may not say where the object is."""
        draft.happenings.append(happening)
        self._verb_end = self.at
        return True

    def _order_after(self, draft: PhraseDraft, order: _Order, name: str, words: str, negated: bool) -> _Order:
        """ "first" or "last" after the verb; how many is said before it."""
        if order[0] == 0 and self.peek() in ORDINALS and not self.is_content(1):
            order = ORDINALS[self.next()], draft.number or 1
            draft.number = None
        if order[0] and (negated or name not in MOMENTARY):
            hint = ': say "starts moving"' if name == "moves" else ""
            raise NotRead(f'"{words}" is at no moment, so that there is no first or last{hint}')
        return order

    def _side_of(self, name: str) -> Side | None:
        """ "from the left", "on the right side" after enters and leaves."""
        place = self.at
        if name in ("enters", "leaves", "returns") and self.take(*SIDE_WORDS) and self.peek() in SIDES:
            side = SIDES[self.next()]
            self.take("side", "edge", "hand side", "border")
            return side
        self.at = place
        return None

    def _compared(self, happening: Happening) -> Happening:
        """ "before the bus leaves"."""
        word = self.take("before", "after")
        if not word:
            return happening
        anchor = PhraseDraft()
        self.before_noun(anchor)
        self._before_verb = True
        self.noun(anchor)
        while not self._happens(anchor, self._order_of(anchor)):
            if not super()._modifier(anchor, anchor=True):
                raise self.refuse()
        if anchor.pronoun or anchor.bare or anchor.many:
            raise NotRead(f'"{word}" needs one object, named with a noun, and what it does')
        for one in (happening, anchor.happenings[-1]):
            if one.name not in MOMENTARY or (one is not happening and one.negated):
                raise NotRead(f'"{one.words}" is at no moment, so that nothing is before or after it')
        which: Literal["before", "after"] = "before" if word == "before" else "after"
        return replace(happening, compared=(which, anchor.target()))

    def _order_of(self, draft: PhraseDraft) -> _Order:
        """The order of "the second car", which is one of time if a verb follows; taken from the phrase."""
        if draft.start is None or draft.axis is not None or not self._does_ahead():
            return 0, 1
        order = draft.start, draft.number or 1
        draft.start = draft.number = None
        return order

    def _longest(self, words: dict[str, str]) -> str:
        """What the longest of some words means that comes next; empty if none does."""
        for length in range(min(9, len(self.tokens) - self.at), 0, -1):
            text = " ".join(self.tokens[self.at : self.at + length])
            if text in words:
                self.at += length
                return words[text]
        return ""


@cache
def _verb_words() -> dict[str, str]:
    return readings(VERBS)


@cache
def _pair_words() -> dict[str, str]:
    return readings(PAIR_VERBS)


@cache
def _measure_words() -> dict[str, str]:
    return readings(MEASURES)


@cache
def _verb_gerunds() -> dict[str, str]:
    return gerund_readings(VERBS)


@cache
def _pair_gerunds() -> dict[str, str]:
    return gerund_readings(PAIR_VERBS)
