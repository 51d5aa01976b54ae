"""Collects the results of a video session, frame by frame, into one track per object."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from evals.samples import PredictedTrack, Rle

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult


class TrackCollector:
    """Results of one session by object; a later result for a frame replaces an earlier one."""

    def __init__(self, kept: Sequence[int]) -> None:
        """kept: numbers of the frames whose masks are needed."""
        self._places = {frame: place for place, frame in enumerate(kept)}
        self._masks: dict[int, dict[int, Rle]] = defaultdict(dict)
        self._origins: dict[int, tuple[str, float]] = {}

    def add_all(self, results: "Iterable[FrameResult]") -> None:
        """Add frames; those that are not kept have no effect."""
        for result in results:
            self._add(result)

    def masks(self, object_id: int) -> tuple[Rle | None, ...]:
        """The masks on the kept frames; None where the object is not visible."""
        own = self._masks.get(object_id, {})
        return tuple(own.get(place) for place in range(len(self._places)))

    def instances(self) -> list[PredictedTrack]:
        """The objects that are visible on a kept frame."""
        return [PredictedTrack(*self._origins[one], self.masks(one)) for one in sorted(self._masks) if self._masks[one]]

    def _add(self, result: "FrameResult") -> None:
        from sam3model.metrics.overlap import rle_areas

        place = self._places.get(result.frame)
        if place is None:
            return
        for masks in self._masks.values():
            masks.pop(place, None)
        areas = rle_areas(result.masks).tolist() if result.masks else []
        rows = zip(result.ids.tolist(), result.phrases, result.scores.tolist(), result.masks, areas, strict=True)
        for object_id, phrase, score, mask, area in rows:
            self._origins[object_id] = (phrase or "", score)
            if area:
                self._masks[object_id][place] = mask
