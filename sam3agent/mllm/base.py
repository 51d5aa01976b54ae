"""The protocol between the agent and the backend that makes its decisions.

The agent awaits `backend.decide(request)`, which returns one raw `MLLMReply`. The agent parses and validates it
(`sam3agent.agent.decisions`); if it is unusable, the error is sent back a limited number of times. A backend therefore

- converts `request.messages` (`Text` and `LazyImage` parts) to its wire format without editing, reordering or
  re-encoding them: the first messages must have the same bytes in every call of a question, for prefix caches;
- requires `request.json_schema` if it is set, else offers `request.tools`;
- retries transient failures (429, 5xx, a broken connection) with backoff, within `request.timeout_s`;
- returns truncated, refused or empty replies unchanged, with `finish` set accordingly;
- raises only `MLLMError`. If its class attribute `fatal` is true, a retry cannot help (unreachable server, invalid
  key, unknown model): in the first call the question fails; a later call ends it as exhausted, unless it was only one
  more look at a selection.

`decide` may be awaited many times concurrently, because candidates are examined in parallel, but on one event loop at
a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from sam3agent.images import LazyImage
from sam3agent.mllm.errors import MLLMError  # noqa: F401 (part of the protocol)
from sam3agent.states import ActiveState
from sam3agent.workbench import Workbench

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "refusal"]


@dataclass(frozen=True, slots=True)
class Text:
    """The text part of a message."""

    text: str


Part = Text | LazyImage


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as the model wrote it. arguments: unparsed JSON text, which may be invalid."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    call: the tool call that a message of the assistant is. The result follows it, as a message of the role `tool`; that
    cannot contain images, which are in the next message of the user.
    """

    role: Role
    parts: tuple[Part, ...]
    call: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as the model sees it. parameters: the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JSONSchema:
    """The schema of a reply that must be a JSON object."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MLLMRequest:
    """One decision to make.

    messages: the conversation. tools: what can be called. json_schema: if set, the reply is such a JSON object and no
    call; the tools are still sent, so that a server reads the same beginning. temperature: of this reply; None for
    what the server's profile says. timeout_s: maximum time of the call
    in seconds, including retries. state, bench: the agent's state, and its medium and candidates, for backends that
    do not read messages (`rules`). candidate: id of the mask to examine; None unless masks are being verified.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    json_schema: JSONSchema | None = None
    temperature: float | None = None
    timeout_s: float = 120.0
    state: ActiveState | None = None
    bench: Workbench | None = None
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts reported by the server; 0 if it does not report them."""

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
class MLLMReply:
    """A raw reply.

    calls: number of calls that count against the budget (0 for backends without an MLLM). warnings: what the user
    should know about how this reply was made, e.g. a word that was not used. not_understood: why the backend cannot
    read the question, which ends it; empty if it can. reasoning: what the server put into its field for reasoning,
    which is read if the reply is empty otherwise.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    calls: int = 1
    warnings: tuple[str, ...] = ()
    not_understood: str = ""
    reasoning: str = ""


@runtime_checkable
class MLLM(Protocol):
    """A backend. A subclass inherits defaults for all members except `name` and `decide`.

    name: shown in answers and traces, e.g. "rules" or "openai:Qwen3-VL-8B-Instruct". free: whether replies cost
    nothing (`calls=0`), so that the budget does not limit the number of masks examined. needs_messages: whether the
    agent must compose messages for it.
    """

    name: str
    free: bool = False
    needs_messages: bool = True

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply to one request. Raises only `MLLMError`."""
        ...

    def tools_ignored(self) -> str:
        """A reply to offered tools had no call of any form: offer them in another way from now on, if there is one.

        Returns a line for the user; empty if nothing changed.
        """
        return ""

    def unreadable(self, query: str, *, clip: bool = False) -> str:
        """Why this backend cannot read a question, whatever the image shows; empty if it can, or cannot tell before.

        clip: whether the question is about a clip.
        """
        return ""

    async def close(self) -> None:
        """Close all connections, before the event loop ends. The next request opens new ones."""
        return
