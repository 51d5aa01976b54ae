"""J&F of objects given by masks or clicks, cgF1 and pHOTA of phrases, and identity switches, on Playground clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evals.benchmark_types import Figures
from evals.samples import MaskedClip, MaskletPrediction, MaskletSample, PredictedTrack, Rle
from evals.scorers.identity_switches import identity_switches
from sam3model.errors import MetricError
from sam3model.metrics import ConceptF1, Hota, JAndF
from sam3model.metrics.cgf1 import SCORE_THRESHOLD
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
        self._switches = 0
        self._clips = 0

    def update(self, key: str, clip: MaskedClip, tracks: Sequence[PredictedTrack]) -> None:
        """Add the objects of a clip; an object without a track counts as not found."""
        length = len(clip.frames)
        predicted = {int(track.prompt): track.masks for track in tracks}
        targets, found = [], []
        for one, start in clip.prompted.items():
            masks: Masks = predicted.get(one) or (None,) * length
            self._metric.update(key, one, clip.masks[one][start + 1 :], masks[start + 1 :])
            targets.append((None,) * start + clip.masks[one][start:])
            found.append(masks)
        iou = frame_iou(_track_set(targets, length), _track_set(found, length))
        self._switches += identity_switches(iou)
        for row, start in enumerate(clip.prompted.values()):
            for after, own in self._later.items():
                if start + after < length and targets[row][start + after] is not None:
                    own.append(float(iou[start + after, row, row]))
        self._clips += 1

    def compute(self, name: str) -> dict[str, float]:
        """J&F, J and F in percent, identity switches per clip, the IoU some frames later, and the number of objects."""
        result = self._metric.compute()
        figures = {"J&F": result.jf, "J": result.j, "F": result.f, "ID switches": self._switches / self._clips}
        figures |= {f"IoU after {after}": 100 * sum(own) / len(own) for after, own in self._later.items() if own}
        return {f"{name} {what}": value for what, value in figures.items()} | {f"{name} objects": len(result.objects)}


@dataclass(slots=True)
class PhraseMasklets:
    """Video cgF1 and pHOTA over all pairs of a clip and a phrase, as for SA-Co/VEval, and identity switches.

    The switches of a clip are the sum over its phrases: those of an object count once for each phrase that it matches.
    """

    concepts: ConceptF1 = field(default_factory=ConceptF1)
    hota: Hota = field(default_factory=Hota)
    switches: int = 0
    clips: int = 0

    def update(self, key: str, clip: MaskedClip, phrases: Sequence[str], tracks: Sequence[PredictedTrack]) -> None:
        """Add a clip with all its phrases."""
        data = _video_data(key, clip, phrases, tracks)
        self.concepts.merge(video_concept_f1(data))
        self.hota.merge(hota_shard(data))
        for pair in data.targets:
            sure = [entry for entry in data.predictions.get(pair, []) if entry["score"] >= SCORE_THRESHOLD]
            found = data.predicted_tracks("segm", pair, sure)
            self.switches += identity_switches(frame_iou(data.target_tracks("segm", pair), found))
        self.clips += 1

    def compute(self) -> dict[str, float]:
        """Percentages, except IL_MCC and the identity switches per clip."""
        concepts, hota = self.concepts.compute(), self.hota.compute().summary()
        return {
            "cgF1": 100 * concepts.cgf1,
            "pHOTA": 100 * hota["HOTA"],
            "ID switches": self.switches / self.clips,
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

    def update(self, sample: MaskletSample, prediction: MaskletPrediction) -> None:
        """Add a clip. Raises `MetricError` if masks do not fit the clip."""
        clip = sample.load()
        _check_lengths(clip, prediction.protocols)
        for name in GIVEN:
            if name in prediction.protocols:
                self._given.setdefault(name, GivenObjects()).update(sample.key, clip, prediction.protocols[name])
        if PHRASE in prediction.protocols:
            self._phrases.update(sample.key, clip, sample.phrases, prediction.protocols[PHRASE])
        self._clips += 1

    def compute(self) -> Figures:
        """J&F of each protocol with given objects, cgF1, pHOTA and switches of phrases, and the number of clips."""
        if not self._clips:
            raise MetricError("no clips to score")
        figures: dict[str, float] = {}
        for name, given in self._given.items():
            figures |= given.compute(name)
        if self._phrases.clips:
            figures |= self._phrases.compute()
        return figures | {"clips": self._clips}


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
