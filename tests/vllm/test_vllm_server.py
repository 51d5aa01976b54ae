"""The whole loop against a real vLLM server with a random model: the protocol is real, the replies are noise.

    SAM3AGENT_TEST_VLLM_URL=http://127.0.0.1:8077/v1 pytest -m vllm tests/vllm

The answers cannot be checked. The tests require no exception, a proper final status, and every budget kept.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sam3agent.agent.budget import Budget
from sam3agent.api import Agent
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm.base import MLLM, JSONSchema, Message, MLLMReply, MLLMRequest, Text
from sam3agent.mllm.errors import MLLMContextError, MLLMUnknownModelError
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from sam3agent.testing import call
from tests.drawn_match import drawing, segmenter

pytestmark = pytest.mark.vllm

NOUNS = ("player in white", "player in red", "ball", "dog", "referee")
QUESTIONS = [f"{which} {noun}" for noun in NOUNS for which in ("leftmost", "largest", "every", "the second")]
BUDGET = Budget(mllm_calls=8, segmenter_calls=6, seconds=60)
GRACE_S = 2.0


@pytest.fixture(scope="module")
def url() -> str:
    found = os.environ.get("SAM3AGENT_TEST_VLLM_URL")
    if not found:
        pytest.skip("SAM3AGENT_TEST_VLLM_URL is not set")
    return found


def backend(url: str, profile: str, max_tokens: int) -> OpenAIBackend:
    return OpenAIBackend(Endpoint(url), max_tokens=max_tokens, profile=profile)


@dataclass
class Primed(MLLM):
    """Makes the first search itself, so that noise has to judge images too; every later reply is the server's."""

    server: OpenAIBackend
    lines: list[MLLMReply] = field(default_factory=lambda: [call("segment_phrase", phrases=["player"])])
    name: str = "primed"

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        return self.lines.pop() if self.lines else await self.server.decide(request)


@pytest.mark.parametrize(("number", "question"), list(enumerate(QUESTIONS)))
def test_every_question_ends_within_its_budget(url: str, number: int, question: str, tmp_path: Path) -> None:
    server = backend(url, ("vllm", "generic")[number % 2], (48, 384)[number // 2 % 2])
    asking = Primed(server) if number >= len(QUESTIONS) // 2 else server
    started = time.monotonic()
    answer = Agent(segmenter(), asking, BUDGET).ask(drawing(), question, out=tmp_path)
    elapsed = time.monotonic() - started
    calls, usage = answer.costs.mllm_calls, answer.costs.usage
    print(f"{answer.status:10} {calls} calls {elapsed:5.1f} s {usage.completion_tokens:5} tokens  {question}")
    assert answer.status in ("answered", "no_match", "exhausted")
    assert 1 <= calls <= BUDGET.mllm_calls
    assert answer.costs.segmenter_calls <= BUDGET.segmenter_calls
    assert elapsed <= BUDGET.seconds + GRACE_S
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    records = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert records[-1]["event"] == "end"


def test_replies_follow_the_schema(url: str) -> None:
    """Even noise is JSON of the schema: `response_format` reaches the server's constrained decoding."""
    schema = {"type": "object", "properties": {"verdict": {"enum": ["accept", "reject"]}}, "required": ["verdict"]}
    image = LazyImage(EvidenceKey(0), drawing)
    request = MLLMRequest((Message("user", (image, Text("Is it?"))),), json_schema=JSONSchema("judgement", schema))
    reply = asyncio.run(backend(url, "vllm", 200).decide(request))
    assert reply.finish == "length" or json.loads(reply.text)["verdict"] in ("accept", "reject")


def test_concurrent_requests_with_a_shared_prefix(url: str) -> None:
    image = LazyImage(EvidenceKey(0), drawing)
    long = Message("system", (Text("You point at objects in an image. " * 40),))
    requests = [MLLMRequest((long, Message("user", (image, Text(f"{i}"))))) for i in range(12)]
    asking = backend(url, "vllm", 8)

    async def ask_all() -> int:
        await asking.decide(requests[0])
        replies = await asyncio.gather(*(asking.decide(request) for request in requests))
        return min(reply.usage.prompt_tokens for reply in replies)

    assert asyncio.run(ask_all()) > 100


def test_a_model_that_is_not_served(url: str) -> None:
    asking = OpenAIBackend(Endpoint(url), "no-such-model")
    with pytest.raises(MLLMUnknownModelError):
        asyncio.run(asking.decide(MLLMRequest((Message("user", (Text("hello"),)),))))


def test_a_conversation_that_does_not_fit(url: str) -> None:
    with pytest.raises(MLLMContextError):
        asyncio.run(backend(url, "vllm", 16).decide(MLLMRequest((Message("user", (Text("word " * 20_000),)),))))
