"""Miniature video data sets, and the command on them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from evals.command import main

GOLDENS = Path(__file__).parent.parent / "goldens"
SIZE = (12, 16)
PALETTE = [value for label in range(256) for value in (label, 255 - label, 128)]


def square(row: int, column: int, side: int = 4) -> np.ndarray:
    """A mask of SIZE with one square."""
    mask = np.zeros(SIZE, bool)
    mask[row : row + side, column : column + side] = True
    return mask


def label_map(objects: dict[int, np.ndarray]) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    for label, mask in objects.items():
        labels[mask] = label
    return labels


def write_png(path: Path, labels: np.ndarray, indexed: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8))
    if indexed:
        image.putpalette(PALETTE)
    image.save(path)


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def rle(mask: np.ndarray) -> dict[str, Any]:
    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode()}


def runs(mask: np.ndarray) -> dict[str, Any]:
    """An uncompressed RLE, as in YouTube-VIS files."""
    flat = np.concatenate([[False], mask.ravel("F"), [not mask.ravel("F")[-1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def figures(name: str, root: Path, predictions: Path, *flags: str) -> dict[str, float]:
    """Run the command and return the figures it wrote."""
    out = root / "run"
    assert main([name, "--root", str(root), "--predictions", str(predictions), "--out", str(out), *flags]) == 0
    return json.loads((out / "metrics.json").read_text())["figures"]


def error_of(capsys: Any, name: str, root: Path, predictions: Path) -> str:
    """Run the command on invalid input and return its one-line error."""
    out = root / "run"
    assert main([name, "--root", str(root), "--predictions", str(predictions), "--out", str(out)]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert not (out / "metrics.json").exists()
    return text
