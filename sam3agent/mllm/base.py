"""The Protocol between the agent and whatever fills in its decisions.

The loop asks `await backend.decide(request)` and gets one `MLLMReply`. The reply is raw: the agent validates it
(`sam3agent.agent.decisions`), tells mistakes back and asks again, a bounded number of times. So a backend

- translates `request.messages` (`Text` and `Picture` parts) to its wire format, and never edits, reorders or re-encodes
  them: the first messages are the same objects with the same bytes at every call of one question (prefix caches);
- offers `request.tools` OR asks for `request.json_schema`, never both (exactly one of the two is set);
- retries what time may heal (429, 5xx, a connection cut) with backoff, within `request.timeout_s`;
- returns truncated, refused or empty replies as they are, with `finish` saying so;
- raises `MLLMError` and nothing else. Its class attribute `fatal` means that asking again cannot help (unreachable,
  bad key, unknown model): at the first call of a question this fails the run, later it ends it as exhausted.

`decide` may be awaited many times concurrently (all candidates are examined at once), on any one event loop at a time.
"""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sam3agent.mllm.errors import MLLMError

if TYPE_CHECKING:
    from PIL import Image

    from sam3agent.agent.states import Asking
    from sam3agent.tools.workbench import Workbench

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refusal"]

__all__ = [
    "MLLM",
    "JSONSchema",
    "MLLMError",
    "MLLMReply",
    "MLLMRequest",
    "Message",
    "Part",
    "Picture",
    "Text",
    "ToolCall",
    "ToolSchema",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Text:
    """A part of a message in words."""

    text: str


@dataclass(frozen=True, eq=False)
class Picture:
    """A part of a message to be looked at; rendered and encoded on first use only, then kept byte for byte.

    label: a short stable name ("picture", "mask 3, zoomed"), used in traces; it is not sent.
    """

    label: str
    render: Callable[[], "Image.Image"] = field(repr=False)

    media_type = "image/jpeg"

    @cached_property
    def data(self) -> bytes:
        """The encoded picture (JPEG, quality 90, full chroma)."""
        buffer = io.BytesIO()
        self.render().convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
        return buffer.getvalue()

    @property
    def data_url(self) -> str:
        """`data:image/jpeg;base64,…`, as OpenAI's `image_url` wants it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"

    @property
    def was_sent(self) -> bool:
        """Whether some backend has looked at it (asked for its bytes)."""
        return "data" in self.__dict__


Part = Text | Picture


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Tool results are told as `user` messages, since a `tool` message cannot hold pictures."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as a model is told of it: `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JSONSchema:
    """A reply that must be one JSON object of this schema."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MLLMRequest:
    """One decision to be filled in.

    messages: the conversation; `tools` is empty exactly when `json_schema` is set. timeout_s: seconds this call may
    take at most, retries included. state: the agent's state from which the messages were derived, and bench: picture
    and masks; both for backends without language (`rules`). candidate: the mask in question while verifying.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    json_schema: JSONSchema | None = None
    timeout_s: float = 120.0
    state: "Asking | None" = None
    bench: "Workbench | None" = None
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the server counted them (0 where it did not)."""

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
    """A call as the model wrote it: `arguments` is its JSON text, unparsed and possibly wrong."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class MLLMReply:
    """What came back, unjudged. calls: requests that count against the budget (0 for backends without an MLLM)."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    calls: int = 1


@runtime_checkable
class MLLM(Protocol):
    """A backend. `name` goes into answers and traces, e.g. "rules" or "openai:Qwen3-VL-8B-Instruct".

    A backend without language may set two class attributes: `needs_messages = False` (none are written for it) and
    `free = True` (its replies have `calls=0`, and no budget limits how many masks it examines). One that keeps
    connections may have `async close()`, called before the event loop ends; asking again opens new ones.
    """

    @property
    def name(self) -> str:
        """A short name for answers and traces."""
        ...

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """One reply to one request; raises `MLLMError` and nothing else."""
        ...
