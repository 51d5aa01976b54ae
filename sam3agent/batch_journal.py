"""The journal of a command over many images: a JSON object per line, from which an interrupted run goes on."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sam3agent.config import Settings
from sam3agent.downloads import is_url, shown_url
from sam3model.errors import ConfigError, InputError, OutputError
from sam3model.files import open_regular, read_regular
from sam3model.printable import short_line

MAX_JOURNAL_BYTES = 1 << 30
SAMPLE_BYTES = 1 << 20
"""Size of the parts of a file that its fingerprint is of."""

BUDGETS = ("max_calls", "max_segmenter_calls")
"""Settings that a run may go on with if they are larger: what was answered within less stays an answer."""

Again = Callable[[Mapping[str, Any]], bool]


def source_stamp(source: str) -> list[int] | None:
    """Size and time of a file, to notice that it has changed; None for a URL or a missing file. Of a folder, of all its
    files: their sizes added up, and the latest time."""
    if is_url(source):
        return None
    try:
        path = Path(source)
        found = [inner.stat() for inner in (path, *(path.iterdir() if path.is_dir() else ()))]
    except (OSError, ValueError):
        return None
    return [sum(file.st_size for file in found), max(file.st_mtime_ns for file in found)]


def fingerprint(path: Path) -> str:
    """A short hash of a file: its size, beginning and end. Of a folder: of the names and sizes of its files.

    Raises `InputError` if it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=12)
    try:
        if path.is_dir():
            for file in sorted(path.iterdir()):
                digest.update(f"{file.name} {file.stat().st_size}\n".encode("utf-8", "surrogateescape"))
            return digest.hexdigest()
        with open_regular(path) as file:
            size = path.stat().st_size
            digest.update(str(size).encode())
            digest.update(file.read(SAMPLE_BYTES))
            file.seek(max(0, size - SAMPLE_BYTES))
            digest.update(file.read(SAMPLE_BYTES))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def weights_as_read(name: str) -> str:
    """Weights as a journal names them: by name and fingerprint, because their file may be written anew.

    A folder has its own fingerprint and those of its weights files, whose sizes stay the same.
    """
    path = Path(name)
    if not path.exists():
        return name
    return " ".join((name, *map(fingerprint, (path, *sorted(path.glob("*.safetensors"))))))


@dataclass
class BatchJournal:
    """The results of a batch so far, one JSON object per line, appended as they come; mutable."""

    path: Path
    file: BinaryIO
    reused: int = 0
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, start: Mapping[str, Any]) -> "BatchJournal":
        """The journal of a run, new or continued. Raises `ConfigError` if the file is of another run or damaged.

        A run goes on with the same settings, or with larger budgets of calls.
        """
        data = read_regular(path, MAX_JOURNAL_BYTES) if path.exists() else b""
        complete = data[: data.rfind(b"\n") + 1]  # an incomplete last line is what a killed process leaves
        records = list(_parsed(complete, path))
        if records and records[0].get("version") != start.get("version"):
            raise ConfigError(
                f"{path.parent} holds a run of another version of sam3agent, which cannot go on: choose another --out"
            )
        if records and not _goes_on({**records[0], "event": "start"}, start):
            raise ConfigError(
                f"{path.parent} holds another run ({_difference(records[0], start)}): choose another --out"
            )
        try:
            file = path.open("r+b" if data else "w+b")
            file.truncate(len(complete))
            file.seek(len(complete))
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        journal = cls(path, file)
        if not records:
            journal._append(start)
        journal._records = {record["source"]: record for record in records[1:]}
        return journal

    def __enter__(self) -> "BatchJournal":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def folders(self) -> dict[str, str]:
        """The names of the folders with the files of results, by source."""
        overlays = {source: record.get("overlay") for source, record in self._records.items()}
        return {source: Path(path).parent.name for source, path in overlays.items() if isinstance(path, str)}

    def latest(self, source: str) -> dict[str, Any] | None:
        """The latest record of a source."""
        return self._records.get(shown_url(source))

    def result(self, source: str, stamp: list[int] | None, again: Again = lambda _: False) -> dict[str, Any] | None:
        """The record of a source that is done and has not changed since. again: whether it is to be done again."""
        record = self._records.get(shown_url(source))
        if record is None or record["status"] == "failed" or record.get("stamp") != stamp or again(record):
            return None
        self.reused += 1
        return record

    def add(self, source: str, stamp: list[int] | None, result: Mapping[str, Any]) -> dict[str, Any]:
        """Append a result. Raises `OutputError` if it cannot be written."""
        record = {"event": "image", "source": shown_url(source), "stamp": stamp, **result}
        self._append(record)
        self._records[shown_url(source)] = record
        return record

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            self.file.write(json.dumps(record).encode() + b"\n")
            self.file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error


def _parsed(data: bytes, path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            record = json.loads(line)
            if record["event"] != ("start" if number == 1 else "image"):
                raise ValueError("unexpected record")
            if number > 1 and not (isinstance(record["source"], str) and isinstance(record["status"], str)):
                raise TypeError("not a result")
            if not all(isinstance(text, str) for text in record.get("warnings", [])):
                raise TypeError("not a list of warnings")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{path}: line {number} is damaged: choose another --out, or delete it") from error
        yield record


def _goes_on(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a run that began with one start record can go on with another."""
    if any(before.get(name) != now.get(name) for name in {**before, **now} if name not in BUDGETS):
        return False
    pairs = [[_stated(start, name) for start in (before, now)] for name in BUDGETS]
    return all(type(old) is int and old <= new for old, new in pairs)


def _stated(start: Mapping[str, Any], name: str) -> Any:
    """A value of a start record, which may leave out budgets of the usual size."""
    return start.get(name, Settings.model_fields[name].default if name in BUDGETS else None)


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    pairs = ((name, *(short_line(_stated(values, name), 60) for values in (before, now))) for name in names)
    return "; ".join(f"{name} {old}, now {new}" for name, old, new in pairs)
