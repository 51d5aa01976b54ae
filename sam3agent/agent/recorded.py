"""A recorded question: the replies, masks and image of a trace, for drawing its answer or running it again."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np

from sam3agent.absence import LOWEST_SCORE
from sam3agent.agent.policy import EVERY_CANDIDATE, Policy
from sam3agent.agent.trace import read_reply
from sam3agent.masks import Box, Masklet
from sam3agent.media import Media, holds_clip, open_media
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest
from sam3agent.segmenter import FoundInstances, Prompt, SegmenterSession
from sam3model.errors import InputError

Records = Sequence[Mapping[str, Any]]


class RecordedSegmenter:
    """Returns for each phrase the masks that it found when the trace was recorded."""

    def __init__(self, records: Records) -> None:
        self.name = str(records[0]["weights"])
        self._size = recorded_size(records)
        self._found: dict[tuple[str, int | None], list[tuple[Masklet, float]]] = {}
        self._below = _below_threshold(records)
        for record in records:
            if record["event"] == "tool" and "searches" in record["data"]:
                self._remember(record)

    def open(self, media: Media) -> SegmenterSession:
        """A session that ignores the pixels."""
        return _RecordedSession(self._found, self._below, media.size)

    def _remember(self, record: Mapping[str, Any]) -> None:
        masklets = recorded_masklets([record], self._size)
        scores = {mask["id"]: dict(map(tuple, mask["phrases"])) for mask in record["masks"]}
        frame = record["arguments"].get("frame", 0) if record["name"] == "segment_phrase" else None
        for search in record["data"]["searches"]:
            phrase = search["phrase"]
            ids = [mask["id"] for mask in search["masks"] if phrase in scores.get(mask["id"], ())]
            self._found[phrase, frame] = [(masklets[i], scores[i][phrase]) for i in ids if i in masklets]


def _below_threshold(records: Records) -> dict[str, tuple[Box | None, float]]:
    """For phrases that found nothing: the best score below the threshold, and the box, of the best of them alone."""
    end = records[-1] if records[-1]["event"] == "end" else {}
    searched, best = end.get("searched", ()), end.get("best_rejected") or {}
    boxes = {best["phrase"]: cast("Box", tuple(best["box"]))} if best else {}
    return {s["phrase"]: (boxes.get(s["phrase"]), s["best_score"]) for s in searched if s.get("best_score") is not None}


class _RecordedSession:
    """What was found, by phrase and frame; None is all frames. below: see `_below_threshold`."""

    def __init__(
        self,
        found: Mapping[tuple[str, int | None], list[tuple[Masklet, float]]],
        below: Mapping[str, tuple[Box | None, float]],
        size: tuple[int, int],
    ) -> None:
        self._found = found
        self._below = below
        self._size = size

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> Sequence[FoundInstances]:
        found = [self._instances(phrase, threshold or 0.0, frame) for phrase in phrases]
        if threshold != LOWEST_SCORE or frame:
            return found
        return [one if len(one.scores) else self._low(phrase) for phrase, one in zip(phrases, found, strict=True)]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        raise InputError("a trace contains no prompts of boxes or points")

    def _instances(self, phrase: str, threshold: float, frame: int) -> FoundInstances:
        found = [
            (masklet.masks[frame], score)
            for masklet, score in self._found.get((phrase, frame)) or self._found.get((phrase, None), [])
            if score >= threshold and frame in masklet.masks
        ]
        return FoundInstances.of([mask.full() for mask, _ in found], self._size, [score for _, score in found])

    def _low(self, phrase: str) -> FoundInstances:
        """What a phrase found below the threshold it was searched with: a filled box, since no mask was recorded."""
        box, score = self._below.get(phrase, (None, 0.0))
        width, height = self._size
        mask = np.zeros((height, width), bool)
        x0, y0, x1, y1 = box or (0, 0, 1, 1)
        mask[y0:y1, x0:x1] = True
        kept = mask.any() and score >= LOWEST_SCORE
        return FoundInstances.of([mask] if kept else [], self._size, [score] if kept else [])


class ReplayBackend(MLLM):
    """Repeats the replies of a trace: those for each candidate in their order, and all others in theirs."""

    needs_messages = False
    name = "replay"

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self.policy = EVERY_CANDIDATE
        self._replies: dict[int | None, deque[MLLMReply]] = defaultdict(deque)
        for record in records:
            if record["event"] == "start":
                self.name = f"replay of {record['backend']}"
                self.policy = recorded_policy(record)
            if record["event"] == "reply":
                self._replies[record["candidate"]].append(read_reply(dict(record)))
        self.free = all(reply.calls == 0 for replies in self._replies.values() for reply in replies)

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply recorded at this point. Raises `MLLMError` if the trace has no more."""
        replies = self._replies[request.candidate]
        if not replies:
            raise MLLMError("the trace has no further reply: the question now takes another path than when recorded")
        return replies.popleft()


def recorded_policy(start: Mapping[str, Any]) -> Policy:
    """The policy of a start record; traces of older versions name none, and looked at every candidate.

    Parts that this version does not know are left out.
    """
    written = start.get("policy") or {}
    known = {field.name: written[field.name] for field in fields(Policy) if field.name in written}
    return Policy(**known) if known else EVERY_CANDIDATE


def usual_policy(backend: MLLM, wanted: Policy | None = None) -> Policy:
    """The policy for a backend: that of its trace; every candidate where looks are free; else what is wanted."""
    if isinstance(backend, ReplayBackend):
        return backend.policy
    return EVERY_CANDIDATE if backend.free else wanted or Policy()


def recorded_size(records: Records) -> tuple[int, int]:
    """Width and height of the image of a trace."""
    return records[0]["width"], records[0]["height"]


def recorded_masklets(records: Records, size: tuple[int, int]) -> dict[int, Masklet]:
    """All masklets of a trace of an image of `size` (width, height), by id.

    Raises `InputError` if a mask is damaged or has another size.
    """
    written = [mask for record in records if record["event"] == "tool" for mask in record["masks"]]
    for mask in written:
        for rle in mask["frames"].values():
            if rle.get("size") != [size[1], size[0]]:
                raise InputError(f"mask {mask['id']} of the trace does not have the size of its image")
    return {mask["id"]: masklet for mask in written if (masklet := Masklet.from_json(mask["frames"]))}


def recorded_media(records: Records, trace: Path) -> Media:
    """The image of a trace, or its clip, opened.

    Raises `InputError` if it is missing, or has another size than when it was recorded.
    """
    path = recorded_image(records, trace)
    media, size = open_media(path), recorded_size(records)
    if media.size != size:
        sizes = f"{media.size[0]}x{media.size[1]} pixels, not {size[0]}x{size[1]}"
        raise InputError(f"{path} is not the image of the trace: it has {sizes}")
    return media


def recorded_image(records: Records, trace: Path) -> Path:
    """The copy of the image beside a trace, or the clip where it was.

    Raises `InputError` if it is missing, or if the trace names a file elsewhere as its image.
    """
    if clip := records[0].get("clip"):
        if not holds_clip(clip):
            raise InputError(f"the clip of the trace is missing: {clip}")
        return Path(clip)
    folder, name = trace if trace.is_dir() else trace.parent, records[0]["image"]
    try:
        beside = (folder / name).resolve().parent == folder.resolve() and (folder / name).is_file()
    except (OSError, ValueError, RuntimeError):
        beside = False
    if not beside:
        raise InputError(f"the image of the trace is missing beside it: {name}")
    return folder / name
