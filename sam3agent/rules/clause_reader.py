"""Reads what stands after a noun: places, order, relations, attributes, exceptions, and clauses with "that is"."""

from sam3agent.rules.draft import Draft
from sam3agent.rules.lexicon import (
    AXES,
    CLOTHES,
    EXCEPT,
    IMAGE,
    OPPOSITE,
    PATTERNS,
    POSTURES,
    PRONOUNS,
    RELATIONS,
    SIDES,
    TAIL,
)
from sam3agent.rules.noun_reader import NounReader
from sam3agent.rules.question_plan import Relation, RelationKind
from sam3agent.rules.question_text import NotRead
from sam3agent.rules.words import COLOURS, ORDINALS

MAX_DEPTH = 3
"""How many relations may refer to one another."""

_PARTS = ("side", "half", "part", "area", "edge", "end", "border", "corner", "quarter")
_OPEN = ("with", "holding", "carrying", "riding", "made of", "made from", "of", "on", "from", "in", "for")
_RELATION_WORDS = {words: kind for kind, phrases in RELATIONS for words in phrases}


class ClauseReader(NounReader):
    """Everything after a noun. `noun_phrase` and `out_list` are read by the grammar."""

    depth = 0

    def noun_phrase(self, *, anchor: bool = False) -> Draft:
        """A noun phrase with what belongs to it; an anchor leaves places and exceptions to what refers to it."""
        draft = Draft()
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

    def after_noun(self, draft: Draft, *, anchor: bool = False) -> None:
        """All clauses that come next."""
        while True:
            place = self.at
            comma = bool(self.take(",")) and not anchor
            if self._relative(draft) or self._modifier(draft, anchor=anchor, comma=comma):
                continue
            self.at = place
            return

    def out_list(self) -> list[Draft]:
        """The noun phrases after "except"."""
        raise NotImplementedError

    def _of_domain(self, draft: Draft) -> bool:
        """ "of the red balls" after "the largest" or "the largest one"; the phrase is then complete."""
        if not self.take("of all of", "of all", "of", "out of", "among"):
            return False
        inner = self.noun_phrase()
        if inner.axis or inner.start or inner.options:
            raise self.refuse("one order within another is not read")
        draft.noun, draft.adjectives, draft.attributes = inner.noun, inner.adjectives, inner.attributes
        draft.sides, draft.relation, draft.exceptions = inner.sides, inner.relation, inner.exceptions
        draft.plural, draft.restrictive = inner.many, inner.restrictive
        draft.pronoun = draft.bare = False
        return True

    def _relative(self, draft: Draft) -> bool:
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

    def _verb(self, draft: Draft) -> bool:
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

    def _predicates(self, draft: Draft) -> None:
        """What follows "is": one predicate or several with "and"; "not" and "neither" make exceptions of them."""
        negative = bool(self.take("not", "neither"))
        while True:
            if negative:
                self._negated(draft, self._predicate)
            elif not self._predicate(draft):
                raise self.refuse()
            place = self.at
            joint = self.take("and not", "or not", "nor", "and is not", "and are not", "or", "and", ", and", ", or", ",")
            again = negative or joint in ("and not", "and is not", "and are not")
            if not joint or (joint in ("or", ", or") and not negative) or not self._predicate_ahead():
                self.at = place
                return
            negative = again

    def _predicate_ahead(self) -> bool:
        """Whether another predicate comes next, and not another noun phrase."""
        word = self.peek(int(self.peek() in ("in", "wearing")))
        if word in COLOURS or word in PATTERNS:
            return not self.is_content(1 + int(self.peek() in ("in", "wearing")))
        return bool(self.seen("in", "on", "at", "not", *_RELATION_WORDS, *POSTURES)) and self.peek(1) not in PRONOUNS

    def _predicate(self, draft: Draft) -> bool:
        """One predicate: a colour, a pattern, an order, a place, a relation or an attribute."""
        place = self.at
        self.take("the", "a", "an")
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

    def _colours_ahead(self) -> list[str]:
        ahead = 0
        while self.peek(ahead) in COLOURS:
            ahead += 1
        return self.tokens[self.at : self.at + ahead]

    def _negated(self, draft: Draft, read: "object") -> None:
        """An exception: the same noun with what is read."""
        out = Draft(pronoun=True)
        if not callable(read) or not read(out):
            raise self.refuse()
        draft.exceptions.append(out)
        draft.restrictive = True

    def _modifier(self, draft: Draft, *, anchor: bool, comma: bool = False) -> bool:
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
            place = self.at
            self.next()
            if self._where(draft, anchor) or self._shown():
                return True
            self.at = place + 1
            return not self.peek() and self.tokens[place] in ("visible", "shown", "seen", "found")
        if self._where(draft, anchor):
            return True
        return not comma and self._attribute(draft) or (comma and self.seen("wearing", "in") and self._attribute(draft))

    def _where(self, draft: Draft, anchor: bool) -> bool:
        """A place, an order or a relation."""
        if self._shown():
            return True
        if not anchor and (self._counted(draft) or self._extreme(draft) or self._place(draft)):
            return True
        return self._relation(draft)

    def _shown(self) -> bool:
        """ "in the picture" and other words that change nothing."""
        place = self.at
        if self.take("in", "of", "on", "from", "within") and self.take("the", "this") and self.take(*IMAGE):
            return True
        self.at = place
        return bool(self.take(*TAIL))

    def _counted(self, draft: Draft) -> bool:
        """ "from the left", "counting from left to right", "second from the left", "number 3 from the left"."""
        place = self.at
        if self.take("number", "no", "nr") and draft.start is None and self.number_ahead():
            draft.start = self.number_ahead()
            self.next()
            if self._counted(draft) or not self.peek():
                return True
        if self.peek() in ORDINALS and draft.start is None and draft.axis is None:
            draft.start = ORDINALS[self.next()]
            if self._counted(draft):
                return True
            draft.start = None
        self.at = place
        self.take("when counted", "if you count", "when you count", "counting", "counted", "going", "starting", "as counted")
        if self.take("from", "at", "on") and draft.axis is None:
            self.take("the")
            side = self.take(*SIDES)
            if side and self.tokens[place] in ("at", "on") and not draft.start:
                side = ""
            if side:
                self.take("side", "hand side", "edge", "end", "side of the picture")
                if self.take("to"):
                    self.take("the")
                    if SIDES.get(self.take(*SIDES)) != OPPOSITE[SIDES[side]]:
                        raise self.refuse()
                if not draft.start and not draft.number:
                    self.at = place
                    raise self.refuse()
                last = draft.start == -1 and self.tokens[place] == "on"
                draft.axis = OPPOSITE[SIDES[side]] if last else SIDES[side]
                return True
        self.at = place
        return False

    def _extreme(self, draft: Draft) -> bool:
        """ "furthest to the left", "closest to the left edge", "all the way to the right"."""
        place = self.at
        self.take("the", "that is the", "which is the")
        most = self.take(
            "furthest away", "farthest away", "furthest", "farthest", "closest", "nearest", "all the way", "way", "most",
            "far", "the furthest", "the farthest",
        )
        if most and not draft.axis:
            self.take("to the", "on the", "at the", "to", "on", "the", "over to the", "towards the", "toward the")
            side = self.take(*SIDES)
            if side:
                self.take("hand", "most")
                self.take("edge", "side", "end", "border")
                if self._of_image() and not self.starts_noun():
                    draft.axis = SIDES[side]
                    return True
        self.at = place
        return False

    def _place(self, draft: Draft) -> bool:
        """ "on the left side", "in the top half of the picture", "in the middle"."""
        place = self.at
        if not self.take("in", "on", "at", "to", "towards", "toward", "near", "along", "over on", "by"):
            return False
        self.take("the")
        far = bool(self.take("far", "very", "extreme"))
        if self.take("middle", "centre", "very middle"):
            if self._of_image() and not self.starts_noun() and not draft.axis:
                if draft.many:
                    raise self.refuse("the grammar does not read which of several are in the middle")
                draft.axis = "middle"
                return True
        elif side := self.take(*SIDES):
            sides = [SIDES[side]]
            if self.peek() in SIDES and not self.is_content():
                sides.append(SIDES[self.next()])
            self.take("hand")
            part = self.take(*_PARTS)
            if self._of_image() and not self.starts_noun() and self.peek() not in ORDINALS:
                self._put(draft, sides, far or part in ("edge", "end", "border"))
                return True
        self.at = place
        return False

    def _put(self, draft: Draft, sides: list["str"], far: bool) -> None:
        sides_read = [SIDES[side] for side in sides]
        if far and len(sides) == 1 and not draft.many and not draft.axis:
            draft.axis = sides_read[0]
            return
        if far:
            self.notes.append(f'"far {sides[0]}" of several objects is read as the {sides[0]} half')
        draft.sides += sides_read

    def _of_image(self) -> bool:
        """Step over "of the picture"; False if something else follows "of"."""
        place = self.at
        if self.take("of", "in") and self.take("the", "this", "that") and self.take(*IMAGE):
            return True
        self.at = place
        return self.peek() != "of"

    def _relation(self, draft: Draft) -> bool:
        """A relation and what it refers to."""
        place = self.at
        if draft.kind and self.take("to", "from"):
            kind: str = draft.kind
            draft.kind = ""
        else:
            if self._try_place():
                return False
            words = self.take(*_RELATION_WORDS)
            if not words:
                return False
            kind = _RELATION_WORDS[words]
            if words == "on" and (self.peek() not in ("the", "a", "an", "this", "that") or self.peek(1) in IMAGE):
                self.at = place
                return False
        if draft.relation:
            raise self.refuse("more than one relation of an object is not read")
        draft.relation = self._related(kind, draft)
        return True

    def _try_place(self) -> bool:
        """Whether a place comes next, which an anchor leaves to what refers to it."""
        place = self.at
        found = self._place(Draft())
        self.at = place
        return found

    def _related(self, kind: str, draft: Draft) -> Relation:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotRead(f"the question nests more than {MAX_DEPTH} relations")
        anchors = [self.noun_phrase(anchor=True)]
        if kind == "between" and self.take("and"):
            anchors.append(self.noun_phrase(anchor=True))
        self.depth -= 1
        targets = []
        for anchor in anchors:
            if anchor.pronoun or anchor.bare or anchor.options:
                anchor.lend(draft if anchor.pronoun and draft.noun else Draft(noun="object"))
            targets.append(anchor.target())
        if kind == "between" and len(targets) == 1 and not targets[0].what.plural:
            raise self.refuse('"between" needs two things')
        if kind == "near" and (draft.number or not draft.many):
            kind = "nearest"
        count = 1 if draft.axis else draft.number or 1
        return Relation(_kind(kind), tuple(targets), count)

    def _attribute(self, draft: Draft) -> bool:
        """ "in white", "with stripes", "holding an umbrella"."""
        place = self.at
        if self.take("with no", "without"):
            self.take("any", "a", "an")
            if self.peek() in PATTERNS:
                self._negated(draft, self._pattern)
            else:
                self._negated(draft, lambda one: self._open(one, "with"))
            return True
        word = self.take("dressed in", "clad in", "wearing", "in")
        if word:
            self.take("all", "a", "an", "the", "some")
            if self.take("neither"):
                self._negated(draft, lambda one: self._colours(one, "in"))
                return True
            if self._colours(draft, "wearing" if word == "wearing" and not draft.pronoun else "in") or self._open(draft, word):
                return True
        elif self.take("with"):
            self.take("a", "an", "the", "some", "any")
            if self._pattern(draft) or self._open(draft, "with"):
                return True
        elif word := self.take(*_OPEN):
            return (self.take("a", "an", "the") == "" or word not in ("of", "on", "for")) and self._open(draft, word)
        elif self.peek().endswith("ing") and self.is_content():
            word = self.next()
            self.take("a", "an", "the", "his", "her", "their", "its")
            if not self._open(draft, word):
                if self.peek() or draft.bare or draft.pronoun:
                    raise self.refuse()
                draft.attributes.append(word)
            return True
        self.at = place
        return False

    def _pattern(self, draft: Draft) -> bool:
        """ "stripes", "dots on it"."""
        if self.peek() not in PATTERNS or self.is_content(1):
            return False
        draft.adjectives = [*draft.adjectives, PATTERNS[self.next()]]
        self.take("on it", "on them", "on its side")
        return True

    def _open(self, draft: Draft, word: str) -> bool:
        """Words that the segmenter has to understand: "with glasses", "holding umbrella"."""
        words = self._run()
        if not words:
            return False
        draft.attributes += [*word.split(), *words]
        return True

    def _colours(self, draft: Draft, word: str) -> bool:
        """Colours after "in", or after "is": one, both, or one of several."""
        first = self.colours()
        if not first or (self.is_content() and self.peek() not in CLOTHES):
            self.at -= len(first)
            return False
        clothes = self.take(*CLOTHES)
        found, joints = [first], set[str]()
        while True:
            place = self.at
            joint = self.take(", or", ", and", ", nor", "or", "and", "nor", ",")
            self.take("in", "wearing", "not", "not in")
            self.take("the", "a")
            more = self.colours() if joint else []
            if not more or (self.is_content() and self.peek() not in CLOTHES) or self.peek() in PRONOUNS:
                self.at = place
                break
            clothes = self.take(*CLOTHES) or clothes
            found.append(more)
            joints.add(joint.strip(", "))
        self._colour_words(draft, word, found, joints, clothes)
        return True

    def _colour_words(self, draft: Draft, word: str, found: list[list[str]], joints: set[str], clothes: str) -> None:
        flat = [colour for colours in found for colour in colours]
        if len(found) > 1 and ("or" in joints or "nor" in joints or draft.pronoun):
            draft.options, draft.option_word = flat, word
        elif len(found) > 1 and draft.many:
            raise self.refuse(f'"{" and ".join(flat)}" can mean both colours or either: say "or" or name one at a time')
        elif word:
            draft.attributes += [*word.split(), *" and ".join(" ".join(colours) for colours in found).split()]
            draft.attributes += [clothes] if clothes else []
        else:
            draft.adjectives = [*" and ".join(" ".join(colours) for colours in found).split(), *draft.adjectives]

    def _exceptions(self, draft: Draft) -> bool:
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
        draft.exceptions += self.out_list()
        return True

    def _restricted(self, draft: Draft, comma: bool) -> bool:
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
        draft.before += wanted.before
        draft.sides += wanted.sides
        draft.everything = draft.everything and wanted.axis is None
        return True


def _kind(name: str) -> RelationKind:
    return next(kind for kind, _ in RELATIONS if kind == name)
