"""A segmenter that knows what a drawn picture holds: rectangles by phrase, found exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from sam3agent.segmenter import InstancesLike, Prompt, SegmenterSession

Box = tuple[int, int, int, int]
SIZE = (96, 64)
PLAYERS: dict[str, list[Box]] = {
    "player in white": [(8, 20, 20, 50), (60, 18, 74, 52)],
    "player in red": [(34, 22, 46, 50)],
}


def drawing() -> Image.Image:
    """The picture that `PLAYERS` describes."""
    image = Image.new("RGB", SIZE, "green")
    draw = ImageDraw.Draw(image)
    for phrase, boxes in PLAYERS.items():
        for x0, y0, x1, y1 in boxes:
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=phrase.split()[-1])
    return image


@dataclass(frozen=True)
class Found:
    masks: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


@dataclass
class FakeSegmenter:
    """Finds the boxes of each phrase, and of every phrase that ends with or contains it. `opened` counts pictures."""

    things: Mapping[str, Sequence[Box]] = field(default_factory=lambda: PLAYERS)
    opened: int = 0
    name: str = "fake"

    def open(self, image: Image.Image) -> SegmenterSession:
        self.opened += 1
        return FakeSession(self.things, image.size)


@dataclass
class FakeSession:
    things: Mapping[str, Sequence[Box]]
    size: tuple[int, int]

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None) -> Sequence[InstancesLike]:
        return [
            self._found([b for name, boxes in self.things.items() if phrase in name for b in boxes])
            for phrase in phrases
        ]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None) -> InstancesLike:
        return self._found([box for boxes in self.things.values() for box in boxes])

    def _found(self, boxes: Sequence[Box]) -> Found:
        width, height = self.size
        masks = np.zeros((len(boxes), height, width), dtype=bool)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
            mask[y0:y1, x0:x1] = True
        scores = np.linspace(0.9, 0.8, len(boxes), dtype=np.float32)
        return Found(masks, np.asarray(boxes, np.float32).reshape(-1, 4), scores)
