"""How each kind of object moves, and how fast."""

from dataclasses import dataclass

from sam3model.playground.dice import Dice
from sam3model.playground.kinds import Kind


@dataclass(frozen=True, slots=True)
class Gait:
    """A way of moving. slow, fast: range of its speed in pixels per second. turns: it faces the way it goes.

    bob: how high it hops at every step, as a fraction of its height. poses: it has drawings of its gait.
    style: walk, drive, roll, float, fly, flutter, rise, sway, spin, launch, toy or still.
    """

    style: str
    slow: float = 0
    fast: float = 0
    turns: bool = True
    bob: float = 0.0
    poses: bool = False


GAITS: dict[str, Gait] = {
    "player": Gait("walk", 32, 95, bob=0.035, poses=True),
    "referee": Gait("walk", 28, 70, bob=0.035, poses=True),
    "dog": Gait("walk", 30, 90, bob=0.05, poses=True),
    "cat": Gait("walk", 26, 70, bob=0.16),
    "turtle": Gait("walk", 9, 20, poses=True),
    "robot": Gait("walk", 20, 60, bob=0.04),
    "snail": Gait("walk", 8, 20),
    "crab": Gait("walk", 20, 60, turns=False, bob=0.06),
    "car": Gait("drive", 45, 130),
    "truck": Gait("drive", 35, 90),
    "bus": Gait("drive", 35, 85),
    "bicycle": Gait("drive", 32, 80),
    "boat": Gait("float", 16, 46),
    "fish": Gait("float", 20, 64, poses=True),
    "ball": Gait("roll", 36, 110, turns=False),
    "bird": Gait("fly", 38, 95, poses=True),
    "plane": Gait("fly", 50, 125),
    "spaceship": Gait("fly", 40, 120),
    "cloud": Gait("fly", 7, 18, turns=False),
    "butterfly": Gait("flutter", 18, 50, poses=True),
    "octopus": Gait("flutter", 12, 30, turns=False),
    "balloon": Gait("rise", 14, 34, turns=False),
    "kite": Gait("sway", 14, 34, turns=False),
    "rocket": Gait("launch", 45, 130, turns=False),
    "moon": Gait("spin", 14, 40, turns=False),
    "star": Gait("spin", 18, 70, turns=False),
    "heart": Gait("spin", 18, 70, turns=False),
    "triangle": Gait("spin", 18, 70, turns=False),
    "square": Gait("spin", 18, 70, turns=False),
    "ring": Gait("spin", 18, 70, turns=False),
    "cross": Gait("spin", 18, 70, turns=False),
    "tree": Gait("still"),
    "house": Gait("still"),
    "mushroom": Gait("still"),
    "flower": Gait("still"),
    "cactus": Gait("still"),
    "anchor": Gait("still"),
}
TOY = Gait("toy", 18, 58, turns=False)
"""Household things: most stand, some hop or slide like toys."""


def gait_of(kind: Kind) -> Gait:
    """The gait of a kind."""
    return GAITS.get(kind.name, TOY)


def speeds(kinds: list[Kind], dice: Dice) -> list[float]:
    """A speed in pixels per second for every object, clearly different among those of one kind."""
    slots: dict[str, list[int]] = {}
    for kind in kinds:
        slots.setdefault(kind.name, []).append(len(slots.get(kind.name, ())))
    order = {name: dice.some(numbers, len(numbers)) for name, numbers in slots.items()}
    found = []
    for kind in kinds:
        gait, total = gait_of(kind), len(slots[kind.name])
        u = (order[kind.name].pop() + dice.uniform(0.25, 0.75)) / total
        found.append(gait.slow * (gait.fast / gait.slow) ** u if gait.slow else 0.0)
    return found
