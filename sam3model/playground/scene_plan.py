"""The plan of a scene: its objects, with their colours, sizes and distances."""

from dataclasses import dataclass

from sam3model.playground.dice import Dice
from sam3model.playground.domain import Domain
from sam3model.playground.kinds import Kind
from sam3model.playground.themes import Theme

KITS = ("white", "red", "red", "blue", "blue", "yellow", "black", "orange", "purple", "pink", "brown")
FACTORS = {"small": (0.66, 0.76), "medium": (0.94, 1.1), "large": (1.45, 1.62)}
GROWN = (0.8, 1.16)
"""Size factors of kinds with only one size, from the horizon to the front."""
SMALLEST = 25
"""Minimum length in pixels of the shorter side of a small object's box."""


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """An object before it is placed. `y`: wanted position of its lowest row, as a fraction of the image height."""

    kind: Kind
    colour: str
    pattern: str
    size: str
    factor: float
    y: float
    dice: Dice


def plan_objects(domain: Domain, theme: Theme, number: int, side: int, dice: Dice) -> list[ObjectPlan]:
    """Choose the objects, from the nearest (lowest) to the farthest."""
    kinds = _choose_kinds(domain, theme, number, dice)
    palette = _choose_colours(domain, theme, dice)
    plans = []
    for i in range(number):
        own = dice.child(i)
        name = dice.weighted(kinds)
        if name == "referee":
            kinds = {k: v for k, v in kinds.items() if k != name} or {"player": 1.0}
        kind = domain.kinds[name]
        on_ground = kind.grounded or theme.name == "pitch"
        y = dice.uniform(theme.horizon + 0.08 if theme.horizon and on_ground else 0.25, 0.98)
        size = _choose_size(kind, side, number, dice)
        depth = (y - theme.horizon) / (1 - theme.horizon) if theme.horizon else dice.random()
        low, high = FACTORS[size] if kind.sized else GROWN
        factor = low + (high - low) * max(0.0, min(1.0, depth))
        plans.append(
            ObjectPlan(kind, _choose_colour(kind, theme, palette, dice), dice.pick(kind.patterns), size, factor, y, own)
        )
    return sorted(plans, key=lambda plan: -plan.y) if theme.horizon else plans


def _choose_kinds(domain: Domain, theme: Theme, number: int, dice: Dice) -> dict[str, float]:
    left = dict(theme.kinds)
    chosen: dict[str, float] = {}
    if theme.name == "pitch":
        chosen["player"] = left.pop("player")
    for _ in range(min(number, dice.pick((1, 2, 2, 3, 3, 4, 5)), len(left))):
        name = dice.weighted(left)
        chosen[name] = left.pop(name)
    if dice.chance(0.15):
        chosen[dice.pick(tuple(domain.kinds))] = 1.0
    return chosen


def _choose_colours(domain: Domain, theme: Theme, dice: Dice) -> list[str]:
    if theme.name == "pitch":
        kits = dice.some([colour for colour in KITS if colour != "white"], dice.pick((1, 1, 2)))
        return [*kits, "white" if dice.chance(0.7) else dice.pick(KITS)]
    return dice.some([colour for colour in domain.colours if colour not in theme.avoid], dice.pick((2, 3, 3, 4)))


def _choose_colour(kind: Kind, theme: Theme, palette: list[str], dice: Dice) -> str:
    if theme.name == "pitch" and kind.name == "ball" and dice.chance(0.4):
        return "white"
    usual = [colour for colour in palette if colour in kind.colours]
    if usual and dice.chance(0.85):
        return dice.pick(usual)
    clear = [colour for colour in kind.colours if colour not in theme.avoid]
    options = clear or kind.colours
    return dice.pick(options) if options else ""


def _choose_size(kind: Kind, side: int, number: int, dice: Dice) -> str:
    shorter = kind.pixels * min(kind.box) / max(kind.box)
    weights = {"medium": 0.6}
    if not kind.sized:
        return "medium"
    if shorter * FACTORS["small"][0] >= SMALLEST:
        weights["small"] = 0.2 + 0.02 * number
    if kind.pixels * FACTORS["large"][1] <= 0.62 * side:
        weights["large"] = max(0.06, 0.3 - 0.025 * number)
    return dice.weighted(weights)
