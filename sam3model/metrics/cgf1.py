"""cgF1 on images: COCO-like files with one entry of `images` per (image, phrase) pair (SA-Co/Gold and Silver)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sam3model.errors import MetricError
from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.annotation_files import (
    JsonSource,
    load_ground_truth,
    load_predictions,
    refuse_ids_of_another_type,
    require,
)
from sam3model.metrics.concept_f1 import ConceptF1Result, SampleCounts, best_annotator, count_matches, summarise
from sam3model.metrics.overlap import check_kind, finite_scores, geometry_field, iou_matrix

SCORE_THRESHOLD = 0.5


class ConceptF1(Aggregate[SampleCounts]):
    """cgF1 over (image, phrase) pairs; picklable, shards can be merged.

    iou_type: "segm" (RLE) or "bbox" (xywh). score_threshold: minimum score of a detection.

    >>> metric = ConceptF1("bbox")
    >>> metric.update("player", [[0, 0, 4, 4]], [[0, 0, 4, 4]], [0.9])
    >>> metric.update("zebra", [], [], [])
    >>> round(metric.compute().cgf1, 3)
    1.0
    """

    def __init__(self, iou_type: str = "segm", score_threshold: float = SCORE_THRESHOLD):
        super().__init__()
        self.iou_type = check_kind(iou_type)
        self.score_threshold = score_threshold

    def update(self, key: Any, targets: Sequence[Any], detections: Sequence[Any], scores: Sequence[float]) -> None:
        """Add one (image, phrase) pair with one annotator; see `update_annotators`."""
        self.update_annotators(key, [targets], detections, scores)

    def update_annotators(
        self,
        key: Any,
        annotators: Sequence[Sequence[Any]],
        detections: Sequence[Any],
        scores: Sequence[float],
        crowds: Sequence[Sequence[Any]] | None = None,
    ) -> None:
        """Add one (image, phrase) pair.

        key: hashable, unique. annotators: targets of each annotator, without crowds. crowds: crowd regions of each
        annotator. If given, an unmatched detection at least half inside a crowd region is ignored, as in COCO, instead
        of counted as a false positive, as in the official cgF1.
        Raises `MetricError` if the key exists, a score is not finite, or the numbers of detections and scores differ.
        """
        if len(scores) != len(detections):
            raise MetricError(f"sample {key!r}: {len(detections)} detections but {len(scores)} scores")
        sure = finite_scores(scores, f"sample {key!r}") >= self.score_threshold
        kept = [d for d, is_sure in zip(detections, sure, strict=True) if is_sure]
        regions = crowds or [()] * len(annotators)
        counts = [self._count(t, kept, c) for t, c in zip(annotators, regions, strict=True)]
        self.add(key, best_annotator(counts))

    def _count(self, targets: Sequence[Any], detections: Sequence[Any], crowds: Sequence[Any]) -> SampleCounts:
        iou = iou_matrix(self.iou_type, targets, detections)
        if not len(crowds) or not len(detections):
            return count_matches(iou)
        inside = iou_matrix(self.iou_type, detections, crowds, [True] * len(crowds)).max(1) >= 0.5
        on_target = (iou >= 0.5).any(0)
        return count_matches(iou[:, on_target | ~inside])

    def compute(self) -> ConceptF1Result:
        """Return the figures. Raises `MetricError` if there are no samples."""
        return summarise(list(self.samples.values()))


def evaluate_cgf1(
    ground_truth: JsonSource | Sequence[JsonSource],
    predictions: JsonSource,
    iou_type: str = "segm",
    score_threshold: float = SCORE_THRESHOLD,
    protect_crowds: bool = False,
) -> ConceptF1Result:
    """cgF1 of a COCO results list against the files of one or more annotators (their order only matters for ties).

    ground_truth, predictions: paths or loaded JSON. A pair is scored if it is `is_instance_exhaustive` in the first
    file and not marked otherwise in another. As in the official code, detections of unknown images or categories are
    ignored.
    protect_crowds: ignore detections in crowd regions, as COCO does, instead of counting them as false positives.
    Raises `MetricError` if a file is invalid or no pair can be scored.
    """
    return concept_f1_shard(ground_truth, predictions, iou_type, score_threshold, protect_crowds).compute()


def concept_f1_shard(
    ground_truth: JsonSource | Sequence[JsonSource],
    predictions: JsonSource,
    iou_type: str = "segm",
    score_threshold: float = SCORE_THRESHOLD,
    protect_crowds: bool = False,
) -> ConceptF1:
    """Like `evaluate_cgf1`, but returns the aggregate, for merging or for inspecting samples."""
    several = isinstance(ground_truth, Sequence) and not isinstance(ground_truth, str)
    sources = ground_truth if several else [ground_truth]
    files = [load_ground_truth(s) for s in sources]  # type: ignore[arg-type]
    metric = ConceptF1(iou_type, score_threshold)
    field = geometry_field(metric.iou_type)
    categories = {c["id"] for f in files for c in f["categories"]}
    detections: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    predicted = load_predictions(predictions)
    for p in predicted:
        if p.get("category_id") in categories:
            require(p, "score", "prediction")
            detections[require(p, "image_id", "prediction")].append(p)
    annotators = [_split(f["annotations"], field) for f in files]
    seen = [{image["id"] for image in f["images"]} for f in files]
    refuse_ids_of_another_type((p.get("category_id") for p in predicted), categories, "category_id")
    refuse_ids_of_another_type((p.get("image_id") for p in predicted), set[Any]().union(*seen), "image_id")
    for image_id in _evaluable(files):
        found = detections.get(image_id, ())
        views = [a.get(image_id, ([], [])) for a, ids in zip(annotators, seen, strict=True) if image_id in ids]
        metric.update_annotators(
            image_id,
            [targets for targets, _ in views],
            [require(d, field, "prediction") for d in found],
            [d["score"] for d in found],
            [crowds for _, crowds in views] if protect_crowds else None,
        )
    return metric


def _evaluable(files: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Ids of pairs that are exhaustive in the first file and not marked otherwise in another."""
    unfinished = {i["id"] for f in files[1:] for i in f["images"] if not i.get("is_instance_exhaustive", True)}
    return [i["id"] for i in files[0]["images"] if i.get("is_instance_exhaustive", True) and i["id"] not in unfinished]


def _split(annotations: Iterable[Mapping[str, Any]], field: str) -> dict[Any, tuple[list[Any], list[Any]]]:
    """Geometries of targets and of crowd regions per image; the field `ignore` is not used."""
    groups: dict[Any, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for a in annotations:
        groups[require(a, "image_id", "annotation")][bool(a.get("iscrowd", 0))].append(require(a, field, "annotation"))
    return groups
