"""A server that always streams is read as one that does not, and a stream without end is cut off."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam3agent.mllm.errors import MLLMBadReplyError, MLLMError, MLLMTimeoutError
from sam3agent.mllm.event_stream import joined
from sam3agent.mllm.openai import _reply
from sam3agent.mllm.transport import Endpoint, Transport
from tests.mllm.fault_server import Behaviour, Handler, body, completion, fault_server, reply

QUICK = Endpoint(connect_s=1, read_s=2, reply_s=3, retries=1, backoff_s=0.01, longest_pause_s=0.1)
REQUEST: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """One chunk of a chat completion."""
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    } | fields


def call(index: int | None, name: str | None, arguments: Any, identity: str | None = None) -> dict[str, Any]:
    """A piece of a tool call."""
    piece: dict[str, Any] = {"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in piece.items() if value is not None}]}


def events(*chunks: Any, end: str = "data: [DONE]\n\n", line: str = "\n") -> bytes:
    """The chunks as server-sent events."""
    written = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks) + end
    return written.replace("\n", line).encode()


def stream(data: bytes) -> Behaviour:
    """Send a whole stream and close."""
    return body(data, content_type="text/event-stream; charset=utf-8")


def stays_open(data: bytes, pause: float = 0.02, more: bytes = b": still here\n\n") -> Behaviour:
    """Send a stream and go on for ever."""

    def play(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.close_connection = True
        handler.wfile.write(data)
        while not handler.owner.stopping.wait(pause):
            handler.wfile.write(more)

    return play


def posted(*script: Behaviour, endpoint: Endpoint = QUICK) -> dict[str, Any]:
    with fault_server(*script, default=script[-1]) as server:
        return asyncio.run(Transport(replace(endpoint, base_url=server.url)).post(REQUEST, 10))


USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
WORDS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}, "stop"),
    USAGE,
]


@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
def test_a_streamed_reply_is_the_same_as_a_whole_one(line: str) -> None:
    streamed = _reply(posted(stream(events(*WORDS, line=line))))
    assert streamed == _reply(posted(reply("Hello")))
    assert (streamed.text, streamed.usage.prompt_tokens) == ("Hello", 11)


def test_a_stream_is_known_by_how_it_begins() -> None:
    noted = b"\xef\xbb\xbf: a note\n\n" + events(*WORDS)
    for kind in ("application/json", "text/plain"):
        assert _reply(posted(body(noted, content_type=kind))).text == "Hello"


CALLS = {
    "by index": [call(0, "f", "", "a"), call(0, None, '{"x"'), call(0, None, ": 1}"), call(1, "g", "{}", "b")],
    "turns": [call(0, "f", '{"x"', "a"), call(1, "g", "{", "b"), call(0, None, ": 1}"), call(1, None, "}")],
    "by id": [call(None, "f", '{"x": ', "a"), call(None, None, "1}", "a"), call(None, "g", "{}", "b")],
    "by name": [call(None, "f", '{"x": '), call(None, None, "1}"), call(None, "g", "{}")],
    "one index for all": [call(0, "f", '{"x": 1}', "a"), call(0, "g", "{}", "b")],
    "name repeated": [call(0, "f", '{"x": ', "a"), call(0, "f", "1}", "a"), call(1, "g", "{}", "b")],
    "objects": [call(0, "f", {"x": 1}, "a"), call(1, "g", {}, "b")],
}


@pytest.mark.parametrize("pieces", CALLS.values(), ids=CALLS.keys())
def test_tool_calls_are_joined_however_they_are_numbered(pieces: list[dict[str, Any]]) -> None:
    streamed = _reply(joined(events(*map(chunk, pieces), chunk({}, "tool_calls"))))
    assert [(made.name, json.loads(made.arguments)) for made in streamed.tool_calls] == [("f", {"x": 1}), ("g", {})]


def test_reasoning_old_calls_and_a_whole_message_are_read() -> None:
    thought = _reply(joined(events(chunk({"reasoning_content": "I "}), chunk({"reasoning_content": "think"}, "stop"))))
    assert thought.reasoning == "I think"
    old = [chunk({"function_call": {"name": "f"}}), chunk({"function_call": {"arguments": "{}"}}, "function_call")]
    assert _reply(joined(events(*old))).tool_calls[0].name == "f"
    assert _reply(joined(events(completion("Hello")))).text == "Hello"


def test_events_without_empty_lines_between_them_are_read() -> None:
    assert _reply(joined(events(*WORDS).replace(b"\n\n", b"\n"))).text == "Hello"


def test_the_end_mark_ends_the_reply_of_a_connection_that_stays_open() -> None:
    began = time.monotonic()
    assert _reply(posted(stays_open(events(*WORDS)))).text == "Hello"
    assert time.monotonic() - began < 2


def test_words_that_quote_the_end_mark_do_not_end_the_stream() -> None:
    quoting = events(chunk({"content": "a\ndata: [DONE]\n"}), chunk({"content": "b"}, "stop"))
    assert _reply(posted(stream(quoting))).text == "a\ndata: [DONE]\nb"


@pytest.mark.parametrize("data", [events(*WORDS[:2], end=""), b"data: {\n\n", b": nothing\n\n", b"data: [DONE]\n\n"])
def test_a_stream_that_breaks_off_is_tried_again(data: bytes) -> None:
    assert _reply(posted(stream(data), reply("whole"))).text == "whole"
    with pytest.raises(MLLMBadReplyError, match="did not return a chat completion"):
        posted(stream(data))


def test_an_error_in_a_stream_counts_by_its_code() -> None:
    limit = {"error": {"message": "slow down", "code": 429}}
    assert _reply(posted(stream(events(WORDS[0], limit)), reply("whole"))).text == "whole"
    named = b'event: error\ndata: {"message": "no such model", "code": 404}\n\n'
    with pytest.raises(MLLMError, match="no such model"):
        posted(stream(named))


def test_a_stream_without_end_is_cut_off_by_time_and_by_size() -> None:
    word = events(WORDS[1], end="")
    with pytest.raises(MLLMTimeoutError, match="did not finish"):
        posted(stays_open(word, more=b": ping\n\n"), endpoint=replace(QUICK, reply_s=0.3))
    with pytest.raises(MLLMTimeoutError, match="had no end"):
        posted(stays_open(word, 0.0, word * 1000), endpoint=replace(QUICK, max_reply_bytes=1 << 18))


KEYS = ["choices", "delta", "message", "content", "tool_calls", "function", "index", "id", "name", "arguments", "error"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda odd: st.lists(odd) | st.dictionaries(st.sampled_from(KEYS), odd),
    max_leaves=12,
)


@given(st.lists(ODD, max_size=4), ODD, st.sampled_from(["stop", None, [], {}]))
def test_any_chunks_become_a_reply_or_a_value_error(odd: list[Any], choice: Any, finish: Any) -> None:
    chunks = [*odd, {"choices": [choice]}, {"choices": [{"delta": choice, "finish_reason": finish}]}]
    for each in ([one] for one in chunks):
        try:
            _reply(joined(events(*each)))
        except ValueError:
            continue


@given(st.binary(max_size=200))
def test_any_bytes_become_a_reply_or_a_value_error(data: bytes) -> None:
    try:
        joined(b"data: " + data)
    except ValueError:
        return
