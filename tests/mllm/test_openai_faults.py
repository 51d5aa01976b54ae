"""The `openai` backend with a failing server: it returns a reply or raises one of our errors."""

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from PIL import Image

from sam3agent.agent.decisions import read_call, read_judgement
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm import errors
from sam3agent.mllm.base import JSONSchema, Message, MLLMReply, MLLMRequest, Text, ToolCall, ToolSchema
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from sam3agent.tools.registry import ToolUseError
from tests.mllm.fault_server import (
    FaultServer,
    body,
    completion,
    cut,
    delayed,
    endless,
    error,
    fault_server,
    hang_up,
    reply,
    silent,
)

T = TypeVar("T")
TOOL = ToolSchema("segment_phrase", "Find objects.", {"type": "object", "properties": {"phrases": {"type": "array"}}})
SCHEMA = JSONSchema("judgement", {"type": "object", "properties": {"verdict": {"type": "string"}}})
CALL = ("segment_phrase", {"phrases": ["player"]})
QUICK = Endpoint(connect_s=5, read_s=20, reply_s=20, retries=2, backoff_s=0.01, longest_pause_s=0.2)


def question(**changes: Any) -> MLLMRequest:
    image = LazyImage(EvidenceKey(0), lambda: Image.new("RGB", (8, 6), "red"))
    messages = (Message("system", (Text("Be brief."),)), Message("user", (image, Text("leftmost player"))))
    return replace(MLLMRequest(messages, tools=(TOOL,), timeout_s=30), **changes)


def backend(server: FaultServer, **changes: Any) -> OpenAIBackend:
    profile = changes.pop("profile", "vllm")
    return OpenAIBackend(replace(QUICK, base_url=server.url, **changes), "test-model", profile=profile)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def ask(server: FaultServer, request: MLLMRequest | None = None, **changes: Any) -> MLLMReply:
    return run(backend(server, **changes).decide(request or question()))


def fails(kind: type[errors.MLLMError], server: FaultServer, **changes: Any) -> str:
    with pytest.raises(errors.MLLMError) as caught:
        ask(server, **changes)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_valid_reply_with_calls_and_token_counts() -> None:
    with fault_server(reply(calls=[CALL])) as server:
        answer = ask(server)
    assert answer.tool_calls == (ToolCall("segment_phrase", '{"phrases": ["player"]}'),)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.calls) == (11, 7, 1)


def test_request_fields() -> None:
    with fault_server() as server:
        ask(server)
        ask(server, question(tools=(), json_schema=SCHEMA))
    tools, verdict = server.requests
    assert tools["tools"][0]["function"]["name"] == "segment_phrase"
    assert isinstance(tools["tool_choice"], str)
    assert "response_format" not in tools
    assert verdict["response_format"]["json_schema"]["schema"] == SCHEMA.schema
    assert "tools" not in verdict and "tool_choice" not in verdict
    assert tools["messages"][0] == {"role": "system", "content": "Be brief."}
    image, text = tools["messages"][1]["content"]
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert text == {"type": "text", "text": "leftmost player"}


def test_the_prefix_has_the_same_bytes_in_every_call() -> None:
    first = question()
    later = replace(first, messages=(*first.messages, Message("assistant", (Text("looked"),))))
    with fault_server() as server:
        client = backend(server)

        async def both() -> None:
            await client.decide(first)
            await client.decide(later)

        run(both())
    before, after = (raw.split(b'"messages":')[1] for raw in server.raw)
    prefix = before[: before.index(b"leftmost player")]
    assert after.startswith(prefix)


@pytest.mark.parametrize(
    "fault",
    [
        error(500),
        error(503),
        error(429, Retry_After="0.02"),
        cut(),
        hang_up(),
        body(""),
        body("<html>", 200, "text/html"),
    ],
)
def test_transient_failures_are_retried(fault: Any) -> None:
    with fault_server(reply("hello"), fault, fault, reply(calls=[CALL])) as server:
        client = backend(server)

        async def twice() -> MLLMReply:
            await client.decide(question())
            return await client.decide(question())

        assert run(twice()).tool_calls
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (error(500), errors.MLLMBusyError),
        (error(429), errors.MLLMBusyError),
        (error(429, "too many tokens in this minute"), errors.MLLMBusyError),
        (cut(), errors.MLLMDisconnectedError),
        (hang_up(), errors.MLLMDisconnectedError),
        (body(""), errors.MLLMBadReplyError),
        (body("{not json"), errors.MLLMBadReplyError),
        (body("[1, 2]"), errors.MLLMBadReplyError),
        (body("[" * 100_000), errors.MLLMBadReplyError),
        (body(b"\xff\xfe\x00"), errors.MLLMBadReplyError),
        (body("<html>hello</html>", content_type="text/html"), errors.MLLMBadReplyError),
    ],
)
def test_permanent_failures_end_after_the_maximum_number_of_retries(fault: Any, kind: Any) -> None:
    with fault_server(default=fault) as server:
        fails(kind, server)
    assert len(server.requests) == 1 + QUICK.retries


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (error(401, "bad key"), errors.MLLMKeyRefusedError, "SAM3AGENT_API_KEY"),
        (error(403, "bad key"), errors.MLLMKeyRefusedError, "SAM3AGENT_API_KEY"),
        (error(404, "The model does not exist"), errors.MLLMUnknownModelError, "--model"),
        (body("Not Found", 404, "text/plain"), errors.MLLMUnknownModelError, "/v1"),
        (error(400, "This model's maximum context length is 8192 tokens."), errors.MLLMContextError, "smaller image"),
        (error(413), errors.MLLMRejectedError, "413"),
        (error(400, "I do not like you"), errors.MLLMRejectedError, "I do not like you"),
    ],
)
def test_fatal_errors_are_not_retried(fault: Any, kind: Any, message: str) -> None:
    with fault_server(default=fault) as server, pytest.raises(errors.MLLMError) as caught:
        ask(server)
    assert isinstance(caught.value, kind)
    assert caught.value.fatal
    assert message in str(caught.value)
    assert len(server.requests) == 1


def test_an_unreachable_server() -> None:
    with fault_server() as server:
        pass
    started = time.monotonic()
    message = fails(errors.MLLMUnreachableError, server)
    assert server.url in message and "--base-url" in message
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("url", ["", "localhost", "http://", "http://[::1", "ftp://x/v1", "http://nowhere.invalid/v1"])
def test_an_invalid_url(url: str) -> None:
    with pytest.raises(errors.MLLMUnreachableError, match="--base-url"):
        run(OpenAIBackend(replace(QUICK, base_url=url), "m").decide(question()))


@pytest.mark.parametrize("fault", [endless(), silent(), delayed(20, reply()), endless(status=400), endless(status=500)])
def test_an_endless_reply_is_cut_off_by_time(fault: Any) -> None:
    with fault_server(default=fault) as server:
        started = time.monotonic()
        fails(errors.MLLMTimeoutError, server, reply_s=0.2)
        assert time.monotonic() - started < 5


def test_an_endless_reply_is_cut_off_by_size() -> None:
    with fault_server(default=endless(0, b" " * 65536)) as server:
        assert "no end" in fails(errors.MLLMTimeoutError, server, reply_s=30, max_reply_bytes=1 << 20)


def test_the_timeout_of_a_request_includes_all_retries() -> None:
    with fault_server(default=error(500)) as server:
        started = time.monotonic()
        with pytest.raises(errors.MLLMBusyError):
            ask(server, question(timeout_s=1), retries=1000, backoff_s=0.05)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("pause", ["3600", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_retry_after_beyond_the_maximum_ends_the_call(pause: str) -> None:
    with fault_server(default=error(429, Retry_After=pause)) as server:
        fails(errors.MLLMBusyError, server)
    assert len(server.requests) == 1


def test_retry_after_is_respected() -> None:
    with fault_server(error(429, Retry_After="0.15")) as server:
        started = time.monotonic()
        ask(server)
        assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize(
    ("answer", "text", "finish"),
    [
        (completion("The pla", finish="length"), "The pla", "length"),
        (completion(refusal="I will not."), "I will not.", "refusal"),
        (completion("", finish="content_filter"), "", "refusal"),
        (completion(None), "", "stop"),
        ({"choices": []}, "", "stop"),
        ({"choices": None}, "", "stop"),
        ({"choices": [None]}, "", "stop"),
        ({"choices": [{"message": None}]}, "", "stop"),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "parts"}]}}]}, "parts", "stop"),
        ({"choices": [{"message": {"content": 7, "tool_calls": {"no": "list"}}}], "usage": "many"}, "", "stop"),
        ({}, "", "stop"),
        (completion("The pla", finish="MAX_TOKENS"), "The pla", "length"),
        (completion("", finish="content_filter: PROHIBITED_CONTENT"), "", "refusal"),
        (completion("", finish="SAFETY"), "", "refusal"),
        (completion("", finish=["stop"]), "", "stop"),
        ({"choices": [{"message": {"content": ["a", {"text": {"value": "b"}}, 7]}}]}, "ab", "stop"),
        ({"choices": [{"message": {"content": {"verdict": "accept"}}}]}, '{"verdict": "accept"}', "stop"),
    ],
)
def test_malformed_replies_become_empty_fields(answer: dict[str, Any], text: str, finish: str) -> None:
    with fault_server(body(json.dumps(answer))) as server:
        got = ask(server)
    assert (got.text, got.finish, got.tool_calls) == (text, finish, ())


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"function": {"name": "f", "arguments": "{broken"}}, ToolCall("f", "{broken")),
        ({"function": {"name": "f", "arguments": {"a": 1}}}, ToolCall("f", '{"a": 1}')),
        ({"function": {"name": None}}, ToolCall("", "")),
        (None, ToolCall("", "")),
    ],
)
def test_malformed_tool_calls_are_returned_unchanged(call: Any, expected: ToolCall) -> None:
    answer = {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}
    with fault_server(body(json.dumps(answer))) as server:
        assert ask(server).tool_calls == (expected,)


_WRITTEN = '{"name": "f", "arguments": {"a": 1}}'


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": "so"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
        {"content": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
        {"content": None, "tool_calls": [{"type": "function", "name": "f", "input": {"a": 1}}]},
        {"content": None, "tool_calls": [{"function": {"name": "f", "parameters": {"a": 1}}}]},
        {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": None, "parameters": {"a": 1}}}]},
        {"content": None, "tool_calls": {"name": "f", "arguments": {"a": 1}}},
        {"content": None, "tool_calls": {"0": {"function": {"name": "f", "arguments": {"a": 1}}}}},
        {"content": None, "tool_calls": [_WRITTEN]},
        {"content": None, "tool_calls": f"[{_WRITTEN}]"},
        {"content": None, "function_call": {"name": "f", "arguments": {"a": 1}}},
    ],
)
def test_calls_are_read_wherever_a_server_puts_them(message: dict[str, Any]) -> None:
    with fault_server(body(json.dumps({"choices": [{"message": message}]}))) as server:
        assert ask(server).tool_calls == (ToolCall("f", '{"a": 1}'),)


@pytest.mark.parametrize(
    "part",
    [{"type": "image", "name": "a.png"}, {"type": "tool_result", "name": "f"}, {"type": "reasoning", "name": "f"}],
)
def test_named_parts_that_are_no_calls_are_left_out(part: dict[str, Any]) -> None:
    message = {"content": [part, {"type": "text", "text": "f(a=1)"}]}
    with fault_server(body(json.dumps({"choices": [{"message": message}]}))) as server:
        reply = ask(server)
    assert (reply.tool_calls, reply.text) == ((), "f(a=1)")


@pytest.mark.parametrize("name", ["", None])
def test_a_call_without_a_name_keeps_its_arguments(name: str | None) -> None:
    call = {"function": {"name": name, "arguments": '{"verdict": "accept"}'}}
    with fault_server(body(json.dumps({"choices": [{"message": {"content": None, "tool_calls": [call]}}]}))) as server:
        assert ask(server).tool_calls == (ToolCall("", '{"verdict": "accept"}'),)


def test_an_error_object_in_place_of_a_completion() -> None:
    with fault_server(default=body('{"error": {"message": "provider is down", "code": 502}}')) as server:
        assert "provider is down" in fails(errors.MLLMBusyError, server)
    assert len(server.requests) == 1 + QUICK.retries


def test_calls_written_as_text_are_read_only_when_tools_were_offered() -> None:
    written = '<tool_call>{"name": "segment_phrase", "arguments": {"phrases": ["ball"]}}</tool_call>'
    with fault_server(default=reply(written)) as server:
        called = ask(server)
        judged = ask(server, question(tools=(), json_schema=SCHEMA))
    assert read_call(called, ("segment_phrase",)) == ToolCall("segment_phrase", '{"phrases": ["ball"]}')
    assert judged.tool_calls == ()
    with pytest.raises(ToolUseError, match="judgement"):
        read_judgement(judged)


def test_maximum_number_of_concurrent_requests() -> None:
    with fault_server(default=delayed(0.03, reply("yes"))) as server:
        client = backend(server, concurrency=3)

        async def many() -> list[MLLMReply]:
            return await asyncio.gather(*(client.decide(question()) for _ in range(9)))

        assert len(run(many())) == 9
    assert server.max_open == 3


def test_a_backend_can_be_used_on_one_event_loop_after_another() -> None:
    with fault_server() as server:
        client = backend(server)
        assert {run(client.decide(question())).text for _ in range(2)} == {"that is all"}


def test_the_only_model_of_a_server_is_the_default() -> None:
    with fault_server() as server:
        client = OpenAIBackend(replace(QUICK, base_url=server.url))
        run(client.decide(question()))
        assert client.name == "openai:test-model"
        assert server.requests[0]["model"] == "test-model"
        server.models = ("one", "two")
        with pytest.raises(errors.MLLMUnknownModelError, match="one, two"):
            run(OpenAIBackend(replace(QUICK, base_url=server.url)).decide(question()))
