"""Lists and archives of images, read as streams: text, CSV, Parquet and the tar files of WebDataset."""

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sam3agent.downloads import is_url, shown_url
from sam3agent.labelling.given_once import DistinctNames
from sam3agent.labelling.label_items import (
    ImageFile,
    LabelItem,
    TableCell,
    TarMember,
    WebImage,
    clean_name,
    parquet_file,
)
from sam3model.errors import InputError, reason_of
from sam3model.files import expanded, open_regular
from sam3model.frames.frame_folder import IMAGE_SUFFIXES

LIST_SUFFIXES = (".txt", ".csv", ".tsv")

COLUMNS = ("image", "image_path", "path", "file_name", "filename", "file", "filepath", "url", "image_url", "jpg", "png")
"""Names of the column that has the images, in the order in which they are looked for."""

ROWS = 4096
"""Number of rows of a Parquet file that are read at once."""


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A line of a list. row: its number, from 0. text: a path or a URL."""

    row: int
    text: str

    @property
    def name(self) -> str:
        """What names of its images begin with, inside those of the list: distinct, and without passwords."""
        return f"{self.row:09d}-{Path(shown_url(self.text).split('?', maxsplit=1)[0]).name}"

    def group(self, prefix: str) -> str:
        """The group of its images: the same wherever in the list it is."""
        return f"{prefix}/{shown_url(self.text)}"


def entries_of_list(path: str) -> Iterator[ListEntry]:
    """The lines of a text file, or one column of a CSV or TSV file.

    A column is found by its name (`COLUMNS`); a table of one column needs none. Empty lines are left out.

    Raises:
        InputError: it cannot be read, or has no such column.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            if path.lower().endswith(".txt"):
                texts = (line.strip() for line in file)
            else:
                texts = _column(csv.reader(file, delimiter="\t" if path.lower().endswith(".tsv") else ","), path)
            yield from (ListEntry(row, text) for row, text in enumerate(texts) if text)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error


def entry_item(path: str, prefix: str, entry: ListEntry) -> LabelItem:
    """The image that a line of a list names, by a path from its folder or a URL."""
    url, source = is_url(entry.text), f"{path}#{entry.row} {shown_url(entry.text)}"
    place = WebImage(entry.text) if url else ImageFile(str(Path(path).parent / expanded(entry.text)))
    return LabelItem(source, clean_name(f"{prefix}/{entry.name}"), entry.group(prefix), place)


def table_items(path: str, prefix: str) -> Iterator[LabelItem]:
    """The images of a Parquet file: a column of paths, URLs or encoded bytes, or of `{"bytes": …, "path": …}`.

    Raises `InputError` if it cannot be read or has no such column, `ConfigError` without pyarrow.
    """
    file = parquet_file(path)
    column = find_column(file.schema_arrow.names, path)
    kind = str(file.schema_arrow.field(column).type)
    total = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if kind.startswith(("binary", "large_binary", "struct")):
            for row in range(count):
                name = f"{prefix}/{total + row:09d}"
                place = TableCell(path, group, row, column)
                yield LabelItem(f"{path}#{total + row}", clean_name(name), name, place)
        elif kind in ("string", "large_string"):
            texts = _texts(file, group, column, path)
            entries = (ListEntry(total + row, text) for row, text in enumerate(texts) if text)
            yield from (entry_item(path, prefix, entry) for entry in entries)
        else:
            raise InputError(f"{path}: the column {column!r} is {kind}, not paths, URLs or bytes")
        total += count


def tar_items(path: str, prefix: str) -> Iterator[LabelItem]:
    """The images in a tar file, in its order; only the headers are read, and their names are kept.

    Raises `InputError` if it is compressed, damaged or not a tar file.
    """
    distinct, sources = DistinctNames(), set[str]()
    try:
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] (or it keeps every header)
                if not member.isreg() or Path(member.name).suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                source = member.name if member.name not in sources else f"{member.name}@{member.offset}"
                sources.add(source)
                name = distinct.of(clean_name(f"{prefix}/{member.name}"), source)
                place = TarMember(path, member.offset_data, member.size)
                yield LabelItem(f"{path}#{source}", name, f"{prefix}/{member.name}", place)
            _require_end(file, archive.offset)
    except (tarfile.TarError, OSError) as error:
        packed = path.lower().endswith(("gz", "bz2", "xz"))
        reason = "it is compressed, so that its images cannot be found: unpack it" if packed else reason_of(error)
        raise InputError(f"cannot read {path}: {reason}") from error


def _require_end(file: BinaryIO, offset: int) -> None:
    """Raise `OSError` if a tar file is damaged where its last header was looked for: `tarfile` takes it for the end."""
    file.seek(offset)
    if any(file.read(tarfile.BLOCKSIZE)):
        raise OSError(f"it is damaged at byte {offset}, and what follows is lost")


def find_column(names: list[str], path: str) -> str:
    """The column that has the images. Raises `InputError` if none of the names is one of `COLUMNS`."""
    lower = {name.strip().lower(): name for name in reversed(names)}
    found = next((lower[name] for name in COLUMNS if name in lower), names[0] if len(names) == 1 else None)
    if found is None:
        shown = ", ".join(names[:8])
        raise InputError(f"{path} has no column image, path, file_name or url; its columns are {shown}")
    return found


def _column(rows: Iterator[list[str]], path: str) -> Iterator[str]:
    head = next(rows, [])
    if len(head) == 1 and head[0].strip().lower() not in COLUMNS:
        place = 0
        yield head[0].strip()
    else:
        place = head.index(find_column(head, path)) if head else 0
    yield from (row[place].strip() if len(row) > place else "" for row in rows)


def _texts(file: Any, group: int, column: str, path: str) -> Iterator[str]:
    """The texts of one row group. Raises `InputError` if they cannot be read."""
    try:
        for batch in file.iter_batches(ROWS, row_groups=[group], columns=[column]):
            yield from (str(text or "") for text in batch.column(0).to_pylist())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error
