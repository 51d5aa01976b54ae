"""The protocol between the agent and whatever makes its decisions.

The loop awaits `backend.decide(request)` and gets one raw `MLLMReply`. The agent validates it
(`sam3agent.agent.decisions`), reports errors back and asks again, a bounded number of times. A backend therefore

- translates `request.messages` (`Text` and `LazyImage` parts) to its wire format, and never edits, reorders or
  re-encodes them: the first messages are the same bytes in every call of one question, for prefix caches;
- offers `request.tools` OR asks for `request.json_schema`, never both (exactly one of the two is set);
- retries transient failures (429, 5xx, a broken connection) with backoff, within `request.timeout_s`;
- returns truncated, refused or empty replies as they are, with `finish` set accordingly;
- raises `MLLMError` and nothing else. If its class attribute `fatal` is set, a retry cannot help (unreachable, invalid
  key, unknown model): in the first call of a question it fails the question, later it ends it as exhausted.

`decide` may be awaited many times concurrently (candidates are examined at once), on one event loop at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from sam3agent.images import LazyImage
from sam3agent.mllm.errors import MLLMError
from sam3agent.states import ActiveState
from sam3agent.workbench import Workbench

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refusal"]

__all__ = [
    "MLLM",
    "JSONSchema",
    "LazyImage",
    "MLLMError",
    "MLLMReply",
    "MLLMRequest",
    "Message",
    "Part",
    "Text",
    "ToolCall",
    "ToolSchema",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Text:
    """The text part of a message."""

    text: str


Part = Text | LazyImage


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Tool results go into `user` messages, because a `tool` message cannot hold images."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as a model sees it: `parameters` is the JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JSONSchema:
    """The schema of a reply that must be one JSON object."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MLLMRequest:
    """One decision to make.

    messages: the conversation. tools: empty exactly if `json_schema` is set. timeout_s: seconds that this call may
    take, retries included. state, bench: the agent's state, and its medium and candidates, for backends that
    read no messages (`rules`). candidate: the id of the mask to examine, while verifying.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    json_schema: JSONSchema | None = None
    timeout_s: float = 120.0
    state: ActiveState | None = None
    bench: Workbench | None = None
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the server reported them; 0 if it did not."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as the model wrote it: `arguments` is unparsed JSON text, possibly invalid."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class MLLMReply:
    """A raw reply. calls: number of requests that count against the budget (0 for backends without an MLLM)."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    calls: int = 1


@runtime_checkable
class MLLM(Protocol):
    """A backend. Subclass it explicitly to inherit the defaults of all members but `name` and `decide`.

    name: for answers and traces, e.g. "rules" or "openai:Qwen3-VL-8B-Instruct". free: replies cost
    nothing (`calls=0`), so no budget limits how many masks are examined.
    needs_messages: if False, no messages are composed for it.
    """

    name: str
    free: bool = False
    needs_messages: bool = True

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """One reply to one request. Raises `MLLMError` and nothing else."""
        ...

    async def close(self) -> None:
        """Close connections before the event loop ends; the next request opens new ones."""
        return
