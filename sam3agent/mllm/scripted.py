"""A backend that says what it was told to say: for tests, demonstrations, and replays of traces."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sam3agent.agent.trace import read_reply
from sam3agent.mllm.base import MLLMError, MLLMReply, MLLMRequest, ToolCall

Line = MLLMReply | MLLMError | str | Callable[[MLLMRequest], MLLMReply]


class ScriptedBackend:
    """Replies from a list, in order; an `MLLMError` in it is raised, a function is called with the request.

    `judge` answers examinations apart from the list: by mask id, with a default under None.
    """

    name = "scripted"

    def __init__(self, lines: Iterable[Line], judge: Mapping[int | None, Line] | None = None) -> None:
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


class ReplayBackend:
    """The replies of a trace again: those of each candidate in their order, and those of the other states in theirs."""

    needs_messages = False

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._replies: dict[int | None, deque[MLLMReply]] = defaultdict(deque)
        self.name = "replay"
        for record in records:
            if record["event"] == "start":
                self.name = f"replay of {record['backend']}"
            if record["event"] == "reply":
                self._replies[record["candidate"]].append(read_reply(dict(record)))
        self.free = all(reply.calls == 0 for replies in self._replies.values() for reply in replies)

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply that was given at this point; `MLLMError` where the trace has no more."""
        replies = self._replies[request.candidate]
        if not replies:
            raise MLLMError("the trace holds no further reply: the question took another way than when it was recorded")
        return replies.popleft()


def call(name: str, **arguments: Any) -> MLLMReply:
    """A reply that calls a tool."""
    import json

    return MLLMReply(tool_calls=(ToolCall(name, json.dumps(arguments)),))
