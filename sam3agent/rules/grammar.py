"""Parses a question into a plan, and accounts for every word: used, known filler, or not understood.

    "every player except the one in blue"         -> player, except player in blue
    "the second red ball from the left"           -> red ball, second from the left
    "the two largest cars behind the green tree"  -> car, behind green tree, largest two

The question is read from left to right (`noun_reader`, `clause_reader`). A word that no rule takes makes the plan an
objection that names it; nothing is dropped. Nouns and adjectives are open: the segmenter is prompted with them.
"""

from collections.abc import Callable

from sam3agent.rules.clause_reader import ClauseReader
from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.lexicon import EXISTS, GENERIC, LEAD_IN, PRONOUNS, SHOWN, SIDES, UNION
from sam3agent.rules.question_plan import PLACE_OF, SAID_OF, QuestionPlan
from sam3agent.rules.question_text import NotRead, read_tokens
from sam3agent.rules.words import COLOURS, singular

MAX_PARTS = 8
"""How many noun phrases a question may list."""
_COUNTS = ("how many of", "how many", "count up", "count", "what is the number of", "the number of", "number of")


def parse(query: str) -> QuestionPlan:
    """The plan of a question. Never fails: what is not understood becomes the objection of the plan."""
    try:
        reader = QuestionReader(read_tokens(query))
        targets = tuple(target for draft in reader.question() for target in draft.targets())
    except NotRead as refused:
        return QuestionPlan((), objection=str(refused))
    return QuestionPlan(targets, tuple(dict.fromkeys(reader.notes)))


class QuestionReader(ClauseReader):
    """A whole question. anything: the noun that "one" stands for if there is no other."""

    anything = "object"

    def question(self) -> list[PhraseDraft]:
        """The noun phrases of the question. Raises `NotRead` if any word is left."""
        asked = self._lead_in()
        self.anything = "person" if asked == "who" else "object"
        where = "where" in self.tokens[: self.at]
        before = self._leading_clause()
        drafts = self._drafts(asked)
        said_of_one = _said_of_one(drafts)
        while self.peek() and (self.take(",", "only", "alone") or self._shown()):
            continue
        if where and not self.peek(1):
            self.take("is", "are")
        if self.peek():
            raise self.refuse()
        if before:
            self._apply(before, drafts[0])
        self._resolve(drafts)
        self.notes += said_of_one
        _give_exceptions(drafts)
        for draft in drafts:
            self.resolve_exceptions(draft)
        if (
            len(drafts) > 1
            and drafts[-1].sides
            and not any(one.sides or one.axis or one.relation for one in drafts[:-1])
        ):
            self.notes.append(f'{PLACE_OF} "{drafts[-1].noun}" only')
        if any(one.exceptions for one in drafts[1:]) and not all(one.exceptions for one in drafts):
            bounded = " and ".join(" ".join([*one.adjectives, one.noun]) for one in drafts if one.exceptions)
            self.notes.append(f'the exception is read as that of "{bounded}" only')
        if any(draft.start is not None and draft.axis is None and draft.relation for draft in drafts):
            raise self.refuse("the question does not say from where the order is counted")
        if any(draft.start is not None and draft.axis is None and not draft.before for draft in drafts):
            self.notes.append("the order is counted from the left")
        if any(draft.axis and draft.exceptions and not draft.restrictive for draft in drafts):
            self.notes.append("the exception is applied before the order")
        if any(_one_of_many(draft) for draft in drafts):
            self.notes.append("the question names several objects in an order, but not how many: the first is given")
        return drafts

    def out_list(self) -> list[PhraseDraft]:
        """The noun phrases after "except", up to the end of the list."""
        drafts = [self._out()]
        while True:
            place = self.at
            if not self.take("and", "or", "nor", ", and", ", or", ","):
                return drafts
            self.take("not", "except", "for")
            try:
                drafts.append(self._out())
            except NotRead:
                self.at = place
                return drafts

    def _out(self) -> PhraseDraft:
        word = self.take("wearing", "dressed in", "in")
        if word or (self.peek() in COLOURS and not self.is_content(1) and self.peek(1) not in PRONOUNS):
            draft = PhraseDraft(pronoun=True)
            if not self._colours(draft, "in" if word else ""):
                raise self.refuse()
            return draft
        before, self.in_exception = self.in_exception, True
        try:
            return self.noun_phrase()
        finally:
            self.in_exception = before

    def _lead_in(self) -> str:
        """Step over polite words. Returns "count", "exists", "which", "who" or "what" if the question begins so."""
        asked = ""
        while True:
            if self.take(*_COUNTS):
                self.take("of")
                return "count"
            if self.take(*EXISTS):
                return "exists"
            if self.seen("which of", "what of"):
                self.at += 2
                return "which"
            if self.peek() in ("which", "what") and self.is_content(1):
                self.next()
                return "which"
            word = self.take(*LEAD_IN)
            if not word and not (self.at and self.take(",")):
                break
            if word.endswith((" is", " are")):
                asked = word.split()[0]
        if self.peek() in ("just", "only"):
            self.next()
        return asked if asked in ("who", "what") else ""

    def _leading_clause(self) -> PhraseDraft | None:
        """ "on the left side, …", "counting from the left, …", "of the red balls, …"."""
        place = self.at
        draft = PhraseDraft(start=1)
        if self.seen("counting", "counted", "starting", "going", "from") and self._try(lambda: self._counted(draft)):
            self.take(",")
            draft.start = None
            return draft
        draft = PhraseDraft(everything=True)
        if self.seen("on", "in", "at") and self._place(draft) and self.take(","):
            return draft
        self.at, self.notes = place, []
        if self.take("out of", "of", "among", "amongst", "from"):
            draft = self.noun_phrase()
            self.take(",")
            return draft
        return None

    def _try(self, read: Callable[[], bool]) -> bool:
        place = self.at
        try:
            return read()
        except NotRead:
            self.at = place
            return False

    def _drafts(self, asked: str) -> list[PhraseDraft]:
        """The list of noun phrases."""
        drafts = [self._first(asked)]
        while True:
            place = self.at
            joint = self.take(*UNION)
            if not joint or not self.peek():
                self.at = place
                return drafts
            while self.take(*UNION):
                continue
            if self.seen("not", "but"):
                raise self.refuse()
            drafts.append(self.noun_phrase())
            self._check_list(drafts, joint, place)
            if len(drafts) > MAX_PARTS:
                raise NotRead(f"the question lists more than {MAX_PARTS} things")

    def _check_list(self, drafts: list[PhraseDraft], joint: str, place: int) -> None:
        """Refuse what is no certain list: "player in red, leftmost", "left of the cat or the dog"."""
        before, last = drafts[-2:]
        after = last.bare and last.axis and not (last.definite and before.axis)
        ahead = before.bare and before.axis and last.noun and last.only_words
        if joint == "," and (after or ahead):
            self.at = place + 1
            raise self.refuse()
        one_group = joint in ("and", "or", ",") and before.of_group and before.axis and not before.bare
        if one_group and last.only_words and last.noun:
            raise self.refuse("an order among several kinds of things is not read: ask about one kind")
        if before.relation and last.noun and last.only_words and not last.adjectives:
            if joint == "or":
                raise self.refuse(f'"or" before "{last.noun}" can name a second place or a second answer: say which')
            if joint == "and" and before.relation.kind != "between":
                self.notes.append(f'"{last.noun}" is read as part of the answer, not of the place')

    def _first(self, asked: str) -> PhraseDraft:
        place = self.at
        if asked in ("who", "what") or (asked == "" and self.peek() in GENERIC and not self.is_content()):
            generic = GENERIC.get(asked or self.peek(), "object")
            draft = PhraseDraft(noun=generic, asked=True)
            if not asked:
                self.next()
                self.take("is", "are")
            if self._predicate_ahead() or self.seen(
                "furthest", "farthest", "closest", "nearest", "to", "left", "right"
            ):
                draft.plural = True
                far = self.seen("on the far", "at the far", "to the far", "furthest", "farthest", "closest to the")
                draft.plural = not far
                self._predicates(draft)
                self.after_noun(draft)
                return draft
            self.at = place
            if not asked:
                raise self.refuse()
        if asked == "" and not self.seen("the") and self.peek() in SIDES and not self.peek(1):
            raise self.refuse()
        draft = self._asked_phrase(asked) if asked in ("count", "which", "exists") else self.noun_phrase()
        draft.asked = draft.asked or bool(asked in ("count", "exists"))
        return draft

    def _asked_phrase(self, asked: str) -> PhraseDraft:
        """The phrase after "how many" or "which", with the predicate of the question."""
        draft = PhraseDraft(asked=True)
        self.before_noun(draft)
        if self.peek() == "of":
            self.next()
        self.noun(draft)
        place = self.at
        if asked == "count":
            draft.everything = True
            self.after_noun(draft)
            if self.take(*SHOWN):
                self.after_noun(draft)
        else:
            draft.everything = asked == "exists"
            self.after_noun(draft)
            if asked == "which" and self.at == place and not draft.axis and not draft.start:
                raise self.refuse("the verb of the question was not understood" if not self.peek() else "")
            draft.plural = draft.plural or (self.tokens[place : place + 1] == ["are"])
        if draft.kind:
            raise self.refuse()
        return draft

    def _apply(self, before: PhraseDraft, draft: PhraseDraft) -> None:
        """What a leading clause says about the first noun phrase."""
        if before.noun:
            if not (draft.pronoun or draft.bare):
                raise self.refuse("the question begins with a group and ends with another")
            draft.lend(before)
            draft.sides += before.sides
            draft.relation = draft.relation or before.relation
            draft.happenings, draft.when = [*before.happenings, *draft.happenings], draft.when or before.when
            draft.plural, draft.of_group = draft.plural or draft.axis is not None, True
        draft.axis = draft.axis or before.axis
        draft.sides += before.sides if not before.noun else []
        if before.axis and draft.start is None and not draft.number:
            raise self.refuse("the question counts from a side, but does not say which")

    def _resolve(self, drafts: list[PhraseDraft]) -> None:
        """Give parts of a list without a noun the one of the next part, and "one" that of the part before."""
        for number, draft in reversed(list(enumerate(drafts))):
            later = next((d for d in drafts[number + 1 :] if not d.pronoun and not d.bare), None)
            earlier = next((d for d in reversed(drafts[:number]) if d.noun and not d.pronoun and not d.bare), None)
            if draft.bare and not draft.pronoun and later is not None:
                if draft.start is not None and draft.axis is None:
                    draft.axis = later.axis
                draft.lend(later)
                draft.plural = later.many and draft.only_words
            elif draft.pronoun or draft.bare:
                if earlier is not None and _is_all_of_it(earlier):
                    raise self.refuse(f'"{earlier.noun}" is listed beside a part of itself')
                draft.lend(earlier or PhraseDraft(noun=self.anything))
        if len(drafts) == 2 and _one_thing(drafts):
            first, second = drafts
            second.adjectives = [*first.adjectives[:1], "and", *second.adjectives]
            drafts.pop(0)


def _said_of_one(drafts: list[PhraseDraft]) -> list[str]:
    """Notes on what is said before the first of several nouns: "the leftmost player and ball"."""
    if len(drafts) < 2:
        return []
    first, second = drafts[:2]
    plain = second.only_words and not (second.adjectives or second.definite or second.article or second.everything)
    if not plain or second.bare or second.pronoun or first.bare or first.pronoun:
        return []
    found = [f'"{" ".join(first.adjectives)}" {SAID_OF} "{first.noun}" only'] if first.adjectives else []
    if first.axis or first.start or first.before:
        found.append(f'the order is read as that of "{first.noun}" only')
    return found


def _give_exceptions(drafts: list[PhraseDraft]) -> None:
    """Give an exception at the end of a list to the part whose noun it has: "cats and dogs except the left cat"."""
    last = drafts[-1]
    for out in list(last.exceptions):
        owner = next((one for one in drafts[:-1] if singular(one.noun) == singular(out.noun)), None)
        if owner is not None and singular(out.noun) != singular(last.noun):
            last.exceptions.remove(out)
            owner.exceptions.append(out)


def _is_all_of_it(draft: PhraseDraft) -> bool:
    """Whether nothing but the noun was said."""
    said = draft.adjectives or draft.attributes or draft.exceptions or draft.options
    return draft.only_words and not said


def _one_of_many(draft: PhraseDraft) -> bool:
    """Whether "the largest balls" does not say how many."""
    open_number = draft.many and not draft.number and not draft.start and not draft.of_group
    in_order = draft.axis or (draft.relation and draft.relation.kind in ("nearest", "farthest"))
    return bool(in_order) and open_number and not draft.asked


def _one_thing(drafts: list[PhraseDraft]) -> bool:
    """Whether "the black and white cat" was read as two parts."""
    first, second = drafts
    alone = (
        first.only_words
        and second.only_words
        and not second.many
        and not second.definite
        and not second.article
        and not first.everything
    )
    colours = [word for word in first.adjectives if word in COLOURS]
    return (
        alone
        and first.noun == second.noun
        and bool(colours)
        and second.adjectives[:1] != []
        and colours[0] == first.adjectives[0]
    )
