"""A chat completion that a server streams as server-sent events although none were asked for, as some proxies do.

The chunks become the body that the same reply has without a stream. Reading is bounded by the limits of the transport;
here nothing is read, only joined.
"""

import json
import re
from typing import Any

from sam3model.untrusted import read_json

_END = re.compile(rb"[\r\n]data:[ ]?\[DONE\]")
_FIRST = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")
_LINES = re.compile(r"\r\n|\r|\n")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "thinking")
_TAIL = 16
"""Bytes of the end mark that may lie before the last piece of a body."""


def is_event_stream(content_type: str, data: bytes | bytearray) -> bool:
    """Whether a body is a stream of events, by its header or by how it begins."""
    return content_type.strip().lower().startswith("text/event-stream") or _FIRST.match(data[:64]) is not None


def has_ended(data: bytes | bytearray, new: int) -> bool:
    """Whether the end mark is in the last `new` bytes of a body; some servers keep the connection open after it."""
    last = new + _TAIL
    return _END.search(data[-last:] if len(data) > last else b"\n" + data) is not None


def joined(data: bytes) -> dict[str, Any]:
    """The chat completion, or the error, that a stream comes to.

    Raises `ValueError` if the stream breaks off before its end or is none of chunks.
    """
    reply, chunks, ended = _Reply(), 0, False
    for kind, text in _events(data):
        if text.strip() == "[DONE]":
            ended = True
            break
        chunk = read_json(text)
        if not isinstance(chunk, dict):
            raise ValueError("not a chunk of a chat completion")
        if chunk.get("error") or kind == "error":
            return {"error": chunk.get("error") or chunk}
        reply.add(chunk)
        chunks += 1
    if not chunks or not (ended or reply.finish):
        raise ValueError("the stream breaks off")
    return reply.body()


def _events(data: bytes) -> list[tuple[str, str]]:
    """Kind and data of the events. Lines of data that are JSON each count each, also where empty lines are missing."""
    events, kind, lines = list[tuple[str, str]](), "", list[str]()
    for line in [*_LINES.split(data.decode("utf-8", "replace").removeprefix("\ufeff")), ""]:
        field, _, value = line.strip("\0").partition(":")
        value = value.removeprefix(" ")
        if not line.strip():
            events += [(kind, text) for text in _separate(lines)]
            kind, lines = "", []
        elif field == "data":
            lines.append(value)
        elif field == "event":
            kind = value.strip()
    return events


def _separate(lines: list[str]) -> list[str]:
    """The lines of one event as one text, or one text each if they were written as events of one line."""
    if len(lines) < 2:
        return [line for line in lines if line.strip()]
    whole = "\n".join(lines)
    try:
        read_json(whole)
    except ValueError:
        return [line for line in lines if line.strip()]
    return [whole]


class _Reply:
    """What the chunks of one reply add up to."""

    def __init__(self) -> None:
        self.finish: Any = None
        self._usage: Any = None
        self._whole: dict[str, Any] | None = None
        self._texts: dict[str, list[str]] = {}
        self._calls: list[_Call] = []
        self._places: dict[Any, _Call] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Add one chunk; of several choices only the first is kept."""
        self._usage = chunk.get("usage") or self._usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        self.finish = choice.get("finish_reason") or self.finish
        if isinstance(choice.get("message"), dict):  # a whole reply, sent as the only or the last event
            self._whole = choice["message"]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = {"content": choice.get("text")}
        for name in _TEXTS:
            if text := _text(delta.get(name)):
                self._texts.setdefault(name, []).append(text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else [calls]:
            if isinstance(call, dict):
                self._add_call(call, call.get("function"))
        if isinstance(delta.get("function_call"), dict):
            self._add_call({"index": "function_call"}, delta["function_call"])

    def _add_call(self, call: dict[str, Any], function: Any) -> None:
        """Add to the call with the same index or id; without either, a name begins a new call."""
        function = function if isinstance(function, dict) else {}
        index, identity, name = call.get("index"), call.get("id"), function.get("name")
        place = str(index if index is not None else identity or "")
        made = self._places.get(place) if place else (self._calls[-1] if self._calls and not name else None)
        if made is None or (identity and made.identity and identity != made.identity):
            made = _Call(str(identity or ""))
            self._calls.append(made)
            self._places[place] = made
        made.add(name, function.get("arguments"))

    def body(self) -> dict[str, Any]:
        """The body of a chat completion."""
        message: dict[str, Any] = {name: "".join(texts) for name, texts in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [call.written() for call in self._calls]
        message = self._whole or {"content": None, **message}
        return {
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
            "usage": self._usage,
        }


class _Call:
    """A tool call that arrives in pieces."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._name = ""
        self._arguments = list[str]()

    def add(self, name: Any, arguments: Any) -> None:
        """Add pieces. Some servers repeat the whole name in every chunk."""
        if isinstance(name, str) and name != self._name:
            self._name += name
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        if isinstance(arguments, str):
            self._arguments.append(arguments)

    def written(self) -> dict[str, Any]:
        """The call as a chat completion has it."""
        return {"type": "function", "function": {"name": self._name, "arguments": "".join(self._arguments)}}


def _text(content: Any) -> str:
    """The text of a delta: a string, or parts with text."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
