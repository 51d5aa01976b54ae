"""Earlier tool calls: as calls where a server takes them, else as text; and one prefix for all requests."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sam3agent.mllm.base import JSONSchema, Message, MLLMRequest, Text, ToolCall, ToolSchema
from sam3agent.mllm.profiles import PROFILES, Profile
from sam3agent.mllm.tool_text import parse_tool_calls
from sam3agent.mllm.wire import to_messages
from tests.mllm.fault_server import Behaviour, FaultServer, error, fault_server, reply
from tests.mllm.test_server_habits import SEARCH, ask, capable, texts

TOOL = ToolSchema("segment_phrase", "Find objects.", {"type": "object"})
SCHEMA = JSONSchema("judgement", {"type": "object"})
CALL = ToolCall("segment_phrase", '{"phrases":["dog"]}')
NATIVE, IN_WORDS = PROFILES["vllm"], replace(PROFILES["vllm"], tools=False)


def request(**changes: Any) -> MLLMRequest:
    messages = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("the dog"),)),
        Message("assistant", (), CALL),
        Message("tool", (Text('"dog": mask 1'),)),
        Message("user", (Text("Which?"),)),
    )
    return MLLMRequest(**{"messages": messages, "tools": (TOOL,), **changes})


def test_calls_are_sent_as_calls_with_their_results() -> None:
    call, result, last = to_messages(request(), NATIVE)[2:]
    (made,) = call["tool_calls"]
    assert call["role"] == "assistant" and call["content"] is None
    assert made["function"] == {"name": "segment_phrase", "arguments": '{"phrases":["dog"]}'}
    assert result == {"role": "tool", "content": '"dog": mask 1', "tool_call_id": made["id"]}
    assert len(made["id"]) == 9 and made["id"].isalnum(), "what Mistral's templates require"
    assert last == {"role": "user", "content": "Which?"}


@pytest.mark.parametrize("profile", [IN_WORDS, replace(NATIVE, tool_messages=False)])
def test_calls_in_words_are_in_the_notation_that_is_asked_for(profile: Profile) -> None:
    call, last = to_messages(request(), profile)[2:]
    assert call["role"] == "assistant"
    assert parse_tool_calls(call["content"]) == (ToolCall("segment_phrase", '{"phrases": ["dog"]}'),)
    assert last["role"] == "user" and '"dog": mask 1' in str(last["content"]) and "Which?" in str(last["content"])


@pytest.mark.parametrize("profile", [NATIVE, IN_WORDS, replace(NATIVE, tool_messages=False), PROFILES["generic"]])
def test_looks_and_calls_share_their_prefix(profile: Profile) -> None:
    act, look = (to_messages(r, profile) for r in (request(), request(json_schema=SCHEMA)))
    assert act[:-1] == look[:-1]
    assert ("Find objects." in str(act[0])) == (not profile.tools), "tools are described where they are not sent"


def test_how_to_call_a_tool_is_said_only_where_a_call_is_wanted() -> None:
    act, look = (to_messages(r, IN_WORDS)[-1] for r in (request(), request(json_schema=SCHEMA)))
    assert "Call exactly one" in str(act) and "Call exactly one" not in str(look)


REFUSALS = [
    error(400, "Unexpected role 'user' after role 'tool'"),
    error(500, "Jinja Exception: conversation roles must alternate user and assistant roles except for tool calls"),
    error(400, "messages[3].role: unknown variant `tool`, expected one of `system`, `user`, `assistant`"),
    error(422, "messages.3.tool_call_id: extra fields not allowed"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_server_without_the_tool_role_gets_calls_in_words(refusal: Behaviour) -> None:
    def strict(sent: dict[str, Any]) -> Behaviour | None:
        return refusal if any(message["role"] == "tool" for message in sent["messages"]) else None

    with fault_server(default=capable(unless=strict)) as server:
        answer = ask(server)
    assert (answer.status, [mask.id for mask in answer.masks]) == ("answered", [1])
    assert refused(server) == 1, "it is not tried again"
    assert server.requests[-1]["tools"], "it still takes tools"
    assert "<tool_call>" in texts(server.requests[-1])


def refused(server: FaultServer) -> int:
    return sum(any(message["role"] == "tool" for message in sent["messages"]) for sent in server.requests)


def test_a_question_has_one_prefix_of_bytes() -> None:
    doubtful = ("select_masks", {"what": "player in white", "ids": [2], "keep": ["leftmost"]})
    with fault_server(reply(calls=[SEARCH]), reply(calls=[doubtful]), default=capable()) as server:
        ask(server)
    assert any("Judge only this" in texts(sent) for sent in server.requests)
    assert len({json.dumps(sent["messages"][:2]) for sent in server.requests}) == 1
    assert len({json.dumps(sent["messages"][:4]) for sent in server.requests[1:]}) == 1
    assert len({json.dumps(sent["tools"]) for sent in server.requests}) == 1
