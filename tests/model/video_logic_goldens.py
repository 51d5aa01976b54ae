"""Reference numbers of the video rules: `CASES` by section, and their arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parents[1] / "goldens" / "video"
CASES: dict[str, Any] = json.loads((FOLDER / "video_logic.json").read_text())
ARRAYS = np.load(FOLDER / "video_logic.npz")


def indices(section: str) -> range:
    return range(len(CASES[section]))


def tensor(name: str) -> torch.Tensor:
    return torch.from_numpy(ARRAYS[name])


def with_int_keys(mapping: dict[str, Any]) -> dict[int, Any]:
    """JSON has string keys, and the rules have ids; lists become tuples."""
    return {int(key): tuple(value) if isinstance(value, list) else value for key, value in mapping.items()}
