"""Tool calls and JSON objects in the text of a reply, for servers that do not parse tool calls themselves.

The notations that are read, in this order:

- tags: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`; `<function=name>` or `<invoke name="name">`, in
  `<tool_call>` or bare, with `<parameter=key>value</parameter>` or JSON inside; `<arg_key>` and `<arg_value>`
- channels: `to=functions.name <|message|>{…}`, `name<|tool_sep|>{…}` and the like
- JSON objects, or literals of Python, with a name and arguments, or with the name of a tool as their only key
- calls of Python: `name(key=value)`, alone or in a list

Reasoning before `</think>` is ignored. Nothing is evaluated.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from sam3agent.mllm.base import ToolCall
from sam3model.untrusted import literal_value, read_literal

MAX_TEXT, MAX_TRIES = 20_000, 100
"""Maximum number of characters, and of opening braces, that are parsed, so that no reply takes long."""

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_FUNCTION = re.compile(
    r"<(?:function=|(?:function|invoke|tool)\s+name=)[\"']?([\w.:/-]+)[\"']?\s*>"
    r"(.*?)(?:</(?:function|invoke|tool)>|</tool_call>|(?=<(?:function|invoke)\b)|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"<(?:parameter=|(?:parameter|arg|param)\s+name=)[\"']?([\w.-]+)[\"']?\s*>"
    r"(.*?)(?:</(?:parameter|arg|param)>|(?=<(?:parameter|arg|param)\b)|\Z)",
    re.DOTALL,
)
_PAIR = re.compile(r"<arg_key>\s*([\w.-]+)\s*</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|(?=<arg_key>)|\Z)", re.DOTALL)
_NAMED = re.compile(r"\s*([\w.:/-]{1,80})\s*(?=<arg_key>)")
_CHANNEL = re.compile(
    r"(?:\bto=|<[|｜]tool[_▁]call[_▁]begin[|｜]>(?:function<[|｜]tool[_▁]sep[|｜]>)?)\s*([\w.:/-]{1,80})"
    r"[^{]{0,120}?(?=\{)"
)
_NAME_BEFORE = re.compile(r"(\w{1,80})[\s:`\"'*(=]{0,8}\Z")
_FENCE = re.compile(r"```\w*|\A\s*<\|python_tag\|>|<\|(?:python_start|python_end|eot_id|eom_id|im_end)\|>")


def parse_tool_calls(text: str, names: Collection[str] = ()) -> tuple[ToolCall, ...]:
    """All tool calls in a text, in order, of the first notation that is found. names: tools that may be meant."""
    text = _after_thinking(text)
    for notation in (_tagged, _in_channels, _as_objects, _as_python):
        if calls := tuple(notation(text, names)):
            return calls
    return ()


def json_objects(text: str) -> list[str]:
    """The outermost objects in a text, in JSON or as literals of Python, in order, as JSON."""
    return [json.dumps(value) for value, _ in _objects(_after_thinking(text))]


def _after_thinking(text: str) -> str:
    return text.rpartition("</think>")[2][:MAX_TEXT]


def _tagged(text: str, names: Collection[str]) -> Iterator[ToolCall]:
    functions = list(_FUNCTION.finditer(text))
    if functions:
        yield from (_from_markup(found[1], found[2]) for found in functions)
        return
    for body in _CALL.findall(text):
        if named := _NAMED.match(body):
            yield _from_pairs(named[1], _PAIR.findall(body))
            continue
        for value, _ in _objects(body):
            if call := _from_object(value, names):
                yield call
        if "{" not in body:
            yield from _as_python(body, names)


def _from_markup(name: str, body: str) -> ToolCall:
    """A call whose arguments are parameters in tags, or JSON."""
    parameters = _PARAMETER.findall(body)
    if not parameters and body.strip():
        return ToolCall(name, body.strip())
    return _from_pairs(name, parameters)


def _from_pairs(name: str, pairs: list[tuple[str, str]]) -> ToolCall:
    """A call from keys and values. A key that is there twice stays there twice, for the reader to notice."""
    members = (f"{json.dumps(key)}: {json.dumps(_value(value.strip()))}" for key, value in pairs)
    return ToolCall(name, f"{{{', '.join(members)}}}")


def _in_channels(text: str, _: Collection[str]) -> Iterator[ToolCall]:
    for found in list(_CHANNEL.finditer(text))[:MAX_TRIES]:
        value = next((value for value, start in _objects(text[found.end() :]) if start == 0), None)
        if value is not None:
            yield ToolCall(found[1], json.dumps(value))


def _as_objects(text: str, names: Collection[str]) -> Iterator[ToolCall]:
    for value, start in _objects(text):
        if call := _from_object(value, names):
            yield call
        elif (named := _NAME_BEFORE.search(text[max(0, start - 100) : start])) and named[1] in names:
            yield ToolCall(named[1], json.dumps(value))


def _from_object(data: Any, names: Collection[str]) -> ToolCall | None:
    """A call from `{"name": …, "arguments": …}` and the like; None if it is something else."""
    if not isinstance(data, dict):
        return None
    data = data["function"] if isinstance(data.get("function"), dict) else data
    name = next((data[key] for key in ("name", "tool", "function", "tool_name", "action") if data.get(key)), None)
    if not isinstance(name, str):
        keys = [key for key in data if key in names]
        return ToolCall(keys[0], _text(data[keys[0]])) if len(data) == 1 and keys else None
    keys = ("arguments", "parameters", "args", "input", "params", "action_input")
    return ToolCall(name, _text(next((data[key] for key in keys if key in data), {})))


def _as_python(text: str, _: Collection[str]) -> Iterator[ToolCall]:
    """Calls with keywords in the notation of Python, if the text is nothing else."""
    source = _FENCE.sub("", text).strip()
    if "(" not in source or len(source) > MAX_TEXT:
        return
    try:
        tree = ast.parse(source, mode="eval").body
        for call in tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]:
            if not isinstance(call, ast.Call) or call.args:
                raise ValueError("not a call with keywords")
            pairs = {keyword.arg or "": literal_value(keyword.value) for keyword in call.keywords}
            yield ToolCall(ast.unparse(call.func)[:80], json.dumps(pairs))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _objects(text: str) -> list[tuple[dict[str, Any], int]]:
    """The outermost objects of a text and where they begin."""
    decoder, found, at = json.JSONDecoder(), list[tuple[dict[str, Any], int]](), text.find("{")
    for _ in range(MAX_TRIES):  # limited, because each attempt may read the rest of the text
        if at < 0:
            break
        try:
            end = decoder.raw_decode(text, at)[1]
            value = read_literal(text[at:end])
        except (ValueError, RecursionError):
            value, end = _literal_at(text, at)
        if isinstance(value, dict):
            found.append((value, at))
        at = text.find("{", end)
    return found


def _literal_at(text: str, at: int) -> tuple[Any, int]:
    """A literal of Python that begins at a brace, and where it ends; None if there is none."""
    for end in _closing_braces(text, at):
        try:
            return read_literal(text[at:end]), end
        except ValueError:
            continue
    return None, at + 1


def _closing_braces(text: str, at: int) -> list[int]:
    """Where a literal that begins at a brace may end: at the brace that balances it, with and without strings."""
    depth, quote, ends, plain = 0, "", list[int](), 0
    for place in range(at, min(len(text), at + 4000)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote and text[place - 1] != "\\" else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "{}":
            depth += 1 if sign == "{" else -1
            if depth == 0:
                ends.append(place + 1)
                break
        plain += (sign == "{") - (sign == "}")
        if plain == 0:
            ends.append(place + 1)
            break
    return sorted(set(ends))


def _value(text: str) -> Any:
    """The value of a parameter: parsed if it is a literal, else the text itself."""
    try:
        return read_literal(text)
    except ValueError:
        return text


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
