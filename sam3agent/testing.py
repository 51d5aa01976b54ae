"""Stand-ins for tests and demonstrations: a backend that follows a script, and a segmenter that knows its image."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import Media
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest, ToolCall
from sam3agent.segmenter import FoundInstances, Prompt, SegmenterSession

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
