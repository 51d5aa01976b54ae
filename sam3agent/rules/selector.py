"""The masks that a plan selects, from the candidates' geometry and colours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sam3agent.masks import Mask
from sam3agent.pool import Candidate
from sam3agent.rules.question_plan import Axis, NounPhrase, QuestionPlan, Ranking, Side, Target
from sam3agent.rules.words import synonyms
from sam3agent.tools.mask_facts import box_centre, distance, gap, mask_colours
from sam3agent.workbench import Workbench

MIN_COLOUR_RATIO = 0.12
"""Minimum fraction of a mask's pixels in each colour that its phrase names."""
CLEAR_COLOUR_RATIO = 0.3
"""Minimum fraction if the segmenter was prompted without the colour."""

ROUGH_IOU = 0.3
"""Two masks of one noun that overlap at least this much are one object, with one of them drawn roughly."""

_IN_SHADE = {"white": ("grey",), "black": ("grey",), "grey": ("white", "black"), "pink": ("red",)}
"""Colours that count as another, because light and shade turn one into the other."""


def alternatives(what: NounPhrase) -> list[NounPhrase]:
    """Up to three other phrases to try if a phrase finds nothing; the last may be without its colour."""
    renamed = [what.phrase.replace(what.noun, word, 1) for word in synonyms(what.noun)]
    phrases = [NounPhrase(phrase, what.noun, what.colours, what.plural) for phrase in renamed if phrase != what.phrase]
    if what.colours and what.bare and what.bare != what.phrase:
        phrases.append(NounPhrase(what.bare, what.noun, (), what.plural))
    return phrases[:3]


@dataclass(frozen=True, slots=True)
class Choice:
    """How a target was resolved, step by step. Each list is a subset of the one before.

    found: candidates of the noun phrase. placed: those on the named sides. eligible: those in the relation, best first.
    related: as many of these as the relation allows. chosen: those that the ranking or number picks. kept: those left
    after the exceptions. ranking: the one applied, if any. anchors, exceptions: choices of the targets referred to.
    """

    target: Target
    found: Sequence[Candidate]
    placed: Sequence[Candidate]
    eligible: Sequence[Candidate]
    related: Sequence[Candidate]
    chosen: Sequence[Candidate]
    kept: Sequence[Candidate]
    ranking: Ranking | None
    anchors: tuple["Choice", ...]
    exceptions: tuple["Choice", ...]


@dataclass
class Selector:
    """Resolves plans on one workbench. The colours of each mask are measured once."""

    bench: Workbench
    _colours: dict[int, dict[str, float]] = field(default_factory=dict)

    def resolve(self, plan: QuestionPlan) -> tuple[Choice, ...]:
        """A choice per target of the plan."""
        return tuple(map(self.choose, plan.targets))

    def colour_ratio(self, candidate: Candidate, colours: Sequence[str]) -> float:
        """Fraction of a candidate's pixels in a colour, for the named colour with the fewest pixels; 1 without any."""
        if candidate.id not in self._colours:
            self._colours[candidate.id] = mask_colours(self.bench, candidate)
        ratios = self._colours[candidate.id]
        seen = (sum(ratios.get(name, 0.0) for name in (colour, *_IN_SHADE.get(colour, ()))) for colour in colours)
        return min(seen, default=1.0)

    def is_mostly(self, candidate: Candidate, colours: Sequence[str]) -> bool:
        """Whether the named colours are a candidate's main ones, not counting light and shade."""
        self.colour_ratio(candidate, colours)
        main = list(self._colours[candidate.id].items())[: len(colours)]
        return {name for name, ratio in main if ratio >= CLEAR_COLOUR_RATIO} >= set(colours)

    def find(self, what: NounPhrase) -> list[Candidate]:
        """Candidates that the phrase found and that have its colours; if there are none, those of an alternative."""
        for phrase in (what, *alternatives(what)):
            if found := [c for c in self.bench.pool.found_by(phrase.phrase) if self.confirms(c, what, phrase)]:
                return found
        return []

    def confirms(self, candidate: Candidate, what: NounPhrase, searched: NounPhrase) -> bool:
        """Whether a candidate has the colours of `what`. The test is stricter if `searched` did not name them."""
        if what.colours and not searched.colours:
            return self.is_mostly(candidate, what.colours)
        return self.colour_ratio(candidate, what.colours) >= MIN_COLOUR_RATIO

    def choose(self, target: Target) -> Choice:
        """Resolve one target."""
        found = self.find(target.what)
        placed = [c for c in found if all(self._on_side(c.mask, side) for side in target.sides)]
        anchors = tuple(map(self.choose, target.relation.anchors)) if target.relation else ()
        eligible = self._related(placed, target, anchors) if target.relation else placed
        related = eligible[: _relation_limit(target)]
        ranking = target.ranking
        if not ranking and target.sides and not target.what.plural and len(related) > 1:
            ranking = Ranking(target.sides[0])
        number = None if target.relation else target.number or None
        exceptions = tuple(map(self.choose, target.exceptions))
        excluded = {one for e in exceptions for one in left_out(related, target.what, e.kept, e.target.what)}
        first = (
            [c for c in related if c.id not in excluded] if target.exclude_first and (ranking or number) else related
        )
        chosen = self._ranked(first, ranking) if ranking else first[:number]
        kept = [c for c in chosen if c.id not in excluded]
        return Choice(target, found, placed, eligible, related, chosen, kept, ranking, anchors, exceptions)

    def _on_side(self, mask: Mask, side: Side) -> bool:
        x, y = box_centre(mask)
        width, height = self.bench.size
        return {"left": x < width / 2, "right": x > width / 2, "top": y < height / 2, "bottom": y > height / 2}[side]

    def _ranked(self, candidates: list[Candidate], ranking: Ranking) -> list[Candidate]:
        """The candidates at the positions of a ranking; empty if `start` is beyond the last."""
        order = sorted(candidates, key=lambda c: self._key(c.mask, ranking.axis))
        start = len(order) - 1 if ranking.start < 0 else ranking.start - 1
        return order[start : start + ranking.count]

    def _key(self, mask: Mask, axis: Axis) -> float:
        """Sort key of a ranking; the first mask has the lowest."""
        x, y = box_centre(mask)
        x0, y0, x1, y1 = mask.box
        width, height = self.bench.size
        keys: dict[Axis, float] = {
            "left": x, "right": -x, "top": y, "bottom": -y, "large": -mask.area, "small": mask.area,
            "tall": y0 - y1, "short": y1 - y0, "wide": x0 - x1, "narrow": x1 - x0,
            "middle": np.hypot(x / width - 0.5, y / height - 0.5),
        }  # fmt: skip
        return float(keys[axis])

    def _related(self, placed: list[Candidate], target: Target, choices: Sequence[Choice]) -> list[Candidate]:
        """Candidates in the relation of a target, best first if it has a limit; none if an anchor is missing."""
        groups = [anchors_of(choice) for choice in choices]
        if not target.relation or not all(groups):
            return []
        kind, anchors = target.relation.kind, [c for group in groups for c in group]
        ids = {c.id for c in anchors}
        rest = [c for c in placed if c.id not in ids]
        if kind == "between":
            return _between(rest, groups)
        if kind in ("nearest", "farthest"):
            sign = 1 if kind == "nearest" else -1
            return sorted(rest, key=lambda c: sign * min(distance(c.mask, a.mask) for a in anchors))
        holds, cost = _RELATIONS[kind]
        rest = [c for c in rest if any(holds(c.mask, a.mask) for a in anchors)]
        if _relation_limit(target) is not None:
            rest.sort(key=lambda c: min(cost(c.mask, a.mask) for a in anchors))
        return rest


def anchors_of(choice: Choice) -> Sequence[Candidate]:
    """The candidates that a relation refers to: all of a plural, else the best one."""
    return choice.kept if choice.target.what.plural else choice.kept[:1]


def left_out(
    candidates: Sequence[Candidate], what: NounPhrase, named: Sequence[Candidate], exception: NounPhrase
) -> set[int]:
    """Ids of the candidates that an exception leaves out: those that it found, and of the same noun, their likes.

    The masks of "striped player" may differ so much from those of "player" that they are candidates of their own.
    """
    ids = {c.id for c in candidates}
    excluded = {c.id for c in named if c.id in ids}
    if not candidates or what.noun != exception.noun:
        return excluded
    for rough in (c for c in named if c.id not in ids):
        likest = max(candidates, key=lambda c: c.masklet.iou(rough.masklet))
        if likest.masklet.iou(rough.masklet) >= ROUGH_IOU:
            excluded.add(likest.id)
    return excluded


def _relation_limit(target: Target) -> int | None:
    """Maximum number of candidates in the relation of a target; None for no limit."""
    if target.relation is None:
        return None
    if target.relation.kind in ("nearest", "farthest"):
        return target.relation.count
    if target.what.plural:
        return None
    if target.relation.kind == "between":
        return 1
    return None if target.ranking else target.relation.count


def _between(rest: list[Candidate], groups: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Candidates between two anchors, those closest to the straight line first."""
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

    return sorted((c for c in rest if off(c) < np.inf), key=off)


def contact(a: Mask, b: Mask) -> int:
    """Number of pixels of `b` that touch `a`; large if one hides part of the other."""
    reach = max(2, round(min(a.width, a.height) / 120))
    grown = Mask(_grow(a.crop, reach), a.x - reach, a.y - reach, a.width, a.height)
    return grown.intersection(b)


def _grow(crop: np.ndarray, reach: int) -> np.ndarray:
    """The crop padded and dilated by `reach` pixels along both axes."""
    grown = np.pad(crop, reach)
    for _ in range(2):
        before = grown.copy()
        for step in range(1, reach + 1):
            grown[step:] |= before[:-step]
            grown[:-step] |= before[step:]
        grown = grown.T
    return grown


def _behind(a: Mask, b: Mask) -> bool:
    """Whether `a` ends higher in the image than `b` and touches it, or their boxes overlap."""
    return a.box[3] < b.box[3] and (contact(a, b) > 0 or gap(a, b) == 0)


def _on(a: Mask, b: Mask) -> bool:
    """Whether `a` is over the upper half of `b` and close to it, or stands on pixels of `b`, like a cup on a table."""
    x, y = box_centre(a)
    over = b.box[0] <= x <= b.box[2] and y < box_centre(b)[1] and gap(a, b) <= 0.2 * (b.box[3] - b.box[1])
    return over or _foot(a).intersection(b) > 0


def _foot(mask: Mask) -> Mask:
    """A strip directly below the middle half of a mask's box."""
    x0, y0, x1, y1 = mask.box
    below = np.ones((max(2, (y1 - y0) // 10), max(1, (x1 - x0) // 2)), bool)
    return Mask(below, (x0 + x1 - below.shape[1]) // 2, y1, mask.width, mask.height)


def _near(a: Mask, b: Mask) -> bool:
    """Whether the gap between two boxes is at most half of their longest side."""
    sides = (box[i + 2] - box[i] for box in (a.box, b.box) for i in (0, 1))
    return gap(a, b) <= max(sides) / 2


def _height(mask: Mask) -> int:
    return mask.box[3] - mask.box[1]


def _width(mask: Mask) -> int:
    return mask.box[2] - mask.box[0]


_RELATIONS: dict[str, tuple[Callable[[Mask, Mask], bool], Callable[[Mask, Mask], float]]] = {
    "behind": (_behind, lambda a, b: -contact(a, b)),
    "front": (lambda a, b: _behind(b, a), lambda a, b: -contact(a, b)),
    "left": (lambda a, b: box_centre(a)[0] < box_centre(b)[0], distance),
    "right": (lambda a, b: box_centre(a)[0] > box_centre(b)[0], distance),
    "above": (lambda a, b: box_centre(a)[1] < box_centre(b)[1], distance),
    "below": (lambda a, b: box_centre(a)[1] > box_centre(b)[1], distance),
    "on": (_on, gap),
    "near": (_near, gap),
    "larger": (lambda a, b: a.area > b.area, lambda a, b: -a.area),
    "smaller": (lambda a, b: a.area < b.area, lambda a, b: a.area),
    "taller": (lambda a, b: _height(a) > _height(b), lambda a, b: -_height(a)),
    "shorter": (lambda a, b: _height(a) < _height(b), lambda a, b: _height(a)),
    "wider": (lambda a, b: _width(a) > _width(b), lambda a, b: -_width(a)),
    "narrower": (lambda a, b: _width(a) < _width(b), lambda a, b: _width(a)),
}
"""Whether a mask is in the relation to an anchor, and a cost: if too many are, those of the lowest cost are best."""
