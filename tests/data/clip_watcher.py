"""A second implementation of questions about clips, which looks at the pixels of every frame.

It shares no code with the generator of questions, so that errors in either one show.
"""

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from sam3model.playground import Clip

COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]
START = r"(?:at the start|at the beginning|in the first frame)"
END = r"(?:at the end|in the last frame)"
SIDES = {"leftmost": (0, 1), "rightmost": (0, -1), "topmost": (1, 1), "bottommost": (1, -1)}
PEOPLE = ("player", "referee")
LAG = 5
"""Frames between two looks at something that moves, so that hops do not count as speed."""


class Track:
    """What the pixels show of one object: boxes (T, 4), areas (T,), and where it is cut by the edge of the image."""

    def __init__(self, masks: list[np.ndarray], visible: list[float]) -> None:
        height, width = masks[0].shape
        boxes = []
        for mask in masks:
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 0, 0))
        self.boxes = np.array(boxes, float)
        self.areas = np.array([mask.sum() for mask in masks])
        self.visible = np.array(visible)
        self.there = self.areas > 0
        x0, y0, x1, y1 = self.boxes.T
        self.cut = self.there & ((x0 <= 1) | (y0 <= 1) | (x1 >= width - 1) | (y1 >= height - 1))
        self.whole = self.there & ~self.cut & (self.visible > 0.9)
        self.centres = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    def changes(self, on: bool) -> list[int]:
        """Frames at which it comes in (on), or is gone, over the edge of the image."""
        found = []
        for t in range(1, len(self.there)):
            if self.there[t] == on and self.there[t - 1] != on and self.cut[t if on else t - 1]:
                found.append(t)
        return found


class Watcher:
    """Answers questions about a clip from its frames; `nouns` maps every noun to its kind."""

    def __init__(self, clip: Clip, nouns: dict[str, str]) -> None:
        self.clip, self.nouns = clip, nouns
        frames = [clip.frame(t) for t in range(clip.count)]
        self.tracks = {
            obj.id: Track([f.owners == obj.id + 1 for f in frames], [f.visible[obj.id] for f in frames])
            for obj in clip.objects
        }
        self.width = clip.size[0]

    def named(self, phrase: str) -> list[int]:
        words = [
            word for word in phrase.split() if word not in ("the", "all", "every", "in", "wearing", "two", "three")
        ]
        (kind,) = {self.nouns[word] for word in words if word in self.nouns}
        asked = {word for word in words if word not in self.nouns}
        assert asked <= {*COLOURS, "striped", "dotted", "small", "large"}, phrase
        return [
            obj.id
            for obj in self.clip.objects
            if obj.kind == kind and asked <= {obj.colour, obj.pattern, obj.size} and self.tracks[obj.id].there.any()
        ]

    def answer(self, text: str) -> set[int] | None:
        """Ids of the answer; None if the watcher does not know this form."""
        for pattern, method in FORMS:
            found = re.fullmatch(pattern, text)
            if found:
                return method(self, *found.groups())
        return None

    def enters(self, i: int) -> bool:
        return bool(self.tracks[i].changes(True))

    def leaves(self, i: int) -> bool:
        return bool(self.tracks[i].changes(False))

    def returns(self, i: int) -> bool:
        left, came = self.tracks[i].changes(False), self.tracks[i].changes(True)
        return any(a < b for a in left for b in came)

    def remains(self, i: int) -> bool:
        return not self.enters(i) and not self.leaves(i)

    def goes(self, i: int, sign: int) -> bool:
        track = self.tracks[i]
        seen = np.flatnonzero(track.there & ~track.cut & (track.visible > 0.5))
        seen = seen if len(seen) > 2 else np.flatnonzero(track.there)
        return len(seen) > 1 and sign * (track.centres[seen[-1], 0] - track.centres[seen[0], 0]) > 0.06 * self.width

    def rests(self, i: int) -> bool:
        track = self.tracks[i]
        return bool(np.ptp(track.centres[track.whole], axis=0).max(initial=0) < 0.02 * self.width)

    def pace(self, i: int, before: bool) -> bool | None:
        """Whether it stands still after it moved, or (before) moves after it stood; None if it is covered too often."""
        track = self.tracks[i]
        if not self.clip.plan.camera.fixed or track.whole.sum() < 0.8 * track.there.sum():
            return None
        pairs = track.whole[LAG:] & track.whole[:-LAG]
        steps = np.abs(track.centres[LAG:, 0] - track.centres[:-LAG, 0])[pairs]
        moving, still = np.flatnonzero(steps > 4), np.flatnonzero(steps < 0.6)
        if not len(moving) or not len(still):
            return False
        return bool(still[0] < moving[-1]) if before else bool(moving[0] < still[-1])

    def turns(self, i: int) -> bool | None:
        track = self.tracks[i]
        if not self.clip.plan.camera.fixed:
            return None
        x = track.centres[track.there & ~track.cut & (track.visible > 0.5), 0] / self.width
        return any(self.peak(sign * x, t) >= 0.08 for t in range(1, len(x) - 1) for sign in (1, -1))

    def peak(self, x: np.ndarray, t: int) -> float:
        """How far a path rises up to index t, and falls after it."""
        return float(min(x[t] - x[:t].min(), x[t] - x[t + 1 :].min()))

    def covers(self, i: int) -> bool:
        """Whether nothing of it is seen for a while, between times within the image."""
        track = self.tracks[i]
        seen = np.flatnonzero(track.there)
        gaps = [(a, b) for a, b in pairwise(seen) if b - a > 2]
        return any(not track.cut[a] and not track.cut[b] for a, b in gaps)

    def gone(self, i: int) -> bool:
        return bool(self.tracks[i].there[0] and not self.tracks[i].there[-1])

    def present(self, i: int, t: int) -> bool:
        return bool(self.tracks[i].there[t])

    def doing(self, phrase: str, verb: str) -> set[int] | None:
        if verb not in VERBS:
            return None
        found = {i: VERBS[verb](self, i) for i in self.named(phrase)}
        return None if None in found.values() else {i for i, does in found.items() if does}

    def spared(self, phrase: str, verb: str) -> set[int] | None:
        doing = self.doing(phrase, verb)
        return doing if doing is None else set(self.named(phrase)) - doing

    def order(self, ids: list[int], verb: str, word: str) -> set[int] | None:
        on = {"enter": True, "leave": False}.get(MEANS.get(verb, ""))
        if on is None:
            return None
        times = sorted((self.tracks[i].changes(on)[0], i) for i in ids if self.tracks[i].changes(on))
        return {times[0 if word == "first" else -1][1]} if times else set()

    def nth(self, word: str, phrase: str, verb: str) -> set[int] | None:
        on = {"enter": True, "leave": False}.get(MEANS.get(verb, ""))
        if on is None:
            return None
        times = sorted((self.tracks[i].changes(on)[0], i) for i in self.named(phrase) if self.tracks[i].changes(on))
        number = {"first": 0, "second": 1, "third": 2}[word]
        return {times[number][1]} if len(times) > number else set()

    def relative(self, phrase: str, verb: str, word: str, anchor: str, other: str) -> set[int] | None:
        on, at = ({"enter": True, "leave": False}.get(MEANS.get(one, "")) for one in (verb, other))
        if on is None or at is None:
            return None
        (thing,) = self.named(anchor)
        (time,) = self.tracks[thing].changes(at)
        sign = 1 if word == "before" else -1
        return {i for i in self.named(phrase) if any(sign * t < sign * time for t in self.tracks[i].changes(on))}

    def farthest(self, phrase: str) -> set[int] | None:
        if not self.clip.plan.camera.fixed:
            return None
        seen = {i: self.tracks[i].centres[self.tracks[i].there] for i in self.named(phrase)}
        return {max(seen, key=lambda i: float(np.hypot(*np.ptp(seen[i], axis=0))))}

    def passes(self, phrase: str, word: str, anchor: str) -> set[int]:
        """Those that are seen on both sides of the anchor, and cover it or are covered while they touch it."""
        (thing,) = self.named(anchor)
        other, found = self.tracks[thing], set()
        for i in self.named(phrase):
            track = self.tracks[i]
            low = np.maximum(track.boxes[:, :2], other.boxes[:, :2])
            high = np.minimum(track.boxes[:, 2:], other.boxes[:, 2:])
            touching = ((high - low) > -3).all(1) & track.there & other.there
            both = track.there & other.there
            side = np.sign(track.centres[both, 0] - other.centres[both, 0])
            if touching.any() and np.ptp(side) == 2:
                front = track.visible[touching].min() > other.visible[touching].min()
                found |= {i} if front == (word == "in front of") else set()
        return found

    def ranked(self, word: str, phrase: str, verb: str) -> set[int] | None:
        return self.order(self.named(phrase), verb, word)

    def ranked_after(self, phrase: str, verb: str, word: str) -> set[int] | None:
        return self.order(self.named(phrase), verb, word)

    def who(self, verb: str, word: str) -> set[int] | None:
        return self.order([obj.id for obj in self.clip.objects if obj.kind in PEOPLE], verb, word)

    def what(self, verb: str, word: str) -> set[int] | None:
        return self.order([obj.id for obj in self.clip.objects], verb, word)

    def most(self, phrase: str, word: str, t: int) -> set[int]:
        axis, sign = SIDES[word]
        there = [i for i in self.named(phrase) if self.tracks[i].there[t]]
        return {min(there, key=lambda i: sign * self.tracks[i].centres[t, axis])} if there else set()

    def most_start(self, word: str, phrase: str) -> set[int]:
        return self.most(phrase, word, 0)

    def most_end(self, word: str, phrase: str) -> set[int]:
        return self.most(phrase, word, -1)

    def both_ends(self, phrase: str, one: str, two: str) -> set[int]:
        return self.most(phrase, one, 0) & self.most(phrase, two, -1)

    def still_there(self, phrase: str, word: str) -> set[int]:
        return {i for i in self.most(phrase, word, 0) if self.tracks[i].there[-1]}

    def apart(self, one: int, two: int) -> np.ndarray:
        return np.hypot(*(self.tracks[one].centres - self.tracks[two].centres).T)

    def nearest(self, phrase: str, anchor: str, t: int) -> set[int]:
        (other,) = self.named(anchor)
        there = [i for i in self.named(phrase) if self.tracks[i].there[t]]
        return {min(there, key=lambda i: self.apart(i, other)[t])}

    def nearest_start(self, phrase: str, anchor: str) -> set[int]:
        return self.nearest(phrase, anchor, 0)

    def nearest_end(self, phrase: str, anchor: str) -> set[int]:
        return self.nearest(phrase, anchor, -1)

    def approaches(self, phrase: str, anchor: str) -> set[int]:
        (other,) = self.named(anchor)
        seen = {i: (self.tracks[i].visible > 0.4) & (self.tracks[other].visible > 0.4) for i in self.named(phrase)}
        rows = [(self.apart(i, other)[both].min(), i) for i, both in seen.items() if both.any()]
        return {min(rows)[1]}

    def speeds(self, phrase: str, slowest: bool) -> set[int] | None:
        if not self.clip.plan.camera.fixed:
            return None
        rows = []
        for i in self.named(phrase):
            track = self.tracks[i]
            steps = np.hypot(*(track.centres[LAG:] - track.centres[:-LAG]).T)[track.whole[LAG:] & track.whole[:-LAG]]
            if len(steps) < 4:
                return None
            rows.append((float(np.median(steps)), i))
        return {(min(rows) if slowest else max(rows))[1]}

    def fastest(self, phrase: str) -> set[int] | None:
        return self.speeds(phrase, False)

    def slowest(self, phrase: str) -> set[int] | None:
        return self.speeds(phrase, True)

    def longest(self, phrase: str) -> set[int]:
        return {max(self.named(phrase), key=lambda i: int(self.tracks[i].there.sum()))}


_MEANINGS = {
    "enter": "enters the picture|comes into the picture|enters|comes into view",
    "leave": "leaves the picture|goes out of the picture|leaves|moves out of view",
    "return": "comes back|leaves and comes back|returns",
    "stay in": "never leaves the picture|does not leave",
    "remain": "is in the picture the whole time|stays in the picture",
    "right": "moves to the right|goes right",
    "left": "moves to the left|goes left",
    "rest": "never moves|stays still|does not move",
    "stop": "stops|comes to a halt|stops moving",
    "no stop": "does not stop|never stops",
    "start": "starts moving|begins to move|sets off",
    "turn": "turns around|turns back",
    "no turn": "does not turn around",
    "hide": "is hidden for a while|disappears behind something|gets covered by something",
    "gone": "is gone at the end|is not there any more at the end",
}
MEANS = {form: meaning for meaning, forms in _MEANINGS.items() for form in forms.split("|")}
MEANS |= {re.sub(r"^(\w+?)(?:es|s)\b", r"\1", form): meaning for form, meaning in MEANS.items()}
MEANS |= {form.replace("leavs", "leave"): meaning for form, meaning in MEANS.items()}
MEANS |= {
    "leave": "leave", "leave the picture": "leave", "come into the picture": "enter", "come into view": "enter",
    "go out of the picture": "leave", "move out of view": "leave", "come back": "return",
    "leave and come back": "return", "go right": "right", "go left": "left", "move to the right": "right",
    "move to the left": "left", "are in the picture the whole time": "remain", "do not leave": "stay in",
    "never leave the picture": "stay in", "never move": "rest", "do not move": "rest", "are gone at the end": "gone",
    "are not there any more at the end": "gone", "come to a halt": "stop", "do not stop": "no stop",
    "never stop": "no stop", "start moving": "start", "begin to move": "start", "set off": "start",
    "turn back": "turn", "do not turn around": "no turn", "are hidden for a while": "hide",
    "disappear behind something": "hide", "get covered by something": "hide", "stop": "stop", "stop moving": "stop",
}  # fmt: skip


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


_DOES: dict[str, Callable[[Watcher, int], bool | None]] = {
    "stop": lambda watcher, i: watcher.pace(i, False),
    "no stop": lambda watcher, i: _not(watcher.pace(i, False)),
    "start": lambda watcher, i: watcher.pace(i, True),
    "turn": Watcher.turns,
    "no turn": lambda watcher, i: _not(watcher.turns(i)),
    "hide": Watcher.covers,
    "enter": Watcher.enters,
    "leave": Watcher.leaves,
    "return": Watcher.returns,
    "stay in": lambda watcher, i: not watcher.leaves(i),
    "remain": Watcher.remains,
    "right": lambda watcher, i: watcher.goes(i, 1),
    "left": lambda watcher, i: watcher.goes(i, -1),
    "rest": Watcher.rests,
    "gone": Watcher.gone,
}
VERBS = {form: _DOES[meaning] for form, meaning in MEANS.items()}

_MOST = "(leftmost|rightmost|topmost|bottommost)"
_OF = r"(?:the|all|every)(?: two| three)? (.+?) (?:who|that)"
FORMS: list[tuple[str, Callable[..., set[int] | None]]] = [
    (rf"the (.+?) in the picture {END} (?:who|that) was {_MOST} {START}", Watcher.still_there),
    (r"(?:who|the person who) (.+) (first|last)", Watcher.who),
    (r"(?:what|whatever|the object that) (.+) (first|last)", Watcher.what),
    (rf"the {_MOST} (.+) {START}", Watcher.most_start),
    (rf"the {_MOST} (.+) {END}", Watcher.most_end),
    (rf"the (.+?) (?:who|that) (?:is|was) {_MOST} {START}", lambda w, p, m: w.most(p, m, 0)),
    (rf"the (.+?) (?:who|that) (?:is|was) {_MOST} {END}", lambda w, p, m: w.most(p, m, -1)),
    (rf"the (.+?) (?:who|that) was {_MOST} {START} and is {_MOST} {END}", Watcher.both_ends),
    (rf"{_OF} (?:is|are) in the picture {START}", lambda w, p: {i for i in w.named(p) if w.present(i, 0)}),
    (rf"{_OF} (?:is|are) in the picture {END}", lambda w, p: {i for i in w.named(p) if w.present(i, -1)}),
    (rf"the (.+) (?:closest|nearest) to the (.+) {START}", Watcher.nearest_start),
    (rf"the (.+) (?:closest|nearest) to the (.+) {END}", Watcher.nearest_end),
    (r"the (.+?) (?:who|that) (?:comes|gets) (?:closest|nearest) to the (.+)", Watcher.approaches),
    (r"the fastest (.+)|the (.+?) (?:who|that) (?:moves|is the) fastest", lambda w, a, b: w.fastest(a or b)),
    (r"the slowest (.+)|the (.+?) (?:who|that) (?:moves|is the) slowest", lambda w, a, b: w.slowest(a or b)),
    (r"the (.+?) (?:who|that) (?:is in the picture the longest|can be seen for the longest time)", Watcher.longest),
    (
        rf"{_OF} (.+) (before|after) the (.+) (MEANS)".replace("MEANS", "|".join(sorted(MEANS, key=len, reverse=True))),
        Watcher.relative,
    ),
    (r"the (second|third) (.+?) to (.+)", Watcher.nth),
    (r"the (.+?) (?:who|that) (?:moves the farthest|covers the longest distance)", Watcher.farthest),
    (rf"{_OF} (?:passe?s?|moves? past) (in front of|behind) the (.+)", Watcher.passes),
    (r"the (first|last) (.+?) to (.+)", Watcher.ranked),
    (r"the (.+?) (?:who|that) (.+) (first|last)", Watcher.ranked_after),
    (r"the (.+?) (?:who|that) is the (first|last) to (.+)", lambda w, p, word, verb: w.ranked(word, p, verb)),
    (r"all (.+) except the one (?:who|that) (.+)", Watcher.spared),
    (rf"{_OF} (.+)", Watcher.doing),
]
