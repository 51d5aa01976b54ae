"""Stand-ins for tests and demonstrations: a backend that follows a script, a segmenter and a tracker that know all."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import Media
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest, ToolCall
from sam3agent.segmenter import FoundInstances, Prompt, SegmenterSession
from sam3agent.tracker import ANY_OBJECTS, PixelBox, TrackOptions
from sam3model.errors import CheckpointError, InputError
from sam3model.ops.masks import encode_rle

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult
    from sam3model.frames import FrameSource

ScriptLine = MLLMReply | MLLMError | str | Callable[[MLLMRequest], MLLMReply]


class ScriptedBackend(MLLM):
    """Replies from a list, in order. An `MLLMError` in it is raised; a function is called with the request.

    `judge` answers examinations, apart from the list: by mask id, with a default under None.
    """

    name = "scripted"

    def __init__(self, lines: Iterable[ScriptLine], judge: Mapping[int | None, ScriptLine] | None = None) -> None:
        self._lines = deque(lines)
        self._judge = judge
        self.requests: list[MLLMRequest] = []

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The next line."""
        self.requests.append(request)
        if request.candidate is not None and self._judge is not None:
            line = self._judge.get(request.candidate, self._judge.get(None, '{"verdict": "unsure"}'))
        elif self._lines:
            line = self._lines.popleft()
        else:
            raise MLLMError("the script has ended")
        if isinstance(line, MLLMError):
            raise line
        if isinstance(line, str):
            return MLLMReply(text=line)
        return line(request) if callable(line) else line


def call(name: str, **arguments: Any) -> MLLMReply:
    """A reply that calls a tool."""
    return MLLMReply(tool_calls=(ToolCall(name, json.dumps(arguments)),))


@dataclass
class ScriptedSegmenter:
    """Finds rectangles by phrase: a phrase finds the boxes of every name that contains it, on every frame.

    `opened` counts opened media, `searched` lists the phrases searched.
    """

    objects: Mapping[str, Sequence[Box]]
    name: str = "scripted"
    opened: int = 0
    searched: list[str] = field(default_factory=list)

    def open(self, media: Media) -> SegmenterSession:
        """A session on a medium."""
        self.opened += 1
        return _ScriptedSession(self, media.size)


@dataclass
class _ScriptedSession:
    segmenter: ScriptedSegmenter
    size: tuple[int, int]

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> Sequence[FoundInstances]:
        self.segmenter.searched += phrases
        return [self._found(phrase) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        return self._found(prompt.phrase or "")

    def _found(self, phrase: str) -> FoundInstances:
        boxes = [box for name, boxes in self.segmenter.objects.items() if phrase in name for box in boxes]
        masks = [_filled(box, self.size) for box in boxes]
        return FoundInstances.of(masks, self.size, np.linspace(0.9, 0.8, len(masks)))


def _filled(box: Box, size: tuple[int, int]) -> np.ndarray:
    x0, y0, x1, y1 = box
    mask = np.zeros((size[1], size[0]), bool)
    mask[y0:y1, x0:x1] = True
    return mask


ObjectPath = Callable[[int], Box | None]
"""Where an object is: its box on each frame of the clip, None where it is hidden."""


@dataclass
class ScriptedTracker:
    """Follows rectangles through a clip: a phrase follows the paths of every name that contains it.

    The frames of results are decoded, so that damaged clips fail as they do with a model. `delay`: results held back,
    as by the hotstart. `opened` counts sessions, `prompts` lists what they were given as (kind, frame, details).
    """

    paths: Mapping[str, Sequence[ObjectPath]]
    name: str = "scripted"
    delay: int = 0
    opened: int = 0
    prompts: list[tuple[str, int, Any]] = field(default_factory=list)
    options: TrackOptions = ANY_OBJECTS
    problem: str | None = None

    def open(self, source: "FrameSource", options: TrackOptions = ANY_OBJECTS) -> "ScriptedClipSession":
        """A session on a clip. Raises `CheckpointError` with the problem of the tracker, if there is one."""
        if self.problem:
            raise CheckpointError(self.problem)
        self.opened += 1
        self.options = options
        return ScriptedClipSession(self, source)


@dataclass(frozen=True)
class ScriptedObject:
    """The object of a prompt, and the frame with it."""

    object_id: int
    result: "FrameResult"


class ScriptedClipSession:
    """One clip of a `ScriptedTracker`; ids count from 0, as those of the model."""

    def __init__(self, tracker: ScriptedTracker, source: "FrameSource") -> None:
        self._tracker = tracker
        self._source = source
        self._objects: dict[int, tuple[str | None, ObjectPath]] = {}
        self._prompted: list[int] = []
        self._since: dict[int, int] = {}

    def add_phrases(self, phrases: Sequence[str], *, frame: int = 0) -> "FrameResult":
        """Follow every path whose name contains one of the phrases and that is visible at some time."""
        self._note("phrases", frame, tuple(phrases))
        self._objects.clear()
        for phrase in phrases:
            found = (path for name, paths in self._tracker.paths.items() if phrase in name for path in paths)
            self._objects |= {len(self._objects) + i: (phrase, path) for i, path in enumerate(found)}
        return self._result(frame)

    def add_exemplars(
        self, boxes: Any, labels: Any = None, *, frame: int = 0, phrase: str | None = None
    ) -> "FrameResult":
        """Follow all paths."""
        self._note("exemplars", frame, (tuple(map(tuple, boxes)), tuple(labels), phrase))
        self._objects = {i: (phrase, path) for i, path in enumerate(self._all_paths())}
        return self._result(frame)

    def add_points(self, points: Any, labels: Any, *, frame: int, object_id: int | None = None) -> ScriptedObject:
        """Follow the path at the first point."""
        self._note("points", frame, (tuple(map(tuple, points)), tuple(labels), object_id))
        return self._follow(tuple(points[0]), frame, object_id)

    def add_box(self, box: PixelBox, *, frame: int, object_id: int | None = None) -> ScriptedObject:
        """Follow the path at the centre of a box."""
        self._note("box", frame, (tuple(box), object_id))
        return self._follow(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), frame, object_id)

    def add_mask(self, mask: np.ndarray, *, frame: int, object_id: int | None = None) -> ScriptedObject:
        """Follow the path at the centre of a mask."""
        rows, columns = np.nonzero(mask)
        self._note("mask", frame, (int(mask.sum()), object_id))
        return self._follow((columns.mean(), rows.mean()), frame, object_id)

    def propagate(
        self, *, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> "Iterator[FrameResult]":
        """Each frame once; what is held back when a frame cannot be read comes before the error."""
        first = start if start is not None else (max if reverse else min)(self._prompted)
        numbers = range(first - 1, -1, -1) if reverse else range(first, self._source.count or 0)
        held: deque[FrameResult] = deque()
        for number in numbers[:frames]:
            try:
                self._source.frame(number)
            except InputError:
                yield from held
                raise
            held.append(self._result(number, reverse))
            if len(held) > self._tracker.delay:
                yield held.popleft()
        yield from held

    def _note(self, kind: str, frame: int, details: Any) -> None:
        self._tracker.prompts.append((kind, frame, details))
        self._prompted.append(frame)

    def _all_paths(self) -> list[ObjectPath]:
        return [path for paths in self._tracker.paths.values() for path in paths]

    def _follow(self, point: tuple[float, float], frame: int, object_id: int | None) -> ScriptedObject:
        """The object of the path at a point; a new one unless it is known."""
        x, y = point
        boxes = ((path, path(self._number(frame))) for path in self._all_paths())
        path = next((p for p, box in boxes if box and box[0] <= x < box[2] and box[1] <= y < box[3]), lambda _: None)
        known = self._new_id() if object_id is None else object_id
        for other in [other for other, (_, followed) in self._objects.items() if followed is path]:
            del self._objects[other]
        self._objects[known] = (None, path)
        self._since.setdefault(known, frame)
        return ScriptedObject(known, self._result(frame))

    def _new_id(self) -> int:
        return max(self._objects, default=-1) + 1

    def _number(self, frame: int) -> int:
        """Number in the clip of a frame of the source."""
        from sam3model.frames import source_frame

        return source_frame(self._source, frame)

    def _result(self, frame: int, reverse: bool = False) -> "FrameResult":
        """What is visible on a frame; objects that were shown are followed from there on."""
        from sam3model.frame_results import FrameResult

        late = {i for i, since in self._since.items() if (frame > since if reverse else frame < since)}
        paths = {i: path for i, (_, path) in self._objects.items() if i not in late}
        boxes = {i: box for i, path in paths.items() if (box := path(self._number(frame)))}
        ids = sorted(boxes)[: self._tracker.options.max_objects]
        scores = [0.9 if self._objects[i][0] else 1.0 for i in ids]
        return FrameResult(
            frame=frame,
            time=self._source.time(frame),
            size=self._source.size,
            ids=np.array(ids, np.int64),
            boxes=np.array([boxes[i] for i in ids], np.float32).reshape(-1, 4),
            scores=np.array(scores, np.float32),
            tracker_scores=np.full(len(ids), 0.95, np.float32),
            masks=tuple(encode_rle(_filled(boxes[i], self._source.size)) for i in ids),
            phrases=tuple(self._objects[i][0] for i in ids),
        )
