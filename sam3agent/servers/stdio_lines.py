"""Messages on standard input, made readable: some that are odd would otherwise never be answered."""

import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 64
"""Maximum nesting of a message."""


PARSE_ERROR, INVALID_REQUEST = -32700, -32600
"""Codes of JSON-RPC."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is no message. id: of the request that it was meant to be; None if that is unknown."""

    code: int
    id: str | int | None
    message: str


class RepairedLines:
    """The lines of a stream, each repaired. answer: called with what is refused; by default nobody is told."""

    def __init__(self, stream: Any) -> None:
        """stream: an asynchronous iterator over lines."""
        self._stream = stream
        self.answer: Callable[[Refusal], Awaitable[None]] | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        """Message by message, until the stream ends."""
        async for line in self._stream:
            for message in read_messages(line):
                if isinstance(message, str):
                    yield message
                elif self.answer is not None:
                    await self.answer(message)


def read_messages(line: str) -> list[str | Refusal]:
    """The messages of a line: one, or those of a batch.

    A byte order mark is left out; a missing version and an id like 1.0 are mended. Other lines are refused, but
    nothing is said to empty lines, notifications and responses, as the protocol wants it.
    """
    line = repaired(line.removeprefix("\ufeff"))
    if not line.strip() or _is_message(line):
        return [line] if line.strip() else []
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return [Refusal(PARSE_ERROR, None, "the line is not JSON; send one message of JSON-RPC in each line")]
    if not isinstance(value, list):
        return _mended(value)
    return [message for item in value for message in _mended(item)] or _mended(None)


def _mended(value: Any) -> list[str | Refusal]:
    """The message that a value is meant to be."""
    value = value if isinstance(value, dict) else {"id": None, "method": None}
    number = value.get("id")
    whole = int(number) if isinstance(number, float) and number.is_integer() else number
    text = json.dumps({**value, "jsonrpc": "2.0", **({"id": whole} if "id" in value else {})}, ensure_ascii=False)
    if _is_message(text):
        return [text]
    if "method" not in value or "id" not in value:
        return []
    usable = whole if isinstance(whole, str | int) and not isinstance(whole, bool) else None
    wanted = 'a request needs "jsonrpc", an id that is text or a whole number, a method, and an object as params'
    return [Refusal(INVALID_REQUEST, usable, wanted)]


def _is_message(text: str) -> bool:
    """Whether the SDK reads a text as what it is: requests with an odd id it would take for notifications."""
    from mcp.types import JSONRPCNotification, jsonrpc_message_adapter

    with suppress(ValueError, RecursionError):
        message = jsonrpc_message_adapter.validate_json(text, by_name=False)
        return not (isinstance(message, JSONRPCNotification) and '"id"' in text and "id" in json.loads(text))
    return False


def repaired(line: str) -> str:
    """A JSON text that the protocol's parser reads: single surrogates are replaced, values nested too deeply are null.

    Other texts are unchanged.
    """
    deep = line.count("[") + line.count("{") > MAX_DEPTH
    if not deep and "\\ud" not in line.lower():
        return line
    try:
        value = _pruned(json.loads(line), MAX_DEPTH)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (ValueError, RecursionError):
        return line


def _pruned(value: Any, depth: int) -> Any:
    """The value with null in place of what lies deeper."""
    if not isinstance(value, list | dict):
        return value
    if not depth:
        return None
    if isinstance(value, list):
        return [_pruned(item, depth - 1) for item in value]
    return {key: _pruned(item, depth - 1) for key, item in value.items()}


def standard_input() -> RepairedLines:
    """Standard input as the SDK reads it: lines of UTF-8."""
    import anyio

    lines = anyio.wrap_file(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace"))
    return RepairedLines(lines)
