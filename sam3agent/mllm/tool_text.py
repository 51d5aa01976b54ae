"""Tool calls and JSON objects in the text of a reply, for servers that do not parse tool calls themselves.

The notations that are read, in this order:

- tags: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`; `<function=name>` or `<invoke name="name">`, in
  `<tool_call>` or bare, with `<parameter=key>value</parameter>` or JSON inside, also with prefixes (`<x:invoke …>`);
  `<arg_key>` and `<arg_value>`
- elements: `<name>…</name><arguments>…</arguments>`, and a tool's own name as a tag
- channels: `to=functions.name <|message|>{…}`, `name<|tool_sep|>{…}` and the like
- JSON objects, or literals of Python, with a name and arguments, or with the name of a tool as their only key or just
  before them: `name[ARGS]{…}`, `Action: name`, `Action Input: {…}`
- calls of Python: `name(key=value)`, alone, in a list, in `print(…)`, or as the last lines of a text

Reasoning before `</think>` and the like is ignored. Nothing is evaluated.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from sam3agent.mllm.base import ToolCall
from sam3model.untrusted import literal_value, read_literal

MAX_TEXT, MAX_ELEMENTS, MAX_TRIES = 20_000, 4_000, 100
"""Maximum number of characters, also between tags, and of opening braces that are parsed: no reply takes long."""

_PREFIX = r"(?:[\w-]{1,30}:|[|｜]\w{1,30}[|｜])?"
_MORE = r"(?:\s[^<>]{0,80})?"
_CALL = re.compile(
    r"<(tool_calls?|function_calls?|\|tool_call_start\|)>(.*?)(?:</\1>|<\|tool_call_end\|>|(?=<\1>)|\Z)", re.DOTALL
)
_FUNCTION = re.compile(
    rf"<{_PREFIX}(?:function=|(?:function|invoke|tool)\s+name=)[\"']?([\w.:/-]+)[\"']?{_MORE}>"
    rf"(.*?)(?:</{_PREFIX}(?:function|invoke|tool)>|</tool_call>|(?=<{_PREFIX}(?:function|invoke)\b)|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    rf"<{_PREFIX}(?:parameter=|(?:parameter|arg|param)\s+name=)[\"']?([\w.-]+)[\"']?{_MORE}>"
    rf"(.*?)(?:</{_PREFIX}(?:parameter|arg|param)>|(?=<{_PREFIX}(?:parameter|arg|param)\b)|\Z)",
    re.DOTALL,
)
_ELEMENTS = re.compile(
    r"<(?:tool_|function_)?name>\s*([\w.:/-]{1,80})\s*</(?:tool_|function_)?name>\s*"
    r"<(arguments|parameters|args|params|input|tool_input)>(.*?)(?:</\2>|\Z)",
    re.DOTALL,
)
_CHILD = re.compile(r"<(\w{1,40})>(.*?)</\1>", re.DOTALL)
_ATTRIBUTE = re.compile(r"([\w-]{1,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_PAIR = re.compile(r"<arg_key>\s*([\w.-]+)\s*</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|(?=<arg_key>)|\Z)", re.DOTALL)
_NAMED = re.compile(r"\s*([\w.:/-]{1,80})\s*(?=<arg_key>)")
_CHANNEL = re.compile(
    r"(?:\bto=|<[|｜]tool[_▁]call[_▁]begin[|｜]>(?:function<[|｜]tool[_▁]sep[|｜]>)?)\s*([\w.:/-]{1,80})"
    r"[^{]{0,120}?(?=\{)"
)
_NAME_BEFORE = re.compile(
    r"(\w{1,80})(?:\[CALL_ID\]\w{1,40})?[\s:`\"'*(=>\[-]{0,8}"
    r"(?:(?:ARGS|Action Input|Arguments|Parameters|Input)[\s:`\"'*=\]]{1,8})?\Z",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```\w*|\A\s*<\|python_tag\|>|<\|(?:python_start|python_end|eot_id|eom_id|im_end)\|>")
_THOUGHT = re.compile(r"</(?:\w{1,20}:)?(?:think|thinking|thought|reasoning)>|\[/THINK\]", re.IGNORECASE)
_NAMES = ("name", "tool", "function", "tool_name", "function_name", "recipient_name", "action", "call")
ARGUMENTS = (
    "arguments", "parameters", "args", "input", "params", "action_input", "tool_input", "tool_args", "kwargs",
)  # fmt: skip
"""Names under which models and gateways put the arguments of a call."""
_LISTS = ("tool_calls", "tool_uses", "function_calls", "calls", "actions")
_NO_ARGUMENTS = ("type", "id", "call_id", "tool_call_id", *_NAMES)


def parse_tool_calls(text: str, names: Collection[str] = ()) -> tuple[ToolCall, ...]:
    """All tool calls in a text, in order, of the first notation that is found. names: tools that may be meant."""
    text = _after_thinking(text)
    for notation in (_tagged, _in_elements, _in_channels, _as_objects, _as_python):
        if calls := tuple(notation(text, names)):
            return calls
    return ()


def calls_in(value: Any) -> list[ToolCall]:
    """The calls in a value that a server sends as calls: an object, or its JSON text, or several in a list or by index.

    What is none becomes a call without a name, for the agent to complain about.
    """
    if isinstance(value, str):
        try:
            value = read_literal(value) if value.strip() else []
        except ValueError:
            value = [value]
    if isinstance(value, dict):
        by_index = value and all(str(key).isdigit() for key in value)
        value = list(value.values()) if by_index else [value] if _from_object(value, ()) else []
    if not isinstance(value, list):
        return []
    made = list[ToolCall]()
    for one in value:
        if isinstance(one, str):
            made += [call for item, _ in _objects(one) for call in _from_object(item, ())] or [ToolCall("", "")]
        else:
            nameless = _arguments(_function(one)) if isinstance(one, dict) else ""  # of use if one tool was asked for
            made += _from_object(one, ()) or [ToolCall("", nameless)]
    return made


def json_objects(text: str) -> list[str]:
    """The outermost objects in a text, in JSON or as literals of Python, in order, as JSON."""
    return [json.dumps(value) for value, _ in _objects(_after_thinking(text))]


def _after_thinking(text: str) -> str:
    end = max((found.end() for found in _THOUGHT.finditer(text)), default=0)
    return text[end : end + MAX_TEXT]


def _tagged(text: str, names: Collection[str]) -> Iterator[ToolCall]:
    functions = list(_FUNCTION.finditer(text))
    if functions:
        yield from (_from_markup(found[1], found[2]) for found in functions)
        return
    for body in (found[2] for found in _CALL.finditer(text)):
        if named := _NAMED.match(body):
            yield _from_pairs(named[1], _PAIR.findall(body))
            continue
        for value, _ in _objects(body):
            yield from _from_object(value, names)
        if "{" not in body:
            yield from _as_python(body, names)


def _from_markup(name: str, body: str) -> ToolCall:
    """A call whose arguments are parameters in tags, or JSON."""
    parameters = _PARAMETER.findall(body)
    if not parameters and body.strip():
        return ToolCall(name, body.strip())
    return _from_pairs(name, parameters)


def _in_elements(text: str, names: Collection[str]) -> Iterator[ToolCall]:
    """Calls in elements for name and arguments, or in an element that has the name of a tool."""
    made = [(found.start(), _from_element(found[1], found[3], "")) for found in _ELEMENTS.finditer(text)]
    for name in names:
        begin = rf"<{re.escape(name)}(\s[^<>]*?)?"
        found = list(re.finditer(rf"{begin}()/>", text))
        if f"</{name}>" in text:
            found += re.finditer(rf"{begin}(?<!/)>(.*?)</{re.escape(name)}>", text, re.DOTALL)
        made += [(one.start(), _from_element(name, one[2], one[1] or "")) for one in found]
    yield from (call for _, call in sorted(made, key=lambda pair: pair[0]))


def _from_element(name: str, body: str, attributes: str) -> ToolCall:
    """A call whose arguments are JSON, child elements or attributes."""
    if body.strip().startswith("{"):
        return ToolCall(name, body.strip())
    pairs = _CHILD.findall(body[:MAX_ELEMENTS]) or [
        (key, first or second) for key, first, second in _ATTRIBUTE.findall(attributes)
    ]
    return _from_pairs(name, pairs)


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
        if calls := _from_object(value, names):
            yield from calls
        elif (named := _NAME_BEFORE.search(text[max(0, start - 100) : start])) and named[1] in names:
            yield ToolCall(named[1], json.dumps(value))


def _from_object(data: Any, names: Collection[str]) -> list[ToolCall]:
    """The call in `{"name": …, "arguments": …}` and the like, or several in a list; none if it is something else."""
    if not isinstance(data, dict):
        return []
    several = next((data[key] for key in _LISTS if isinstance(data.get(key), list)), None)
    if several is not None:
        return [call for one in several if not isinstance(one, list) for call in _from_object(one, names)]
    data = _function(data)
    name = next((data[key] for key in _NAMES if data.get(key)), None)
    if not isinstance(name, str):
        keys = [key for key in data if key in names]
        return [ToolCall(keys[0], _text(data[keys[0]]))] if len(data) == 1 and keys else []
    beside = {key: value for key, value in data.items() if key not in _NO_ARGUMENTS} if name in names else {}
    return [ToolCall(name, _arguments(data, beside))]


def _function(call: dict[str, Any]) -> dict[str, Any]:
    """What a call says of its function, which may be an object of its own."""
    return call["function"] if isinstance(call.get("function"), dict) else call


def _arguments(function: dict[str, Any], otherwise: Any = "") -> str:
    """The arguments of a function as text."""
    return _text(next((function[key] for key in ARGUMENTS if function.get(key) is not None), otherwise))


def _as_python(text: str, names: Collection[str]) -> Iterator[ToolCall]:
    """Calls with keywords in the notation of Python, if the text is nothing else, or ends in the only one of a tool."""
    source = _FENCE.sub("", text).strip()
    if "(" not in source or len(source) > MAX_TEXT:
        return
    calls = _python_calls(source)
    if not calls and names:
        known = "|".join(re.escape(name) for name in names)
        found = list(re.finditer(rf"(?m)^[ \t]*((?:{known})\s*\()|\b(?:{known})\s*\(", source))
        if len(found) == 1 and found[0][1]:
            calls = _python_calls(source[found[0].start(1) :])
    yield from calls


def _python_calls(source: str) -> list[ToolCall]:
    """The calls that a text of Python consists of; none if it is anything else."""
    try:
        statements = ast.parse(source).body
        made = list[ToolCall]()
        for statement in statements:
            value = statement.value if isinstance(statement, ast.Expr) else None
            for item in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
                call = _printed(item)
                if not isinstance(call, ast.Call) or call.args:
                    return []
                pairs = {keyword.arg or "": literal_value(keyword.value) for keyword in call.keywords}
                made.append(ToolCall(ast.unparse(call.func)[:80], json.dumps(pairs)))
        return made
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _printed(node: ast.expr | None) -> ast.expr | None:
    """What is between the brackets of `print(…)`; any other node itself."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and len(node.args) == 1:
        return node.args[0]
    return node


def _objects(text: str) -> list[tuple[dict[str, Any], int]]:
    """The outermost objects of a text and where they begin."""
    decoder, found, at = json.JSONDecoder(strict=False), list[tuple[dict[str, Any], int]](), text.find("{")
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
