"""OmniLabel AP: boxes detected by free-form descriptions (Schulter et al., ICCV 2023)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sam3model.errors import MetricError
from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.annotation_files import (
    JsonSource,
    load_ground_truth,
    load_predictions,
    refuse_ids_of_another_type,
    require,
)
from sam3model.metrics.average_precision import ApRules, UnitMatches, category_curves, match_unit, strongest
from sam3model.metrics.metric_result import MetricResult, mean_of_defined
from sam3model.metrics.overlap import box_iou_xywh

RULES = ApRules()


class DescriptionMatches(NamedTuple):
    """Matches of one description in one image. words: length of the description.

    kind: "C" for a category name, "Dp" or "Dn" for a description with or without a target in the image.
    """

    matches: UnitMatches
    kind: str
    words: int


@dataclass(frozen=True, slots=True)
class DescriptionGroup:
    """The (image, description) pairs of one figure. minimum, maximum: number of words."""

    kinds: tuple[str, ...]
    minimum: int = 0
    maximum: int = 10**9

    def contains(self, sample: DescriptionMatches) -> bool:
        """Whether the sample belongs to this group."""
        return sample.kind in self.kinds and self.minimum <= sample.words <= self.maximum


GROUPS: Mapping[str, DescriptionGroup] = {
    "categ": DescriptionGroup(("C",)),
    "descr": DescriptionGroup(("Dp", "Dn")),
    "descr-Pos": DescriptionGroup(("Dp",)),
    "descr-S": DescriptionGroup(("Dp", "Dn"), 0, 3),
    "descr-M": DescriptionGroup(("Dp", "Dn"), 4, 8),
    "descr-L": DescriptionGroup(("Dp", "Dn"), 9),
}


@dataclass(frozen=True, slots=True)
class OmniLabelResult(MetricResult):
    """ap: harmonic mean of AP over category names and AP over descriptions, -1 unless both are defined.

    groups: AP at IoU 0.50 .. 0.95 of each group: categ, descr, and descriptions that are -Pos (have a target in the
    image), -S (at most 3 words), -M (4 to 8) or -L (9 or more).
    """

    ap: float
    groups: Mapping[str, float]

    def summary(self) -> dict[str, float]:
        """AP, then AP-categ, AP-descr and so on."""
        return {"AP": self.ap, **{f"AP-{name}": value for name, value in self.groups.items()}}


class OmniLabelAp(Aggregate[DescriptionMatches]):
    """OmniLabel AP over (image, description) pairs; picklable, shards can be merged."""

    def update(
        self, image: Any, description: Any, text: str, kind: str, targets: Any, boxes: Any, scores: Sequence[float]
    ) -> None:
        """Add one description in one image.

        kind: "C" for a category name, "D" for a description. targets, boxes: xywh. Raises `MetricError` if the kind is
        unknown, the numbers of boxes and scores differ, or the pair was added before.
        """
        if kind not in ("C", "D") or len(boxes) != len(scores):
            raise MetricError(
                f"description {description!r}: kind {kind!r}, {len(boxes)} boxes and {len(scores)} scores"
            )
        order = strongest(scores, RULES.max_detections[-1])
        predicted, expected = (np.asarray(b, np.float64).reshape(-1, 4) for b in (boxes, targets))
        areas, none = expected[:, 2] * expected[:, 3], np.zeros(len(expected), bool)
        ranked = predicted[order]
        own = ranked[:, 2] * ranked[:, 3]
        iou = box_iou_xywh(ranked, expected)
        matches = match_unit(iou, np.asarray(scores, np.float64)[order], areas, own, none, RULES)
        tag = kind if kind == "C" else "Dp" if len(expected) else "Dn"
        self.add((image, description), DescriptionMatches(matches, tag, len(text.split())))

    def compute(self) -> OmniLabelResult:
        """Return the figures; the detections of all pairs of a group are ranked together."""
        samples = [self.samples[key] for key in sorted(self.samples)]
        groups = {name: _group_ap([s.matches for s in samples if g.contains(s)]) for name, g in GROUPS.items()}
        categories, descriptions = groups["categ"], groups["descr"]
        both = categories > -1 and descriptions > -1
        harmonic = 2 * categories * descriptions / (categories + descriptions + 1e-5)
        return OmniLabelResult(harmonic if both else -1.0, groups)


def _group_ap(units: Sequence[UnitMatches]) -> float:
    return mean_of_defined(category_curves(units, RULES)[0][0]) if units else -1.0


def kind_of(annotated: Any) -> str:
    """The kind of a description whose `anno_info` has this `type`: "D" for free-form ones, "C" for any other, as in the
    official code.
    """
    return "D" if annotated == "object_description" else "C"


def evaluate_omnilabel(ground_truth: JsonSource, predictions: JsonSource) -> OmniLabelResult:
    """OmniLabel AP of a results list; see `omnilabel_shard`. Raises `MetricError` if a file is invalid."""
    return omnilabel_shard(ground_truth, predictions).compute()


def omnilabel_shard(ground_truth: JsonSource, predictions: JsonSource) -> OmniLabelAp:
    """Match predictions {image_id, bbox, description_ids, scores} against an OmniLabel file.

    Boxes for descriptions that are not listed for the image are ignored, as in the official code.
    """
    truth = load_ground_truth(ground_truth, "images", "descriptions", "annotations")
    targets: dict[tuple[Any, Any], list[Any]] = defaultdict(list)
    for a in truth["annotations"]:
        for description in require(a, "description_ids", "annotation"):
            targets[require(a, "image_id", "annotation"), description].append(require(a, "bbox", "annotation"))
    predicted: dict[tuple[Any, Any], list[tuple[Any, float]]] = defaultdict(list)
    for p in load_predictions(predictions):
        ids, scores = (require(p, field, "prediction") for field in ("description_ids", "scores"))
        if len(ids) != len(scores):
            raise MetricError(f"prediction of image {p.get('image_id')}: {len(ids)} descriptions, {len(scores)} scores")
        for description, score in zip(ids, scores, strict=True):
            box = require(p, "bbox", "prediction")
            predicted[require(p, "image_id", "prediction"), description].append((box, score))
    asked = {(image, d["id"]) for d in truth["descriptions"] for image in require(d, "image_ids", "description")}
    for place, name in enumerate(("image_id", "description_ids")):
        refuse_ids_of_another_type((one[place] for one in predicted), (one[place] for one in asked), name)
    metric = OmniLabelAp()
    for d in truth["descriptions"]:
        kind = kind_of(require(require(d, "anno_info", "description"), "type", "description"))
        for image in require(d, "image_ids", "description"):
            boxes, scores = zip(*predicted[image, d["id"]], strict=True) if (image, d["id"]) in predicted else ((), ())
            metric.update(
                image, d["id"], require(d, "text", "description"), kind, targets[image, d["id"]], boxes, scores
            )
    return metric
