"""A synthetic image of coloured blocks on grass, with a segmenter that finds them by noun and colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sam3agent.media import Media
from sam3agent.segmenter import FoundInstances, Prompt

RGB = {
    "white": (245, 245, 240),
    "blue": (42, 100, 218),
    "red": (216, 42, 46),
    "green": (52, 158, 76),
    "yellow": (250, 212, 52),
}
SIZE = (240, 160)


@dataclass(frozen=True)
class Block:
    """An object: noun, colour, box. Later blocks hide earlier ones."""

    noun: str
    colour: str
    box: tuple[int, int, int, int]


TEAM = (
    Block("player", "white", (20, 40, 40, 100)),
    Block("player", "white", (110, 50, 130, 110)),
    Block("player", "blue", (70, 45, 90, 105)),
    Block("car", "red", (170, 90, 230, 120)),
    Block("ball", "yellow", (100, 130, 110, 140)),
    Block("ball", "yellow", (200, 20, 224, 44)),
)


class World:
    """An image of blocks, and a `Segmenter` for it."""

    name = "world"

    def __init__(self, blocks: Sequence[Block] = TEAM, size: tuple[int, int] = SIZE) -> None:
        self.blocks = tuple(blocks)
        pixels = np.full((size[1], size[0], 3), (96, 120, 80), np.uint8)
        owner = np.full((size[1], size[0]), -1)
        for index, block in enumerate(blocks):
            x0, y0, x1, y1 = block.box
            pixels[y0:y1, x0:x1] = RGB[block.colour]
            owner[y0:y1, x0:x1] = index
        self.image = Image.fromarray(pixels)
        self.masks = [owner == index for index in range(len(blocks))]
        self.searched: list[str] = []
        self.opened = 0

    def open(self, media: Media) -> "World":
        self.opened += 1
        return self

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        self.searched += phrases
        return [self._found(phrase) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        return self._found(prompt.phrase or "player")

    def _found(self, phrase: str) -> FoundInstances:
        words = set(phrase.split())
        colours = words & set(RGB)
        hits = [i for i, b in enumerate(self.blocks) if b.noun in words and colours <= {b.colour}]
        return FoundInstances.of([self.masks[i] for i in hits], self.image.size, np.linspace(0.95, 0.8, len(hits)))
