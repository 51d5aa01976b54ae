"""Referring and reasoning video segmentation (MeViS, ReVOS): J&F over all frames, and robustness."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sam3model.errors import MetricError
from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.jf import Track, frame_quality, require_same_length
from sam3model.metrics.metric_result import MetricResult
from sam3model.metrics.overlap import Rle, coco_mask, rle_areas


class ExpressionScores(NamedTuple):
    """Means over the frames of one expression, 0 to 1; robustness is nan without foreground masks."""

    group: str
    j: float
    f: float
    accuracy: float
    robustness: float


def union_track(tracks: Sequence[Track]) -> list[Rle | None]:
    """Union of the masks of several tracks in each frame. Raises `MetricError` if their lengths differ."""
    require_same_length(tracks)
    frames = [[m for m in masks if m is not None] for masks in zip(*tracks, strict=True)]
    return [coco_mask.merge(masks) if masks else None for masks in frames]


def expression_scores(
    targets: Track, predictions: Track, foreground: Track | None = None, group: str = "all"
) -> ExpressionScores:
    """J, F, pixel accuracy and robustness of one expression, as means over all frames; 1 if both masks are empty.

    foreground: union of all annotated objects in each frame. Robustness is 1 minus the ratio of predicted pixels
    outside the target to foreground pixels, at least 0 (R2-VOS). Raises `MetricError` if lengths or mask sizes differ.
    """
    quality, areas = frame_quality(targets, predictions)
    common = np.rint(quality.j * areas.sum(1) / (1 + quality.j))
    sizes = [m["size"] for m in (*targets, *predictions) if m is not None]
    pixels = sizes[0][0] * sizes[0][1] if sizes else 1
    accuracy = 1 - (areas.sum(1) - 2 * common) / pixels
    robustness = np.full(1, np.nan)
    if foreground is not None:
        if len(foreground) != len(targets):
            raise MetricError(f"{len(targets)} frames of ground truth but {len(foreground)} of foreground")
        seen = np.array([rle_areas([m])[0] if m else 0 for m in foreground])
        robustness = np.maximum(1 - (areas[:, 1] - common) / (seen + 1e-6), 0)
    means = (float(x.mean()) for x in (quality.j, quality.f, accuracy, robustness))
    return ExpressionScores(group, *means)


@dataclass(frozen=True, slots=True)
class ReferringVideoResult(MetricResult):
    """Percentages. overall: unweighted mean over groups (ReVOS: referring and reasoning); groups: by name.

    Each has J&F, J, F, A (pixel accuracy) and R (robustness, nan without foreground masks). Unlike in the official
    ReVOS script, figures of expressions are not rounded to two digits.
    """

    overall: Mapping[str, float]
    groups: Mapping[str, Mapping[str, float]]
    samples: int

    def summary(self) -> dict[str, float]:
        """The overall figures, and those of each group if there is more than one."""
        several = self.groups if len(self.groups) > 1 else {}
        return {**self.overall, **{f"{g} {n}": v for g, figures in several.items() for n, v in figures.items()}}


class ReferringVideo(Aggregate[ExpressionScores]):
    """J&F over expressions; picklable, shards can be merged."""

    def update(
        self, key: Any, targets: Track, predictions: Track | None, foreground: Track | None = None, group: str = "all"
    ) -> None:
        """Add one expression; see `expression_scores`. A missing prediction (None) scores 0 in every figure."""
        missing = ExpressionScores(group, 0.0, 0.0, 0.0, float("nan") if foreground is None else 0.0)
        scores = missing if predictions is None else expression_scores(targets, predictions, foreground, group)
        self.add(key, scores)

    def compute(self) -> ReferringVideoResult:
        """Return the figures. Raises `MetricError` if there are no expressions."""
        members: dict[str, list[tuple[float, ...]]] = defaultdict(list)
        for sample in self.require_samples():
            members[sample.group].append(sample[1:])
        groups = {group: _figures(100 * np.mean(rows, 0)) for group, rows in sorted(members.items())}
        overall = {name: float(np.mean([g[name] for g in groups.values()])) for name in ("J&F", "J", "F", "A", "R")}
        return ReferringVideoResult(overall, groups, len(self.samples))


def _figures(means: np.ndarray) -> dict[str, float]:
    j, f, accuracy, robustness = means.tolist()
    return {"J&F": (j + f) / 2, "J": j, "F": f, "A": accuracy, "R": robustness}
