"""Splits of a data set that depend on names alone, so that an image stays where it is when others are added."""

import hashlib
import re
from dataclasses import dataclass

from sam3model.errors import InputError

EXAMPLE = "--split train=0.9,val=0.1"


@dataclass(frozen=True, slots=True)
class LabelSplits:
    """Names of splits with their fractions, which add up to 1."""

    parts: tuple[tuple[str, float], ...] = (("train", 1.0),)

    @classmethod
    def parsed(cls, text: str | None) -> "LabelSplits":
        """From `train=0.9,val=0.1`. Raises `InputError` if it is not one."""
        if text is None:
            return cls()
        parts = list[tuple[str, float]]()
        for part in text.split(","):
            found = re.fullmatch(r"\s*([A-Za-z][\w-]*)\s*=\s*([0-9]*\.?[0-9]+)\s*", part)
            if not found:
                raise InputError(f"--split {part!r} is not a name and a fraction: write {EXAMPLE}")
            parts.append((found[1], float(found[2])))
        names = [name for name, _ in parts]
        if len(set(names)) < len(names):
            raise InputError(f"--split names a split twice: {text}")
        if abs(sum(fraction for _, fraction in parts) - 1) > 1e-6 or any(fraction <= 0 for _, fraction in parts):
            raise InputError(f"the fractions of --split {text} do not add up to 1: write {EXAMPLE}")
        return cls(tuple(parts))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(name for name, _ in self.parts)

    def of(self, group: str) -> str:
        """The split of a group of images: the same in every run and on every machine."""
        digest = hashlib.blake2b(group.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        place, reached = int.from_bytes(digest, "big") / 2**64, 0.0
        for name, fraction in self.parts:
            reached += fraction
            if place < reached:
                return name
        return self.parts[-1][0]
