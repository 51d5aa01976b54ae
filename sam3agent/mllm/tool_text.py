"""Tool calls and JSON objects in the text of a reply, for servers that do not parse tool calls themselves.

Three forms are supported: Hermes `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, Qwen coder
`<tool_call><function=name><parameter=key>value</parameter></function></tool_call>` (the last tag may be missing), and
JSON objects anywhere in the text. Reasoning before `</think>` is ignored.
"""

import json
import re
from typing import Any

from sam3agent.mllm.base import ToolCall

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>(.*?)</parameter>", re.DOTALL)
MAX_TEXT, MAX_TRIES = 20_000, 100
"""Maximum number of characters, and of opening braces, that are parsed, so that no reply takes long."""


def parse_tool_calls(text: str) -> tuple[ToolCall, ...]:
    """All tool calls in a text, in order: those in tags; if there are none, those written as JSON objects."""
    text = _after_thinking(text)
    tagged = [call for body in _CALL.findall(text) if (call := _parse_tag(body.strip())) is not None]
    return tuple(tagged or [call for found in _objects(text) if (call := _parse_call(json.loads(found))) is not None])


def json_objects(text: str) -> list[str]:
    """The outermost JSON objects in a text, in order."""
    return _objects(_after_thinking(text))


def _after_thinking(text: str) -> str:
    return text.rpartition("</think>")[2][:MAX_TEXT]


def _parse_tag(text: str) -> ToolCall | None:
    function = _FUNCTION.match(text)
    if function:
        arguments = {key: _value(value.strip()) for key, value in _PARAMETER.findall(function.group(2))}
        return ToolCall(function.group(1), json.dumps(arguments))
    return _parse_call(_value(text))


def _parse_call(data: Any) -> ToolCall | None:
    """A call from `{"name": …, "arguments": …}`, possibly under the key `function`; None if it is something else."""
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
    for _ in range(MAX_TRIES):  # limited, because each attempt may read the rest of the text
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
    """The value of a parameter: parsed if it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
