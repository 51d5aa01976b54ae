"""Tool calls as families of models write them: one reading is read, several or none are not."""

import json
import re
import time

import pytest

from sam3agent.mllm.tool_text import parse_tool_calls

TOOLS = ("segment_phrase", "examine_masks", "select_masks")
ARGUMENTS = '{"ids": [1], "reason": "left"}'
CALL = f'{{"name": "select_masks", "arguments": {ARGUMENTS}}}'
PARAMETERS = '<parameter name="ids">[1]</parameter><parameter name="reason">left</parameter>'
INVOKE = f'<function_calls><invoke name="select_masks">{PARAMETERS}</invoke></function_calls>'


def prefixed(prefix: str) -> str:
    """The markup with a prefix before the name of every element."""
    return re.sub(r"(</?)(function_calls|invoke|parameter)", rf"\1{prefix}\2", INVOKE)


WRITTEN = {
    "list": f"[TOOL_CALLS][{CALL}]",
    "name and ARGS": f"[TOOL_CALLS]select_masks[ARGS]{ARGUMENTS}",
    "name, id and ARGS": f"[TOOL_CALLS]select_masks[CALL_ID]a1b2[ARGS]{ARGUMENTS}",
    "separators": f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>select_masks\n```json\n{ARGUMENTS}\n```",
    "sections": f"<|tool_call_begin|>functions.select_masks:0<|tool_call_argument_begin|>{ARGUMENTS}<|tool_call_end|>",
    "invoke": INVOKE,
    "invoke with a prefix": prefixed("x:"),
    "invoke with bars": prefixed("｜DSML｜").replace('name="ids"', 'name="ids" string="false"'),
    "action and input": f"Thought: the left one.\nAction: select_masks\nAction Input: {ARGUMENTS}",
    "arrow": f"select_masks -> {ARGUMENTS}",
    "own tag with JSON": f"<select_masks>{ARGUMENTS}</select_masks>",
    "own tag with elements": "<select_masks>\n<ids>[1]</ids>\n<reason>left</reason>\n</select_masks>",
    "own tag with attributes": "<select_masks ids='[1]' reason=\"left\"/>",
    "elements": f"<tool_use><name>select_masks</name><arguments>{ARGUMENTS}</arguments></tool_use>",
    "nested elements": "<tool_name>select_masks</tool_name><args><ids>[1]</ids><reason>left</reason></args>",
    "Python in tags": '<|tool_call_start|>[select_masks(ids=[1], reason="left")]<|tool_call_end|>I select mask 1.',
    "Python in words": '<function_calls>\nselect_masks(ids=[1], reason="left")\n</function_calls>',
    "Python printed": '```tool_code\nprint(default_api.select_masks(ids=[1], reason="left"))\n```',
    "Python at the end": 'It is the left one.\n\nselect_masks(ids=[1], reason="left")',
    "the whole message": f'{{"content": null, "tool_calls": [{{"type": "function", "function": {CALL}}}]}}',
    "several uses": f'{{"tool_uses": [{{"recipient_name": "functions.select_masks", "parameters": {ARGUMENTS}}}]}}',
    "arguments beside the name": f'{{"tool": "select_masks", {ARGUMENTS[1:]}',
    "tool_input": f'{{"tool": "select_masks", "tool_input": {ARGUMENTS}}}',
    "function_name": f'{{"function_name": "select_masks", "kwargs": {ARGUMENTS}}}',
    "after a thought": f"<thinking>or {CALL.replace('[1]', '[2]')}?</thinking>{CALL}",
    "after another thought": f"[THINK]or {CALL.replace('[1]', '[2]')}?[/THINK]{CALL}",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_call_in_the_notation_of_another_model(text: str) -> None:
    (call,) = parse_tool_calls(text, TOOLS)
    assert call.name.split(":")[0].split(".")[-1] == "select_masks"
    assert json.loads(call.arguments) == {"ids": [1], "reason": "left"}


NO_CALLS = [
    "I will not call select_masks(ids=[1]), for it is a dog.",
    "select_masks(ids=[1])\nor\nselect_masks(ids=[2])",
    "select_masks([1])",
    "<select_masks> would be too early.",
    "The tool select_masks takes <ids>[1]</ids>.",
    "select_masks(ids=open('/etc/passwd'))",
]


@pytest.mark.parametrize("text", NO_CALLS)
def test_what_is_not_clearly_a_call_is_none(text: str) -> None:
    assert parse_tool_calls(text, TOOLS) == ()


@pytest.mark.parametrize(
    "text",
    ["<select_masks>" * 9_999, "<a><select_masks " * 9_999, "<name>x</name><arguments>" * 9_999, "<x:invoke " * 9_999,
     "<tool_calls>" * 9_999, "select_masks(" * 9_999, "</think>" * 99_999, "<select_masks>" + "<a>" * 9_999,
     '<select_masks a="' * 9_999, "<select_masks>" + "<a>" * 6_000 + "</select_masks>",
     "<select_masks/" * 9_999, "Action Input: {" * 9_999],
)  # fmt: skip
def test_long_malformed_markup_takes_no_time(text: str) -> None:
    started = time.process_time()
    parse_tool_calls(text, TOOLS)
    assert time.process_time() - started < 1
