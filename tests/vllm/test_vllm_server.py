"""The whole loop against a real vLLM server whose model talks noise: the protocol is real, the answers are not.

    SAM3AGENT_TEST_VLLM_URL=http://127.0.0.1:8077/v1 pytest -m vllm tests/vllm

Nothing sensible can be asked of the answers. What is asked: no exception, an honest end, and every budget kept.
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
from sam3agent.mllm.base import JSONSchema, Message, MLLMReply, MLLMRequest, Picture, Text
from sam3agent.mllm.errors import MLLMContextError, MLLMUnknownModelError
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from sam3agent.testing import call
from tests.mllm.fake_segmenter import FakeSegmenter, drawing

pytestmark = pytest.mark.vllm

THINGS = ("player in white", "player in red", "ball", "dog", "referee")
QUESTIONS = [f"{which} {thing}" for thing in THINGS for which in ("leftmost", "largest", "every", "the second")]
BUDGET = Budget(mllm_calls=8, segmenter_calls=6, seconds=60)
GRACE_S = 2.0


@pytest.fixture(scope="module")
def url() -> str:
    found = os.environ.get("SAM3AGENT_TEST_VLLM_URL")
    if not found:
        pytest.skip("SAM3AGENT_TEST_VLLM_URL names no server")
    return found


def backend(url: str, profile: str, max_tokens: int) -> OpenAIBackend:
    return OpenAIBackend(Endpoint(url), max_tokens=max_tokens, profile=profile)


@dataclass
class Primed:
    """Says the first search itself, so that noise is asked to judge pictures too; everything after is the server's."""

    server: OpenAIBackend
    lines: list[MLLMReply] = field(default_factory=lambda: [call("segment_phrase", phrases=["player"])])
    name: str = "primed"

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        return self.lines.pop() if self.lines else await self.server.decide(request)


@pytest.mark.parametrize(("number", "question"), list(enumerate(QUESTIONS)))
def test_every_question_comes_to_an_end_within_its_budget(url: str, number: int, question: str, tmp_path: Path) -> None:
    server = backend(url, ("vllm", "generic")[number % 2], (48, 384)[number // 2 % 2])
    asking = Primed(server) if number >= len(QUESTIONS) // 2 else server
    started = time.monotonic()
    answer = Agent(FakeSegmenter(), asking, BUDGET).ask(drawing(), question, out=tmp_path)
    elapsed = time.monotonic() - started
    usage = answer.usage
    print(
        f"{answer.status:10} {answer.mllm_calls} calls {elapsed:5.1f} s {usage.completion_tokens:5} tokens  {question}"
    )
    assert answer.status in ("answered", "no_match", "exhausted")
    assert 1 <= answer.mllm_calls <= BUDGET.mllm_calls
    assert answer.segmenter_calls <= BUDGET.segmenter_calls
    assert elapsed <= BUDGET.seconds + GRACE_S
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    records = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert records[-1]["event"] == "end"


def test_a_schema_is_kept_to(url: str) -> None:
    """Noise under a schema is still JSON of that schema: `response_format` reaches the server's grammar."""
    schema = {"type": "object", "properties": {"verdict": {"enum": ["accept", "reject"]}}, "required": ["verdict"]}
    picture = Picture("picture", drawing)
    request = MLLMRequest((Message("user", (picture, Text("Is it?"))),), json_schema=JSONSchema("judgement", schema))
    reply = asyncio.run(backend(url, "vllm", 200).decide(request))
    assert reply.finish == "length" or json.loads(reply.text)["verdict"] in ("accept", "reject")


def test_many_at_once_and_a_prefix_that_is_reused(url: str) -> None:
    picture = Picture("picture", drawing)
    long = Message("system", (Text("You point at things in a picture. " * 40),))
    requests = [MLLMRequest((long, Message("user", (picture, Text(f"{i}"))))) for i in range(12)]
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
