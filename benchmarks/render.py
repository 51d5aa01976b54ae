"""Time an overlay of 12 masks on a 1920x1080 picture: `python benchmarks/render.py [--save overlay.png]`."""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sam3agent.masks import Mask
from sam3agent.render import Mark, overlay, spotlight

SIZE = (1920, 1080)


def scene(count: int) -> tuple[Image.Image, list[Mark]]:
    """A picture of soft colours and `count` round or long masks, some overlapping."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(60, 220, (9, 16, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    marks = []
    for number in range(1, count + 1):
        wide, tall = (int(n) for n in rng.integers(90, 480, 2))
        x, y = int(rng.integers(0, SIZE[0] - wide)), int(rng.integers(0, SIZE[1] - tall))
        sheet = Image.new("1", SIZE)
        ImageDraw.Draw(sheet).ellipse((x, y, x + wide, y + tall), fill=1)
        mask = Mask.from_full(np.asarray(sheet))
        if mask:
            marks.append(Mark(number, mask))
    return noise, marks


def median_ms(run, repeats: int = 20) -> float:
    """Median milliseconds of a call, after one warm-up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print the medians, and keep a picture where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=12)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    image, marks = scene(options.masks)
    print(f"overlay of {len(marks)} masks on {SIZE[0]}x{SIZE[1]}: {median_ms(lambda: overlay(image, marks)):.1f} ms")
    print(f"spotlight of {len(marks)} masks:             {median_ms(lambda: spotlight(image, marks)):.1f} ms")
    if options.save:
        overlay(image, marks).save(options.save)


if __name__ == "__main__":
    main()
