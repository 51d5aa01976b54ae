"""The `vllm` backend: vLLM inside this process. Questions that come together are answered in one batch."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest, Usage
from sam3agent.mllm.errors import MLLMError, MLLMRejectedError, MLLMUnreachableError
from sam3agent.mllm.profiles import Profile
from sam3agent.mllm.wire import to_messages
from sam3model.errors import ConfigError

if TYPE_CHECKING:
    from sam3agent.config import Settings

log = logging.getLogger(__name__)

IN_PROCESS = Profile("vllm in process", tools=False)
"""Tools are told in words, since those of one batch may differ; schemas bind each reply by itself."""


@dataclass(frozen=True, slots=True)
class ChatInput:
    """One question as vLLM takes it: messages in OpenAI's terms, and the JSON schema of the reply, if any."""

    messages: list[dict[str, Any]]
    schema: dict[str, Any] | None


class Engine(Protocol):
    """What answers batches; a reply per conversation, in order."""

    def chat(self, conversations: Sequence[ChatInput]) -> list[MLLMReply]:
        """Answer all of them; called on a worker thread."""
        ...


class VLLMEngine:
    """vLLM's `LLM`, loaded on first use.

    options: passed on to `vllm.LLM`, such as `max_model_len` or `gpu_memory_utilization`.
    """

    def __init__(self, model: str, *, max_tokens: int = 4096, temperature: float = 0.0, **options: Any) -> None:
        self.model = model
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.options = {"limit_mm_per_prompt": {"image": 16}, **options}
        self._llm: Any = None
        self._turn = threading.Lock()

    def chat(self, conversations: Sequence[ChatInput]) -> list[MLLMReply]:
        """Answer all of them in one batch; raises `MLLMUnreachableError` where vLLM cannot be loaded."""
        with self._turn:  # a batch that nobody waits for any more may still be running on another thread
            if self._llm is None:
                self._llm = self._load()
            params = [self._params(conversation.schema) for conversation in conversations]
            outputs = self._llm.chat([c.messages for c in conversations], params, use_tqdm=False)
        return [_reply(output) for output in outputs]

    def _load(self) -> Any:
        check_installed()
        try:
            from vllm import LLM  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

            return LLM(self.model, **self.options)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise MLLMUnreachableError(f"vLLM cannot load {self.model!r}: {reason}") from error

    def _params(self, schema: dict[str, Any] | None) -> Any:
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
        from vllm.sampling_params import StructuredOutputsParams  # pyright: ignore[reportMissingImports]

        bound = StructuredOutputsParams(json=schema) if schema else None
        return SamplingParams(temperature=self.temperature, max_tokens=self.max_tokens, structured_outputs=bound)


class VLLMBackend(MLLM):
    """Asks a model that runs in this process; `engine` is a `VLLMEngine` of the model unless given."""

    def __init__(self, model: str, engine: Engine | None = None) -> None:
        self.name = f"vllm:{model}"
        self._engine = engine or VLLMEngine(model)
        self._waiting: list[tuple[MLLMRequest, asyncio.Future[MLLMReply]]] = []
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @classmethod
    def from_settings(cls, settings: "Settings") -> "VLLMBackend":
        """The model that the settings name; raises where vLLM is absent, before anything else is loaded."""
        check_installed()
        if not settings.model:
            raise ConfigError("vllm runs a model in this process: name one with --model")
        return cls(settings.model)

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """One reply to one request; raises `MLLMError` and nothing else."""
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

    async def _run(self, batch: list[tuple[MLLMRequest, "asyncio.Future[MLLMReply]"]]) -> None:
        """Answer everyone who still waits; an engine that fails, fails them all."""
        batch = [(request, answer) for request, answer in batch if not answer.done()]
        try:
            replies = await asyncio.to_thread(self._engine.chat, [_conversation(request) for request, _ in batch])
        except MLLMError as error:
            _fail(batch, error)
        except Exception as error:
            log.debug("vLLM failed", exc_info=True)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            _fail(batch, MLLMRejectedError(f"vLLM rejects the request: {reason}"))
        else:
            for (_, answer), reply in zip(batch, replies, strict=True):
                if not answer.done():
                    answer.set_result(reply)


def check_installed() -> None:
    """Raise `MLLMUnreachableError` where vLLM is not installed."""
    if find_spec("vllm") is None:
        raise MLLMUnreachableError('vLLM is not installed: pip install "sam3agent[vllm]"')


def _fail(batch: list[tuple[MLLMRequest, "asyncio.Future[MLLMReply]"]], error: MLLMError) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)


def _conversation(request: MLLMRequest) -> ChatInput:
    schema = dict(request.json_schema.schema) if request.json_schema else None
    return ChatInput(to_messages(request, IN_PROCESS), schema)


def _reply(output: Any) -> MLLMReply:
    """The reply in a vLLM `RequestOutput`."""
    first = output.outputs[0]
    usage = Usage(len(output.prompt_token_ids or ()), len(first.token_ids), output.num_cached_tokens or 0)
    return MLLMReply(first.text, finish="length" if first.finish_reason == "length" else "stop", usage=usage)
