"""Baselines without a tracker: the first mask repeated, and detections on every frame linked by IoU."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evals.click_runner import ImagePredicting
from evals.samples import MaskedClip, PredictedTrack, Rle
from evals.simulated_clicks import middle
from evals.video.masklet_runner import Tick, Tracks
from sam3model.instances import Instances
from sam3model.metrics.overlap import rle_iou

MIN_LINK_IOU = 0.1
"""Minimum IoU of two masks of one object; low, since a fast object overlaps little with itself on the last frame."""
Scored = tuple[float, Rle]
"""Score and mask of a detection."""


class RepeatMethod:
    """The mask of the first frame on all later frames."""

    title = "first mask repeated"

    def __init__(self, predictor: ImagePredicting) -> None:
        self.predictor = predictor

    def follow(self, clip: MaskedClip, *, clicks: bool, tick: Tick) -> Tracks:
        """The mask that was given, or that a click gives on the frame of the prompt."""
        masks = first_masks(self.predictor, clip, clicks, tick)
        length = len(clip.frames)
        return tuple(
            PredictedTrack(str(one), 1.0, (None,) * start + (masks[one],) * (length - start))
            for one, start in clip.prompted.items()
        )

    def find(self, clip: MaskedClip, phrases: Sequence[str], *, tick: Tick) -> Tracks:
        """What is detected on the first frame."""
        tick()
        found = self.predictor.predict(self.predictor.encode(clip.frames[0]), phrases)
        return tuple(
            PredictedTrack(phrase, score, (mask,) * len(clip.frames))
            for phrase, instances in zip(phrases, found, strict=True)
            for score, mask in _scored(instances)
        )


class DetectionMethod:
    """Detections of the image predictor on every frame, linked by IoU, without memory."""

    title = "detections linked by IoU"

    def __init__(self, predictor: ImagePredicting) -> None:
        self.predictor = predictor
        self._last: tuple[MaskedClip, tuple[str, ...], list[list[list[Scored]]]] | None = None

    def follow(self, clip: MaskedClip, *, clicks: bool, tick: Tick) -> Tracks:
        """Detections of the kinds of the objects; each object takes the one that overlaps its last mask most."""
        last = first_masks(self.predictor, clip, clicks, tick)
        tracks: dict[int, list[Rle | None]] = {one: [None] * len(clip.frames) for one in clip.prompted}
        kinds = sorted({clip.kinds[one] for one in clip.prompted})
        for t, found in enumerate(self._detections(clip, kinds, tick)):
            for kind, detected in zip(kinds, found, strict=True):
                here = [one for one, start in clip.prompted.items() if clip.kinds[one] == kind and start < t]
                for row, column in link([last[one] for one in here], [mask for _, mask in detected]):
                    tracks[here[row]][t] = last[here[row]] = detected[column][1]
        return tuple(PredictedTrack(str(one), 1.0, tuple(masks)) for one, masks in tracks.items())

    def find(self, clip: MaskedClip, phrases: Sequence[str], *, tick: Tick) -> Tracks:
        """Detections of the phrases; a track ends on the first frame without a detection that overlaps it."""
        frames = self._detections(clip, phrases, tick)
        return tuple(
            track for k, phrase in enumerate(phrases) for track in _linked(phrase, [found[k] for found in frames])
        )

    def _detections(self, clip: MaskedClip, phrases: Sequence[str], tick: Tick) -> list[list[list[Scored]]]:
        """On every frame, the detections of every phrase; kept, since masks and clicks need the same ones."""
        if self._last is None or self._last[0] is not clip or self._last[1] != tuple(phrases):
            frames = [self._detect(image, phrases, tick) for image in clip.frames]
            self._last = clip, tuple(phrases), frames
        return self._last[2]

    def _detect(self, image: NDArray[np.uint8], phrases: Sequence[str], tick: Tick) -> list[list[Scored]]:
        tick()
        found = self.predictor.predict(self.predictor.encode(image), phrases) if phrases else []
        return [_scored(instances) for instances in found]


def first_masks(predictor: ImagePredicting, clip: MaskedClip, clicks: bool, tick: Tick) -> dict[int, Rle]:
    """The mask of every prompted object on the frame of its prompt: the true one, or that of one click."""
    from sam3model.ops.masks import decode_rle, encode_rle

    masks = {one: clip.first_mask(one) for one in clip.prompted}
    if not clicks:
        return masks
    for start in sorted(set(clip.prompted.values())):
        tick()
        own = [one for one in clip.prompted if clip.prompted[one] == start]
        points = [[middle(decode_rle(dict(masks[one])))] for one in own]
        encoded = predictor.encode(clip.frames[start])
        found = predictor.predict_object(encoded, points=points, point_labels=np.ones((len(own), 1), int)).best
        masks |= {one: encode_rle(mask) for one, mask in zip(own, found.masks[:, 0], strict=True)}
    return masks


def link(last: Sequence[Rle], found: Sequence[Rle]) -> list[tuple[int, int]]:
    """Greedy pairs of a mask of `last` and one of `found`, the largest IoU first, each mask in one pair at most."""
    iou = rle_iou(last, found)
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(-iou, axis=None, kind="stable").tolist():
        row, column = divmod(place, len(found))
        if iou[row, column] < MIN_LINK_IOU:
            break
        if all(row != r and column != c for r, c in pairs):
            pairs.append((row, column))
    return pairs


def _linked(phrase: str, frames: Sequence[Sequence[Scored]]) -> list[PredictedTrack]:
    """Tracks of a phrase; the score of a track is the mean of its detections."""
    done: list[dict[int, Scored]] = []
    active: list[dict[int, Scored]] = []
    for t, found in enumerate(frames):
        pairs = link([track[t - 1][1] for track in active], [mask for _, mask in found])
        for row, column in pairs:
            active[row][t] = found[column]
        ended = [track for track in active if t not in track]
        taken = {column for _, column in pairs}
        active = [track for track in active if t in track]
        active += [{t: one} for column, one in enumerate(found) if column not in taken]
        done += ended
    tracks = sorted([*done, *active], key=min)
    return [
        PredictedTrack(
            phrase,
            float(np.mean([score for score, _ in track.values()])),
            tuple(track[t][1] if t in track else None for t in range(len(frames))),
        )
        for track in tracks
    ]


def _scored(instances: Instances) -> list[Scored]:
    """Score and mask of the instances that have pixels."""
    from sam3model.ops.masks import encode_rle

    rows = zip(instances.scores.tolist(), instances.masks, strict=True)
    return [(score, encode_rle(mask)) for score, mask in rows if mask.any()]
