"""A server that rejects options of a request: they are dropped, or said in words, and the request is sent again."""

import pytest

from sam3agent.agent.decisions import read_call
from sam3agent.mllm import errors
from sam3agent.mllm.base import MLLMReply
from tests.mllm.fault_server import error, fault_server, reply
from tests.mllm.test_openai_faults import SCHEMA, ask, backend, question, run


@pytest.mark.parametrize(
    ("refusal", "dropped", "kept"),
    [
        ("Invalid tool_choice type", "tool_choice", "tools"),
        ("parallel_tool_calls is not supported", "parallel_tool_calls", "tool_choice"),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser', "tools", "temperature"),
        ("registry.ollama.ai/library/x does not support tools", "tools", "max_tokens"),
        ("'temperature' does not support 0 with this model", "temperature", "tools"),
        ("'max_tokens' is too large: the maximum context length is 99", "max_tokens", "tools"),
    ],
)
def test_a_rejected_option_is_dropped_permanently(refusal: str, dropped: str, kept: str) -> None:
    with fault_server(error(400, refusal)) as server:
        client = backend(server)

        async def twice() -> None:
            await client.decide(question())
            await client.decide(question())

        run(twice())
    first, second, third = server.requests
    assert dropped in first
    assert dropped not in second and kept in second
    assert dropped not in third


def test_the_limit_may_have_another_name() -> None:
    with fault_server(
        error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    ) as server:
        ask(server)
    assert server.requests[1]["max_completion_tokens"] == server.requests[0]["max_tokens"]


def test_unsupported_tools_and_schemas_are_sent_as_text() -> None:
    written = '<tool_call>{"name": "segment_phrase", "arguments": {}}</tool_call>'
    refused = [
        error(400, "tools are not supported"),
        reply(written),
        error(400, "response_format: json_schema unknown"),
    ]
    with fault_server(*refused) as server:
        client = backend(server)

        async def both() -> MLLMReply:
            answer = await client.decide(question())
            await client.decide(question(tools=(), json_schema=SCHEMA))
            return answer

        assert read_call(run(both()), ("segment_phrase",)).name == "segment_phrase"
    assert "segment_phrase: Find objects." in server.requests[1]["messages"][0]["content"]
    assert "Call exactly one" in server.requests[1]["messages"][-1]["content"][-1]["text"]
    assert '"verdict"' in server.requests[3]["messages"][-1]["content"][-1]["text"]
    assert server.requests[1]["messages"][0]["content"].startswith("Be brief.")


def test_a_server_that_rejects_every_option() -> None:
    complaint = "tools tool_choice parallel_tool_calls temperature max_tokens max_completion_tokens response_format"
    with fault_server(default=error(400, complaint)) as server, pytest.raises(errors.MLLMRejectedError):
        ask(server)
    assert len(server.requests) < 10
