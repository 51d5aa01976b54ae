"""Write one results file in YouTube-VIS format from several processes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sam3model.errors import MetricError
from sam3model.files import write_text
from sam3model.metrics.overlap import Rle, as_rle, coco_mask, finite_scores, rle_areas

Masklet = Sequence[Rle | NDArray[Any] | None]


def masklet_entry(video: Any, category: Any, score: float, masklet: Masklet) -> dict[str, Any]:
    """One prediction in YT-VIS format: `segmentations`, `bboxes` (xywh) and `areas` per frame, None if absent."""
    masks = [None if m is None else as_rle(m) for m in masklet]
    present = [m for m in masks if m is not None]
    areas = dict(zip(map(id, present), rle_areas(present).tolist(), strict=True))
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
    """Collects predictions in all processes of torch.distributed and writes one JSON file in the first.

    A sampler that pads the last batch gives some (video, category) pairs to two processes; the lower rank's is kept.
    Without an initialised process group, only this process's predictions are written.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.predictions: dict[tuple[Any, Any], list[dict[str, Any]]] = {}

    def update(self, video: Any, category: Any, masklets: Sequence[Masklet], scores: Sequence[float]) -> None:
        """Add all tracks of one (video, category) pair; ignored if this process already has the pair.

        masklets: for each track, an RLE, array (H, W) or None per frame. Raises `MetricError` if the numbers of tracks
        and scores differ, or a score is not finite.
        """
        finite_scores(scores, f"video {video!r}, category {category!r}")
        if len(masklets) != len(scores):
            raise MetricError(
                f"video {video!r}, category {category!r}: {len(masklets)} tracks but {len(scores)} scores"
            )
        entries = [masklet_entry(video, category, s, m) for m, s in zip(masklets, scores, strict=True)]
        self.predictions.setdefault((video, category), entries)

    def write(self) -> Path | None:
        """Gather, remove duplicates and write; every process must call it.

        Returns the path in the first process, None in the others. The file is replaced atomically.
        Raises `OutputError` if it cannot be written.
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
        """Predictions of all processes by rank, in the first process; None in the others."""
        from torch import distributed

        if not distributed.is_available() or not distributed.is_initialized():
            return [self.predictions]
        first = distributed.get_rank() == 0
        parts: list[Any] | None = [None] * distributed.get_world_size() if first else None
        distributed.gather_object(self.predictions, parts, dst=0)
        return parts
