"""The `vllm` backend: vLLM in this process. Concurrent requests are generated in one batch."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from sam3agent.deadlines import within
from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest, Usage
from sam3agent.mllm.errors import MLLMError, MLLMRejectedError, MLLMUnreachableError
from sam3agent.mllm.families import Sampling, sampling_for
from sam3agent.mllm.profiles import Profile
from sam3agent.mllm.wire import to_messages
from sam3model.errors import ConfigError, reason_of

if TYPE_CHECKING:
    from sam3agent.config import Settings

log = logging.getLogger(__name__)

IN_PROCESS = Profile("vllm in process", tools=False)
"""Tools are described in the prompt, because they may differ within a batch; a schema can be set per reply."""


@dataclass(frozen=True, slots=True)
class ChatInput:
    """One input of a batch: messages in OpenAI format, and the JSON schema of the reply, if any.

    temperature: of a reply that must differ from an earlier one; None for that of the model's family.
    """

    messages: list[dict[str, Any]]
    schema: dict[str, Any] | None
    temperature: float | None = None


class Engine(Protocol):
    """Generates replies in batches."""

    def chat(self, conversations: Sequence[ChatInput]) -> list[MLLMReply]:
        """One reply per conversation, in order. Called on a worker thread."""
        ...


class VLLMEngine:
    """An engine over `vllm.LLM`, which is loaded on first use.

    sampling: how replies are drawn; by default as the family of the model is. options: passed to `vllm.LLM`, e.g.
    `max_model_len` or `gpu_memory_utilization`.
    """

    def __init__(self, model: str, *, sampling: Sampling | None = None, **options: Any) -> None:
        self.model = model
        self.sampling = sampling or sampling_for(model)
        self.options = {"limit_mm_per_prompt": {"image": 16}, **options}
        self._llm: Any = None
        self._turn = threading.Lock()

    def chat(self, conversations: Sequence[ChatInput]) -> list[MLLMReply]:
        """One batch. Raises `MLLMUnreachableError` if vLLM or the model cannot be loaded."""
        with self._turn:  # a batch whose requests were all cancelled may still be running on another thread
            if self._llm is None:
                self._llm = self._load()
            params = [self._params(conversation) for conversation in conversations]
            template = self.sampling.thinking_fields().get("chat_template_kwargs")
            outputs = self._llm.chat(
                [c.messages for c in conversations], params, use_tqdm=False, chat_template_kwargs=template
            )
        return [_reply(output) for output in outputs]

    def _load(self) -> Any:
        check_installed()
        try:
            from vllm import LLM  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

            return LLM(self.model, **self.options)
        except Exception as error:
            raise MLLMUnreachableError(
                f"vLLM cannot load {self.model!r} ({reason_of(error)}); check --model."
            ) from error

    def _params(self, conversation: ChatInput) -> Any:
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
        from vllm.sampling_params import StructuredOutputsParams  # pyright: ignore[reportMissingImports]

        bound = StructuredOutputsParams(json=conversation.schema) if conversation.schema else None
        drawn = {
            "temperature": self.sampling.at(conversation.temperature),
            "top_p": self.sampling.top_p,
            "top_k": self.sampling.top_k,
        }
        given = {name: value for name, value in drawn.items() if value is not None}
        return SamplingParams(max_tokens=self.sampling.max_tokens, structured_outputs=bound, **given)


class VLLMBackend(MLLM):
    """Decisions by a model in this process. engine: by default a `VLLMEngine` of the model.

    sampling: how the engine draws replies; by default as the family of the model is.
    """

    def __init__(self, model: str, engine: Engine | None = None, sampling: Sampling | None = None) -> None:
        self.name = f"vllm:{model}"
        self._engine = engine or VLLMEngine(model, sampling=sampling)
        self._waiting: list[tuple[MLLMRequest, asyncio.Future[MLLMReply]]] = []
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @classmethod
    def from_settings(cls, settings: "Settings") -> "VLLMBackend":
        """The backend that is configured.

        Raises `MLLMUnreachableError` if vLLM is not installed, and `ConfigError` if no model is named.
        """
        check_installed()
        if not settings.model:
            raise ConfigError("--mllm vllm needs a model: choose one with --model")
        drawn = sampling_for(
            settings.model,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            thinking=settings.thinking,
        )
        return cls(settings.model, sampling=drawn)

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply to one request. Raises only `MLLMError`."""
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn, self._waiting = (loop, asyncio.Lock()), []
        answer: asyncio.Future[MLLMReply] = loop.create_future()
        self._waiting.append((request, answer))
        await asyncio.sleep(0)
        async with self._turn[1]:
            batch, self._waiting = self._waiting, []
            if batch:
                await self._run(batch)
        return await answer

    def _chat(self, requests: Sequence[MLLMRequest]) -> list[MLLMReply]:
        return self._engine.chat([_conversation(request) for request in requests])

    async def _run(self, batch: list[tuple[MLLMRequest, "asyncio.Future[MLLMReply]"]]) -> None:
        """Generate replies for all requests that are still awaited. If the engine fails, each of them fails."""
        batch = [(request, answer) for request, answer in batch if not answer.done()]
        try:
            replies = await within(None, self._chat, [request for request, _ in batch])
        except MLLMError as error:
            _fail(batch, error)
        except Exception as error:
            log.debug("vLLM failed", exc_info=True)
            _fail(batch, MLLMRejectedError(f"vLLM rejected the request ({reason_of(error)}); check --model."))
        else:
            for (_, answer), reply in zip(batch, replies, strict=True):
                if not answer.done():
                    answer.set_result(reply)


def check_installed() -> None:
    """Raises `MLLMUnreachableError` if vLLM is not installed."""
    if find_spec("vllm") is None:
        raise MLLMUnreachableError('vLLM is not installed; run: pip install "sam3agent[vllm]"')


def _fail(batch: list[tuple[MLLMRequest, "asyncio.Future[MLLMReply]"]], error: MLLMError) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)


def _conversation(request: MLLMRequest) -> ChatInput:
    schema = dict(request.json_schema.schema) if request.json_schema else None
    return ChatInput(to_messages(request, IN_PROCESS), schema, request.temperature)


def _reply(output: Any) -> MLLMReply:
    """The reply in a `RequestOutput` of vLLM."""
    first = output.outputs[0]
    usage = Usage(len(output.prompt_token_ids or ()), len(first.token_ids), output.num_cached_tokens or 0)
    return MLLMReply(first.text, finish="length" if first.finish_reason == "length" else "stop", usage=usage)
