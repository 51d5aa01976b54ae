"""Any bytes as a reply: the backend returns a clean reply or raises an `MLLMError`, and reading it only complains."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sam3agent.agent.budget import Budget
from sam3agent.agent.decisions import read_call, read_judgement
from sam3agent.api import Agent
from sam3agent.mllm.base import MLLMReply
from sam3agent.mllm.errors import MLLMError
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3model.untrusted import clean_text
from tests.drawn_match import drawing, segmenter
from tests.fuzz.commands import harmless, sam3agent
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import VALUES, damaged_bytes, damaged_json
from tests.mllm.fault_server import body, completion, error, fault_server, reply
from tests.mllm.test_openai_faults import QUICK, SCHEMA, question

REGISTRY = all_tools()
BUDGET = Budget(mllm_calls=8, segmenter_calls=4, seconds=8)
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
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Content-Encoding", "Location"]),
    st.sampled_from(["nan", "-1", "inf", "gzip", "deflate", "br", "/v1", "http://x:99999", "http://[", "0"]),
    max_size=2,
)
STATUSES = st.sampled_from([200, 200, 200, 200, 204, 301, 307, 400, 401, 404, 422, 429, 500, 599])
BODIES = (
    st.sampled_from(SEEDS).flatmap(damaged_json).map(lambda value: json.dumps(value).encode())
    | st.sampled_from(SEEDS).flatmap(lambda value: damaged_bytes(json.dumps(value).encode()))
    | st.binary(max_size=300)
)


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


@fuzzed(BODIES, STATUSES, HEADERS, quick=25)
def test_bytes_become_a_clean_reply_or_one_of_our_errors(
    _: Path, data: bytes, status: int, headers: dict[str, str]
) -> None:
    check(data, status, headers)


@fuzzed(st.lists(st.tuples(BODIES, STATUSES, HEADERS), max_size=6), quick=10)
def test_a_question_keeps_what_it_has(folder: Path, faults: list[tuple[bytes, int, dict[str, str]]]) -> None:
    """One good search, then replies of any kind: the question ends in time, with what was found."""
    search = reply(calls=[("segment_phrase", {"phrases": ["player in white"]})])
    script = [search, *(body(data, status, **headers) for data, status, headers in faults)]
    with fault_server(*script, default=error(500)) as server:
        backend = OpenAIBackend(replace(QUICK, base_url=server.url, retries=0), "m")
        started = time.monotonic()
        answer = Agent(segmenter(), backend, BUDGET).ask(drawing(), "leftmost player in white", out=folder)
    assert time.monotonic() - started < BUDGET.seconds + 2
    assert answer.costs.mllm_calls <= BUDGET.mllm_calls
    assert answer.masks or answer.status != "answered"
    assert all(map(harmless, answer.reason + "".join(answer.warnings)))
    sam3agent("replay", str(folder), "--out", str(folder / "again"), codes=(0,))


@fuzzed(
    st.just({"data": [{"id": "a", "object": "model"}, {"id": "b"}]}).flatmap(damaged_json) | VALUES,
    st.sampled_from([200, 200, 200, 404, 500]),
    quick=10,
)
def test_any_model_list(_: Path, listed: Any, status: int) -> None:
    with fault_server() as server:
        server.listed = body(json.dumps(listed), status)
        backend = OpenAIBackend(replace(QUICK, base_url=server.url))
        try:
            names = asyncio.run(backend.models())
        except MLLMError as problem:
            assert all(map(harmless, str(problem))) and len(str(problem)) < 1500
            return
    assert all(isinstance(name, str) and all(map(harmless, name)) for name in names)
