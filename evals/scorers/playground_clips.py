"""J&F of objects given by masks or clicks, cgF1 and pHOTA of phrases, and identity switches, on Playground clips."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evals.benchmark_types import Figures
from evals.intervals import Draws
from evals.samples import MaskedClip, MaskletPrediction, MaskletSample, PredictedTrack, Rle
from evals.scorers.identity_switches import identity_switches
from evals.scorers.resampled_figures import concept_score, resample_concepts
from sam3model.errors import MetricError
from sam3model.metrics import ConceptF1, Hota, JAndF
from sam3model.metrics.cgf1 import SCORE_THRESHOLD
from sam3model.metrics.hota import HotaCounts
from sam3model.metrics.jf import TrackQuality
from sam3model.metrics.overlap import FloatArray
from sam3model.metrics.video_cgf1 import video_concept_f1
from sam3model.metrics.video_hota import hota_shard
from sam3model.metrics.video_tracks import Entry, Phrase, TrackSet, VideoData, frame_iou

GIVEN = ("mask", "click")
"""Protocols in which an object is given on the frame on which it is prompted."""
PHRASE = "phrase"
PROTOCOLS = (*GIVEN, PHRASE)
LATER = (1, 8, 16)
"""Numbers of frames after the prompt at which the IoU is shown, which tells rough masks from lost objects."""
Masks = Sequence[Rle | None]


class GivenObjects:
    """J&F of objects that were given on one frame, over all frames after it, and identity switches.

    On a frame where the object is hidden, an empty mask has J = F = 1 and any other 0, as in DAVIS. Objects that are
    not visible after their prompt have no score.
    """

    def __init__(self) -> None:
        self._metric = JAndF(skip_ends=False)
        self._later: dict[int, list[float]] = {after: [] for after in LATER}
        self._switches: dict[str, int] = {}

    def update(self, key: str, clip: MaskedClip, tracks: Sequence[PredictedTrack]) -> float:
        """Add the objects of a clip; an object without a track counts as not found. Returns their J&F."""
        length = len(clip.frames)
        predicted = {int(track.prompt): track.masks for track in tracks}
        targets, found = [], []
        for one, start in clip.prompted.items():
            masks: Masks = predicted.get(one) or (None,) * length
            self._metric.update(key, one, clip.masks[one][start + 1 :], masks[start + 1 :])
            targets.append((None,) * start + clip.masks[one][start:])
            found.append(masks)
        iou = frame_iou(_track_set(targets, length), _track_set(found, length))
        self._switches[key] = identity_switches(iou)
        for row, start in enumerate(clip.prompted.values()):
            for after, own in self._later.items():
                if start + after < length and targets[row][start + after] is not None:
                    own.append(float(iou[start + after, row, row]))
        own_quality = [self._metric.samples[key, one] for one in clip.prompted]
        values = [50 * float(q.j.mean() + q.f.mean()) for q in own_quality if q.j.size]
        return sum(values) / len(values) if values else math.nan

    def resample(self, draws: Draws, name: str) -> dict[str, FloatArray]:
        """J&F, J, F and identity switches; whole clips are drawn."""
        scored = [(key, quality) for (key, _), quality in self._metric.samples.items() if quality.j.size]
        keys = [key for key, _ in scored]
        j, f = (100 * draws.mean(keys, [values(q).mean() for _, q in scored]) for values in (_j, _f))
        switches = draws.mean(list(self._switches), list(self._switches.values()))
        figures = {"J&F": (j + f) / 2, "J": j, "F": f, "ID switches": switches}
        return {f"{name} {what}": values for what, values in figures.items()}

    def compute(self, name: str) -> dict[str, float]:
        """J&F, J and F in percent, identity switches per clip, the IoU some frames later, and the number of objects."""
        result = self._metric.compute()
        figures = {"J&F": result.jf, "J": result.j, "F": result.f, "ID switches": _mean(self._switches)}
        figures |= {f"IoU after {after}": 100 * sum(own) / len(own) for after, own in self._later.items() if own}
        return {f"{name} {what}": value for what, value in figures.items()} | {f"{name} objects": len(result.objects)}


@dataclass(slots=True)
class PhraseMasklets:
    """Video cgF1 and pHOTA over all pairs of a clip and a phrase, as for SA-Co/VEval, and identity switches.

    The switches of a clip are the sum over its phrases: those of an object count once for each phrase that it matches.
    """

    concepts: ConceptF1 = field(default_factory=ConceptF1)
    hota: Hota = field(default_factory=Hota)
    switches: dict[str, int] = field(default_factory=dict)

    def update(self, key: str, clip: MaskedClip, phrases: Sequence[str], tracks: Sequence[PredictedTrack]) -> None:
        """Add a clip with all its phrases."""
        switches = 0
        data = _video_data(key, clip, phrases, tracks)
        self.concepts.merge(video_concept_f1(data))
        self.hota.merge(hota_shard(data))
        for pair in data.targets:
            sure = [entry for entry in data.predictions.get(pair, []) if entry["score"] >= SCORE_THRESHOLD]
            found = data.predicted_tracks("segm", pair, sure)
            switches += identity_switches(frame_iou(data.target_tracks("segm", pair), found))
        self.switches[key] = switches

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """cgF1, pmF1, IL_MCC, pHOTA and identity switches; whole clips are drawn."""
        figures = resample_concepts(self.concepts.samples, [key for key, _ in self.concepts.samples], draws)
        figures["pHOTA"] = _resample_hota(self.hota.samples, draws)
        figures["ID switches"] = draws.mean(list(self.switches), list(self.switches.values()))
        return figures

    def compute(self) -> dict[str, float]:
        """Percentages, except IL_MCC and the identity switches per clip."""
        concepts, hota = self.concepts.compute(), self.hota.compute().summary()
        return {
            "cgF1": 100 * concepts.cgf1,
            "pHOTA": 100 * hota["HOTA"],
            "ID switches": _mean(self.switches),
            "pmF1": 100 * concepts.pmf1,
            "IL_MCC": concepts.il_mcc,
            "cgF1@0.5": 100 * concepts.summary()["cgF1@0.5"],
            "DetA": 100 * hota["DetA"],
            "AssA": 100 * hota["AssA"],
            "pairs": concepts.samples,
        }


class MaskletScorer:
    """The figures of all protocols that were predicted."""

    def __init__(self) -> None:
        self._given: dict[str, GivenObjects] = {}
        self._phrases = PhraseMasklets()
        self._clips = 0

    def update(self, sample: MaskletSample, prediction: MaskletPrediction) -> dict[str, float]:
        """Add a clip; returns J&F of each protocol with given objects, and the F1 of phrases.

        Raises `MetricError` if masks do not fit the clip.
        """
        clip, scores = sample.load(), {}
        _check_lengths(clip, prediction.protocols)
        for name in GIVEN:
            if name in prediction.protocols:
                given = self._given.setdefault(name, GivenObjects())
                scores[f"{name} J&F"] = given.update(sample.key, clip, prediction.protocols[name])
        if PHRASE in prediction.protocols:
            self._phrases.update(sample.key, clip, sample.phrases, prediction.protocols[PHRASE])
            counts = [one for (key, _), one in self._phrases.concepts.samples.items() if key == sample.key]
            scores["F1"] = concept_score(counts)
        self._clips += 1
        return scores

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """The figures of all protocols."""
        figures: dict[str, FloatArray] = {}
        for name, given in self._given.items():
            figures |= given.resample(draws, name)
        return figures | (self._phrases.resample(draws) if self._phrases.switches else {})

    def compute(self) -> Figures:
        """J&F of each protocol with given objects, cgF1, pHOTA and switches of phrases, and the number of clips."""
        if not self._clips:
            raise MetricError("no clips to score")
        figures: dict[str, float] = {}
        for name, given in self._given.items():
            figures |= given.compute(name)
        if self._phrases.switches:
            figures |= self._phrases.compute()
        return figures | {"clips": self._clips}


def _j(quality: TrackQuality) -> FloatArray:
    return quality.j


def _f(quality: TrackQuality) -> FloatArray:
    return quality.f


def _mean(switches: Mapping[str, int]) -> float:
    return sum(switches.values()) / len(switches)


def _resample_hota(samples: Mapping[Any, HotaCounts], draws: Draws) -> FloatArray:
    """HOTA in percent under each resample."""
    drawn = draws.of([key for key, _ in samples])
    names = ("tp", "fn", "fp", "association")
    tp, fn, fp, association = (drawn @ np.stack([getattr(one, name) for one in samples.values()]) for name in names)
    detection = tp / np.maximum(1, tp + fn + fp)
    return 100 * np.sqrt(detection * association / np.maximum(1, tp)).mean(1)


def _check_lengths(clip: MaskedClip, protocols: Mapping[str, Sequence[PredictedTrack]]) -> None:
    for tracks in protocols.values():
        for track in tracks:
            if len(track.masks) != len(clip.frames):
                raise MetricError(f"{track.prompt}: {len(track.masks)} masks for {len(clip.frames)} frames")


def _video_data(key: str, clip: MaskedClip, phrases: Sequence[str], tracks: Sequence[PredictedTrack]) -> VideoData:
    """Targets and predictions of the phrases, in which a phrase that names nothing has only predictions."""
    targets: dict[Phrase, list[Entry]] = {
        (key, phrase): [{"segmentations": clip.masks[one]} for one in ids]
        for phrase, ids in zip(phrases, clip.targets, strict=True)
        if ids
    }
    predictions: dict[Phrase, list[Entry]] = {
        (key, phrase): [{"segmentations": t.masks, "score": t.score} for t in tracks if t.prompt == phrase]
        for phrase in dict.fromkeys(track.prompt for track in tracks)
    }
    pairs = frozenset((key, phrase) for phrase in phrases)
    return VideoData({key: len(clip.frames)}, phrases, targets, predictions, pairs)


def _track_set(tracks: Sequence[Masks], length: int) -> TrackSet:
    return TrackSet.of("segm", [{"segmentations": list(masks)} for masks in tracks], length)
