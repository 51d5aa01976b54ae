"""Images of candidates for models and people to look at, and short summaries of candidates."""

from collections.abc import Sequence
from typing import Any

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.masks import best_frame
from sam3agent.media import Media
from sam3agent.pool import Candidate, missing_masks
from sam3agent.render import Mark, best_marks, fit, locate, overlay, zoom
from sam3agent.render.crowds import enlarged, neighbours
from sam3agent.render.film import film
from sam3agent.render.marks import FAINT
from sam3agent.render.strip import squares
from sam3agent.render.zoom import MARGIN, WHOLE_SIDE, WIDE_MARGIN, ZOOM_SIDE
from sam3agent.tools.registry import ToolUseError
from sam3agent.workbench import Workbench

MOST_TOGETHER = 20
"""Masks whose numbers can be read in one image."""


def raw_frame(bench: Workbench, frame: int = 0) -> LazyImage:
    """A frame without masks."""
    return LazyImage(EvidenceKey(frame), lambda: fit(bench.media.frame(frame), (), WHOLE_SIDE)[0])


def numbered(bench: Workbench, candidates: Sequence[Candidate]) -> LazyImage:
    """The frame with the most of these candidates, with their masks outlined and numbered; of tracked ones, several."""
    if any(len(candidate.masklet.areas) > 1 for candidate in candidates):
        return _film(bench, candidates)
    frame, marks = best_marks([(candidate.id, candidate.masklet) for candidate in candidates])
    key = EvidenceKey(frame, tuple(mark.id for mark in marks), "numbered")
    return LazyImage(key, lambda: overlay(*fit(bench.media.frame(frame), marks, WHOLE_SIDE), fill=FAINT))


def _film(bench: Workbench, candidates: Sequence[Candidate]) -> LazyImage:
    """Frames of a clip with the masks of tracked candidates, side by side."""
    masklets = [(candidate.id, candidate.masklet) for candidate in candidates]
    key = EvidenceKey(best_frame([m for _, m in masklets]), tuple(number for number, _ in masklets), "film")
    return LazyImage(key, lambda: film(bench.media, masklets))


def numbered_views(bench: Workbench, candidates: Sequence[Candidate]) -> tuple[LazyImage, ...]:
    """All candidates, numbered: in one image, or a crowd in several enlarged parts of the frame.

    A crowd is shown on the frame with the most of its masks.
    """
    if len(candidates) <= MOST_TOGETHER:
        return (numbered(bench, candidates),) if candidates else ()
    frame, marks = best_marks([(candidate.id, candidate.masklet) for candidate in candidates])
    return tuple(
        LazyImage(
            EvidenceKey(frame, tuple(mark.id for mark in part), "part"),
            lambda part=part: enlarged(bench.media.frame(frame), part, WHOLE_SIDE),
        )
        for part in neighbours(marks, MOST_TOGETHER)
    )


def close_up(bench: Workbench, candidate: Candidate, *, again: bool = False) -> tuple[LazyImage, LazyImage]:
    """One candidate on its key frame: located in the whole image, and zoomed. `again`: zoomed with more around it."""
    frame, mark = candidate.frame, Mark(candidate.id, candidate.mask)
    tracked = len(candidate.masklet.areas) > 1
    whole = LazyImage(EvidenceKey(frame, (mark.id,), "located"), lambda: locate(bench.media.frame(frame), mark))
    kind, margin = ("wide", WIDE_MARGIN) if again else ("zoomed", MARGIN)
    return (
        _film(bench, (candidate,)) if tracked else whole,
        LazyImage(
            EvidenceKey(frame, (mark.id,), kind), lambda: zoom(bench.media.frame(frame), mark, margin_ratio=margin)
        ),
    )


def side_by_side(bench: Workbench, candidates: Sequence[Candidate]) -> LazyImage:
    """Close-ups of candidates in one image, each on its key frame and of the same size, with their numbers below."""
    key = EvidenceKey(candidates[0].frame, tuple(c.id for c in candidates), "compared")
    marks = [(c.frame, Mark(c.id, c.mask)) for c in candidates]
    return LazyImage(
        key,
        lambda: squares(
            [zoom(bench.media.frame(frame), mark) for frame, mark in marks],
            [f"mask {mark.id}" for _, mark in marks],
            ZOOM_SIDE,
        ),
    )


def known_candidates(bench: Workbench, ids: Sequence[int]) -> tuple[Candidate, ...]:
    """The candidates with these ids. Raises `ToolUseError` if one does not exist."""
    if missing := bench.pool.missing(ids):
        raise ToolUseError(missing_masks(missing, bench.pool.ids))
    return tuple(c for mask_id in ids if (c := bench.pool.get(mask_id)))


def summary(candidate: Candidate, media: Media) -> dict[str, Any]:
    """Id, box and score as JSON values; of a clip, also the frame that the box is of."""
    return {**scored_box(candidate), **({"frame": candidate.frame} if media.count > 1 else {})}


def scored_box(candidate: Candidate) -> dict[str, Any]:
    """Id, box and score as JSON values."""
    return {"id": candidate.id, "box": list(candidate.mask.box), "score": round(candidate.score, 4)}
