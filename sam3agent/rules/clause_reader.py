"""Reads what stands after a noun: places, order, relations, attributes, exceptions, and clauses with "that is"."""

from abc import ABC, abstractmethod

from sam3agent.rules.attribute_reader import AttributeReader
from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.lexicon import AXES, EXCEPT, IMAGE, PATTERNS, PLACED, POSTURES, PRONOUNS, RELATIONS
from sam3agent.rules.question_plan import PLACE_OF, SAID_OF, Relation, RelationKind
from sam3agent.rules.question_text import NotRead
from sam3agent.rules.words import COLOURS, ORDINALS, PERSONS, THINGS, singular

MAX_DEPTH = 3
"""How many relations may refer to one another."""

_SAID_OF_PERSONS = ("who", "wearing", "dressed in", *(f"in {colour}" for colour in COLOURS))
_NUMBER_OF_VERB = {"is": False, "has": False, "wears": False, "are": True, "have": True, "wear": True}
_NEGATED = ("and not", "and is not", "and are not")
_NOR = ("or", ", or", "or not", "nor")
_RELATION_WORDS = {words: kind for kind, phrases in RELATIONS for words in phrases}


class ClauseReader(AttributeReader, ABC):
    """A noun phrase with everything after its noun. How lists of exceptions are read is left to the grammar."""

    depth = 0
    anchor_end: int | None = None
    """Where an anchor ends, as what follows ("who is in red") is said of what refers to it. None: it is not known."""

    def noun_phrase(self, *, anchor: bool = False) -> PhraseDraft:
        """A noun phrase with what belongs to it; an anchor leaves places and exceptions to what refers to it."""
        draft = PhraseDraft()
        self.before_noun(draft)
        if (draft.axis or draft.start) and self._of_domain(draft):
            return draft
        self.noun(draft)
        if (draft.axis or draft.start) and (draft.pronoun or draft.bare) and self._of_domain(draft):
            return draft
        self.after_noun(draft, anchor=anchor)
        if draft.kind:
            raise self.refuse()
        return draft

    def after_noun(self, draft: PhraseDraft, *, anchor: bool = False) -> None:
        """All clauses that come next."""
        while True:
            place = self.at
            comma = bool(self.take(","))
            inner = anchor or self.in_exception
            left_to_outer = anchor and self.anchor_end is not None and place >= self.anchor_end
            if not ((comma and inner) or left_to_outer) and (
                self._relative(draft) or self._modifier(draft, anchor=anchor, comma=comma)
            ):
                continue
            self.at = place
            return

    def resolve_exceptions(self, draft: PhraseDraft) -> None:
        """Give "one" and phrases without a noun after "except" the noun of what they are taken from."""
        for out in draft.exceptions:
            if out.pronoun or out.bare:
                out.lend(draft)
            elif draft.noun == "object" and draft.bare:
                draft.noun = out.noun
            self.resolve_exceptions(out)

    @abstractmethod
    def out_list(self) -> list[PhraseDraft]:
        """The noun phrases after "except"."""

    def _of_domain(self, draft: PhraseDraft) -> bool:
        """ "of the red balls" after "the largest" or "the largest one"; the phrase is then complete."""
        if not self.take("of all of", "of all", "of", "out of", "among"):
            return False
        inner = self.noun_phrase()
        if inner.axis or inner.start or inner.options:
            raise self.refuse("one order within another is not read")
        draft.noun, draft.adjectives, draft.attributes = inner.noun, inner.adjectives, inner.attributes
        draft.sides, draft.relation, draft.exceptions = inner.sides, inner.relation, inner.exceptions
        draft.plural, draft.restrictive, draft.of_group = inner.many, inner.restrictive, True
        draft.happenings, draft.when = [*draft.happenings, *inner.happenings], draft.when or inner.when
        if inner.number == 2:
            self.notes = [note for note in self.notes if "is read as the most" not in note]
        draft.pronoun = draft.bare = False
        return True

    def _relative(self, draft: PhraseDraft) -> bool:
        """A clause with "that" or "which", or a predicate after "which balls"."""
        place = self.at
        if self.take("that", "which", "who"):
            if self.take("you can see", "you see", "can be seen", "i see", "is visible", "are visible", "is shown"):
                return True
            if not self._verb(draft):
                self.at = place
                if self.peek() == "that":
                    return False
                raise self.refuse()
            return True
        return draft.asked and self._verb(draft)

    def _verb(self, draft: PhraseDraft) -> bool:
        if self.take("is", "are"):
            self._predicates(draft)
        elif self.take("do not wear", "does not wear", "wear no", "wears no"):
            self._negated(draft, lambda one: self._colours(one, "in"))
        elif self.take("wear", "wears"):
            if not self._colours(draft, "in"):
                self._open(draft, "wearing")
        elif self.take("do not have", "does not have", "have no", "has no", "has not", "have not"):
            self.take("any", "a", "an")
            self._negated(draft, lambda one: self._pattern(one) or self._open(one, "with"))
        elif self.take("have", "has"):
            self.take("a", "an", "the", "some")
            if not self._pattern(draft):
                self._open(draft, "with")
        else:
            return False
        return True

    def _predicates(self, draft: PhraseDraft) -> None:
        """What follows "is": one predicate or several with "and"; "not" and "neither" make exceptions of them."""
        negative = bool(self.take("not", "neither"))
        while True:
            if negative:
                self._negated(draft, self._predicate)
            elif not self._predicate(draft):
                raise self.refuse()
            place = self.at
            joint = self.take(
                "and not", "or not", "nor", "and is not", "and are not", "and is", "and are", "or", "and", ", and",
                ", or", ",",
            )  # fmt: skip
            again = joint in _NEGATED or (negative and joint not in ("and is", "and are"))  # a new verb ends a "not"
            ahead = self._predicate_ahead() or (again and joint in (*_NOR, "and not") and self._order_ahead())
            if not joint or (joint in ("or", ", or") and not negative) or not ahead:
                self.at = place
                return
            negative = again

    def _predicate_ahead(self) -> bool:
        """Whether another predicate comes next, and not another noun phrase."""
        word = self.peek(int(self.peek() in ("in", "wearing")))
        if word in COLOURS or word in PATTERNS:
            return not self.is_content(1 + int(self.peek() in ("in", "wearing")))
        return bool(self.seen("in", "on", "at", "not", *_RELATION_WORDS, *POSTURES)) and self.peek(1) not in PRONOUNS

    def _order_ahead(self) -> bool:
        """Whether "the largest" comes next, and no noun after it."""
        the = int(self.peek() == "the")
        return self.peek(the) in AXES and not self.is_content(the + 1)

    def _predicate(self, draft: PhraseDraft) -> bool:
        """One predicate: a colour, a pattern, an order, a place, a relation or an attribute."""
        place = self.at
        self.take("the", "a", "an", "either")
        if self.peek() in COLOURS and not self.is_content(len(self._colours_ahead())):
            return self._colours(draft, "")
        if self.peek() in PATTERNS and self._pattern(draft):
            return True
        if self.peek() in ORDINALS or (self.peek() in AXES and self.peek() not in ("middle", "central")):
            if draft.axis or draft.start:
                raise self.refuse()
            if self.peek() in ORDINALS:
                draft.start = ORDINALS[self.next()]
            if self.peek() in AXES:
                draft.axis = AXES[self.next()]
                self.take("ones", "one")
            elif not self._counted(draft):
                raise self.refuse()
            return True
        self.at = place
        return self._modifier(draft, anchor=False)

    def _modifier(self, draft: PhraseDraft, *, anchor: bool, comma: bool = False) -> bool:
        """One clause of any kind."""
        if not anchor and (self._restricted(draft, comma) or self._exceptions(draft)):
            return True
        if self.seen("not", "neither") and not anchor:
            place = self.at
            both = self.take("not", "neither") == "neither"
            if self._predicate_ahead() or both or self.seen("wearing"):
                self._negated(draft, lambda one: self._modifier(one, anchor=anchor) or self._predicate(one))
                while both and self.take("nor", "or"):
                    self._negated(draft, self._predicate)
                return True
            self.at = place
        if self.seen(*POSTURES):
            word = self.next()
            if self._where(draft, anchor):
                if word not in PLACED:
                    self.notes.append(f'"{word}" is not checked, only where it is')
                return True
            if word not in PLACED and not self.peek():
                draft.attributes.append(word)
                return True
            return not self.peek() and word in ("visible", "shown", "seen", "found")
        if self._where(draft, anchor):
            return True
        return (not comma or bool(self.seen("wearing", "in"))) and self._attribute(draft)

    def _where(self, draft: PhraseDraft, anchor: bool) -> bool:
        """A place, an order or a relation."""
        if self._shown():
            return True
        if (not anchor or draft.start) and self._counted(draft):
            return True
        if not anchor and draft.relation and self._try_place():
            if draft.sides:
                raise self.refuse()
            self.notes.append(f'{PLACE_OF} "{draft.noun}"')
        if not anchor and (self._extreme(draft) or self._place(draft)):
            return True
        return self._relation(draft)

    def _relation(self, draft: PhraseDraft) -> bool:
        """A relation and what it refers to."""
        place = self.at
        if draft.kind and self.take("to", "from"):
            kind: str = draft.kind
            draft.kind = ""
        else:
            if self._try_place():
                return False
            if self.peek() in ("directly", "right", "just", "immediately") and not draft.many:
                self.next()
            words = self.take(*_RELATION_WORDS)
            if not words:
                self.at = place
                return False
            kind = _RELATION_WORDS[words]
            if words == "on" and (self.peek() not in ("the", "a", "an", "this", "that") or self.peek(1) in IMAGE):
                self.at = place
                return False
        if draft.relation:
            raise self.refuse("more than one relation of an object is not read")
        draft.relation = self._related(kind, draft)
        return True

    def _related(self, kind: str, draft: PhraseDraft) -> Relation:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotRead(f"the question nests more than {MAX_DEPTH} relations")
        if kind != "between" and self.seen("all", "every", "each", "both"):
            raise self.refuse()  # a plural anchor means any of them
        anchors = [self._anchor(draft)]
        if kind == "between" and self.take("and"):
            anchors.append(self._anchor(draft))
            if anchors[0].bare and anchors[1].noun:
                anchors[0].lend(anchors[1])
        self.depth -= 1
        targets = []
        for anchor in anchors:
            if anchor.noun in ("camera", "viewer", "observer", "photographer"):
                raise self.refuse("the distance to the camera cannot be measured")
            if anchor.pronoun or anchor.bare or anchor.options:
                same = draft.noun and (anchor.pronoun or (anchor.axis and draft.many))
                anchor.lend(draft if same else PhraseDraft(noun="object"))
            self.resolve_exceptions(anchor)
            targets.append(anchor.target())
        if kind == "between" and len(targets) == 1:
            (only,) = targets
            if not only.what.plural or (only.ranking is not None and only.ranking.count == 1):
                raise self.refuse('"between" needs two things')
        if kind == "near" and (draft.number or not draft.many):
            kind = "nearest"
        count = 1 if draft.axis else draft.number or 1
        return Relation(_kind(kind), tuple(targets), count)

    def _anchor(self, draft: PhraseDraft) -> PhraseDraft:
        """What a relation of a draft refers to. "The player nearest the ball who is in red": the player is in red."""
        start, notes = self.at, len(self.notes)
        anchor = owner = self.noun_phrase(anchor=True)
        if anchor.relation:
            return anchor
        clause = self._clause_of_anchor(anchor, start)
        name = " ".join(self.tokens[start:clause])
        end, doubtful = self._end_of_anchor(draft, anchor, start, clause)
        words = " ".join(self.tokens[min(clause, end) : self.at])
        if end < self.at:
            self.at, self.anchor_end, owner = start, end, draft
            del self.notes[notes:]
            anchor = self.noun_phrase(anchor=True)
            self.anchor_end = None
        if doubtful:
            self.notes.append(f'"{words}" {SAID_OF} "{owner.noun or name}"')
        return anchor

    def _clause_of_anchor(self, anchor: PhraseDraft, start: int) -> int:
        """Where the first clause with "that" begins that has not the number of the anchor, or else the first of all."""
        clauses = [n for n in range(start + 1, self.at) if self.tokens[n] in ("that", "which", "who")]
        unlike = [n for n in clauses if self._number_of_verb(n + 1) not in (None, anchor.many)]
        return (*unlike, *clauses, self.at)[0]

    def _number_of_verb(self, place: int) -> bool | None:
        """Whether the verb there is that of several; None if it does not say."""
        return _NUMBER_OF_VERB.get(self.tokens[place]) if place < self.at else None

    def _end_of_anchor(self, draft: PhraseDraft, anchor: PhraseDraft, start: int, clause: int) -> tuple[int, bool]:
        """Where an anchor ends that was read from `start` to here, and whether its clause can be said of both."""
        word = self.tokens[clause] if clause < self.at else ""
        said = [n for n in range(start + 1, self.at) if self._comes_at(n, _SAID_OF_PERSONS)]
        if said and anchor.noun and _person(draft) and not _person(anchor):
            if word == "which":  # never said of a person, but what follows its predicate may be
                later = (n for n in said if n > clause and self.tokens[n - 1] not in _NUMBER_OF_VERB)
                return next(later, self.at), False
            certain = word == "who" or singular(anchor.noun) in THINGS
            return min(clause, said[0]), not certain or (word == "that" and clause < said[0])
        several = self._number_of_verb(clause + 1)
        of_anchor, of_draft = several in (None, anchor.many), several in (None, draft.many)
        if not word or (word == "who" and _person(anchor) and not _person(draft)):
            return self.at, False
        if not of_draft:
            return self.at, not of_anchor
        return (self.at, bool(draft.noun)) if of_anchor else (clause, False)

    def _comes_at(self, place: int, phrases: tuple[str, ...]) -> bool:
        return any(self.tokens[place : place + len(words)] == words for words in map(str.split, phrases))

    def _exceptions(self, draft: PhraseDraft) -> bool:
        """ "except the red ones"."""
        place = self.at
        word = self.take(*EXCEPT)
        if not word:
            return False
        if word in ("without", "but without") and not self.seen("the", "any of the", "those"):
            self.at = place
            return False
        if word == "but" and self.seen("only", "just"):
            self.at = place
            return False
        self.take("for", "only")
        if word == "but" and self.number_ahead():
            self.at = place
            raise self.refuse()
        out = self.out_list()
        if draft.bare and not draft.axis and draft.adjectives and any(one.noun for one in out):
            self.at = place
            raise self.refuse()
        if "without" in word and not all(one.pronoun or one.bare for one in out):
            self.at = place
            return False
        draft.exceptions += out
        return True

    def _restricted(self, draft: PhraseDraft, comma: bool) -> bool:
        """ "but only the white one": what is wanted of those before."""
        place = self.at
        if not self.take("but only", "but just", *(("only", "just") if comma else ())):
            return False
        wanted = self.noun_phrase()
        if not (wanted.pronoun or wanted.bare) or wanted.exceptions or wanted.relation or wanted.options:
            self.at = place
            raise self.refuse()
        draft.adjectives = [*wanted.adjectives, *draft.adjectives]
        draft.attributes += wanted.attributes
        draft.axis, draft.start = wanted.axis or draft.axis, wanted.start or draft.start
        draft.number = wanted.number or draft.number
        draft.happenings, draft.when = [*draft.happenings, *wanted.happenings], draft.when or wanted.when
        draft.before += wanted.before
        draft.sides += wanted.sides
        draft.everything = draft.everything and wanted.axis is None
        return True


def _person(draft: PhraseDraft) -> bool:
    return singular(draft.noun) in PERSONS


def _kind(name: str) -> RelationKind:
    return next(kind for kind, _ in RELATIONS if kind == name)
