"""Drawn images of coloured blocks, and a segmenter without weights that finds blocks by colour, in any process."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import label

from sam3agent.config import Settings
from sam3agent.media import Media
from sam3agent.segmenter import FoundInstances, Prompt

COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 220)}
POISON = (250, 0, 250)
"""A pixel of this colour in the corner kills the process that segments the image."""


def draw(path: Path, seed: int, size: tuple[int, int] = (96, 64), corner: tuple[int, int, int] | None = None) -> None:
    """An image with a few blocks, as PNG; every fifth has none."""
    numbers = np.random.default_rng(seed)
    pixels = np.full((size[1], size[0], 3), 240, np.uint8)
    for colour in COLOURS.values():
        for _ in range(0 if seed % 5 == 4 else numbers.integers(0, 3)):
            x, y = numbers.integers(1, size[0] - 20), numbers.integers(1, size[1] - 20)
            pixels[y : y + numbers.integers(4, 18), x : x + numbers.integers(4, 18)] = colour
    if corner:
        pixels[0, 0] = corner
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def draw_folder(folder: Path, count: int) -> Path:
    """A folder of images, of which some have no block."""
    for number in range(count):
        draw(folder / f"{number}.png", number)
    return folder


class BlockSegmenter:
    """Finds the blocks of the colour that a phrase names. Scores depend on the area."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self, media: Media) -> "BlockSession":
        """A session. With a name like flag.die-once, the process makes the file flag.died and dies, once."""
        pixels = np.asarray(media.frame(0))
        if tuple(pixels[0, 0]) == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        died = Path(self.name).with_suffix(".died")
        if self.name.endswith(".die-once") and tuple(pixels[0, 0]) == (0, 250, 0) and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return BlockSession(pixels)


class BlockSession:
    """One image."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        return [self._found(phrase, threshold or 0.5) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        return self._found(prompt.phrase or "", threshold or 0.5)

    def _found(self, phrase: str, threshold: float) -> FoundInstances:
        wanted = next((rgb for name, rgb in COLOURS.items() if name in phrase.split()), None)
        same = np.zeros(self.pixels.shape[:2], bool) if wanted is None else (self.pixels == wanted).all(2)
        parts, count = label(same)
        masks = [parts == number for number in range(1, count + 1)]
        scored = [(mask, 0.5 + min(0.45, mask.sum() / 700)) for mask in masks]
        kept = [(mask, score) for mask, score in scored if score > threshold]
        size = (self.pixels.shape[1], self.pixels.shape[0])
        return FoundInstances.of([mask for mask, _ in kept], size, [score for _, score in kept])


def make_blocks(settings: Settings) -> BlockSegmenter:
    """The segmenter, for `LabelJob.segmenter`."""
    return BlockSegmenter(settings.weights)


def tree(folder: Path) -> dict[str, bytes]:
    """The contents of all files in a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
