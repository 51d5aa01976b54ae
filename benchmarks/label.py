"""Labelling: images per second, processor time and bytes per image, with sam3-tiny on drawn scenes.

    python -m benchmarks.label [--images 40] [--workers 1]

Processor time shows whether the machine was busy with other things; the last line is what labelling costs beside the
model: reading, encoding masks, journal and COCO file. Loading the weights and the first images are left out.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sam3agent.api import make_segmenter
from sam3agent.config import Settings
from sam3agent.labelling.label_data_set import Workers, label_data_set
from sam3agent.labelling.label_job import LabelJob
from sam3agent.media import Media
from sam3agent.segmenter import FoundInstances, Prompt
from sam3model.playground import scene
from sam3model.playground.export import save_image

PHRASES = ("player", "ball", "car", "tree", "dog")
WARM_UP = 4
"""Number of images that are not measured."""


def _processor_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@dataclass
class Clock:
    """When images were done; mutable."""

    times: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        """A watch of a run."""
        if event == "done":
            self.times.append((time.monotonic(), _processor_seconds()))

    def per_image(self) -> tuple[float, float]:
        """Wall and processor seconds per image, without the first ones."""
        (wall, used), (end, all_used) = self.times[WARM_UP], self.times[-1]
        count = len(self.times) - 1 - WARM_UP
        return (end - wall) / count, (all_used - used) / count


class FixedMasks:
    """A segmenter that costs next to nothing: it finds the same three discs in every image."""

    name = "fixed"

    def open(self, media: Media) -> "FixedSession":
        """A session on an image."""
        return FixedSession(media.size)


@dataclass(frozen=True)
class FixedSession:
    """One image of a size."""

    size: tuple[int, int]

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        """Three discs for the first phrase."""
        y, x = np.mgrid[: self.size[1], : self.size[0]]
        discs = [(x - 60 * n) ** 2 + (y - 100) ** 2 < 900 for n in (1, 2, 3)]
        nothing = FoundInstances.of([], self.size, [])
        return [FoundInstances.of(discs, self.size, [0.9] * 3), *[nothing] * (len(phrases) - 1)]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        """Nothing."""
        return FoundInstances.of([], self.size, [])


def fixed_masks(settings: Settings) -> FixedMasks:
    """The segmenter, for `LabelJob.segmenter`."""
    return FixedMasks()


def main() -> None:
    """Draw, label, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        for number in range(given.images):
            save_image(scene("bench", number), photos / f"{number}.png")
        for name, segmenter in (("sam3-tiny", make_segmenter), ("without a model", fixed_masks)):
            out, clock = Path(folder) / name, Clock()
            job = LabelJob(out, (str(photos),), phrases=PHRASES, segmenter=segmenter)
            summary = label_data_set(job, workers=Workers(given.workers), watch=clock)
            wall, used = clock.per_image()
            journal = (out / "journal" / "000000.jsonl").stat().st_size / given.images
            coco = (out / "annotations" / "instances_train.json").stat().st_size / given.images
            masks = sum(summary.masks.values()) / given.images
            print(
                f"{name:<16} {1 / wall:7.1f} images/s  {1000 * used:7.1f} ms of processor time an image"
                f"{' (coordinator only)' if given.workers > 1 else ''}  {masks:.1f} masks,"
                f" journal {journal:.0f} bytes, COCO {coco:.0f} bytes an image"
            )


if __name__ == "__main__":
    main()
