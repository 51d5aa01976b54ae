"""Any bytes as a reply: the backend returns a clean reply or raises an `MLLMError`, and reading it only complains."""

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam3agent.agent.decisions import read_call, read_judgement
from sam3agent.mllm.base import MLLMReply
from sam3agent.mllm.errors import MLLMError
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3model.untrusted import clean_text
from tests.mllm.fault_server import body, completion, fault_server
from tests.mllm.test_openai_faults import QUICK, SCHEMA, question

REGISTRY = all_tools()
SEEDS = [
    completion("hello"),
    completion('<tool_call>{"name": "select_masks", "arguments": {"ids": [1, 2], "reason": "it"}}</tool_call>'),
    completion("<function=segment_phrase><parameter=phrases>['a', \"b\"]</parameter></function>"),
    completion("select_masks(ids=[1], reason='x')"),
    completion('{"verdict": "accept", "reason": "seen"}'),
    completion(calls=[("functions.select_masks<|channel|>", {"ids": "1, 3", "why": [None]})]),
    completion(calls=[("segment_phrase", "{'phrases': ['a', 'b'],}"), ("report_no_match", {})]),
    {"error": {"message": "no", "code": 502, "param": ["x"]}},
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("9" * 5000)
VALUES = st.recursive(LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4))
PIECES = [
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"{",
    b"[" * 300,
    b"}",
    b"\\ud800",
    b"\\u202e",
    b"1e999",
    b"9" * 5000,
    b"null",
    b"'",
    b"<",
]
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Content-Encoding", "Location"]),
    st.sampled_from(["nan", "-1", "inf", "gzip", "deflate", "br", "/v1", "http://x:99999", "http://[", "0"]),
    max_size=2,
)


def mutated(seed: int, value: Any) -> bytes:
    """A reply with some of its values replaced and some of its bytes damaged."""
    rng = random.Random(seed)
    made = json.loads(json.dumps(rng.choice(SEEDS)))
    node = made
    while isinstance(node, dict | list) and node and rng.random() < 0.8:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        if rng.random() < 0.3 or not isinstance(node[key], dict | list):
            node[key] = value
            break
        node = node[key]
    data = bytearray(json.dumps(made).encode())
    for _ in range(rng.choice([0, 0, 1, 3])):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(4)] = rng.choice(PIECES)
    return bytes(data)


def strings(reply: MLLMReply) -> list[str]:
    return [reply.text, reply.reasoning, *(text for call in reply.tool_calls for text in (call.name, call.arguments))]


def check(data: bytes, status: int, headers: dict[str, str]) -> None:
    with fault_server(default=body(data, status, **headers)) as server:
        client = OpenAIBackend(replace(QUICK, base_url=server.url, retries=1, longest_pause_s=0.01), "m")

        async def both() -> list[Any]:
            requests = (question(), question(tools=(), json_schema=SCHEMA))
            return await asyncio.gather(*map(client.decide, requests), return_exceptions=True)

        results = asyncio.run(both())
    for result in results:
        if isinstance(result, BaseException):
            assert isinstance(result, MLLMError)
            assert str(result) == clean_text(str(result)) and "\n" not in str(result) and len(str(result)) < 1500
            continue
        assert all(text == clean_text(text) for text in strings(result))
        for read in (read_judgement, _arguments):
            try:
                read(result)
            except ToolUseError as complaint:
                assert str(complaint) == clean_text(str(complaint)) and len(str(complaint)) <= 500


def _arguments(reply: MLLMReply) -> None:
    call = read_call(reply, tuple(REGISTRY))
    REGISTRY[call.name].read(call.arguments)


STATUSES = st.sampled_from([200, 200, 200, 200, 204, 301, 307, 400, 401, 404, 422, 429, 500, 599])
given_replies = given(st.integers(0, 10**9), VALUES, STATUSES, HEADERS)
calm = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@settings(max_examples=40, **calm)
@given_replies
def test_mutated_replies(seed: int, value: Any, status: int, headers: dict[str, str]) -> None:
    check(mutated(seed, value), status, headers)


@settings(max_examples=15, **calm)
@given(st.binary(max_size=300), STATUSES, HEADERS)
def test_any_bytes(data: bytes, status: int, headers: dict[str, str]) -> None:
    check(data, status, headers)


@pytest.mark.slow
@settings(max_examples=15_000, **calm)
@given_replies
def test_many_mutated_replies(seed: int, value: Any, status: int, headers: dict[str, str]) -> None:
    check(mutated(seed, value), status, headers)
