"""Tool calls written as markup: what a model says when its server has no parser for it.

Read are the Hermes form `<tool_call>{"name": …, "arguments": {…}}</tool_call>` and the Qwen coder form
`<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`, the last one possibly unclosed.
Other JSON in a reply is the agent's to read, not the backend's.
"""

import json
import re
from typing import Any

from sam3agent.mllm.base import ToolCall

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>(.*?)</parameter>", re.DOTALL)
MOST_TEXT = 20_000
"""Characters of a reply that are searched, so that no reply takes long to read."""


def parse_tool_text(text: str) -> tuple[ToolCall, ...]:
    """Every marked tool call in a reply, in order, after what the model thought aloud; empty if there is none."""
    spoken = text.rpartition("</think>")[2][:MOST_TEXT]
    calls = (_parse_call(written.strip()) for written in _CALL.findall(spoken))
    return tuple(call for call in calls if call is not None)


def _parse_call(text: str) -> ToolCall | None:
    function = _FUNCTION.match(text)
    if function:
        arguments = {key: _value(value.strip()) for key, value in _PARAMETER.findall(function.group(2))}
        return ToolCall(function.group(1), json.dumps(arguments))
    call = _value(text)
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", {})
    return ToolCall(call["name"], arguments if isinstance(arguments, str) else json.dumps(arguments))


def _value(text: str) -> Any:
    """A parameter's value: JSON where it is JSON, the bare words otherwise."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
