"""Tool calls and JSON written into the text of a reply, as models do when their server does not parse tool calls.

Supported are the Hermes form `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, the Qwen coder form
`<tool_call><function=name><parameter=key>value</parameter></function></tool_call>` (the last call possibly unclosed),
and JSON objects in a fenced block or bare in the text. Reasoning before `</think>` is ignored.
"""

import json
import re
from typing import Any

from sam3agent.mllm.base import ToolCall

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>(.*?)</parameter>", re.DOTALL)
MAX_TEXT, MAX_TRIES = 20_000, 100
"""Characters of a reply, and opening braces in them, that are searched, so that no reply takes long to read."""


def parse_tool_calls(text: str) -> tuple[ToolCall, ...]:
    """All tool calls in a text, in order: those in markup, or else those written as JSON objects."""
    spoken = _after_thinking(text)
    marked = [call for written in _CALL.findall(spoken) if (call := _parse_markup(written.strip())) is not None]
    return tuple(marked or [call for found in _objects(spoken) if (call := _parse_call(json.loads(found))) is not None])


def json_objects(text: str) -> list[str]:
    """The outermost JSON objects in a text, in order."""
    return _objects(_after_thinking(text))


def _after_thinking(text: str) -> str:
    return text.rpartition("</think>")[2][:MAX_TEXT]


def _parse_markup(text: str) -> ToolCall | None:
    function = _FUNCTION.match(text)
    if function:
        arguments = {key: _value(value.strip()) for key, value in _PARAMETER.findall(function.group(2))}
        return ToolCall(function.group(1), json.dumps(arguments))
    return _parse_call(_value(text))


def _parse_call(data: Any) -> ToolCall | None:
    """A call from a JSON object such as `{"name": …, "arguments": …}`, possibly under `function`; else None."""
    if not isinstance(data, dict):
        return None
    data = data["function"] if isinstance(data.get("function"), dict) else data
    name = data.get("name") or data.get("tool")
    arguments = data.get("arguments", data.get("parameters", {}))
    if not isinstance(name, str):
        return None
    return ToolCall(name, arguments if isinstance(arguments, str) else json.dumps(arguments))


def _objects(text: str) -> list[str]:
    decoder, found, at = json.JSONDecoder(), list[str](), text.find("{")
    for _ in range(MAX_TRIES):  # bounded: a failed try may read all of the rest
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict):
                found.append(text[at:end])
        at = text.find("{", end)
    return found


def _value(text: str) -> Any:
    """The value of a parameter: parsed if it is JSON, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
