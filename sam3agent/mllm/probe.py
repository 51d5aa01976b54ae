"""What a server and its model can do, found by about ten tiny requests.

The result is a profile for the agent, and lines that say what will not work and which launch flag mends it. What the
server claims is not trusted: a request is sent, and its reply and token counts are looked at.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm.base import JSONSchema, Message, MLLMReply, MLLMRequest, Part, Text, ToolSchema
from sam3agent.mllm.endpoint import Endpoint
from sam3agent.mllm.errors import MLLMCannotSeeError, MLLMContextError, MLLMError
from sam3agent.mllm.families import sampling_for
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.profiles import Profile, profile_for
from sam3agent.mllm.tool_text import json_objects, parse_tool_calls
from sam3model.untrusted import clean_line, read_literal

LONG_WORDS = 12_000
"""Length of the long request in words, about as many tokens: what a question with many masks needs."""

SHORT_REPLY = 512
"""Maximum tokens of a reply, which is a word or two; a model that thinks first has as many as its family."""

REPLY_S = 60.0
"""Maximum time of one reply in seconds."""

_SYSTEM = "You are tested. Do exactly what is asked, briefly."
_COLOURS = ("red", "blue")
_TOOL = ToolSchema(
    "select_masks",
    "Answer with masks.",
    {
        "type": "object",
        "properties": {"ids": {"type": "array", "items": {"type": "integer"}, "description": "Ids of the masks."}},
        "required": ["ids"],
    },
)
_SCHEMA = JSONSchema(
    "judgement",
    {
        "type": "object",
        "properties": {"verdict": {"type": "string", "enum": ["accept", "reject"]}},
        "required": ["verdict"],
        "additionalProperties": False,
    },
)
_TOOL_FLAGS = "vLLM: --enable-auto-tool-choice --tool-call-parser NAME; llama.cpp: --jinja"
_CONTEXT_FLAGS = "vLLM: --max-model-len 16384; llama.cpp: -c 16384; Ollama: OLLAMA_CONTEXT_LENGTH=16384"
_IMAGE_FLAGS = "serve a vision model; llama.cpp: add --mmproj FILE"


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """One line of the report. ok: False if the agent cannot work with it, None if it can but with a remark."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """What was found: the model, a profile for it, and the findings in order."""

    model: str
    profile: Profile
    findings: tuple[ProbeFinding, ...]

    @property
    def usable(self) -> bool:
        """Whether the agent can work with the server."""
        return all(finding.ok is not False for finding in self.findings)


async def probe_server(endpoint: Endpoint, model: str = "") -> ServerProbe:
    """Try out a server. Raises `MLLMError` if the first request, of text alone, fails."""
    at = replace(endpoint, retries=1, reply_s=min(endpoint.reply_s, REPLY_S))
    length = None if sampling_for(model).thinks else SHORT_REPLY
    backend = OpenAIBackend(at, model, max_tokens=length, profile=profile_for(at.base_url))
    try:
        return await _Prober(backend).run()
    finally:
        await backend.close()


class _Prober:
    """The requests, one after another; the backend's profile loses what the server rejects on the way."""

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend
        self.findings: list[ProbeFinding] = []
        self.text_tokens = 0
        self.image_tokens = 0

    async def run(self) -> ServerProbe:
        self._note(await self._text())
        steps: list[Callable[[], Awaitable[ProbeFinding]]] = [self._one_image, self._two_images, self._tool]
        steps += [self._forced_tool, self._schema, self._long]
        for step in steps:
            if step == self._two_images and self.findings[-1].ok is False:
                continue
            try:
                self._note(await step())
            except MLLMCannotSeeError as error:
                self._note(ProbeFinding("images", False, str(error)))
            except MLLMContextError:
                detail = f"too short for questions with many masks ({_CONTEXT_FLAGS})"
                self._note(ProbeFinding("context", None, detail))
            except MLLMError as error:
                name = step.__name__.strip("_").replace("_", " ")
                self._note(ProbeFinding(name, False, f"fails: {error}"))
        return ServerProbe(self.backend.model, self.backend.profile, tuple(self.findings))

    def _note(self, finding: ProbeFinding) -> None:
        self.findings.append(finding)

    async def _ask(
        self, *parts: Part, tools: tuple[ToolSchema, ...] = (), schema: JSONSchema | None = None
    ) -> MLLMReply:
        messages = (Message("system", (Text(_SYSTEM),)), Message("user", parts))
        return await self.backend.decide(MLLMRequest(messages, tools, schema, timeout_s=2 * REPLY_S))

    async def _text(self) -> ProbeFinding:
        """Latency, and where the words of a reply are."""
        started = time.monotonic()
        reply = await self._ask(Text("Reply with the one word: ready"))
        seconds = time.monotonic() - started
        self.text_tokens = reply.usage.prompt_tokens
        detail = f"{seconds:.2f} s for a short reply"
        if reply.text.strip():
            place = "; reasoning is in a field of its own" if reply.reasoning.strip() else ""
            place = "; reasoning is in the text, before </think>" if "</think>" in reply.text else place
            return ProbeFinding("text", True, detail + place)
        if reply.reasoning.strip():
            remedy = "vLLM: another --reasoning-parser, or none; llama.cpp: --reasoning-format none"
            return ProbeFinding("text", None, f"{detail}; all words are in the reasoning field ({remedy})")
        return ProbeFinding("text", None, f"{detail}; the reply was empty")

    async def _one_image(self) -> ProbeFinding:
        reply = await self._ask(_square(_COLOURS[0]), Text("Which colour is the image? Reply with one word."))
        self.image_tokens = reply.usage.prompt_tokens
        said = _words(reply)
        if _COLOURS[0] in said:
            return ProbeFinding("one image", True, "seen")
        if self.text_tokens and self.image_tokens and self.image_tokens - self.text_tokens < 12:
            return ProbeFinding("one image", False, f"dropped silently: it costs no tokens ({_IMAGE_FLAGS})")
        return ProbeFinding("one image", None, f"taken, but the reply to a {_COLOURS[0]} square was {said[:40]!r}")

    async def _two_images(self) -> ProbeFinding:
        first, second = map(_square, _COLOURS)
        question = Text("Which colours are the first and the second image? Reply with two words.")
        reply = await self._ask(first, second, question)
        flag = "--limit-mm-per-prompt '{\"image\": 16}'"
        if not self.backend.profile.many_images:
            return ProbeFinding("two images", None, f"one per request: they are pasted into one (vLLM: {flag})")
        said, tokens = _words(reply), reply.usage.prompt_tokens
        if all(colour in said for colour in _COLOURS):
            return ProbeFinding("two images", True, "seen")
        if tokens and self.image_tokens and tokens - self.image_tokens < 12:
            self.backend.profile = replace(self.backend.profile, many_images=False)
            return ProbeFinding("two images", None, "the second one is dropped silently: they are pasted into one")
        return ProbeFinding("two images", None, f"taken, but the reply to red and blue was {said[:40]!r}")

    async def _tool(self) -> ProbeFinding:
        """A tool that the model may call, and the form of a list of one."""
        reply = await self._ask(Text("Call select_masks with the one id 3."), tools=(_TOOL,))
        if not self.backend.profile.tools:
            return ProbeFinding("tools", None, f"rejected: they are described in the prompt ({_TOOL_FLAGS})")
        if reply.tool_calls:
            return ProbeFinding("tools", True, f"called{_list_form(reply.tool_calls[0].arguments)}")
        if calls := parse_tool_calls(reply.text or reply.reasoning, (_TOOL.name,)):
            form = _list_form(calls[0].arguments)
            return ProbeFinding("tools", None, f"called in the text, which is read too{form} ({_TOOL_FLAGS})")
        spent = reply.usage.prompt_tokens - self.text_tokens
        if reply.finish == "length" and spent >= 30:
            return ProbeFinding("tools", None, f"taken, but the reply ran into its length limit ({_TOOL_FLAGS})")
        self.backend.profile = replace(self.backend.profile, tools=False)
        why = "dropped silently" if self.text_tokens and spent < 30 else "not called"
        return ProbeFinding("tools", None, f"{why}: they are described in the prompt ({_TOOL_FLAGS})")

    async def _forced_tool(self) -> ProbeFinding:
        """The value "required" of tool_choice, which keeps models from chatting."""
        before = self.backend.profile
        if not before.tools:
            return ProbeFinding("forced tool", None, "not tried, because tools are described in the prompt")
        self.backend.profile = replace(before, tool_choice="required")
        try:
            reply = await self._ask(Text("Call select_masks with the one id 3."), tools=(_TOOL,))
        except MLLMError as error:
            self.backend.profile = replace(before, tool_choice=before.tool_choice and "auto")
            return ProbeFinding(
                "forced tool", None, f"fails, so the model is free to call ({clean_line(str(error), 160)})"
            )
        if reply.tool_calls and self.backend.profile.tool_choice == "required":
            return ProbeFinding("forced tool", True, "works")
        self.backend.profile = replace(before, tool_choice=None if before.tool_choice is None else "auto")
        return ProbeFinding("forced tool", None, "ignored, so the model is free to call")

    async def _schema(self) -> ProbeFinding:
        reply = await self._ask(Text("Reply with a JSON object that accepts."), schema=_SCHEMA)
        if not self.backend.profile.json_schema:
            return ProbeFinding("JSON schema", None, "rejected: it is described in the prompt")
        found = [read_literal(text) for text in json_objects(reply.text or reply.reasoning)]
        if found and found[0].get("verdict") in ("accept", "reject"):
            return ProbeFinding("JSON schema", True, "followed")
        if reply.finish == "length":
            return ProbeFinding("JSON schema", None, "taken, but the reply ran into its length limit")
        self.backend.profile = replace(self.backend.profile, json_schema=False)
        return ProbeFinding("JSON schema", None, "not followed: it is described in the prompt")

    async def _long(self) -> ProbeFinding:
        """The context length, and whether the second request finds the first one in the prefix cache."""
        words = Text("Ignore these words: " + "yes " * LONG_WORDS + "\nReply with the one word: ready")
        seconds, replies = list[float](), list[MLLMReply]()
        for _ in range(2):
            started = time.monotonic()
            replies.append(await self._ask(words))
            seconds.append(time.monotonic() - started)
        tokens = replies[0].usage.prompt_tokens
        if 0 < tokens < LONG_WORDS // 2:
            detail = f"prompts are cut silently to {tokens} tokens ({_CONTEXT_FLAGS})"
            return ProbeFinding("context", False, detail)
        cached = replies[1].usage.cached_tokens > tokens // 2 or seconds[1] < 0.6 * seconds[0]
        cache = "a prefix cache helps" if cached else "no prefix cache (vLLM: --enable-prefix-caching)"
        took = f"{seconds[0]:.1f} s, then {seconds[1]:.1f} s: {cache}"
        return ProbeFinding("context", True, f"{tokens or LONG_WORDS} tokens taken in {took}")


def _square(colour: str) -> LazyImage:
    from PIL import Image

    return LazyImage(EvidenceKey(0, (), colour), lambda: Image.new("RGB", (64, 64), colour))


def _words(reply: MLLMReply) -> str:
    return clean_line(reply.text.rpartition("</think>")[2] or reply.reasoning, 200).lower()


def _list_form(arguments: str) -> str:
    """A remark on a list of one that was written as a scalar."""
    try:
        value = read_literal(arguments)
    except ValueError:
        return ""
    ids = value.get("ids") if isinstance(value, dict) else None
    return "" if isinstance(ids, list) else "; a list of one comes as a scalar, which is read"
