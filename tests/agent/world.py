"""A synthetic world whose segmenter knows the truth: coloured blocks on grass, found by noun and colour word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from sam3agent.media import Media

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
    """A thing: noun, colour, box; later blocks hide earlier ones."""

    noun: str
    colour: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Found:
    """What the segmenter returns."""

    masks: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


TEAM = (
    Block("player", "white", (20, 40, 40, 100)),
    Block("player", "white", (110, 50, 130, 110)),
    Block("player", "blue", (70, 45, 90, 105)),
    Block("car", "red", (170, 90, 230, 120)),
    Block("ball", "yellow", (100, 130, 110, 140)),
    Block("ball", "yellow", (200, 20, 224, 44)),
)


class World:
    """An image of blocks, and a segmenter (Protocol `Segmenter`) over it."""

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
        self.asked: list[str] = []
        self.opened = 0

    def open(self, media: Media) -> "World":
        self.opened += 1
        return self

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0) -> list[Found]:
        self.asked += phrases
        return [self._found(phrase) for phrase in phrases]

    def segment_prompt(self, prompt: Any, threshold: float | None = None, frame: int = 0) -> Found:
        return self._found(prompt.phrase or "player")

    def _found(self, phrase: str) -> Found:
        words = set(phrase.split())
        colours = words & set(RGB)
        hits = [i for i, b in enumerate(self.blocks) if b.noun in words and colours <= {b.colour}]
        masks = np.array([self.masks[i] for i in hits], bool).reshape(-1, self.image.height, self.image.width)
        boxes = np.array([self.blocks[i].box for i in hits], np.float32).reshape(-1, 4)
        return Found(masks, boxes, np.linspace(0.95, 0.8, len(hits), dtype=np.float32))
