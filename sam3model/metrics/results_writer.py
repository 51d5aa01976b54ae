"""One results file from many processes (YouTube-VIS format)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sam3model.errors import MetricError
from sam3model.files import write_text
from sam3model.metrics.overlap import Rle, as_rle, coco_mask, rle_areas

Masklet = Sequence[Rle | NDArray[Any] | None]


def masklet_entry(video: Any, category: Any, score: float, masklet: Masklet) -> dict[str, Any]:
    """One prediction in YT-VIS form: `segmentations`, `bboxes` (xywh) and `areas` per frame, None where away."""
    masks = [None if m is None else as_rle(m) for m in masklet]
    there = [m for m in masks if m is not None]
    areas = dict(zip(map(id, there), rle_areas(there).tolist(), strict=True))
    kept = [m if m is not None and areas[id(m)] else None for m in masks]
    return {
        "video_id": video,
        "category_id": category,
        "score": float(score),
        "segmentations": [m and {"size": list(m["size"]), "counts": _text(m["counts"])} for m in kept],
        "bboxes": [None if m is None else coco_mask.toBbox(m).tolist() for m in kept],
        "areas": [None if m is None else areas[id(m)] for m in kept],
    }


def _text(counts: str | bytes) -> str:
    return counts.decode() if isinstance(counts, bytes) else counts


class YTVISResultsWriter:
    """Collect predictions on every process of torch.distributed and write one JSON file on the first.

    A sampler that pads the last batch gives some (video, category) pairs to two processes; the pair of the lower rank
    is kept. Without an initialised process group it writes what this process has.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.predictions: dict[tuple[Any, Any], list[dict[str, Any]]] = {}

    def update(self, video: Any, category: Any, masklets: Sequence[Masklet], scores: Sequence[float]) -> None:
        """Add all tracks of one (video, category) pair; a pair that this process has already is dropped.

        masklets: per track a mask per frame, RLE, array (H, W) or None. Raises MetricError if numbers differ.
        """
        if len(masklets) != len(scores):
            raise MetricError(
                f"video {video!r}, category {category!r}: {len(masklets)} tracks but {len(scores)} scores"
            )
        entries = [masklet_entry(video, category, s, m) for m, s in zip(masklets, scores, strict=True)]
        self.predictions.setdefault((video, category), entries)

    def write(self) -> Path | None:
        """Gather, drop duplicates and write; every process must call it. Returns the path on the first, None elsewhere.

        The file is replaced at once, so no reader ever sees half of it. Raises OutputError if it cannot be written.
        """
        parts = self._gather()
        if parts is None:
            return None
        pairs: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
        for part in parts:
            pairs = part | pairs
        entries = [entry for key in sorted(pairs) for entry in pairs[key]]
        write_text(self.path, json.dumps(entries, separators=(",", ":")))
        return self.path

    def _gather(self) -> list[dict[tuple[Any, Any], list[dict[str, Any]]]] | None:
        """Predictions of all processes in the order of ranks, on the first process; None on the others."""
        from torch import distributed

        if not distributed.is_available() or not distributed.is_initialized():
            return [self.predictions]
        first = distributed.get_rank() == 0
        parts: list[Any] | None = [None] * distributed.get_world_size() if first else None
        distributed.gather_object(self.predictions, parts, dst=0)
        return parts
