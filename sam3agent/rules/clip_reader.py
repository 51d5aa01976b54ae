"""Reads questions about clips: those about images, and what objects do over time.

    "the last player to leave the picture"               -> player, last to leave
    "the car that stops before the bus comes in"         -> car, stops before bus enters
    "the dog in the picture at the end that was leftmost at the start"

A word that no rule takes makes the plan an objection that names it, as in `grammar`.
"""

from functools import cache
from typing import Literal

from sam3agent.rules.clip_lexicon import (
    ADJECTIVES,
    END,
    GONE,
    MEASURES,
    PAIR_VERBS,
    PRESENT,
    SIDE_WORDS,
    START,
    VERBS,
    readings,
)
from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.grammar import QuestionReader
from sam3agent.rules.lexicon import AXES, GENERIC, SIDES
from sam3agent.rules.question_plan import Happening, QuestionPlan, Target, When
from sam3agent.rules.question_text import NotRead, read_tokens
from sam3agent.rules.words import ORDINALS

_NEVER = ("does not", "do not", "did not", "never", "does never", "do never", "has not", "have not")


def parse_clip_question(query: str) -> QuestionPlan:
    """The plan of a question about a clip. Never fails: what is not understood becomes the objection of the plan."""
    try:
        reader = ClipReader(read_tokens(query))
        targets = tuple(target for draft in reader.question() for target in draft.targets())
    except NotRead as refused:
        return QuestionPlan((), objection=str(refused))
    if any(target.when is None and _placed(target) for target in targets):
        reader.notes.append("the question does not say when: places are those at the start of the clip")
    return QuestionPlan(targets, tuple(dict.fromkeys(reader.notes)))


def _placed(target: Target) -> bool:
    return bool(target.sides or target.relation or target.ranking)


class ClipReader(QuestionReader):
    """A whole question about a clip."""

    _before_verb = False

    def is_content(self, ahead: int = 0) -> bool:
        """Whether a token can be an adjective or a noun; where a verb must follow, a verb is none."""
        if self._before_verb and ahead == 0:
            place = self.at
            verb = self._longest(_verb_words())
            self.at = place
            if verb:
                return False
        return super().is_content(ahead)

    def before_noun(self, draft: PhraseDraft) -> None:
        """Also superlatives of motion: "the fastest red car"."""
        super().before_noun(draft)
        while self.peek() in ADJECTIVES and not draft.happenings:
            word = self.next()
            draft.happenings.append(Happening(ADJECTIVES[word], word, order=draft.start or 1, count=draft.number or 1))
            draft.start = draft.number = None
            super().before_noun(draft)

    def noun_phrase(self, *, anchor: bool = False) -> PhraseDraft:
        """A noun phrase; an order without a verb is one of places."""
        draft = super().noun_phrase(anchor=anchor)
        if draft.kind:
            raise self.refuse()
        return draft

    def _first(self, asked: str) -> PhraseDraft:
        """Also "who enters last" and "whatever leaves first"."""
        place = self.at
        word = self.peek()
        if asked == "" and word in GENERIC and not self.is_content():
            self.next()
            draft = PhraseDraft(noun=GENERIC[word], asked=True)
            if self._happens(draft):
                self.after_noun(draft)
                return draft
        self.at = place
        return super()._first(asked)

    def _relative(self, draft: PhraseDraft) -> bool:
        """Also what an object does: "that stops", "who was leftmost at the start"."""
        place = self.at
        self.take("and")
        named = bool(self.take("that", "which", "who"))
        if (named or (self.at > place and draft.happenings)) and self._happens(draft):
            return True
        if (named or self.at > place) and self._was(draft):
            return True
        self.at = place
        return super()._relative(draft)

    def _was(self, draft: PhraseDraft) -> bool:
        """ "is leftmost at the end", "was in the picture at the start", "are gone", "is the first to stop"."""
        place = self.at
        if not self.take("is", "are", "was", "were"):
            return False
        if self._first_to(draft) or self._gone(draft) or self._present(draft) or self._outermost(draft):
            return True
        if self._predicate_ahead() or self.seen(
            "the", "leftmost", "rightmost", "topmost", "bottommost", *SIDES, "closest", "nearest"
        ):
            self._predicates(draft)
            self._when(draft)
            return True
        if self._extreme_word(draft):
            self._when(draft)
            return True
        self.at = place
        return False

    def _outermost(self, draft: PhraseDraft) -> bool:
        """ "leftmost at the start", after "was"."""
        place = self.at
        self.take("the")
        if (side := AXES.get(self.peek())) in ("left", "right", "top", "bottom"):
            word = self.next()
            self.take("one")
            if time := self._time():
                draft.happenings.append(Happening("outermost", word, side=side, when=time))
                return True
        self.at = place
        return False

    def _extreme_word(self, draft: PhraseDraft) -> bool:
        place = self.at
        try:
            return self._predicate(draft)
        except NotRead:
            self.at = place
            return False

    def _verb(self, draft: PhraseDraft) -> bool:
        """Also verbs of motion, after "which car"."""
        return self._happens(draft) or self._was(draft) or super()._verb(draft)

    def _modifier(self, draft: PhraseDraft, *, anchor: bool, comma: bool = False) -> bool:
        """Also times, "to leave the picture" after an order, and "in the picture at the end"."""
        if self._present(draft):
            return True
        if not anchor and self._when(draft):
            return True
        if draft.start is not None and draft.axis is None and self.seen("to") and self._to(draft):
            return True
        return super()._modifier(draft, anchor=anchor, comma=comma)

    def _when(self, draft: PhraseDraft) -> bool:
        """ "at the start", "in the last frame", "in frame 12", "after 2 seconds"."""
        if draft.when is not None or (draft.start is not None and draft.axis is None):
            return False
        time = self._time()
        if time is None:
            return False
        if not (draft.axis or draft.relation or draft.sides or draft.before):
            draft.happenings.append(Happening("present", "there", when=time))
        else:
            draft.when = time
        return True

    def _time(self) -> When | None:
        place = self.at
        if self.take(*START):
            return When("start")
        if self.take(*END):
            return When("end")
        if self.take("in frame", "on frame", "at frame") and self.peek().isdecimal():
            return When("frame", float(self.next()))
        self.at = place
        if self.take("after", "at") and self.peek().isdecimal() and self.peek(1) in ("seconds", "second", "s"):
            value = float(self.next())
            self.next()
            return When("second", value)
        self.at = place
        return None

    def _present(self, draft: PhraseDraft) -> bool:
        """ "in the picture at the end"; without a time, the words say nothing."""
        place = self.at
        if self.take(*PRESENT) and (time := self._time()):
            draft.happenings.append(Happening("present", "there", when=time))
            return True
        self.at = place
        return False

    def _gone(self, draft: PhraseDraft) -> bool:
        """ "is gone at the end": there before, and not then."""
        place = self.at
        if self.take(*GONE):
            time = self._time() or When("end")
            draft.happenings.append(Happening("present", "there", negated=True, when=time))
            return True
        self.at = place
        return False

    def _to(self, draft: PhraseDraft) -> bool:
        """ "to leave the picture", after "the first player"."""
        place, order, count = self.at, draft.start or 1, draft.number or 1
        self.next()
        if self._happens(draft, order=(order, count)):
            draft.start = draft.number = None
            return True
        self.at = place
        return False

    def _first_to(self, draft: PhraseDraft) -> bool:
        """ "the first to leave", after "is"."""
        place = self.at
        self.take("the")
        if self.peek() in ORDINALS:
            order = ORDINALS[self.next()]
            self.take("one", "ones")
            if self.take("to") and self._happens(draft, order=(order, 1)):
                return True
        self.at = place
        return False

    def _happens(self, draft: PhraseDraft, order: tuple[int, int] = (0, 1)) -> bool:
        """A verb with all that belongs to it."""
        place = self.at
        if measure := self._longest(_measure_words()):
            draft.happenings.append(Happening(measure, " ".join(self.tokens[place : self.at]), order=1))
            return True
        negated = bool(self.take(*_NEVER))
        if name := self._longest(_pair_words()):
            words = " ".join(self.tokens[place : self.at])
            return self._done_to(draft, name, words, negated, order)
        name = self._longest(_verb_words())
        if not name:
            self.at = place
            return False
        side = self._side_of(name)
        if name == "moves":  # "do not move" is a verb of its own, and "move" its opposite
            name, negated = "stays", not negated
        words = " ".join(self.tokens[place : self.at])
        order = self._order_after(order)
        happening = Happening(name, words, negated, *order, side=side)
        draft.happenings.append(self._compared(happening))
        return True

    def _done_to(self, draft: PhraseDraft, name: str, words: str, negated: bool, order: tuple[int, int]) -> bool:
        """A verb and its object."""
        anchor = self.noun_phrase(anchor=True)
        if anchor.pronoun or anchor.bare or anchor.options:
            anchor.lend(draft if anchor.pronoun and draft.noun else PhraseDraft(noun="object"))
        order = (1, 1) if name == "approaches" else self._order_after(order)
        happening = Happening(name, words, negated, *order, anchors=tuple(anchor.targets()))
        draft.happenings.append(self._compared(happening))
        return True

    def _order_after(self, order: tuple[int, int]) -> tuple[int, int]:
        """ "first" or "last" after the verb."""
        if order[0] == 0 and self.peek() in ORDINALS and not self.is_content(1):
            return ORDINALS[self.next()], 1
        return order

    def _side_of(self, name: str) -> "Literal['left', 'right', 'top', 'bottom'] | None":
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
        place = self.at
        word = self.take("before", "after")
        if not word or happening.name == "stays":
            self.at = place
            return happening
        anchor = PhraseDraft()
        self._before_verb = True
        self.before_noun(anchor)
        self.noun(anchor)
        self._before_verb = False
        while not self._happens(anchor):
            if not super()._modifier(anchor, anchor=True):
                raise self.refuse()
        if anchor.pronoun or anchor.bare:
            raise self.refuse()
        which: Literal["before", "after"] = "before" if word == "before" else "after"
        return Happening(
            happening.name, happening.words, happening.negated, happening.order, happening.count, happening.side,
            happening.anchors, compared=(which, anchor.target()),
        )  # fmt: skip

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
