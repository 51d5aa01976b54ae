"""One command over several images: a folder with a journal, from which an interrupted run goes on."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3agent.answer import make_folder
from sam3agent.batch_journal import BUDGETS, Again, BatchJournal, source_stamp
from sam3agent.cli.image_sources import STDIN
from sam3agent.cli.screen import Status, counted, say, say_json, warn
from sam3agent.downloads import in_words_of, local_source, shown_url, source_stem
from sam3agent.folder_lock import locked
from sam3model.errors import ConfigError, InputError
from sam3model.printable import one_line

JOURNAL = "journal.jsonl"
VERSION = 1

JOURNAL_FIELDS = ("budgets", "interrupted")
"""Values of a result that only the journal keeps: within what it was asked, and whether the MLLM failed."""

Work = Callable[[str, Path], dict[str, Any]]
"""Works on one image, given its path and the folder for its files; returns its JSON values, with a `status`."""


@dataclass(frozen=True)
class ImageBatch:
    """A command that is repeated for several images.

    command, query: of all images. settings: what else the results depend on; a run is only continued with the same.
    work: see `Work`. label: one line about a result for people. again: whether a result of an earlier run is to be
    replaced. hint: what to do about such results, told if one is kept with the status that it is about.
    """

    command: str
    query: str
    settings: Mapping[str, Any]
    work: Work
    label: Callable[[Mapping[str, Any]], str]
    again: Again = lambda _: False
    hint: tuple[str, str] | None = None

    @property
    def start(self) -> dict[str, Any]:
        """The first record of the journal."""
        return {"event": "start", "version": VERSION, "command": self.command, "query": self.query, **self.settings}

    @property
    def folder(self) -> Path:
        """The default folder, the same for the same command, so that it goes on after an interruption."""
        fixed = {name: value for name, value in self.start.items() if name not in BUDGETS}
        digest = hashlib.blake2b(json.dumps(fixed, sort_keys=True).encode(), digest_size=3).hexdigest()
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
        names = folder_names(sources, journal.folders)
        for number, (source, name) in enumerate(zip(sources, names, strict=True), start=1):
            stamp = source_stamp(source)
            record = journal.result(source, stamp, batch.again)
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
    if batch.hint and batch.hint[0] in statuses:
        say_line(batch.hint[1])
    if "failed" in statuses:
        return 1
    return 2 if set(statuses) == {"not_understood"} else 0


def folder_names(sources: Sequence[str], used: Mapping[str, str] | None = None) -> list[str]:
    """A folder name for each source: its stem, and a hash of the source where two share one.

    used: the folders that sources have from an earlier run, by source as it is shown. They keep them.
    """
    used = used or {}
    stems = [source_stem(source) for source in sources]
    sharing, taken = Counter(map(str.lower, stems)), {name.lower() for name in used.values()}

    def free(source: str, stem: str) -> str:
        return f"{stem}-{_hash(source)}" if sharing[stem.lower()] > 1 or stem.lower() in taken else stem

    pairs = zip(sources, stems, strict=True)
    return [used.get(shown_url(source)) or free(source, stem) for source, stem in pairs]


def _result(work: Work, source: str, folder: Path) -> dict[str, Any]:
    """The result of one image, or why it has none."""
    try:
        with local_source(source) as path:
            record = work(path, make_folder(folder))
            return {**record, "warnings": [in_words_of(source, path, text) for text in record.get("warnings", ())]}
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
        hidden = ("event", "stamp", *JOURNAL_FIELDS)
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
