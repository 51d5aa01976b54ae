"""A second implementation of Playground questions, which answers from the text and the objects' boxes and attributes.

It shares no code with the generator, so that errors in either one show.
"""

import math
import re
from dataclasses import dataclass

COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]
NUMBERS = {"two": 2, "three": 3}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
MOST = {"leftmost": "left", "rightmost": "right", "topmost": "top", "bottommost": "bottom"}
WHERE = {"to the left of": "left", "to the right of": "right", "above": "top", "below": "bottom"}
PAIR = r"(closest to|nearest to|farthest from|behind|in front of|to the left of|to the right of|above|below)"


@dataclass(frozen=True)
class Seen:
    id: int
    kind: str
    words: frozenset[str]
    box: tuple[float, float, float, float]
    area: float

    @property
    def x(self) -> float:
        return (self.box[0] + self.box[2]) / 2

    @property
    def y(self) -> float:
        return (self.box[1] + self.box[3]) / 2


class Viewer:
    """Answers questions about objects in an image of `size` (width, height); `nouns` maps every noun to its kind."""

    def __init__(self, objects: list[Seen], size: tuple[int, int], nouns: dict[str, str]) -> None:
        self.objects, self.size, self.nouns = objects, size, nouns

    def named(self, phrase: str) -> list[Seen]:
        words = [word for word in phrase.split() if word not in ("the", "all", "every", "in", "wearing")]
        (kind,) = {self.nouns[word] for word in words if word in self.nouns}
        asked = {word for word in words if word not in self.nouns}
        assert asked <= {*COLOURS, "striped", "dotted", "small", "large"}, phrase
        return [obj for obj in self.objects if obj.kind == kind and asked <= obj.words]

    def ordered(self, phrase: str, side: str) -> list[Seen]:
        keys = {"left": lambda t: t.x, "right": lambda t: -t.x, "top": lambda t: t.y, "bottom": lambda t: -t.y}
        return sorted(self.named(phrase), key=keys[side])

    def answer(self, text: str) -> set[int]:
        for pattern, method in FORMS:
            found = re.fullmatch(pattern, text)
            if found:
                return {obj.id for obj in method(self, *found.groups())}
        return {obj.id for obj in self.named(text)}

    def both(self, one: str, two: str) -> list[Seen]:
        return self.named(one) + self.named(two)

    def but_side(self, phrase: str, most: str) -> list[Seen]:
        return self.ordered(phrase, MOST[most])[1:]

    def but_colour(self, phrase: str, colour: str) -> list[Seen]:
        return [obj for obj in self.named(phrase) if colour not in obj.words]

    def nth(self, ordinal: str, phrase: str, side: str) -> list[Seen]:
        return self.ordered(phrase, side)[ORDINALS[ordinal] - 1 : ORDINALS[ordinal]]

    def half(self, phrase: str, side: str) -> list[Seen]:
        width, height = self.size
        inside = {
            "left": lambda t: t.x < width / 2, "right": lambda t: t.x > width / 2,
            "top": lambda t: t.y < height / 2, "bottom": lambda t: t.y > height / 2,
        }  # fmt: skip
        return [obj for obj in self.named(phrase) if inside[side](obj)]

    def most(self, number: str | None, most: str, phrase: str) -> list[Seen]:
        return self.ordered(phrase, MOST[most])[: NUMBERS.get(number or "", 1)]

    def furthest(self, phrase: str, side: str) -> list[Seen]:
        return self.ordered(phrase, side)[:1]

    def sized(self, number: str | None, word: str, phrase: str) -> list[Seen]:
        order = sorted(self.named(phrase), key=lambda obj: obj.area, reverse=word != "smallest")
        return order[: NUMBERS.get(number or "", 1)]

    def pair(self, phrase: str, joint: str, anchor: str) -> list[Seen]:
        anchors = self.named(anchor)
        if not anchors:
            return []
        (mark,) = anchors
        objects = self.named(phrase)
        if joint in WHERE:
            shift = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}[WHERE[joint]]
            return [t for t in objects if (t.x - mark.x) * shift[0] + (t.y - mark.y) * shift[1] > 0]
        if joint in ("behind", "in front of"):
            sign = 1 if joint == "behind" else -1
            touching = [t for t in objects if t is not mark and overlap(t.box, mark.box)]
            return [t for t in touching if sign * (mark.box[3] - t.box[3]) > 0]
        order = sorted(objects, key=lambda t: math.hypot(t.x - mark.x, t.y - mark.y), reverse=joint == "farthest from")
        return order[:1]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


FORMS = (
    (r"(.+) and (.+)", Viewer.both),
    (r"(.+) (?:except the|but the) (\w+most) one", Viewer.but_side),
    (r"(.+) except the ones? in (\w+)", Viewer.but_colour),
    (r"(.+) except the (\w+) ones?", Viewer.but_colour),
    (r"(.+) that are not (?:in )?(\w+)", Viewer.but_colour),
    (r"(?:the )?(first|second|third|fourth|fifth) (.+) from the (left|right)", Viewer.nth),
    (r"(.+) on the (left|right) side", Viewer.half),
    (r"(.+) in the (\w+) half of the picture", Viewer.half),
    (r"(.+) furthest to the (left|right)", Viewer.furthest),
    (rf"(.+?) {PAIR} (.+)", Viewer.pair),
    (r"(?:the )?(?:(two|three) )?(\w+most) (.+)", Viewer.most),
    (r"(?:the )?(?:(two|three) )?(largest|biggest|smallest) (.+)", Viewer.sized),
)
