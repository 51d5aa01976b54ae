"""Reads what stands before a noun, and the noun."""

from sam3agent.rules.cursor import Cursor
from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.lexicon import (
    ADVERBS_OR_NOT,
    AXES,
    CLOSED,
    COMPARATIVES,
    GENERIC,
    IMAGE,
    PATTERNS,
    POSTURES,
    PRONOUNS,
    SIDES,
    SUPERLATIVES_OR_NOT,
)
from sam3agent.rules.lexicon import words as lexicon_words
from sam3agent.rules.words import COLOURS, NUMBERS, ORDINALS, OWN_SIDE, is_plural, singular

_BREAKS = frozenset(
    (*POSTURES, *COMPARATIVES, "wearing", "dressed", "clad", "holding", "carrying", "riding", "made", "hidden",
     "covered", "partly", "partially", "adjacent", "alongside", "visible", "shown")
)  # fmt: skip
ING_NOUNS = lexicon_words(
    """ring king string wing swing building painting ceiling earring thing clothing drawing sling pudding wedding
    icing railing frosting spring duckling sapling seedling ping being sibling"""
)


class NounReader(Cursor):
    """Determiners, numbers, order, sides and adjectives, up to the noun."""

    in_exception = False

    def before_noun(self, draft: PhraseDraft) -> None:
        """Everything before the adjectives and the noun."""
        while self._determiner(draft) or self._count(draft) or self._order(draft) or self._side(draft):
            pass

    def noun(self, draft: PhraseDraft) -> None:
        """Adjectives and noun, or what stands for them. Raises `NotRead` if there is nothing of the kind."""
        words = self._run()
        if words and not self._modifiers_only(words):
            if singular(words[-1]) != words[-1] and singular(words[-1]) in COLOURS and words[-1] not in COLOURS:
                raise self.refuse(f'"{words[-1]}" was not understood')
            if words[-1] in COLOURS and not self._all_modifiers(words) and words[0] not in GENERIC:
                raise self.refuse(f'"{" ".join(words)}" was not understood')
            if draft.asked and any(is_plural(word) for word in words[:-1]) and not is_plural(words[-1]):
                raise self.refuse(f'"{" ".join(words)}" was not understood')
            if words[0] in GENERIC and self._all_modifiers(words[1:]):
                words = [*words[1:], words[0]]
            draft.adjectives += [_pattern(word) for word in words[:-1]]
            draft.noun = words[-1]
            if draft.noun in GENERIC:
                draft.plural = (
                    draft.plural or draft.noun.endswith("s") or draft.noun.startswith(("every", "any", "some"))
                )
                draft.noun = GENERIC[draft.noun]
            return
        draft.adjectives += [_pattern(word) for word in words]
        if self.peek() in PRONOUNS:
            pronoun = self.next()
            draft.pronoun, draft.plural = True, draft.plural or pronoun in ("ones", "those")
        elif self.peek() in ("whatever", "whoever") and not words:
            draft.noun, draft.plural = GENERIC[self.next()], True
            draft.asked = True
        elif words or draft.axis or draft.start or draft.before or draft.sides or draft.exceptions:
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
        if word in ("front", "back", "rear"):
            return self.is_content(ahead + 1)
        return not (word in CLOSED or word in NUMBERS or word in PRONOUNS)

    def starts_noun(self) -> bool:
        """Whether the next token is an adjective or a noun, and no participle."""
        word = self.peek()
        return self.is_content() and word not in _BREAKS and (not word.endswith("ing") or word in ING_NOUNS)

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

    def _determiner(self, draft: PhraseDraft) -> bool:
        if self.seen("those") and not self.is_content(1) and self.peek(1) not in NUMBERS:
            return False
        if self.seen("that") and not self.is_content(1):
            return False
        if self.take(
            "all of", "each of", "any of", "every one of", "each one of", "every single", "all", "every", "each"
        ):
            draft.everything = True
            self.take("of")
        elif self.take("any"):
            draft.everything = True
        elif self.take("both of the", "both of these", "both of those"):
            draft.number = 2
        elif self.take("both"):
            draft.number = draft.number if self.seen("the") else 2
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
            out = PhraseDraft(adjectives=[self.next()], pronoun=True)
            draft.exceptions.append(out)
            draft.restrictive = True
        else:
            return bool(self.take("only", "just", "single"))
        return True

    def _count(self, draft: PhraseDraft) -> bool:
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

    def _order(self, draft: PhraseDraft) -> bool:
        word = self.peek()
        if word in ORDINALS and self.at and self.tokens[self.at - 1] in ("every", "each"):
            raise self.refuse(f'"{self.tokens[self.at - 1]} {word}" was not understood')
        if word in ORDINALS and draft.start is None:
            draft.start = ORDINALS[self.next()]
        elif word in AXES and draft.axis is None:
            draft.axis = AXES[self.next()]
            if draft.axis == "middle" and draft.number:
                raise self.refuse("the grammar does not read how many are in the middle")
        elif (
            word in COMPARATIVES
            and draft.axis is None
            and (self.is_content(1) or self.peek(1) in (*PRONOUNS, "of", ""))
        ):
            draft.axis = COMPARATIVES[self.next()]
            self.notes.append(f'"{word}" is read as the most so of all')
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

    def _side(self, draft: PhraseDraft) -> bool:
        far = self.peek() in ("far", "extreme") and self.peek(1) in SIDES
        word = self.peek(int(far))
        if word not in SIDES or draft.before or (self.is_content() and not far):
            return False
        start = self.at
        self.at += 1 + far
        draft.before.append(SIDES[word])
        if self.peek() in SIDES and not self.is_content():
            draft.before.append(SIDES[self.next()])
        if part := self.take("corner", "quarter", "side", "half", "part", "edge"):
            self.take(
                *(
                    f"{word} {article} {image}"
                    for word in ("of", "in")
                    for article in ("the", "this")
                    for image in IMAGE
                )
            )
            if not self.starts_noun():
                draft.sides += draft.before
                draft.before = []
                draft.plural = part not in ("corner", "quarter")
            return True
        if self.seen("of") and len(draft.before) == 1 and self._domain_ahead():
            draft.axis = draft.before.pop()
            return True
        if (far or (not draft.definite and self.number_ahead())) and len(draft.before) == 1:
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
            if (words or word in COMPARATIVES) and (
                word in _BREAKS or (word.endswith("ing") and word not in ING_NOUNS)
            ):
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
        if self.in_exception and len(words) == 1 and words[0] in COLOURS and words[0] != "orange":
            return True  # "except the pink and the leftmost one"
        if self.peek() not in ("and", "or", ","):
            return words[-1] in COLOURS or words[-1] in PATTERNS
        ahead = 1
        while self.peek(ahead) in (
            "the",
            "all",
            "every",
            "and",
            "or",
            "also",
            "any",
            "a",
            "an",
            *AXES,
            *ORDINALS,
            *NUMBERS,
        ):
            ahead += 1
        return self.peek(ahead) in COLOURS or self.peek(ahead) in PATTERNS

    def _all_modifiers(self, words: list[str]) -> bool:
        return all(
            word in COLOURS or word in ("striped", "dotted", "spotted", "small", "large", "big") for word in words
        )


def _pattern(word: str) -> str:
    """An adjective in the form that is searched."""
    return PATTERNS.get(word, word) if word in ("striped", "dotted", "spotted") else word
