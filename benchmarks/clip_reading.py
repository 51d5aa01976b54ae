"""Time per frame of what surrounds the model when a clip is tracked: decoding, run lengths, and writing the overlay.

    python -m benchmarks.clip_reading [--frames 100] [--size 1280 720] [--objects 5]

The clip is drawn, moves and has some grain. All rows come from one run on one machine; compare their ratios. Give
`--model-ms`, the time of the model per frame, to see the share.

forwards    every frame of an H.264 clip in order, as RGB.
ahead       the same while a thread reads ahead and the model is at work (`--model-ms`, 20 if not given): the time that
            the model waits.
backwards   every frame from the last to the first.
jumps       frames in random order, each reached by a seek.
masks       COCO run lengths of the masks of all objects of a frame.
writing     one frame of an mp4 (H.264 where PyAV has it).
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam3model.frames import ClipFile, ClipWriter, FrameSource, prefetched
from sam3model.ops.masks import encode_rle


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--model-ms", type=float)
    options = parser.parse_args()
    images = drawn_images(options.frames, tuple(options.size))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        rows = {"writing": write(path, images)}
        rows |= read(path, options.model_ms or 20.0)
        rows["masks"] = encode_masks(options.frames, tuple(options.size), options.objects)
        megabits = path.stat().st_size * 8 * 25 / options.frames / 1e6
    width, height = options.size
    print(f"{options.frames} frames of {width}x{height}, {options.objects} objects, {megabits:.1f} Mbit/s\n")
    print("| part | ms per frame | compared with forwards |")
    print("|---|---:|---:|")
    for name, spent in rows.items():
        print(f"| {name} | {spent:.2f} | {spent / rows['forwards']:.2f} |")
    around = rows["forwards"] + rows["masks"] + rows["writing"]
    print(f"\nforwards + masks + writing: {around:.2f} ms", end="")
    print(f", {around / (around + options.model_ms):.1%} of the time" if options.model_ms else "")


def drawn_images(count: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Frames (H, W, 3) of a textured background that moves under a still grain."""
    width, height = size
    random_values = np.random.default_rng(0)
    blocks = random_values.integers(30, 220, (height // 16 + count, width // 16 + count, 3))
    background = np.kron(blocks, np.ones((16, 16, 1), int)) + random_values.integers(-5, 6, (1, 1, 3))
    grain = random_values.integers(-4, 5, (height, width, 3))
    return [(background[2 * t : 2 * t + height, 3 * t : 3 * t + width] + grain).astype(np.uint8) for t in range(count)]


def write(path: Path, images: list[NDArray[np.uint8]]) -> float:
    """Milliseconds per frame to write the clip."""
    started = time.perf_counter()
    with ClipWriter(path, (images[0].shape[1], images[0].shape[0]), 25) as writer:
        for image in images:
            writer.write(image)
    return (time.perf_counter() - started) * 1000 / len(images)


def read(path: Path, model_ms: float) -> dict[str, float]:
    """Milliseconds per frame to read the clip in several ways."""
    count = ClipFile(path).count
    jumps = random.Random(0).sample(range(count), min(count, 40))
    source = prefetched(ClipFile(path))
    ahead = read_in_order(source, range(count), model_ms)
    source.close()
    return {
        "forwards": read_in_order(ClipFile(path), range(count)),
        "ahead": ahead,
        "backwards": read_in_order(ClipFile(path), reversed(range(count))),
        "jumps": read_in_order(ClipFile(path), jumps),
    }


def read_in_order(source: FrameSource, order: Iterable[int], pause_ms: float = 0.0) -> float:
    """Milliseconds per frame spent in `frame`, with a pause after each."""
    spent, number = 0.0, 0
    for t in order:
        started = time.perf_counter()
        source.frame(t)
        spent += time.perf_counter() - started
        number += 1
        time.sleep(pause_ms / 1000)
    return spent * 1000 / number


def encode_masks(count: int, size: tuple[int, int], objects: int) -> float:
    """Milliseconds per frame for the run lengths of ellipses of different sizes."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    masks = [
        ((x - width * (i + 1) / (objects + 1)) / (width / 12)) ** 2 + ((y - height / 2) / (height / (3 + i))) ** 2 < 1
        for i in range(objects)
    ]
    started = time.perf_counter()
    for _ in range(count):
        for mask in masks:
            encode_rle(mask)
    return (time.perf_counter() - started) * 1000 / count


if __name__ == "__main__":
    main()
