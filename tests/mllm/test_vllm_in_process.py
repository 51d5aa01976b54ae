"""The `vllm` backend with a fake engine: batching, tools as text, and failures. vLLM itself is not tested."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import pytest

from sam3agent.agent.decisions import read_call
from sam3agent.mllm.base import JSONSchema, Message, MLLMReply, MLLMRequest, Text, ToolCall, ToolSchema
from sam3agent.mllm.errors import MLLMError, MLLMRejectedError, MLLMUnreachableError
from sam3agent.mllm.vllm import ChatInput, VLLMBackend

CALL = '<tool_call>{"name": "segment_phrase", "arguments": {"phrases": ["ball"]}}</tool_call>'
TOOL = ToolSchema("segment_phrase", "Find objects.", {"type": "object"})
SCHEMA = JSONSchema("judgement", {"type": "object"})


@dataclass
class FakeEngine:
    """Gives the same reply to all conversations, and records the batches."""

    text: str = CALL
    failure: Exception | None = None
    batches: list[Sequence[ChatInput]] = field(default_factory=list)

    def chat(self, conversations: Sequence[ChatInput]) -> list[MLLMReply]:
        self.batches.append(conversations)
        if self.failure:
            raise self.failure
        return [MLLMReply(self.text)] * len(conversations)


def question(text: str = "x", *, judge: bool = False) -> MLLMRequest:
    messages = (Message("user", (Text(text),)),)
    return MLLMRequest(messages, json_schema=SCHEMA) if judge else MLLMRequest(messages, tools=(TOOL,))


def ask(engine: FakeEngine, *requests: MLLMRequest) -> list[MLLMReply]:
    backend = VLLMBackend("m", engine)

    async def all_at_once() -> list[MLLMReply]:
        return await asyncio.gather(*(backend.decide(request) for request in requests))

    return asyncio.run(all_at_once())


def test_concurrent_requests_form_one_batch() -> None:
    engine = FakeEngine()
    ask(engine, *(question(str(i)) for i in range(5)))
    assert [len(batch) for batch in engine.batches] == [5]


def test_tools_are_described_as_text_and_calls_read_from_text() -> None:
    engine = FakeEngine()
    (reply,) = ask(engine, question())
    assert read_call(reply, ("segment_phrase",)) == ToolCall("segment_phrase", json.dumps({"phrases": ["ball"]}))
    system, *_, last = engine.batches[0][0].messages
    assert "segment_phrase: Find objects." in system["content"] and "<tool_call>" in str(last["content"])


def test_a_second_look_keeps_its_temperature() -> None:
    engine = FakeEngine()
    ask(engine, question(), replace(question(judge=True), temperature=0.7))
    assert [one.temperature for one in engine.batches[0]] == [None, 0.7]


def test_a_schema_is_passed_on_and_no_tool_calls_are_read() -> None:
    engine = FakeEngine()
    (reply,) = ask(engine, question(judge=True))
    assert engine.batches[0][0].schema == SCHEMA.schema
    assert reply.tool_calls == ()


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ValueError("the prompt is too long"), MLLMRejectedError),
        (MLLMUnreachableError("no vLLM"), MLLMUnreachableError),
    ],
)
def test_a_failing_engine(failure: Exception, kind: type[MLLMError]) -> None:
    with pytest.raises(kind, match=str(failure)):
        ask(FakeEngine(failure=failure), question(), question())


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_the_error_without_vllm_says_how_to_install_it() -> None:
    with pytest.raises(MLLMUnreachableError, match="pip install"):
        asyncio.run(VLLMBackend("m").decide(question()))
