"""Odd notations of models that have one reading are read; those with several are asked about."""

from typing import Any

import pytest

from sam3agent.agent.decisions import NoCallError, offered_name, read_call, read_judgement
from sam3agent.mllm.base import MLLMReply, ToolCall
from sam3agent.tools.registry import ToolUseError, all_tools

REGISTRY = all_tools()
TOOLS = tuple(REGISTRY)
IDS = {
    "one number": ("1", [1]), "a float": ("1.0", [1]), "text": ('"1, 3"', [1, 3]), "words": ('"mask 2"', [2]),
    "a sentence": ('"masks 1, 2 and 3"', [1, 2, 3]), "texts": ('["mask 1", "#2"]', [1, 2]),
    "a list as text": ('"[1, 2]"', [1, 2]), "nested": ("[[1, 2]]", [1, 2]), "objects": ('[{"id": 4}]', [4]),
    "twice": ("[2, 2]", [2]), "a name": ('"mask_7"', [7]),
}  # fmt: skip
UNCLEAR = ['"1-3"', '"all"', "[true]", "true", "[1.5]", '"2 masks"', '{"1": 1}', "[null]", '"two"', '"first"', '"1/3"',
           '"player 2"', "[[1], [2]]"]  # fmt: skip


@pytest.mark.parametrize(("written", "ids"), IDS.values(), ids=IDS.keys())
@pytest.mark.parametrize("tool", ["select_masks", "examine_masks", "measure_masks"])
def test_ids_with_one_reading(tool: str, written: str, ids: list[int]) -> None:
    assert REGISTRY[tool].parse(f'{{"ids": {written}}}').ids == ids


@pytest.mark.parametrize("written", UNCLEAR)
@pytest.mark.parametrize("tool", ["select_masks", "examine_masks", "measure_masks"])
def test_ids_with_several_readings_are_asked_about(tool: str, written: str) -> None:
    with pytest.raises(ToolUseError, match="ids"):
        REGISTRY[tool].parse(f'{{"ids": {written}}}')


@pytest.mark.parametrize(
    ("written", "phrases"),
    [('"dog"', ["dog"]), ('"[\\"dog\\"]"', ["dog"]), ('{"phrase": "dog"}', ["dog"]), ('[["dog"]]', ["dog"]),
     ('["red, white ball"]', ["red, white ball"])],
)  # fmt: skip
def test_phrases_with_one_reading(written: str, phrases: list[str]) -> None:
    assert REGISTRY["segment_phrase"].parse(f'{{"phrases": {written}}}').phrases == phrases


def test_one_text_that_may_be_several_phrases_is_asked_about() -> None:
    with pytest.raises(ToolUseError, match=r"write a list: \['dog', 'cat'\]"):
        REGISTRY["segment_phrase"].parse({"phrases": "dog, cat"})


@pytest.mark.parametrize(
    "arguments",
    ['{"ids": [1]}', '"{\\"ids\\": [1]}"', "{'ids': [1]}", '{"arguments": {"ids": [1]}}', '{"mask_ids": [1]}',
     '{"IDs": 1}', '{ids: [1,]}', '[{"ids": [1]}]', '{"ids": [1], "reason": null}',
     '{"ids": [1], "reason": ["a", "b"]}', '{"masks": "1"}', '\ufeff{"ids": [1]}',
     '```json\n{"ids": [1]}\n```', '{"ids": [1]}}', '{"ids": [1]}<|im_end|>',
     '{}{"ids": [1]}', '{"ids": [1]}{"ids": [1]}',
     '{"ids": [1], "reason": "two\nlines"}', '{"name": "select_masks", "arguments": {"ids": [1]}}',
     '{"type": "object", "properties": {"ids": [1]}}', '{"ids": "1,"}', '{"ids": "id=1"}'],
)  # fmt: skip
def test_arguments_in_odd_forms(arguments: str) -> None:
    assert REGISTRY["select_masks"].parse(arguments).ids == [1]


@pytest.mark.parametrize(
    "around",
    [
        "{}<|im_end|>",
        "{}}}",
        "</s>{}</s></s>",
        "```json\n{}\n```",
        "{}<|im_end|>{}",
        "```json\n{}\n```\n```json\n{}\n```",
        "{}</s>} </s> ]",
    ],
)
def test_what_stands_around_arguments_is_left_out_and_nothing_within_them(around: str) -> None:
    written = '{"ids": [1], "reason": "a </b> and <|x|> in ``` it"}'
    assert REGISTRY["select_masks"].parse(around.replace("{}", written)).reason == "a </b> and <|x|> in ``` it"


def test_unknown_arguments_are_dropped_and_named() -> None:
    arguments, dropped = REGISTRY["select_masks"].read('{"ids": [1], "notes": "since asked", "mode": 3}')
    assert (arguments.ids, dropped) == ([1], ("notes", "mode"))


@pytest.mark.parametrize(
    "arguments",
    [
        '{"ids": [1, 2], "exclude": [2]}',
        '{"ids": [1], "IDs": [2]}',
        '{"idid": [1]}',
        '{"ids": [1], "ids": [2]}',
        "{'ids': [1], 'ids': [2]}",
        '{"ids": [1]}{"ids": [2]}',
        '{"ids": [1, 2]} but not 2',
        '{"ids": [1, 2]',
        '{"arguments": {"ids": [1, 2]}, "exclude": [2]}',
        '{"arguments": {"ids": [1]}, "ids": [2]}',
        '{"ids": "1, no 2"}',
    ],
)
def test_arguments_that_contradict_each_other_are_asked_about(arguments: str) -> None:
    with pytest.raises(ToolUseError):
        REGISTRY["select_masks"].parse(arguments)


@pytest.mark.parametrize("given", [{"id": "mask 2"}, {"id": [2]}, {"id": 2.0}, {"id": "2", "phrases": []}])
def test_the_id_of_track(given: dict[str, Any]) -> None:
    assert REGISTRY["track"].parse(given).id == 2


def test_what_is_no_single_number_is_told_so() -> None:
    with pytest.raises(ToolUseError, match="'x' is not one whole number"):
        REGISTRY["track"].parse({"id": "x"})


WRITTEN = {
    "bare function": "I search.\n<function=select_masks><parameter=ids>[1]</parameter></function>\n</tool_call>",
    "open function": "<function=select_masks><parameter=ids>[1]",
    "function with JSON": '<function=select_masks>{"ids": [1]}</function>',
    "invoke": '<invoke name="select_masks"><parameter name="ids">[1]</parameter></invoke>',
    "literal": "{'name': 'select_masks', 'arguments': {'ids': [1], 'reason': \"it's\"}}",
    "literal in a tag": "<tool_call>{'name': 'select_masks', 'arguments': {'ids': [1]}}</tool_call>",
    "pairs": "<tool_call>select_masks\n<arg_key>ids</arg_key>\n<arg_value>[1]</arg_value>\n</tool_call>",
    "channel": 'commentary to=functions.select_masks <|constrain|>json<|message|>{"ids": [1]}<|call|>',
    "tokens": '<｜tool▁call▁begin｜>select_masks<｜tool▁sep｜>{"ids": [1]}<｜tool▁call▁end｜>',
    "list": '[TOOL_CALLS] [{"name": "select_masks", "arguments": {"ids": [1]}}]',
    "python": "[select_masks(ids=[1], reason='x')]",
    "fenced python": "```python\nselect_masks(ids=[1])\n```",
    "only key": '{"select_masks": {"ids": [1]}}',
    "name before": 'I call `select_masks` {"ids": [1]}',
    "after thinking": '<think>{"name": "select_masks", "arguments": {"ids": [9]}}</think>{"name": "select_masks", '
    '"arguments": {"ids": 1}}',
}  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
@pytest.mark.parametrize("field", ["text", "reasoning"])
def test_calls_written_in_many_ways(text: str, field: str) -> None:
    call = read_call(MLLMReply(**{field: text}), TOOLS)
    assert call.name == "select_masks"
    assert REGISTRY["select_masks"].parse(call.arguments).ids == [1]


@pytest.mark.parametrize(
    "name",
    ["functions.select_masks", "select_masks<|channel|>commentary", "default_api:select_masks",
     "mcp__sam3__select_masks", "Select-Masks", "selectMasks", "tools/select_masks", "select_masks()",
     " select_masks\n", "select_mask", "select masks", "functions_select_masks", "sam3agent_select_masks"],
)  # fmt: skip
def test_the_one_tool_that_a_name_contains(name: str) -> None:
    assert offered_name(name, TOOLS) == "select_masks"


@pytest.mark.parametrize("name", ["select_masks|report_no_match", "unselect_masks", "select", "", "masks", "retrack"])
def test_a_name_with_no_or_several_tools_is_not_guessed(name: str) -> None:
    assert offered_name(name, TOOLS) is None


def test_different_final_calls_are_asked_about_but_repeated_ones_are_one() -> None:
    one, other = ToolCall("select_masks", '{"ids": [1]}'), ToolCall("select_masks", '{"ids": [2]}')
    same, search = (
        ToolCall("select_masks", '{"ids": [1], "reason": "x"}'),
        ToolCall("segment_phrase", '{"phrases": "a"}'),
    )
    with pytest.raises(ToolUseError, match="different calls"):
        read_call(MLLMReply(tool_calls=(one, other)), TOOLS)
    assert read_call(MLLMReply(tool_calls=(one, same)), TOOLS) == one
    assert read_call(MLLMReply(tool_calls=(search, one)), TOOLS) == search


def test_a_call_without_a_name_does_not_hide_one_in_the_text() -> None:
    reply = MLLMReply(text="select_masks(ids=[1])", tool_calls=(ToolCall("", ""),))
    assert read_call(reply, TOOLS) == ToolCall("select_masks", '{"ids": [1]}')


def test_a_reply_without_a_call_is_told_apart() -> None:
    for reply in (MLLMReply(), MLLMReply(text="On the left.")):
        with pytest.raises(NoCallError):
            read_call(reply, TOOLS)
    with pytest.raises(NoCallError, match="--reasoning-parser"):
        read_call(MLLMReply(reasoning="The leftmost one is mask 1."), TOOLS)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"verdict": "Accept."}', "accept"), ('{"verdict": true}', "accept"), ('{"verdict": "yes"}', "accept"),
        ('{"verdict": "no"}', "reject"), ('{"Verdict": "**REJECT**"}', "reject"), ('{"verdict": false}', "reject"),
        ("{'verdict': 'unsure', 'reason': 'it\\'s dark'}", "unsure"), ("Accept.", "accept"), ("**reject**", "reject"),
        ('{"verdict": "not sure"}', "unsure"), ('{"answer": "yes", "reason": "white kit"}', "accept"),
        ('<think>{"verdict": "reject"}</think>{"verdict": "accept"}', "accept"), ("Verdict: accept", "accept"),
        ('```json\n{"verdict": "accept", "reason": "no"}\n```', "accept"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["text", "reasoning"])
def test_odd_verdicts_with_one_reading(text: str, verdict: str, field: str) -> None:
    assert read_judgement(MLLMReply(**{field: text})).verdict == verdict


@pytest.mark.parametrize(
    "text",
    ['{"verdict": "accept"} or {"verdict": "reject"}', '{"verdict": "accept | reject | unsure"}', '{"verdict": 1}',
     "yes, but it covers two players", '{"accept": true, "reject": true}', '{"accept": false}', '{"verdict": null}',
     "It is not acceptable.", '{"answer": "yes", "correct": "no"}', '{"reason": "yes"}'],
)  # fmt: skip
def test_verdicts_with_several_readings_are_asked_about(text: str) -> None:
    with pytest.raises(ToolUseError, match="verdict"):
        read_judgement(MLLMReply(text=text))


@pytest.mark.parametrize("tool", TOOLS)
def test_the_example_of_every_tool_is_a_valid_call(tool: str) -> None:
    REGISTRY[tool].parse(REGISTRY[tool].example((3,)))
