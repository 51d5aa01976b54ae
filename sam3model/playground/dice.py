"""Seeded choices that are the same in every process and on every Python: only `random.random` is used underneath."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

VERSION = "playground-1"
"""Part of every seed: changes when the generator does, so that a scene's name always means one picture."""


class Dice:
    """A stream of choices fixed by the parts of its name."""

    def __init__(self, *name: object) -> None:
        self.name = name
        self.seed = int.from_bytes(hashlib.blake2b(repr((VERSION, *name)).encode(), digest_size=8).digest(), "big")
        self.random = random.Random(self.seed).random

    def child(self, *name: object) -> "Dice":
        """A stream of its own, which this one's past draws do not disturb."""
        return Dice(*self.name, *name)

    def uniform(self, low: float, high: float) -> float:
        """A number in low..high."""
        return low + (high - low) * self.random()

    def integer(self, low: int, high: int) -> int:
        """A whole number in low..high, both included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.random() * len(options))]

    def weighted(self, weights: dict[T, float]) -> T:
        """One of the keys, likely as its weight."""
        point = self.random() * sum(weights.values())
        for option, weight in weights.items():
            point -= weight
            if point < 0:
                return option
        return next(reversed(weights))

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options (all of them if there are fewer), in random order."""
        return sorted(options, key=lambda _: self.random())[:count]
