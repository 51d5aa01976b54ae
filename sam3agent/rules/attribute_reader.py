"""Reads what a thing is like: "in white or red", "with stripes", "holding an umbrella"."""

from collections.abc import Callable

from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.lexicon import AXES, CLOTHES, PATTERNS, PRONOUNS
from sam3agent.rules.place_reader import PlaceReader
from sam3agent.rules.words import COLOURS

_OPEN = ("with", "holding", "carrying", "riding", "made of", "made from", "of", "on", "from", "in", "for")
Read = Callable[[PhraseDraft], bool]


class AttributeReader(PlaceReader):
    """Attributes after a noun."""

    def _attribute(self, draft: PhraseDraft) -> bool:
        """ "in white", "with stripes", "holding an umbrella"."""
        place = self.at
        if self.take("with no", "without"):
            self.take("any", "a", "an", "the")
            if self.peek() in PATTERNS:
                self._negated(draft, self._pattern)
            else:
                self._negated(draft, lambda one: self._open(one, "with"))
            return True
        word = self.take("dressed in", "clad in", "wearing", "in")
        if word:
            self.take("all", "a", "an", "the", "some", "either")
            if self.take("neither"):
                self._negated(draft, lambda one: self._colours(one, "in"))
                return True
            if self._colours(draft, "wearing" if word == "wearing" and not draft.pronoun else "in") or self._open(
                draft, word
            ):
                return True
        elif self.seen("with"):
            if self._with(draft):
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

    def _with(self, draft: PhraseDraft) -> bool:
        """ "with stripes", "with a hat", "with the largest area"."""
        if self.seen("with the") and self.peek(2) in AXES and not draft.axis:
            self.at += 2
            draft.axis = AXES[self.next()]
            if not self.take("area", "size", "height", "width"):
                raise self.refuse()
            return True
        self.take("with")
        self.take("a", "an", "the", "some", "any")
        return self._pattern(draft) or self._open(draft, "with")

    def _pattern(self, draft: PhraseDraft) -> bool:
        """ "stripes", "dots on it"."""
        if self.peek() not in PATTERNS or self.is_content(1):
            return False
        draft.adjectives = [*draft.adjectives, PATTERNS[self.next()]]
        self.take("on it", "on them", "on its side")
        return True

    def _open(self, draft: PhraseDraft, word: str) -> bool:
        """Words that the segmenter has to understand: "with glasses", "holding umbrella"."""
        words = self._run()
        if not words:
            return False
        draft.attributes += [*word.split(), *words]
        return True

    def _colours_ahead(self) -> list[str]:
        ahead = 0
        while self.peek(ahead) in COLOURS:
            ahead += 1
        return self.tokens[self.at : self.at + ahead]

    def _colours(self, draft: PhraseDraft, word: str) -> bool:
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

    def _colour_words(
        self, draft: PhraseDraft, word: str, found: list[list[str]], joints: set[str], clothes: str
    ) -> None:
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

    def _negated(self, draft: PhraseDraft, read: Read) -> None:
        """An exception: the same noun with what is read."""
        out = PhraseDraft(pronoun=True, plural=True)
        if not read(out):
            raise self.refuse()
        draft.exceptions.append(out)
        draft.restrictive = True
