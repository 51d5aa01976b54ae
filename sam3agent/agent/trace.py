"""The trace: one JSON object per line, written as things happen, with image files beside it.

Records: `start`, `ask` (texts and images sent), `reply`, `complaint`, `tool` (with the masks of a search as COCO RLE),
`finding`, `state`, `end`. They hold all that `replay` needs to draw or rerun a question without a model. The start
record has the `version` of the format; traces without one are version 0, and are read too.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from sam3agent.agent.trace_records import check_record
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm.base import MLLMReply, MLLMRequest, Text, ToolCall, Usage
from sam3agent.states import Followed, Searched
from sam3agent.tools.registry import ToolResult
from sam3model.errors import InputError
from sam3model.files import not_a_pipe, read_regular

log = logging.getLogger(__name__)

FILE_NAME = "trace.jsonl"
VERSION = 1
MAX_NAME = 80

MAX_BYTES = 128 * 1024 * 1024
"""A larger trace is refused: those of long clips have a tenth of it."""


class Trace:
    """Writes into a folder, or nowhere if it is None. Every line is flushed, so that a crash leaves a usable trace.

    A disk that is full or fails never costs a question: the trace is then given up with a warning, and what was
    written of it is deleted, which also makes room for the answer.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._kept: dict[tuple[EvidenceKey, bytes], str] = {}
        self._copies: list[Path] = []
        self._started = time.monotonic()
        self._file: TextIO | None = None
        if folder:
            with self._lasting():
                path = not_a_pipe(folder / FILE_NAME)
                self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    @property
    def path(self) -> Path | None:
        """The trace file; None if there is none."""
        return self.folder / FILE_NAME if self.folder else None

    def record(self, event: str, **data: Any) -> None:
        """Append one record."""
        if self._file is None:
            return
        line = {"t": round(time.monotonic() - self._started, 4), "event": event, **data}
        with self._lasting():
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()

    def copy(self, name: str, write: Callable[[Path], Any]) -> None:
        """Write a file of this name beside the trace, such as the image; `write` receives its path."""
        if self.folder is None:
            return
        with self._lasting():
            self._copies.append(self.folder / name)
            (self.folder / name).parent.mkdir(exist_ok=True)
            write(not_a_pipe(self.folder / name))

    def record_exchange(self, state: str, request: MLLMRequest, reply: MLLMReply) -> None:
        """Append what was sent to a backend in a state, without the constant first messages, and its reply."""
        if self._file is None:
            return
        common = {"state": state, "candidate": request.candidate}
        texts = [part.text for message in request.messages[2:] for part in message.parts if isinstance(part, Text)]
        images = [part for message in request.messages for part in message.parts if isinstance(part, LazyImage)]
        self.record("ask", **common, texts=texts, images=self.keep(image for image in images if image.was_sent))
        self.record("reply", **common, **reply_record(reply))

    def record_tool(self, name: str, arguments: dict[str, Any], result: ToolResult) -> None:
        """Append a tool call with the masks that it found."""
        if self._file is None:
            return
        searches = result.event.searches if isinstance(result.event, Searched) else ()
        followed = result.event.ids if isinstance(result.event, Followed) else ()
        found = dict.fromkeys([*(mask_id for search in searches for mask_id in search.found), *followed])
        masks = [
            {"id": c.id, "phrases": [list(pair) for pair in c.phrases], "frames": c.masklet.to_json()}
            for mask_id in found
            if (c := result.pool.get(mask_id))
        ]
        images = self.keep(result.images) if found else []
        self.record("tool", name=name, arguments=arguments, data=dict(result.data), masks=masks, images=images)

    def keep(self, images: Iterable[LazyImage]) -> list[str]:
        """Write images that are not there yet, each under a name of its own; their file names."""
        if self.folder is None:
            return []
        names = []
        for image in images:
            content = image.key, hashlib.blake2b(image.data, digest_size=16).digest()
            if content not in self._kept:
                self._kept[content] = name = self._free_name(image.key)
                self.copy(name, partial(_write_bytes, image.data))
            names.append(self._kept[content])
        return names

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with self._lasting():
                self._file.close()

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """Give the trace up if writing fails."""
        try:
            yield
        except OSError as error:
            log.warning("no trace of this question is kept: cannot write into %s: %s", self.folder, error.strerror)
            self._give_up()

    def _give_up(self) -> None:
        """Delete what was written, and write no more."""
        file, folder, self._file, self.folder = self._file, self.folder, None, None
        if folder is None:
            return
        with suppress(OSError):
            if file is not None:
                file.close()
        for path in (*([folder / FILE_NAME] if file else []), *self._copies):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            (folder / "images").rmdir()

    def _free_name(self, key: EvidenceKey) -> str:
        """A file name for an image; a second image with the same key gets a number."""
        stem = str(key)
        if len(stem) > MAX_NAME:
            stem = f"{stem[:MAX_NAME]}-{hashlib.blake2b(stem.encode(), digest_size=4).hexdigest()}"
        taken = sum(other == key for other, _ in self._kept)
        return f"images/{stem}{f'_{taken + 1}' if taken else ''}.jpg"


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def reply_record(reply: MLLMReply) -> dict[str, Any]:
    """A reply as JSON values."""
    return {**asdict(reply), "usage": astuple(reply.usage)}


def read_reply(record: dict[str, Any]) -> MLLMReply:
    """The inverse of `reply_record`."""
    return MLLMReply(
        text=record["text"],
        tool_calls=tuple(ToolCall(**call) for call in record["tool_calls"]),
        finish=record["finish"],
        usage=Usage(*record["usage"]),
        calls=record["calls"],
        warnings=tuple(record.get("warnings", ())),
        not_understood=record.get("not_understood", ""),
        reasoning=record.get("reasoning", ""),
    )


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The records of a trace file, or of the folder that holds it, as version 1 has them, each checked.

    An incomplete last line, as a killed process leaves it, is skipped with a warning. Raises `InputError` if the file
    is not a trace, is of a newer version, or if any other line is damaged.
    """
    path = path / FILE_NAME if path.is_dir() else path
    data = read_regular(path, MAX_BYTES)
    lines = [(n, line) for n, line in enumerate(data.splitlines(), start=1) if line.strip()]
    records = list[dict[str, Any]]()
    for number, line in lines:
        try:
            records.append(_record(line))
        except ValueError as error:
            if not records or number < lines[-1][0]:
                raise InputError(f"{path} is not a trace of sam3agent: line {number} is not a record") from error
            log.warning("skipped the incomplete last line of %s", path)
    if not records or records[0].get("event") != "start":
        raise InputError(f"{path} is not a trace of sam3agent: it does not begin with a start record")
    version = records[0].get("version", 0)
    if type(version) is not int or version < 0:
        raise InputError(f"{path} is not a trace of sam3agent: its start record has no valid version")
    if version > VERSION:
        raise InputError(f"{path} is a trace of version {version}; this sam3agent reads up to {VERSION}: update it")
    records = records if version else [_upgraded(record) for record in records]
    for (number, _), record in zip(lines, records, strict=False):
        check_record(record, number)
    return records


def _record(line: bytes) -> dict[str, Any]:
    """The record of a line. Raises `ValueError` if it is none."""
    try:
        record = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict) or "event" not in record:
        raise ValueError("not a trace record")
    return record


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record of version 0, whose masks had one frame, as version 1 has it; what is damaged stays as it is."""
    if record["event"] == "start":
        return {**record, "image": record.get("picture")}
    masks = record.get("masks")
    if record["event"] == "tool" and isinstance(masks, list):
        single = [isinstance(mask, dict) and "rle" in mask for mask in masks]
        pairs = zip(masks, single, strict=True)
        return {**record, "masks": [{**mask, "frames": {"0": mask["rle"]}} if one else mask for mask, one in pairs]}
    return record
