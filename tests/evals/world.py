"""Pictures of coloured blocks, a segmenter that finds them by colour words, and the real command on both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from evals.app import main
from sam3agent.rules import RulesBackend
from sam3agent.segmenter import Prompt, Segmenter
from sam3model.instances import Instances, no_instances
from sam3model.ops.masks import encode_rle, mask_to_box

COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (30, 160, 50), "yellow": (240, 220, 40)}
GROUND = (128, 128, 128)
W, H = 64, 48
Box = tuple[int, int, int, int]


def draw(path: Path, *blocks: tuple[str, Box]) -> None:
    """A 64 x 48 picture with blocks (colour, x0 y0 x1 y1); JPEG where the name says so."""
    pixels = np.full((H, W, 3), GROUND, np.uint8)
    for colour, (x0, y0, x1, y1) in blocks:
        pixels[y0:y1, x0:x1] = COLOURS[colour]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))


def mask_of(*boxes: Box) -> np.ndarray:
    mask = np.zeros((H, W), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def rle_of(*boxes: Box) -> dict[str, Any]:
    """Compressed, `counts` as text."""
    return encode_rle(mask_of(*boxes))


def runs_of(*boxes: Box) -> dict[str, Any]:
    """Uncompressed: a list of runs, column by column, the first one background."""
    flat = np.concatenate([[False], mask_of(*boxes).ravel(order="F")])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": [H, W], "counts": np.diff(np.concatenate([[0], edges, [H * W]])).tolist()}


def polygon_of(box: Box) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def xywh(box: Box) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


@dataclass
class Blocks:
    """A segmenter: one instance for each connected block of the colours that a phrase names.

    opened counts pictures; broken: phrases that raise `failure`.
    """

    name: str = "blocks"
    score: float = 0.9
    opened: int = 0
    broken: tuple[str, ...] = ()
    failure: BaseException = field(default_factory=lambda: RuntimeError("the segmenter broke"))

    def open(self, image: Image.Image) -> "BlockSession":
        self.opened += 1
        return BlockSession(self, np.asarray(image.convert("RGB"), np.int32))


@dataclass
class BlockSession:
    segmenter: Blocks
    pixels: np.ndarray

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None) -> list[Instances]:
        if set(phrases) & set(self.segmenter.broken):
            raise self.segmenter.failure
        return [self._find(phrase) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None) -> Instances:
        return self._find(prompt.phrase or "")

    def _find(self, phrase: str) -> Instances:
        palette = np.array([GROUND, *COLOURS.values()])
        nearest = np.abs(self.pixels[:, :, None] - palette).sum(-1).argmin(-1)
        masks = []
        for number, colour in enumerate(COLOURS, start=1):
            if colour in phrase.split():
                labels, count = ndimage.label(nearest == number)
                masks += [labels == i for i in range(1, count + 1)]
        if not masks:
            return no_instances((W, H), phrase)
        boxes = np.array([mask_to_box(mask) for mask in masks], np.float32)
        return Instances(np.stack(masks), boxes, np.full(len(masks), self.segmenter.score, np.float32), phrase)


def run(name: str, root: Path, *flags: str, segmenter: Segmenter | None = None, code: int = 0) -> dict[str, Any]:
    """The command in this process, with its exit code checked; what metrics.json holds."""
    out = root.parent / "".join(("out-", name, *flags)).replace("/", "_")
    words = [name, "--root", str(root), "--out", str(out), *flags]
    assert main(words, segmenter=segmenter or Blocks(), backend=RulesBackend()) == code
    return json.loads((out / "metrics.json").read_text())


def figures(name: str, root: Path, *flags: str, segmenter: Segmenter | None = None) -> dict[str, float]:
    return run(name, root, *flags, segmenter=segmenter)["figures"]


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def image(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": W, "height": H, **more}


def annotation(number: int, picture: int, category: int, box: Box, segmentation: Any = None) -> dict[str, Any]:
    x, y, w, h = xywh(box)
    row = {
        "id": number,
        "image_id": picture,
        "category_id": category,
        "bbox": [x, y, w, h],
        "area": w * h,
        "iscrowd": 0,
    }
    return row if segmentation is None else {**row, "segmentation": segmentation}
