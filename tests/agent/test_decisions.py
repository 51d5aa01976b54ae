"""Reading replies: what can be understood is, what cannot is named in one sentence, and nothing else is raised."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3agent.agent.decisions import read_call, read_judgement
from sam3agent.mllm.base import MLLMReply, ToolCall
from sam3agent.testing import call
from sam3agent.tools.registry import ToolUseError, all_tools

REGISTRY = all_tools()
TOOLS = tuple(REGISTRY)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "segment_phrase", "arguments": {"phrases": ["dog"]}}</tool_call>',
        'I shall search.\n```json\n{"name": "segment_phrase", "parameters": {"phrases": ["dog"]}}\n```',
        '<think>{"name": "select_masks"}</think>{"tool": "segment_phrase", "arguments": "{\\"phrases\\": \\"dog\\"}"}',
        '{"type": "function", "function": {"name": "segment_phrase", "arguments": {"phrases": ["dog", "dog"]}}}',
    ],
)
def test_a_call_written_as_text_is_understood(text: str) -> None:
    found = read_call(MLLMReply(text=text), TOOLS)
    assert REGISTRY[found.name].parse(found.arguments).phrases == ["dog"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (MLLMReply(), "empty"),
        (MLLMReply(text="The leftmost player is on the left."), "no tool call"),
        (MLLMReply(text="{", finish="length"), "cut off"),
        (MLLMReply(text="I cannot help with that", finish="refusal"), "refusal"),
        (call("delete_everything"), "there is no tool 'delete_everything'"),
    ],
)
def test_what_cannot_be_used_is_named(reply: MLLMReply, said: str) -> None:
    with pytest.raises(ToolUseError, match=said):
        read_call(reply, TOOLS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"ids": "all"}', "ids"),
        ('{"ids": [0]}', "greater than or equal to 1"),
        ('{"ids": []}', "at least 1 item"),
        ('{"ids": [1]', "invalid JSON"),
        ("[1]", "select_masks"),
        ("[" * 100_000, "select_masks"),
    ],
)
def test_wrong_arguments_are_named(arguments: str, said: str) -> None:
    with pytest.raises(ToolUseError, match=said):
        REGISTRY["select_masks"].parse(arguments)


def test_verdicts_are_read_leniently_and_validated() -> None:
    assert read_judgement(MLLMReply(text='Sure: {"verdict": "Accepted", "reason": "a dog"}')).verdict == "accept"
    with pytest.raises(ToolUseError, match="verdict"):
        read_judgement(MLLMReply(text='{"verdict": "maybe"}'))


def test_words_of_a_model_are_one_line_without_control_characters() -> None:
    said = '{"verdict": "accept", "reason": "white\\n\\u001b[31m kit\\ud800"}'
    assert read_judgement(MLLMReply(text=said)).reason == "white [31m kit"
    assert REGISTRY["segment_phrase"].parse({"phrases": "player\nin  white"}).phrases == ["player in white"]
    with pytest.raises(ToolUseError, match="at least 1 character"):
        REGISTRY["segment_phrase"].parse({"phrases": [" \t"]})


@settings(deadline=None)
@given(st.text(), st.sampled_from(["stop", "length", "refusal"]), st.lists(st.tuples(st.text(), st.text()), max_size=2))
def test_any_text_is_a_decision_or_a_complaint(text: str, finish, calls) -> None:
    reply = MLLMReply(text=text, finish=finish, tool_calls=tuple(ToolCall(*c) for c in calls))
    for read in (lambda: read_judgement(reply), lambda: read_call(reply, TOOLS)):
        try:
            read()
        except ToolUseError as error:
            assert str(error)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_as_arguments_is_parsed_or_complained_about(value: object) -> None:
    for tool in REGISTRY.values():
        try:
            tool.parse(json.dumps(value))
        except ToolUseError as error:
            assert tool.name in str(error)


@pytest.mark.parametrize("text", ["{" * 20_000, '{"a":' * 9_000, '{"a' * 9_000, '{"a": [' * 9_000])
def test_a_heap_of_braces_is_read_in_no_time(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ToolUseError, match="no tool call"):
        read_call(MLLMReply(text=text), TOOLS)
    assert time.process_time() - started < 1


def test_one_definition_makes_the_schema_and_the_docs() -> None:
    schema = REGISTRY["segment_phrase"].schema
    assert schema.description.startswith("Find all instances")
    assert schema.parameters["required"] == ["phrases"]
    assert "title" not in json.dumps(schema.parameters)
