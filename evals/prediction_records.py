"""Predictions as JSON objects, one per line of `predictions.jsonl`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, assert_never

from pydantic import Field, TypeAdapter, ValidationError

from evals.samples import (
    ClickPrediction,
    ClickSample,
    Detection,
    MaskletPrediction,
    MaskletSample,
    PhrasePrediction,
    PhraseSample,
    PredictedTrack,
    Prediction,
    QuestionPrediction,
    QuestionSample,
    Sample,
    SampleKind,
    VideoPrediction,
    VideoSample,
)
from sam3model.errors import MetricError
from sam3model.ops.masks import check_rle
from sam3model.ops.rle_reading import MAX_MASK_PIXELS
from sam3model.parse import first_fault

_READERS: Mapping[SampleKind, TypeAdapter[Any]] = {
    "image-phrase": TypeAdapter(PhrasePrediction),
    "image-question": TypeAdapter(QuestionPrediction),
    "video": TypeAdapter(VideoPrediction),
    "image-clicks": TypeAdapter(ClickPrediction),
    "masklets": TypeAdapter(MaskletPrediction),
}
_SECONDS = TypeAdapter(Annotated[float, Field(ge=0, le=1e12)])
_SCORES = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """A prediction as stored. seconds: time that it took. scores: those of this sample, by name."""

    prediction: Prediction
    seconds: float = 0.0
    scores: Mapping[str, float | None] = field(default_factory=dict)


def to_record(key: str, stored: StoredPrediction) -> dict[str, Any]:
    """A prediction as a JSON object; its key comes first."""
    more = {"seconds": round(stored.seconds, 6), "scores": dict(stored.scores)}
    return {"key": key, **asdict(stored.prediction), **more}


def from_record(record: Mapping[str, Any], kind: SampleKind) -> tuple[str, StoredPrediction]:
    """The inverse of `to_record`, for a sample of this kind. Old records lack seconds and scores.

    Every mask is checked, so that it is safe to pass to pycocotools. Raises `KeyError`, `TypeError`, `ValueError` or
    `Sam3Error` if something is missing, has the wrong type or is damaged.
    """
    try:
        prediction = _READERS[kind].validate_python(record)
        seconds = _SECONDS.validate_python(record.get("seconds", 0))
        scores = _SCORES.validate_python(record.get("scores", {}))
    except ValidationError as error:
        raise ValueError(str(first_fault(error))) from None
    prediction = _checked(prediction)
    check_finite(prediction)
    return record["key"], StoredPrediction(prediction, seconds, scores)


def _checked(prediction: Prediction) -> Prediction:
    """The prediction with masks that are safe to pass to pycocotools. Raises `InputError` if one is damaged."""
    match prediction:
        case PhrasePrediction():
            return replace(prediction, detections=tuple(map(_checked_detections, prediction.detections)))
        case QuestionPrediction():
            if not 0 < prediction.size[0] * prediction.size[1] <= MAX_MASK_PIXELS:
                raise ValueError("size: not the height and width of an image")
            return replace(prediction, detections=_checked_detections(prediction.detections))
        case VideoPrediction():
            if not 0 < prediction.size[0] * prediction.size[1] <= MAX_MASK_PIXELS:
                raise ValueError("size: not the height and width of a video")
            return replace(prediction, tracks=_checked_tracks(prediction.tracks))
        case ClickPrediction():
            return replace(prediction, masks=tuple(tuple(map(check_rle, row)) for row in prediction.masks))
        case MaskletPrediction():
            protocols = {name: _checked_tracks(tracks) for name, tracks in prediction.protocols.items()}
            return replace(prediction, protocols=protocols)
        case _:
            assert_never(prediction)


def _checked_detections(detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
    return tuple(replace(one, mask=check_rle(one.mask)) for one in detections)


def _checked_tracks(tracks: tuple[PredictedTrack, ...]) -> tuple[PredictedTrack, ...]:
    return tuple(replace(one, masks=tuple(mask and check_rle(mask) for mask in one.masks)) for one in tracks)


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


def is_for(prediction: Prediction, sample: Sample) -> bool:
    """Whether a stored prediction has the same phrases, question or number of objects as the sample."""
    match sample:
        case PhraseSample():
            return isinstance(prediction, PhrasePrediction) and prediction.phrases == sample.phrases
        case QuestionSample():
            return isinstance(prediction, QuestionPrediction) and prediction.question == sample.question
        case VideoSample():
            return isinstance(prediction, VideoPrediction) and prediction.phrases == sample.phrases
        case ClickSample():
            return isinstance(prediction, ClickPrediction) and len(prediction.masks) == len(sample.masks)
        case MaskletSample():
            return isinstance(prediction, MaskletPrediction) and prediction.phrases == sample.phrases
        case _:
            assert_never(sample)
