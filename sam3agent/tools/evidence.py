"""Images of candidates for models and people to look at, and short summaries of candidates."""

from collections.abc import Sequence
from typing import Any

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.pool import Candidate, missing_masks
from sam3agent.render import Mark, best_marks, fit, locate, overlay, zoom
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.tools.registry import ToolUseError
from sam3agent.workbench import Workbench


def raw_frame(bench: Workbench, frame: int = 0) -> LazyImage:
    """A frame without masks."""
    return LazyImage(EvidenceKey(frame), lambda: fit(bench.media.frame(frame), (), WHOLE_SIDE)[0])


def numbered(bench: Workbench, candidates: Sequence[Candidate]) -> LazyImage:
    """The frame with the most of these candidates, with their masks numbered."""
    frame, marks = best_marks([(candidate.id, candidate.masklet) for candidate in candidates])
    key = EvidenceKey(frame, tuple(mark.id for mark in marks), "numbered")
    return LazyImage(key, lambda: overlay(*fit(bench.media.frame(frame), marks, WHOLE_SIDE)))


def close_up(bench: Workbench, candidate: Candidate) -> tuple[LazyImage, LazyImage]:
    """One candidate on its key frame: located in the whole image, and zoomed."""
    frame, mark = candidate.frame, Mark(candidate.id, candidate.mask)
    return (
        LazyImage(EvidenceKey(frame, (mark.id,), "located"), lambda: locate(bench.media.frame(frame), mark)),
        LazyImage(EvidenceKey(frame, (mark.id,), "zoomed"), lambda: zoom(bench.media.frame(frame), mark)),
    )


def known_candidates(bench: Workbench, ids: Sequence[int]) -> tuple[Candidate, ...]:
    """The candidates with these ids. Raises `ToolUseError` if one does not exist."""
    if missing := bench.pool.missing(ids):
        raise ToolUseError(missing_masks(missing, bench.pool.ids))
    return tuple(c for mask_id in ids if (c := bench.pool.get(mask_id)))


def summary(candidate: Candidate) -> dict[str, Any]:
    """Id, box and score as JSON values."""
    return {"id": candidate.id, "box": list(candidate.mask.box), "score": round(candidate.score, 4)}
