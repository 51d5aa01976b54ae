"""The results of a run, in shards: a journal for each part of the images, in their order once it is complete.

    journal/000000.jsonl    a start record, then a record per image; the format of the journals of `ask` and `segment`
    journal/000000.json     written when the shard is complete: which images it has, and how they ended

Only the coordinator writes. Shards that are complete and unchanged are not read again when a run goes on.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3agent.batch_journal import BatchJournal
from sam3agent.labelling.label_items import LabelItem
from sam3model.errors import ConfigError, InputError
from sam3model.files import read_regular, replacing, unfinished, write_json

FOLDER = "journal"
MAX_SEAL_BYTES = 1 << 16

_NUMBER = "[0-9]" * 6

Counts = Counter[str]
"""How many images ended in each status."""


@dataclass
class OpenShard:
    """A shard that is being filled; mutable. items: its images. left: places of those without a result."""

    number: int
    items: Sequence[LabelItem]
    stamps: Sequence[list[int] | None]
    journal: BatchJournal
    left: set[int]

    def add(self, place: int, result: Mapping[str, Any]) -> None:
        """Write the result of an image. Raises `OutputError`."""
        self.journal.add(self.items[place].source, self.stamps[place], result)
        self.left.discard(place)


class ShardJournals:
    """All shards of a run in a folder. start: the first record of each, without the number of the shard."""

    def __init__(self, out: Path, start: Mapping[str, Any]) -> None:
        """Raises `ConfigError` if the folder holds another run."""
        self.folder, self.start = out / FOLDER, dict(start)
        self.folder.mkdir(parents=True, exist_ok=True)
        if begun := min(self.folder.glob(_NUMBER + ".jsonl"), default=None):
            BatchJournal.open(begun, self._start(int(begun.stem))).file.close()
        for left in unfinished(self.folder, _NUMBER + ".json*"):  # files that a run was killed while writing
            left.unlink(missing_ok=True)

    def path(self, number: int) -> Path:
        """The journal of a shard."""
        return self.folder / f"{number:06d}.jsonl"

    def finished(self, number: int, items: Sequence[LabelItem]) -> Counts | None:
        """How the images of a shard ended, if it is complete, unchanged and nothing failed; else None."""
        try:
            seal = json.loads(read_regular(self._seal(number), MAX_SEAL_BYTES))
            counts = Counter({str(name): int(count) for name, count in seal["images"].items()})
        except (InputError, ValueError, KeyError, TypeError, AttributeError):
            return None
        same = seal.get("items") == _digest(items, [item.stamp() for item in items])
        return counts if same and not counts["failed"] and self.path(number).exists() else None

    def open(self, number: int, items: Sequence[LabelItem]) -> OpenShard:
        """A shard, new or continued. Raises `ConfigError` if its journal is of another run or damaged."""
        with suppress(FileNotFoundError):
            self._seal(number).unlink()
        journal = BatchJournal.open(self.path(number), self._start(number))
        stamps = [item.stamp() for item in items]
        known = [journal.result(item.source, stamp) for item, stamp in zip(items, stamps, strict=True)]
        left = {place for place, item in enumerate(items) if (known[place] or {}).get("name") != item.name}
        return OpenShard(number, items, stamps, journal, left)

    def finish(self, shard: OpenShard) -> Counts:
        """Close a complete shard: its records in the order of its images, and what it has; how its images ended.

        Raises `OutputError`.
        """
        records = [record for item in shard.items if (record := shard.journal.latest(item.source))]
        shard.journal.file.close()
        with replacing(shard.journal.path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for record in (self._start(shard.number), *records):
                file.write(json.dumps(record) + "\n")
        counts = Counter(record["status"] for record in records)
        write_json(self._seal(shard.number), {"items": _digest(shard.items, shard.stamps), "images": dict(counts)})
        return counts

    def records(self, count: int) -> Iterator[dict[str, Any]]:
        """The records of the first `count` shards in the order of their images; one record is in memory at a time.

        Raises `ConfigError` if one is damaged.
        """
        for number in range(count):
            try:
                with self.path(number).open(encoding="utf-8") as file:
                    next(file)
                    yield from map(json.loads, file)
            except (OSError, ValueError, StopIteration) as error:
                raise ConfigError(f"{self.path(number)} is damaged: delete it and run the command again") from error

    def _start(self, number: int) -> dict[str, Any]:
        return {**self.start, "shard": number}

    def _seal(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"


def has_journal(out: Path) -> bool:
    """Whether a run has begun in a folder: it has a shard, or the rest of one whose damaged journal was deleted."""
    return any((out / FOLDER).glob(_NUMBER + ".json*"))


def _digest(items: Sequence[LabelItem], stamps: Sequence[list[int] | None]) -> str:
    """Changes with the sources, names or files of a shard."""
    rows = [[item.source, item.name, stamp] for item, stamp in zip(items, stamps, strict=True)]
    return hashlib.blake2b(json.dumps(rows).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
