"""Reads questions about clips: those about images, and what objects do over time.

    "the last player to leave the picture"               -> player, last to leave
    "the car that stops before the bus comes in"         -> car, stops before bus enters
    "the dog in the picture at the end that was leftmost at the start"

A word that no rule takes makes the plan an objection that names it, as in `grammar`.
"""

from dataclasses import replace

from sam3agent.rules.clip_lexicon import (
    ADJECTIVES,
    END,
    GAITS,
    GONE,
    MOVERS,
    NO_MEASURE,
    PICTURE,
    PRESENT,
    START,
    STATES,
)
from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.event_reader import EventReader
from sam3agent.rules.lexicon import AXES, GENERIC, PRONOUNS, SIDES
from sam3agent.rules.noun_reader import ING_NOUNS
from sam3agent.rules.question_plan import SAID_OF, Happening, QuestionPlan, Target, When
from sam3agent.rules.question_text import NotRead, read_tokens
from sam3agent.rules.words import ORDINALS, singular

_SIDEWAYS = ("left", "right", "top", "bottom")


def parse_clip_question(query: str) -> QuestionPlan:
    """The plan of a question about a clip. Never fails: what is not understood becomes the objection of the plan."""
    try:
        reader = ClipReader(read_tokens(query))
        drafts = reader.question()
        targets = tuple(target for draft in drafts for target in draft.targets())
    except NotRead as refused:
        return QuestionPlan((), objection=str(refused))
    if any(target.when is None and _placed(target) for target in targets):
        reader.notes.append("the question does not say when: places are those at the start of the clip")
    if len(drafts) > 1 and drafts[-1].happenings and not any(draft.happenings for draft in drafts[:-1]):
        reader.notes.append(f'what happens {SAID_OF} "{drafts[-1].noun}" only')
    return QuestionPlan(targets, tuple(dict.fromkeys(reader.notes)))


def _placed(target: Target) -> bool:
    return bool(target.sides or target.relation or target.ranking)


class ClipReader(EventReader):
    """A whole question about a clip."""

    _clause: PhraseDraft | None = None
    """The phrase of which a clause with "that" was read last: "and leaves" goes on with it."""

    def before_noun(self, draft: PhraseDraft) -> None:
        """Also superlatives of motion, and "moving": "the fastest red car"."""
        super().before_noun(draft)
        while self.peek() in ADJECTIVES and not draft.happenings:
            word = self.next()
            if word.endswith("er"):
                self.notes.append(f'"{word}" is read as the most so of all')
            draft.happenings.append(Happening(ADJECTIVES[word], word, order=draft.start or 1, count=draft.number or 1))
            draft.start = draft.number = None
            super().before_noun(draft)
            if draft.number:  # "the fastest two cars"
                draft.happenings[-1] = replace(draft.happenings[-1], count=draft.number)
                draft.number = None
        if self.peek() in STATES and (self.is_content(1) or self.peek(1) in PRONOUNS):
            word = self.next()
            draft.happenings.append(Happening("stays", word, negated=not STATES[word]))
        if self.peek() in GAITS and any(singular(self.peek(ahead)) in MOVERS for ahead in (1, 2)):
            word = self.next()
            self.notes.append(f'"{word}" is read as moving')
            draft.happenings.append(Happening("stays", word, negated=True))
        if self.peek() in NO_MEASURE:
            raise self.refuse()

    def noun(self, draft: PhraseDraft) -> None:
        """Also none, after "the fastest"."""
        if draft.happenings and not self.is_content() and self.peek() not in ("one", "ones"):
            draft.bare = True
            return
        if self._participle_ahead():  # "those leaving"
            if self.tokens[self.at - 1] != "those":
                raise self.refuse()
            draft.pronoun = draft.plural = True
            return
        super().noun(draft)
        if draft.bare and (self.peek() in STATES or self.peek() in ADJECTIVES):
            raise self.refuse()

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
                self._clause = draft
                self.after_noun(draft)
                return draft
        self.at = place
        if asked in ("who", "what") and self._participle_ahead():
            draft = PhraseDraft(noun=GENERIC.get(asked, "object"), asked=True)
            self._participle(draft)
            self._clause = draft
            self.after_noun(draft)
            return draft
        if asked == "which" and (self._does_ahead() or word in ("happens", "happen", "occurs")):
            raise self.refuse()
        return super()._first(asked)

    def _asked_phrase(self, asked: str) -> PhraseDraft:
        """Also with a verb: "which car stops first"."""
        self._before_verb = asked in ("count", "which")
        return super()._asked_phrase(asked)

    def _relative(self, draft: PhraseDraft) -> bool:
        """Also what an object does: "that stops", "who was leftmost at the start", "and leaves"."""
        place = self.at
        comma = place > 0 and self.tokens[place - 1] == ","
        joined = bool(self.take("and"))
        going_on = (joined or comma) and self._clause is draft
        named = bool(self.take("that", "which", "who"))
        if (named or going_on) and self._clause_of(draft, going_on=joined and going_on and not named):
            self._clause = draft
            return True
        self.at = place
        if self._clause is draft and self.take("or", "and then", "then", "but", "nor") and self._does_ahead():
            self.at = place
            raise self.refuse()
        self.at = place
        found = super()._relative(draft)
        if found and named:
            self._clause = draft
        return found

    def _clause_of(self, draft: PhraseDraft, *, going_on: bool) -> bool:
        """What stands after "that", or after "and" where a clause goes on."""
        order = self._order_of(draft) if self._in_time() else (0, 1)
        if self._happens(draft, order) or self._was(draft):
            return True
        return going_on and (self._outermost(draft) or self._gone(draft) or self._present(draft))

    def _in_time(self) -> bool:
        """Whether what comes next is done at a moment: then "the first car that leaves" is an order of time."""
        place = self.at
        probe = PhraseDraft(noun="object")
        notes = list(self.notes)
        try:
            return self._happens(probe, (1, 1))
        except NotRead:
            return False
        finally:
            self.at, self.notes = place, notes

    def _was(self, draft: PhraseDraft) -> bool:
        """ "is leftmost at the end", "was in the picture at the start", "are gone", "is the first to stop"."""
        place = self.at
        if not self.take("is", "are", "was", "were"):
            return False
        if self._leaving(draft):
            return True
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

    def _leaving(self, draft: PhraseDraft) -> bool:
        """ "leaving the picture"; what a person plays other than a ball is left to the segmenter."""
        place = self.at
        try:
            return self._participle(draft)
        except NotRead:
            self.at = place
            return False

    def _outermost(self, draft: PhraseDraft) -> bool:
        """ "leftmost at the start", after "was"."""
        place = self.at
        self.take("the")
        if (side := AXES.get(self.peek())) in _SIDEWAYS:
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
        if self._happens(draft) or self._was(draft):
            self._clause = draft
            return True
        return super()._verb(draft)

    def _modifier(self, draft: PhraseDraft, *, anchor: bool, comma: bool = False) -> bool:
        """Also times, "to leave the picture" after an order, and "in the picture at the end"."""
        if self.at == self._verb_end:  # where it is then, or when that was, is not what the rest of the grammar means
            return self._shown() or (not anchor and (self._restricted(draft, comma) or self._exceptions(draft)))
        if self.seen("without") and self.peek(1).endswith("ing") and self.peek(1) not in ING_NOUNS:
            raise self.refuse()
        if self._present(draft):
            return True
        if not anchor and self._when(draft):
            return True
        if draft.start is not None and draft.axis is None and self.seen("to") and self._to(draft):
            return True
        if anchor and self._participle_ahead():
            raise self.refuse()
        if not anchor and self._leaving(draft):
            self._clause = draft
            return True
        return super()._modifier(draft, anchor=anchor, comma=comma)

    def _shown(self) -> bool:
        """Also "in the clip"."""
        place = self.at
        if self.take("in", "of", "on", "from", "within") and self.take(*PICTURE):
            return True
        self.at = place
        return super()._shown()

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
        if words := self.take(*GONE):
            time = self._time()
            if not time and words.startswith("not ") and not words.endswith("more"):
                raise NotRead(f'the question does not say when it is "{words}"')
            draft.happenings.append(Happening("present", "there", negated=True, when=time or When("end")))
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
