"""Reads what stands before a noun, and the noun."""

from sam3agent.rules.cursor import Cursor
from sam3agent.rules.draft import Draft
from sam3agent.rules.lexicon import (
    ADVERBS_OR_NOT,
    AXES,
    CLOSED,
    GENERIC,
    PATTERNS,
    POSTURES,
    PRONOUNS,
    SIDES,
    SUPERLATIVES_OR_NOT,
)
from sam3agent.rules.words import COLOURS, NUMBERS, ORDINALS, OWN_SIDE, singular

_BREAKS = frozenset((*POSTURES, "wearing", "dressed", "clad", "holding", "carrying", "riding", "made", "hidden", "covered"))
_ING_NOUNS = frozenset(
    """ring king string wing swing building painting ceiling earring thing clothing drawing sling pudding wedding icing
    railing frosting spring duckling sapling seedling ping being sibling""".split()
)
_MAX_NUMBER = 999


class NounReader(Cursor):
    """Determiners, numbers, order, sides and adjectives, up to the noun."""

    def before_noun(self, draft: Draft) -> None:
        """Everything before the adjectives and the noun."""
        while self._determiner(draft) or self._count(draft) or self._order(draft) or self._side(draft):
            pass

    def noun(self, draft: Draft) -> None:
        """Adjectives and noun, or what stands for them. Raises `NotRead` if there is nothing of the kind."""
        words = self._run()
        if words and not self._modifiers_only(words):
            draft.adjectives += [_pattern(word) for word in words[:-1]]
            draft.noun = words[-1]
            if draft.noun in GENERIC:
                draft.plural = draft.plural or draft.noun.endswith("s") or draft.noun.startswith("every")
                draft.noun = GENERIC[draft.noun]
                draft.adjectives += [_pattern(word) for word in self._run() if self._all_modifiers([word])]
            return
        draft.adjectives += [_pattern(word) for word in words]
        if self.peek() in PRONOUNS:
            pronoun = self.next()
            draft.pronoun, draft.plural = True, draft.plural or pronoun in ("ones", "those")
        elif self.peek() in ("whatever", "whoever") and not words:
            draft.noun, draft.plural = GENERIC[self.next()], True
            draft.asked = True
        elif words or draft.axis or draft.start or draft.before or draft.exceptions:
            draft.bare = True
        else:
            raise self.refuse()

    def is_content(self, ahead: int = 0) -> bool:
        """Whether a token can be an adjective or a noun."""
        word = self.peek(ahead)
        if not word or not word[0].isalpha() or word in AXES:
            return False
        if word in SIDES or word in ORDINALS:
            return word in SIDES and singular(self.peek(ahead + 1)) in OWN_SIDE
        if word in CLOSED or word in NUMBERS or word in PRONOUNS:
            return False
        return True

    def starts_noun(self) -> bool:
        """Whether the next token is an adjective or a noun, and no participle."""
        word = self.peek()
        return self.is_content() and word not in _BREAKS and (not word.endswith("ing") or word in _ING_NOUNS)

    def colours(self) -> list[str]:
        """Colour words that come next, taken."""
        found = list[str]()
        while self.peek() in COLOURS:
            found.append(self.next())
        return found

    def number_ahead(self) -> int | None:
        """The number that comes next."""
        word = self.peek()
        if word.isdecimal() and word.isascii() and len(word) < 4:
            return int(word)
        return NUMBERS.get(word)

    def _determiner(self, draft: Draft) -> bool:
        if self.seen("those") and not self.is_content(1) and self.peek(1) not in NUMBERS:
            return False
        if self.seen("that") and not self.is_content(1):
            return False
        if self.take("all of", "each of", "any of", "every one of", "each one of", "every single", "all", "every", "each"):
            draft.everything = True
            self.take("of")
        elif self.take("any"):
            draft.everything = True
        elif self.take("both"):
            draft.plural = draft.plural or self.seen("the") == ""
        elif self.take("the", "this", "these", "those", "that"):
            draft.definite = True
        elif self.take("a", "an"):
            if self.peek() in ORDINALS and self.peek(1) == "of":
                raise self.refuse()
            draft.article = True
        elif self.take("some"):
            draft.plural = True
        elif self.seen("not") and self.peek(1) in COLOURS and not draft.exceptions:
            self.next()
            out = Draft(adjectives=[self.next()], pronoun=True)
            draft.exceptions.append(out)
            draft.restrictive = True
        else:
            return bool(self.take("only", "just", "single"))
        return True

    def _count(self, draft: Draft) -> bool:
        number = self.number_ahead()
        if number is None or draft.number is not None:
            return False
        if self.peek() == "one" and not self.is_content(1):
            return False
        self.next()
        if number == 0 or (self.seen("of") and not (draft.axis or draft.start)):
            raise self.refuse(f'"{number} of" does not say which')
        draft.number = number
        return True

    def _order(self, draft: Draft) -> bool:
        word = self.peek()
        if word in ORDINALS and draft.start is None:
            draft.start = ORDINALS[self.next()]
        elif word in AXES and draft.axis is None:
            draft.axis = AXES[self.next()]
            if draft.axis == "middle" and draft.number:
                raise self.refuse("the grammar does not read how many are in the middle")
        elif word in ("closest", "nearest", "farthest", "furthest") and not draft.kind:
            if self.peek(1) in SIDES and self.peek(2) != "of":
                self.next()
                draft.axis = SIDES[self.next()]
            elif self.is_content(1) or self.peek(1) in (*NUMBERS, *PRONOUNS):
                draft.kind = "nearest" if self.next() in ("closest", "nearest") else "farthest"
            else:
                return False
        else:
            return False
        return True

    def _side(self, draft: Draft) -> bool:
        far = self.peek() in ("far", "extreme") and self.peek(1) in SIDES
        word = self.peek(int(far))
        if word not in SIDES or draft.before or (self.is_content() and not far):
            return False
        start = self.at
        self.at += 1 + far
        draft.before.append(SIDES[word])
        if self.peek() in SIDES and not self.is_content():
            draft.before.append(SIDES[self.next()])
        if self.take("corner", "quarter"):
            return True
        if self.seen("of") and len(draft.before) == 1 and self._domain_ahead():
            draft.axis = draft.before.pop()
            return True
        if far and len(draft.before) == 1:
            draft.axis = draft.before.pop()
            return True
        nothing = not draft.definite and not draft.number and not draft.everything and len(draft.before) == 1
        if not self.is_content() and self.peek() not in (*PRONOUNS, "and", "or", ",") and nothing:
            self.at = start
            raise self.refuse()
        return True

    def _domain_ahead(self) -> bool:
        """Whether "of the two dogs" comes next, and not "of the car"."""
        return self.peek(1) in ("the", "these", "those") and (self.peek(2) in NUMBERS or self.peek(2).isdecimal())

    def _run(self) -> list[str]:
        """All adjectives and nouns that come next, taken."""
        words = list[str]()
        while self.is_content():
            word = self.peek()
            if words and (word in _BREAKS or (word.endswith("ing") and word not in _ING_NOUNS)):
                break
            if word.endswith("ly") and word not in ADVERBS_OR_NOT and len(word) > 4:
                raise self.refuse()
            if word.endswith("est") and word not in SUPERLATIVES_OR_NOT and len(word) > 4:
                raise self.refuse(f'"{word}" cannot be measured by the built-in rules')
            words.append(self.next())
        return words

    def _modifiers_only(self, words: list[str]) -> bool:
        """Whether a run has no noun: "red" before "and blue balls", or before "one"."""
        if not self._all_modifiers(words):
            return False
        if self.peek() in PRONOUNS or not self.peek():
            return True
        if self.peek() not in ("and", "or", ","):
            return words[-1] in COLOURS or words[-1] in PATTERNS
        ahead = 2 if self.peek(1) in ("the", "all", "every", "and", "or") else 1
        return self.peek(ahead) in COLOURS or self.peek(ahead) in PATTERNS or len(words) > 1 or self.peek(ahead) == "all"

    def _all_modifiers(self, words: list[str]) -> bool:
        return all(word in COLOURS or word in ("striped", "dotted", "spotted", "small", "large", "big") for word in words)


def _pattern(word: str) -> str:
    """An adjective in the form that is searched."""
    return PATTERNS.get(word, word) if word in ("striped", "dotted", "spotted") else word
