"""What the studio remembers, in one SQLite file: every version of every sheet, masks as RLE, and questions.

A change is written before it is shown, so a server that is killed loses nothing.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sam3agent.servers.studio.studio_sheet import Sheet, SheetObject
from sam3model.errors import InputError, OutputError
from sam3model.files import private_folder

FORMAT = 1

KEPT_VERSIONS = 200
"""Number of changes of an item that can be undone."""

OPEN_BYTES = 64 * 1024
"""What SQLite takes for an open store."""

_TABLES = """
CREATE TABLE IF NOT EXISTS items (item TEXT PRIMARY KEY, size TEXT, head INTEGER NOT NULL, next_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS versions (
    item TEXT, number INTEGER, what TEXT, objects TEXT, accepted INTEGER, PRIMARY KEY (item, number));
CREATE TABLE IF NOT EXISTS shapes (shape INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE IF NOT EXISTS masks (
    shape INTEGER, frame INTEGER, counts TEXT, shown INTEGER, PRIMARY KEY (shape, frame)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS questions (
    question INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT, text TEXT, status TEXT);
"""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question about an item. status: "running", "stopped", "failed: …", or that of its answer."""

    id: int
    item: str
    text: str
    status: str


class StudioStore:
    """Sheets, masks and questions in a file. Safe to use from any thread."""

    def __init__(self, path: Path | None) -> None:
        """path: the file; None to keep everything in memory, until `close`.

        Raises `InputError` if the file is not a store, `OutputError` if it cannot be written."""
        self._lock = threading.RLock()
        try:
            if path is not None:
                private_folder(path.parent)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, FORMAT):
                raise InputError(f"{path} was written by a newer sam3agent: update it, or choose another --out")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise OutputError(f"cannot write {path}: {error}") from error
            raise InputError(f"{path} is not a store of the studio: move it away, or choose another --out") from error
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @property
    def nbytes(self) -> int:
        """Size of its contents in bytes, and in memory what an open store takes, about."""
        with self._lock:
            ((pages,), (size,)) = (self._db.execute(f"PRAGMA page_{what}").fetchone() for what in ("count", "size"))
        return OPEN_BYTES + pages * size

    def check_size(self, item: str, size: tuple[int, int, int]) -> None:
        """Remember width, height and number of frames of an item.

        Raises `InputError` if it has masks of another size: the file was replaced by another one.
        """
        text = "x".join(map(str, size))
        if self.size(item) == size:
            return
        with self._transaction() as db:
            row = db.execute("SELECT size, head FROM items WHERE item = ?", (item,)).fetchone()
            if row and row[0] not in (None, text) and row[1] > 0:
                raise InputError(f"this file has changed since it was labelled (it was {row[0]}, and is {text} now)")
            db.execute(
                "INSERT INTO items VALUES (?, ?, 0, 1) ON CONFLICT (item) DO UPDATE SET size = excluded.size",
                (item, text),
            )

    def size(self, item: str) -> tuple[int, int, int] | None:
        """Width, height and number of frames of an item; None if it was never opened."""
        with self._lock:
            row = self._db.execute("SELECT size FROM items WHERE item = ?", (item,)).fetchone()
        if not row or not row[0]:
            return None
        width, height, count = map(int, row[0].split("x"))
        return width, height, count

    def sheet(self, item: str) -> Sheet:
        """The sheet of an item; an empty one if it was never changed."""
        with self._lock:
            row = self._db.execute("SELECT head FROM items WHERE item = ?", (item,)).fetchone()
            head = row[0] if row else 0
            rows = self._db.execute(
                "SELECT number, what, objects, accepted FROM versions WHERE item = ? AND number BETWEEN ? AND ?",
                (item, head - 1, head + 1),
            )
            near = {number: rest for number, *rest in rows}
        what, objects, accepted = near.get(head, (None, "[]", 0))
        return Sheet(
            item=item,
            version=head,
            objects=tuple(SheetObject.from_json(values) for values in json.loads(objects)),
            accepted=bool(accepted),
            undo=what if head > 0 and (head - 1 in near or head == 1) else None,
            redo=near[head + 1][0] if head + 1 in near else None,
        )

    def begin(self, sheet: Sheet, next_id: int) -> Sheet:
        """Make a sheet the first version of its item, which cannot be undone. next_id: of new objects."""
        with self._transaction() as db:
            db.execute("DELETE FROM versions WHERE item = ?", (sheet.item,))
            db.execute("INSERT OR REPLACE INTO items VALUES (?, NULL, 1, ?)", (sheet.item, next_id))
            return self.commit(sheet, "begin")

    def commit(self, sheet: Sheet, what: str) -> Sheet:
        """Make a sheet the newest version of its item; what was undone before can then not be done again.

        what: the change in a few words, for the undo button.
        """
        objects = json.dumps([one.to_json() for one in sheet.objects], ensure_ascii=False)
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO items VALUES (?, NULL, 0, 1)", (sheet.item,))
            head = db.execute("SELECT head FROM items WHERE item = ?", (sheet.item,)).fetchone()[0] + 1
            db.execute("DELETE FROM versions WHERE item = ? AND number >= ?", (sheet.item, head))
            db.execute("DELETE FROM versions WHERE item = ? AND number < ?", (sheet.item, head - KEPT_VERSIONS))
            db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?)", (sheet.item, head, what, objects, sheet.accepted))
            db.execute("UPDATE items SET head = ? WHERE item = ?", (head, sheet.item))
        return self.sheet(sheet.item)

    def step(self, item: str, by: int) -> Sheet:
        """Undo (-1) or redo (1) the last change; nothing happens if there is none."""
        with self._transaction() as db:
            sheet = self.sheet(item)
            if (sheet.undo if by < 0 else sheet.redo) is not None:
                db.execute("UPDATE items SET head = ? WHERE item = ?", (sheet.version + by, item))
        return self.sheet(item)

    def next_id(self, item: str) -> int:
        """An id for a new object; never given twice for one item."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO items VALUES (?, NULL, 0, 1)", (item,))
            (given,) = db.execute("SELECT next_id FROM items WHERE item = ?", (item,)).fetchone()
            db.execute("UPDATE items SET next_id = ? WHERE item = ?", (given + 1, item))
        return given

    def skip_ids(self, item: str, below: int) -> None:
        """Give no new object an id below this one."""
        with self._transaction() as db:
            db.execute("UPDATE items SET next_id = max(next_id, ?) WHERE item = ?", (below, item))

    def new_shape(self, copied: int | None = None, frames: range | None = None) -> int:
        """A new shape: empty, or with the masks of another one, all or those on some frames."""
        with self._transaction() as db:
            shape = db.execute("INSERT INTO shapes DEFAULT VALUES").lastrowid
            if copied is not None:
                first, last = (frames.start, frames.stop) if frames is not None else (0, 1 << 60)
                db.execute(
                    "INSERT INTO masks SELECT ?, frame, counts, shown FROM masks"
                    " WHERE shape = ? AND (frame >= ? AND frame < ? OR shown)",
                    (shape, copied, first, last),
                )
        return int(shape or 0)

    def put_mask(self, shape: int, frame: int, rle: Mapping[str, Any] | None, *, shown: bool = False) -> None:
        """Store, or with None delete, the mask of a shape on a frame. shown: a user or a phrase put it there.

        A mask that is not shown never replaces one that is.
        """
        with self._transaction() as db:
            if rle is None:
                db.execute("DELETE FROM masks WHERE shape = ? AND frame = ? AND shown <= ?", (shape, frame, shown))
                return
            db.execute(
                "INSERT INTO masks VALUES (?, ?, ?, ?) ON CONFLICT (shape, frame)"
                " DO UPDATE SET counts = excluded.counts, shown = excluded.shown WHERE excluded.shown >= shown",
                (shape, frame, rle["counts"], shown),
            )

    def put_masks(self, shape: int, rles: Mapping[str, Mapping[str, Any]], *, shown: int | None = None) -> None:
        """Store the masks of a shape by frame number, all or none. shown: the frame that a phrase showed it on."""
        with self._transaction():
            for frame, rle in rles.items():
                self.put_mask(shape, int(frame), rle, shown=int(frame) == shown)

    def masks(self, shapes: Iterable[int], frame: int) -> dict[int, str]:
        """RLE counts by shape, of the shapes that have a mask on a frame."""
        wanted = list(shapes)
        marks = ",".join("?" * len(wanted))
        with self._lock:
            rows = self._db.execute(
                f"SELECT shape, counts FROM masks WHERE frame = ? AND shape IN ({marks})", (frame, *wanted)
            )
            return dict(rows.fetchall())

    def masks_over_time(self, shape: int) -> dict[int, str]:
        """RLE counts of a shape by frame."""
        with self._lock:
            return dict(self._db.execute("SELECT frame, counts FROM masks WHERE shape = ? ORDER BY frame", (shape,)))

    def frames(self, shape: int) -> dict[int, bool]:
        """The frames that a shape has a mask on, ascending, and whether it was shown there."""
        with self._lock:
            rows = self._db.execute("SELECT frame, shown FROM masks WHERE shape = ? ORDER BY frame", (shape,))
            return {frame: bool(shown) for frame, shown in rows}

    def overview(self) -> dict[str, tuple[bool, int]]:
        """By item: whether it is accepted, and its number of kept objects."""
        with self._lock:
            rows = self._db.execute(
                "SELECT items.item, accepted, objects"
                " FROM items JOIN versions ON versions.item = items.item AND number = head"
            ).fetchall()
        return {
            item: (bool(accepted), sum(one["kept"] for one in json.loads(objects))) for item, accepted, objects in rows
        }

    def labels(self) -> list[str]:
        """Labels in use, those of the most objects first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT objects FROM items JOIN versions ON versions.item = items.item AND number = head"
            ).fetchall()
        counts: dict[str, int] = {}
        for (objects,) in rows:
            for one in json.loads(objects):
                counts[one["label"]] = counts.get(one["label"], 0) + one["kept"]
        return sorted(counts, key=lambda label: (-counts[label], label))

    def add_question(self, item: str, text: str) -> AskedQuestion:
        """A new question, running."""
        with self._transaction() as db:
            number = db.execute("INSERT INTO questions VALUES (NULL, ?, ?, 'running')", (item, text)).lastrowid
        return AskedQuestion(int(number or 0), item, text, "running")

    def end_question(self, question: AskedQuestion, status: str) -> AskedQuestion:
        """Remember how a question ended."""
        with self._transaction() as db:
            db.execute("UPDATE questions SET status = ? WHERE question = ?", (status, question.id))
        return replace(question, status=status)

    def questions(self, item: str | None = None) -> list[AskedQuestion]:
        """The questions about an item, or all, in the order they were asked."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM questions WHERE ? IS NULL OR item = ? ORDER BY question", (item, item)
            )
            return [AskedQuestion(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; transactions may be nested."""
        with self._lock:
            outer = not self._db.in_transaction
            try:
                if outer:
                    self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                if outer:
                    self._db.execute("COMMIT")
            except BaseException as error:
                if outer and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise OutputError(f"the studio cannot store this change: {error}") from error
                raise
