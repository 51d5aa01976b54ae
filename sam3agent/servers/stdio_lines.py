"""Messages on standard input, made readable: some that are odd would otherwise never be answered."""

import io
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

MAX_DEPTH = 64
"""Maximum nesting of a message."""


class RepairedLines:
    """The lines of a stream, each repaired."""

    def __init__(self, stream: Any) -> None:
        """stream: an asynchronous iterator over lines."""
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[str]:
        """Line by line, until the stream ends."""
        async for line in self._stream:
            yield repaired(line)


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


def standard_input() -> Any:
    """Standard input as the SDK reads it: lines of UTF-8."""
    import anyio

    lines = anyio.wrap_file(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace"))
    return RepairedLines(lines)
