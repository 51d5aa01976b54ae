"""One command over several images: a folder with a journal, from which an interrupted run goes on."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sam3agent.answer import make_folder
from sam3agent.cli.folder_lock import locked
from sam3agent.cli.image_sources import STDIN, is_url, local_source, shown_url, source_stem
from sam3agent.cli.screen import Status, counted, say, say_json, warn
from sam3model.errors import ConfigError, InputError, OutputError
from sam3model.files import read_regular
from sam3model.printable import one_line

JOURNAL = "journal.jsonl"
VERSION = 1
MAX_JOURNAL_BYTES = 1 << 30

Work = Callable[[str, Path], dict[str, Any]]
"""Works on one image, given its path and the folder for its files; returns its JSON values, with a `status`."""


@dataclass(frozen=True)
class ImageBatch:
    """A command that is repeated for several images.

    command, query: of all images. settings: what else the results depend on; a run is only continued with the same.
    work: see `Work`. label: one line about a result for people.
    """

    command: str
    query: str
    settings: Mapping[str, Any]
    work: Work
    label: Callable[[Mapping[str, Any]], str]

    @property
    def start(self) -> dict[str, Any]:
        """The first record of the journal."""
        return {"event": "start", "version": VERSION, "command": self.command, "query": self.query, **self.settings}

    @property
    def folder(self) -> Path:
        """The default folder, the same for the same command, so that it goes on after an interruption."""
        digest = hashlib.blake2b(json.dumps(self.start, sort_keys=True).encode(), digest_size=3).hexdigest()
        words = re.sub(r"[^a-z0-9]+", "-", self.query.lower()).strip("-")[:40]
        return Path("sam3agent-out") / "-".join(part for part in (self.command, words, digest) if part)


def run_batch(batch: ImageBatch, sources: Sequence[str], out: Path | None, status: Status, *, as_json: bool) -> int:
    """Work on every image that the journal does not have yet, print each result and a summary; the exit code.

    An image that cannot be read is reported and the others go on; the code is then 1. It is 2 if no image had an answer
    because the question was not understood.

    Raises `ConfigError` if the folder holds another run or another process writes into it, and what makes going on
    useless: weights that cannot be loaded, a server that cannot be reached, a disk that is full.
    """
    if STDIN in sources:
        raise InputError("standard input is one image: give it alone")
    folder = make_folder(out or batch.folder)
    try:
        return _run(batch, sources, folder, status, as_json=as_json)
    except KeyboardInterrupt:
        status.done()
        warn(f"what is done is in {folder}: the same command goes on from there")
        raise


def _run(batch: ImageBatch, sources: Sequence[str], folder: Path, status: Status, *, as_json: bool) -> int:
    """`run_batch` in an existing folder."""
    with locked(folder), BatchJournal.open(folder / JOURNAL, batch.start) as journal:
        for number, (source, name) in enumerate(zip(sources, folder_names(sources), strict=True), start=1):
            stamp = source_stamp(source)
            record = journal.result(source, stamp)
            if record is None:
                status.tell(f"{number} of {len(sources)}: {shown_url(source)}")
                record = journal.add(source, stamp, _result(batch.work, source, folder / name))
            status.done()
            _show(batch, shown_url(source), record, as_json=as_json)
        records = [record for source in sources if (record := journal.latest(source))]
        known = journal.reused
    statuses = [record["status"] for record in records]
    say_line = warn if as_json else say
    for warning, count in Counter(text for record in records for text in record.get("warnings", ())).items():
        say_line(f"warning: {one_line(warning)} ({counted(count, 'image')})")
    _summarise(statuses, known, folder, say_line)
    if "failed" in statuses:
        return 1
    return 2 if set(statuses) == {"not_understood"} else 0


def folder_names(sources: Sequence[str]) -> list[str]:
    """A folder name for each source: its stem, and a hash of the source where two share one."""
    stems = [source_stem(source) for source in sources]
    lower = [stem.lower() for stem in stems]
    pairs = zip(sources, stems, lower, strict=True)
    return [f"{stem}-{_hash(source)}" if lower.count(low) > 1 else stem for source, stem, low in pairs]


def source_stamp(source: str) -> list[int] | None:
    """Size and time of a file, to notice that it has changed; None for a URL or a missing file."""
    if is_url(source):
        return None
    try:
        found = Path(source).stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


@dataclass
class BatchJournal:
    """The results of a batch so far, one JSON object per line, appended as they come; mutable."""

    path: Path
    file: BinaryIO
    reused: int = 0
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, start: Mapping[str, Any]) -> "BatchJournal":
        """The journal of a run, new or continued. Raises `ConfigError` if the file is of another run or damaged."""
        data = read_regular(path, MAX_JOURNAL_BYTES) if path.exists() else b""
        complete = data[: data.rfind(b"\n") + 1]  # an incomplete last line is what a killed process leaves
        records = list(_parsed(complete, path))
        if records and {**records[0], "event": "start"} != start:
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

    def latest(self, source: str) -> dict[str, Any] | None:
        """The latest record of a source."""
        return self._records.get(shown_url(source))

    def result(self, source: str, stamp: list[int] | None) -> dict[str, Any] | None:
        """The record of a source that is done and has not changed since."""
        record = self._records.get(shown_url(source))
        if record is None or record["status"] == "failed" or record.get("stamp") != stamp:
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


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return one_line("; ".join(f"{name} {str(before.get(name))[:60]}, now {str(now.get(name))[:60]}" for name in names))


def _result(work: Work, source: str, folder: Path) -> dict[str, Any]:
    """The result of one image, or why it has none."""
    try:
        with local_source(source) as path:
            return work(path, make_folder(folder))
    except ConfigError:
        raise
    except InputError as error:
        _remove_if_empty(folder)
        return {"status": "failed", "reason": str(error)}


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _show(batch: ImageBatch, source: str, record: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        hidden = ("event", "stamp")
        say_json({key: value for key, value in record.items() if key not in hidden})
    elif record["status"] == "failed":
        reason = str(record["reason"])
        warn(reason if reason.startswith(source) else f"{source}: {reason}")
    else:
        say(one_line(f"{source}: {batch.label(record)}"))


def _summarise(statuses: Sequence[str], known: int, folder: Path, say_line: Callable[[str], None]) -> None:
    counts = {name: statuses.count(name) for name in dict.fromkeys(statuses)}
    parts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    before = f" ({known} of them done before)" if known else ""
    say_line(f"{counted(len(statuses), 'image')}: {parts}{before}; results in {folder}, journal {folder / JOURNAL}")


def _hash(source: str) -> str:
    return hashlib.blake2b(source.encode("utf-8", "surrogateescape"), digest_size=3).hexdigest()
