"""The `openai` backend: any server with a Chat Completions API (vLLM, Ollama, LM Studio, llama.cpp, hosted)."""

import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sam3agent.config import Thinking
from sam3agent.deadlines import within
from sam3agent.images import LazyImage
from sam3agent.mllm.base import MLLM, Finish, MLLMReply, MLLMRequest, ToolCall, Usage
from sam3agent.mllm.endpoint import LOCAL_URL, Endpoint, checked_url
from sam3agent.mllm.errors import MLLMUnknownModelError
from sam3agent.mllm.families import Sampling, sampling_for
from sam3agent.mllm.profile_store import stored_profile
from sam3agent.mllm.profiles import (
    MANY_IMAGES,
    PROFILES,
    SYSTEM,
    TOOL_MESSAGES,
    Profile,
    dropped_notes,
    profile_for,
    step_down,
)
from sam3agent.mllm.tool_text import ARGUMENTS, calls_in
from sam3agent.mllm.transport import RefusedOptionError, Transport
from sam3agent.mllm.wire import sends_tools, to_messages
from sam3model.errors import ConfigError

if TYPE_CHECKING:
    from sam3agent.config import Settings

HOSTED_URL = "https://api.openai.com/v1"
_REASONING = ("reasoning_content", "reasoning", "thinking")
_MAX_COUNT = 10**12
_CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length")
_REFUSING = ("content_filter", "refusal", "safety", "prohibited_content", "blocklist", "recitation")


class OpenAIBackend(MLLM):
    """Decisions by a model on an OpenAI-compatible server.

    model: name of the model; empty to use the only model of the server. profile: a profile, or a name in `PROFILES`; by
    default what `doctor --probe` has stored for the server and model, else chosen by the URL. Options that the server
    rejects or ignores are removed from it. temperature, max_tokens, thinking: in place of those of the model's family.
    Raises `ConfigError` if the profile is unknown.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str = "",
        *,
        profile: str | Profile | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        thinking: Thinking = "auto",
    ) -> None:
        if isinstance(profile, str) and profile not in PROFILES:
            raise ConfigError(f"unknown server profile {profile!r}; use one of {', '.join(PROFILES)}")
        self.model = model
        self._drawn = partial(sampling_for, temperature=temperature, max_tokens=max_tokens, thinking=thinking)
        self.profile = PROFILES[profile] if isinstance(profile, str) else profile or profile_for(endpoint.base_url)
        self._look_up = profile is None
        self._transport = Transport(endpoint)
        self._called = False
        self._told: set[str] = set()
        self.name = self._named()

    @classmethod
    def from_settings(cls, settings: "Settings", environment: Mapping[str, str] | None = None) -> "OpenAIBackend":
        """The backend that is configured; `OPENAI_BASE_URL` and `OPENAI_API_KEY` are the defaults for URL and key.

        `OPENAI_API_KEY` is sent only to the server of `OPENAI_BASE_URL` or to OpenAI, never to another one. Raises
        `ConfigError` if the URL cannot be one.
        """
        environment = os.environ if environment is None else environment
        key = environment.get("OPENAI_API_KEY", "")
        usual = environment.get("OPENAI_BASE_URL") or (HOSTED_URL if key else LOCAL_URL)
        url = settings.base_url or usual
        own = settings.api_key.get_secret_value() if settings.api_key else ""
        theirs = key if url in (usual, HOSTED_URL) else ""
        named = "--base-url" if settings.base_url else "OPENAI_BASE_URL"
        endpoint = Endpoint(checked_url(url, named), own or theirs, read_s=settings.timeout, reply_s=settings.timeout)
        drawn = {name: getattr(settings, name) for name in ("temperature", "max_tokens", "thinking")}
        return cls(endpoint, settings.model or "", **drawn)

    def _named(self) -> str:
        """`openai:` and the model; the host as long as the model is unknown."""
        return f"openai:{self.model or self._transport.endpoint.host}"

    @property
    def endpoint(self) -> Endpoint:
        """The server."""
        return self._transport.endpoint

    @property
    def sampling(self) -> Sampling:
        """How replies are drawn: by the family of the model, and by what was set."""
        return self._drawn(self.model)

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply to one request. Options that the server rejects are removed, and the request is sent again.

        Raises only `MLLMError`.
        """
        deadline = time.monotonic() + request.timeout_s
        model = await self._model()
        before = self.profile
        while True:
            profile = self.profile
            options = _options(request, profile, self.sampling)
            messages = await within(None, to_messages, request, profile)  # images are drawn when they are sent
            try:
                body = await self._transport.post(
                    {"model": model, "messages": messages, **options}, deadline - time.monotonic()
                )
            except RefusedOptionError as refusal:
                lesser = step_down(profile, _sent(request, profile, options), str(refusal))
                if lesser is None:
                    raise
                self.profile = lesser
            else:
                reply = _reply(body)
                self._called = self._called or bool(reply.tool_calls)
                return replace(reply, warnings=self._new_notes(before, "rejects"))

    def tools_ignored(self) -> str:
        """Describe tools in the prompt from now on, unless the server has shown that it passes them on."""
        if not self.profile.tools or self._called:
            return ""
        before, self.profile = self.profile, replace(self.profile, tools=False)
        return "; ".join(self._new_notes(before, "or its model ignores"))

    def _new_notes(self, before: Profile, cause: str) -> tuple[str, ...]:
        """Notes on the options that were dropped since `before` and that nobody has been told of."""
        new = tuple(note for note in dropped_notes(before, self.profile, cause) if note not in self._told)
        self._told.update(new)
        return new

    async def models(self) -> list[str]:
        """Names of the models on the server. Raises `MLLMError`."""
        return await self._transport.models()

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        await self._transport.close()

    async def _model(self) -> str:
        if not self.model:
            offered = await self.models()
            if len(offered) != 1:
                names = ", ".join(offered[:20]) or "none"
                raise MLLMUnknownModelError(
                    f"Choose a model with --model. Models on {self._transport.endpoint.shown}: {names}."
                )
            self.model = offered[0]
            self.name = self._named()
        if self._look_up:
            self._look_up = False
            self.profile = stored_profile(self.endpoint, self.model) or self.profile
        return self.model


def _sent(request: MLLMRequest, profile: Profile, options: Collection[str]) -> set[str]:
    """Names of the options in a request: its fields, several images, a system message, earlier calls."""
    images = sum(isinstance(part, LazyImage) for message in request.messages for part in message.parts)
    several = {MANY_IMAGES} if images > 1 and profile.many_images else set[str]()
    system = any(message.role == "system" for message in request.messages) and profile.system
    calls = any(message.role == "tool" for message in request.messages) and "tools" in options and profile.tool_messages
    return {*options, *several, *({SYSTEM} if system else ()), *({TOOL_MESSAGES} if calls else ())}


def _options(request: MLLMRequest, profile: Profile, sampling: Sampling) -> dict[str, Any]:
    """All fields except model and messages: tools or a schema, and the options that the profile allows."""
    fields: dict[str, Any] = {}
    structured = request.json_schema if profile.json_schema else None
    if sends_tools(request, profile):
        fields["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
            }
            for tool in request.tools
        ]
        if profile.tool_choice is not None:
            fields["tool_choice"] = "none" if request.json_schema else profile.tool_choice
        if profile.parallel_tool_calls is not None and not request.json_schema:
            fields["parallel_tool_calls"] = profile.parallel_tool_calls
    if structured:
        wanted = {"name": structured.name, "schema": dict(structured.schema)}
        fields["response_format"] = {"type": "json_schema", "json_schema": wanted}
    drawn = {"temperature": sampling.at(request.temperature), "top_p": sampling.top_p, "top_k": sampling.top_k}
    fields |= {name: value for name, value in drawn.items() if value is not None and getattr(profile, name)}
    if profile.thinking:
        fields |= sampling.thinking_fields()
    if profile.limit is not None:
        fields[profile.limit] = sampling.max_tokens
    return fields


def _reply(body: Mapping[str, Any]) -> MLLMReply:
    """The reply in a chat completion. Missing or malformed fields become empty; the agent then reports them."""
    choices = body.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    message = _mapping(choice.get("message") or choice.get("delta"))
    refusal = message.get("refusal")
    text = refusal if isinstance(refusal, str) and refusal else _text(message.get("content") or choice.get("text"))
    calls = calls_in(message.get("tool_calls")) or calls_in(message.get("function_call"))
    return MLLMReply(
        text=text,
        tool_calls=tuple(calls or _calls_in_parts(message.get("content"))),
        finish=_finish(choice.get("finish_reason"), bool(refusal)),
        usage=_usage(body.get("usage")),
        reasoning=next((t for key in _REASONING if (t := _text(message.get(key)))), ""),
    )


def _finish(reason: Any, refused: bool) -> Finish:
    """Why a reply ended, also in the words of the services that a gateway passes on."""
    word = reason.lower() if isinstance(reason, str) else ""
    if refused or word.startswith(_REFUSING):
        return "refusal"
    return "length" if word in _CUT_OFF else "stop"


def _calls_in_parts(content: Any) -> list[ToolCall]:
    """The calls among the parts of a content, where some gateways leave them."""
    parts = [_mapping(part) for part in content] if isinstance(content, list) else []
    calls = [part.get("functionCall") or part for part in parts if part.get("functionCall") or _is_call(part)]
    return calls_in([call for call in calls if isinstance(_mapping(call).get("name"), str)])


def _is_call(part: Mapping[str, Any]) -> bool:
    """Whether a part of a content is a call: images and results of tools have names, too."""
    kind = part.get("type")
    if kind is None:
        return "text" not in part and not part.keys().isdisjoint(ARGUMENTS)
    return kind in ("tool_use", "tool_call", "function_call", "function", "functionCall")


def _text(content: Any) -> str:
    """The text of a content: a string, parts with text, or an object in place of its JSON text."""
    if isinstance(content, list):
        return "".join(_text(part if isinstance(part, str) else _mapping(part).get("text")) for part in content)
    if isinstance(content, dict):
        content = content.get("text", content.get("value", json.dumps(content) if content else ""))
    return content if isinstance(content, str) else ""


def _usage(usage: Any) -> Usage:
    counts = _mapping(usage)
    cached = _mapping(counts.get("prompt_tokens_details")).get("cached_tokens")
    return Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value <= _MAX_COUNT else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
