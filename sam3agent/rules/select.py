"""Carrying out a plan: from candidates and their geometry to the ids that answer. Pure functions of bench and pool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sam3agent.masks import Mask
from sam3agent.pool import Candidate
from sam3agent.rules.plan import Axis, NounPhrase, Plan, Ranking, Relation, Side, Target
from sam3agent.rules.words import synonyms
from sam3agent.tools.mask_facts import box_centre, distance, gap, mask_colours
from sam3agent.workbench import Workbench

LEAST_OF_COLOUR = 0.12
"""Share of a mask's pixels in the colour that its phrase names, below which the mask is not believed."""
CLEARLY_OF_COLOUR = 0.3
"""Share that is wanted where the segmenter was asked without the colour."""

_IN_SHADE = {"white": ("grey",), "black": ("grey",), "grey": ("white", "black"), "pink": ("red",)}
"""What light can make of a colour; counted as that colour."""


def alternatives(what: NounPhrase) -> list[NounPhrase]:
    """Other phrases for the same things, to be tried where the first finds nothing; the last ones lack the colour."""
    renamed = [what.phrase.replace(what.noun, word, 1) for word in synonyms(what.noun)]
    phrases = [NounPhrase(phrase, what.noun, what.colours, what.plural) for phrase in renamed if phrase != what.phrase]
    if what.colours and what.bare and what.bare != what.phrase:
        phrases.append(NounPhrase(what.bare, what.noun, (), what.plural))
    return phrases[:3]


@dataclass
class Selector:
    """Answers targets over one bench; colours of masks are measured once."""

    bench: Workbench
    _colours: dict[int, dict[str, float]] = field(default_factory=dict)

    def answer(self, plan: Plan) -> tuple[int, ...]:
        """Ids that answer any part of a plan, each once."""
        parts = [self.choose(target) for target in plan.targets]
        return tuple(dict.fromkeys(c.id for part in parts for c in part))

    def colour_share(self, candidate: Candidate, colours: Sequence[str]) -> float:
        """The least share, over the named colours, of a candidate's pixels."""
        if candidate.id not in self._colours:
            self._colours[candidate.id] = mask_colours(self.bench.pixels(candidate.frame), candidate.mask)
        shares = self._colours[candidate.id]
        seen = (sum(shares.get(name, 0.0) for name in (colour, *_IN_SHADE.get(colour, ()))) for colour in colours)
        return min(seen, default=1.0)

    def is_mostly(self, candidate: Candidate, colours: Sequence[str]) -> bool:
        """Whether the named colours are a candidate's main ones, in plain light."""
        self.colour_share(candidate, colours)
        main = list(self._colours[candidate.id].items())[: len(colours)]
        return {name for name, share in main if share >= CLEARLY_OF_COLOUR} >= set(colours)

    def find(self, what: NounPhrase) -> list[Candidate]:
        """What the phrase found and its colours confirm; else what its alternatives found."""
        for phrase in (what, *alternatives(what)):
            if found := [c for c in self.bench.pool.found_by(phrase.phrase) if self.confirms(c, what, phrase)]:
                return found
        return []

    def confirms(self, candidate: Candidate, what: NounPhrase, searched: NounPhrase) -> bool:
        """Whether a candidate shows the colours of `what`; clearly so if what was searched did not name them."""
        if what.colours and not searched.colours:
            return self.is_mostly(candidate, what.colours)
        return self.colour_share(candidate, what.colours) >= LEAST_OF_COLOUR

    def choose(self, target: Target) -> list[Candidate]:
        """The candidates that a target means."""
        chosen = self.find(target.what)
        for side in target.sides:
            chosen = [c for c in chosen if self._on_side(c.mask, side)]
        if target.relation:
            chosen = self._related(chosen, target.relation, target)
        if target.ranking:
            chosen = self._ranked(chosen, target.ranking)
        elif target.sides and not target.what.plural and len(chosen) > 1:
            chosen = self._ranked(chosen, Ranking(target.sides[0]))
        elif target.number and not target.relation:
            chosen = chosen[: target.number]
        out = {c.id for exception in target.exceptions for c in self.choose(exception)}
        return [c for c in chosen if c.id not in out]

    def _on_side(self, mask: Mask, side: Side) -> bool:
        x, y = box_centre(mask)
        width, height = self.bench.size
        return {"left": x < width / 2, "right": x > width / 2, "top": y < height / 2, "bottom": y > height / 2}[side]

    def _ranked(self, chosen: list[Candidate], ranking: Ranking) -> list[Candidate]:
        """Part of an order; empty where there are fewer than the ordinal says."""
        order = sorted(chosen, key=lambda c: self._key(c.mask, ranking.axis))
        start = len(order) - 1 if ranking.start < 0 else ranking.start - 1
        return order[start : start + ranking.count]

    def _key(self, mask: Mask, axis: Axis) -> float:
        """What an order sorts by, the first one lowest."""
        x, y = box_centre(mask)
        x0, y0, x1, y1 = mask.box
        width, height = self.bench.size
        keys: dict[Axis, float] = {
            "left": x, "right": -x, "top": y, "bottom": -y, "large": -mask.area, "small": mask.area,
            "tall": y0 - y1, "short": y1 - y0, "wide": x0 - x1, "narrow": x1 - x0,
            "middle": np.hypot(x / width - 0.5, y / height - 0.5),
        }  # fmt: skip
        return float(keys[axis])

    def _related(self, chosen: list[Candidate], relation: Relation, target: Target) -> list[Candidate]:
        """Those in a relation to the anchors; none where an anchor is missing."""
        groups = [self._anchor(anchor) for anchor in relation.anchors]
        if not all(groups):
            return []
        anchors = [c for group in groups for c in group]
        ids = {c.id for c in anchors}
        rest = [c for c in chosen if c.id not in ids]
        if relation.kind == "between":
            return self._between(rest, groups, target)
        if relation.kind in ("nearest", "farthest"):
            sign = 1 if relation.kind == "nearest" else -1
            rest.sort(key=lambda c: sign * min(distance(c.mask, a.mask) for a in anchors))
            return rest[: relation.count]
        kept = [c for c in rest if any(_HOLDS[relation.kind](c.mask, a.mask) for a in anchors)]
        if target.what.plural or target.ranking or len(kept) < 2:
            return kept
        kept.sort(key=lambda c: min(_DOUBT[relation.kind](c.mask, a.mask) for a in anchors))
        return kept[: relation.count]

    def _anchor(self, anchor: Target) -> list[Candidate]:
        """What a relation refers to: the best one, or all of a plural."""
        found = self.choose(anchor)
        return found if anchor.what.plural else found[:1]

    def _between(self, rest: list[Candidate], groups: list[list[Candidate]], target: Target) -> list[Candidate]:
        """Those nearest to the straight line between two anchors."""
        if len(groups) < 2 and len(groups[0]) < 2:
            return []
        first = np.array(box_centre(groups[0][0].mask))
        last = np.array(box_centre(groups[-1][-1].mask))
        along = last - first
        length = float(along @ along) or 1.0

        def off(c: Candidate) -> float:
            point = np.array(box_centre(c.mask)) - first
            t = float(point @ along) / length
            return float(np.linalg.norm(point - t * along)) if 0 < t < 1 else np.inf

        near = sorted((c for c in rest if off(c) < np.inf), key=off)
        return near if target.what.plural else near[:1]


def contact(a: Mask, b: Mask) -> int:
    """How many pixels of a's neighbourhood touch b: large where one hides part of the other."""
    reach = max(2, round(min(a.width, a.height) / 120))
    grown = Mask(_grow(a.crop, reach), a.x - reach, a.y - reach, a.width, a.height)
    return grown.intersection(b)


def _grow(crop: np.ndarray, reach: int) -> np.ndarray:
    """The crop padded and dilated by `reach` pixels along both axes."""
    wide = np.pad(crop, reach)
    rows = wide.copy()
    for step in range(1, reach + 1):
        rows[step:] |= wide[:-step]
        rows[:-step] |= wide[step:]
    grown = rows.copy()
    for step in range(1, reach + 1):
        grown[:, step:] |= rows[:, :-step]
        grown[:, :-step] |= rows[:, step:]
    return grown


def _behind(a: Mask, b: Mask) -> bool:
    """Whether b, standing lower in the picture, hides part of a, or a at least stands close above b's foot."""
    return a.box[3] < b.box[3] and (contact(a, b) > 0 or gap(a, b) == 0)


def _on(a: Mask, b: Mask) -> bool:
    """Whether a stands over the upper half of b, or has b under its foot, as a cup far down on a table has."""
    x, y = box_centre(a)
    over = b.box[0] <= x <= b.box[2] and y < box_centre(b)[1] and gap(a, b) <= 0.2 * (b.box[3] - b.box[1])
    return over or _foot(a).intersection(b) > 0


def _foot(mask: Mask) -> Mask:
    """What lies right under the middle of a mask."""
    x0, y0, x1, y1 = mask.box
    below = np.ones((max(2, (y1 - y0) // 10), max(1, (x1 - x0) // 2)), bool)
    return Mask(below, (x0 + x1 - below.shape[1]) // 2, y1, mask.width, mask.height)


def _near(a: Mask, b: Mask) -> bool:
    """Whether the gap between two boxes is at most half of the longest side of both."""
    sides = (box[i + 2] - box[i] for box in (a.box, b.box) for i in (0, 1))
    return gap(a, b) <= max(sides) / 2


Test = Callable[[Mask, Mask], bool]
_HOLDS: dict[str, Test] = {
    "behind": _behind,
    "front": lambda a, b: _behind(b, a),
    "left": lambda a, b: box_centre(a)[0] < box_centre(b)[0],
    "right": lambda a, b: box_centre(a)[0] > box_centre(b)[0],
    "above": lambda a, b: box_centre(a)[1] < box_centre(b)[1],
    "below": lambda a, b: box_centre(a)[1] > box_centre(b)[1],
    "on": _on,
    "near": _near,
}
_DOUBT: dict[str, Callable[[Mask, Mask], float]] = {
    "behind": lambda a, b: -contact(a, b),
    "front": lambda a, b: -contact(a, b),
    "left": distance,
    "right": distance,
    "above": distance,
    "below": distance,
    "on": gap,
    "near": gap,
}
"""Where several fit and one is asked for, the one with the least of this."""
