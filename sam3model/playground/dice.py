"""Seeded random choices, the same in every process and Python version: everything is built on `random.random`."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

VERSION = "playground-1"
"""Part of every seed. It changes with the generator, so that the name of a scene always means the same image."""


class Dice:
    """A stream of random choices, seeded by its name."""

    def __init__(self, *name: object) -> None:
        self.name = name
        self.seed = int.from_bytes(hashlib.blake2b(repr((VERSION, *name)).encode(), digest_size=8).digest(), "big")
        self.random = random.Random(self.seed).random

    def child(self, *name: object) -> "Dice":
        """A separate stream that does not depend on the draws made from this one."""
        return Dice(*self.name, *name)

    def uniform(self, low: float, high: float) -> float:
        """A random float from low to high."""
        return low + (high - low) * self.random()

    def integer(self, low: int, high: int) -> int:
        """A random integer from low to high, inclusive."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.random() * len(options))]

    def weighted(self, weights: dict[T, float]) -> T:
        """One of the keys, with probabilities proportional to the weights."""
        point = self.random() * sum(weights.values())
        for option, weight in weights.items():
            point -= weight
            if point < 0:
                return option
        return next(reversed(weights))

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """At most `count` different options in random order."""
        return sorted(options, key=lambda _: self.random())[:count]
