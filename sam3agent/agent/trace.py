"""The trace: one JSON object a line, written as things happen, with picture files beside it.

Records: `start`, `ask` (texts and pictures sent), `reply`, `complaint`, `tool` (with the masks of a search as COCO
RLE), `finding`, `state`, `end`. They hold all that `replay` needs to draw or run a question again without a model.
"""

import json
import logging
import re
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sam3agent.mllm.base import MLLMReply, Picture, ToolCall, Usage
from sam3model.errors import InputError

log = logging.getLogger(__name__)

FILE_NAME = "trace.jsonl"


class Trace:
    """Writes into a folder, or nowhere if there is none. Every line is flushed, so a broken run leaves its trace."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._written: set[str] = set()
        self._started = time.monotonic()
        self._file = (folder / FILE_NAME).open("w", encoding="utf-8", errors="backslashreplace") if folder else None

    @property
    def path(self) -> Path | None:
        """The trace file."""
        return self.folder / FILE_NAME if self.folder else None

    def record(self, event: str, **data: Any) -> None:
        """Append one record."""
        if self._file is None:
            return
        line = {"t": round(time.monotonic() - self._started, 4), "event": event, **data}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def keep(self, pictures: Iterable[Picture]) -> list[str]:
        """Write pictures that are not there yet; their file names."""
        if self.folder is None:
            return []
        names = []
        for picture in pictures:
            name = f"pictures/{_file_name(picture.label)}.jpg"
            if name not in self._written:
                (self.folder / "pictures").mkdir(exist_ok=True)
                (self.folder / name).write_bytes(picture.data)
                self._written.add(name)
            names.append(name)
        return names

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _file_name(label: str) -> str:
    """A label as a file name; a long one is cut and told apart from others by a checksum."""
    name = re.sub(r"[^a-z0-9]+", "-", label.lower())
    return name if len(name) <= 80 else f"{name[:71]}-{zlib.crc32(label.encode()):08x}"


def reply_record(reply: MLLMReply) -> dict[str, Any]:
    """A reply as JSON values."""
    usage = reply.usage
    return {
        "text": reply.text,
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in reply.tool_calls],
        "finish": reply.finish,
        "calls": reply.calls,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens],
    }


def read_reply(record: dict[str, Any]) -> MLLMReply:
    """The inverse of `reply_record`."""
    return MLLMReply(
        text=record["text"],
        tool_calls=tuple(ToolCall(call["name"], call["arguments"]) for call in record["tool_calls"]),
        finish=record["finish"],
        usage=Usage(*record["usage"]),
        calls=record["calls"],
    )


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The records of a trace file, or of the folder that holds it.

    A last line that was cut off, as by a process that was killed, is left out with a warning. Raises `InputError`
    where it is no trace, or where any other line is broken.
    """
    path = path / FILE_NAME if path.is_dir() else path
    try:
        lines = [(n, line) for n, line in enumerate(path.read_bytes().splitlines(), start=1) if line.strip()]
    except OSError as error:
        raise InputError(f"cannot read the trace {path}: {error.strerror}") from error
    records = list[dict[str, Any]]()
    for number, line in lines:
        try:
            records.append(_record(line))
        except ValueError as error:
            if not records or number < lines[-1][0]:
                raise InputError(f"{path} is not a trace of sam3agent: line {number}: {error}") from error
            log.warning("the last line of %s was cut off and is left out", path)
    if not records or records[0].get("event") != "start":
        raise InputError(f"{path} is not a trace of sam3agent: it does not begin with a start record")
    return records


def _record(line: bytes) -> dict[str, Any]:
    """The record of a line; raises `ValueError` where it holds none."""
    record = json.loads(line)
    if not isinstance(record, dict) or "event" not in record:
        raise ValueError("no record of an event")
    return record
