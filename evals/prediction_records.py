"""Predictions as JSON objects, one per line of `predictions.jsonl`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, assert_never

from evals.samples import (
    ClickPrediction,
    Detection,
    MaskletPrediction,
    PhrasePrediction,
    PredictedTrack,
    Prediction,
    QuestionPrediction,
    SampleKind,
    VideoPrediction,
)
from sam3model.errors import MetricError

QUESTION_FIELDS = frozenset(one.name for one in fields(QuestionPrediction))


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """A prediction as stored. seconds: time that it took. scores: those of this sample, by name."""

    prediction: Prediction
    seconds: float = 0.0
    scores: Mapping[str, float | None] = field(default_factory=dict)


def to_record(key: str, stored: StoredPrediction) -> dict[str, Any]:
    """A prediction as a JSON object; its key comes first."""
    more = {"seconds": round(stored.seconds, 3), "scores": dict(stored.scores)}
    return {"key": key, **asdict(stored.prediction), **more}


def from_record(record: Mapping[str, Any], kind: SampleKind) -> tuple[str, StoredPrediction]:
    """The inverse of `to_record`, for a sample of this kind. Old records lack seconds and scores.

    Raises `KeyError`, `TypeError`, `ValueError` or `IndexError` if fields are missing or have the wrong type.
    """
    prediction = _prediction(record, kind)
    check_finite(prediction)
    return record["key"], StoredPrediction(prediction, float(record.get("seconds", 0)), dict(record.get("scores", {})))


def _prediction(record: Mapping[str, Any], kind: SampleKind) -> Prediction:
    match kind:
        case "image-phrase":
            groups = tuple(_detections(group) for group in record["detections"])
            return PhrasePrediction(tuple(record["phrases"]), groups)
        case "image-question":
            values = {name: value for name, value in record.items() if name in QUESTION_FIELDS}
            values |= {"size": tuple(record["size"]), "detections": _detections(record["detections"])}
            values["warnings"] = tuple(record.get("warnings", ()))
            return QuestionPrediction(**values)
        case "video":
            frames, size = tuple(record["frames"]), (record["size"][0], record["size"][1])
            return VideoPrediction(tuple(record["phrases"]), frames, size, _tracks(record["tracks"]))
        case "image-clicks":
            return ClickPrediction(tuple(record["prompts"]), tuple(tuple(row) for row in record["masks"]))
        case "masklets":
            protocols = {name: _tracks(rows) for name, rows in record["protocols"].items()}
            return MaskletPrediction(tuple(record["phrases"]), protocols)
        case _:
            assert_never(kind)


def check_finite(prediction: Prediction) -> None:
    """Raises `MetricError`, naming the mask, if a score or a box is NaN or infinite."""
    match prediction:
        case PhrasePrediction():
            for phrase, group in zip(prediction.phrases, prediction.detections, strict=True):
                _check_detections(group, f"phrase {phrase!r}")
        case QuestionPrediction():
            _check_detections(prediction.detections, "the answer")
        case VideoPrediction():
            _check_tracks(prediction.tracks)
        case MaskletPrediction():
            for tracks in prediction.protocols.values():
                _check_tracks(tracks)
        case ClickPrediction():
            pass  # masks only
        case _:
            assert_never(prediction)


def _check_detections(detections: tuple[Detection, ...], what: str) -> None:
    for number, one in enumerate(detections, start=1):
        if not math.isfinite(one.score):
            raise MetricError(f"{what}: the score of mask {number} is {one.score}, not a finite number")
        if not all(map(math.isfinite, one.box)):
            raise MetricError(f"{what}: the box of mask {number} has a coordinate that is not a finite number")


def _check_tracks(tracks: tuple[PredictedTrack, ...]) -> None:
    for track in tracks:
        if not math.isfinite(track.score):
            raise MetricError(f"track of {track.prompt!r}: the score is {track.score}, not a finite number")


def _detections(rows: Any) -> tuple[Detection, ...]:
    return tuple(Detection(row["score"], tuple(row["box"]), row["mask"]) for row in rows)


def _tracks(rows: Any) -> tuple[PredictedTrack, ...]:
    return tuple(PredictedTrack(row["prompt"], row["score"], tuple(row["masks"])) for row in rows)
