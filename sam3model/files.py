"""Atomic writing: readers see the old file or the complete new one. Bounded reading of files from outside."""

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sam3model.errors import InputError, OutputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it when the block succeeds, and is deleted when it fails.

    Missing folders are created. The permissions are those of a new file, however the block writes it.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name[:32]}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError if the disk is full
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; raises `OutputError`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write JSON atomically, on one line unless `indent` is given; raises `OutputError`."""
    write_text(path, json.dumps(content, indent=indent) + "\n")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    A FIFO or a device is refused, also behind a link: it could block, or never end.

    Raises:
        InputError: it is not a regular file.
        OSError: as `open`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if stat.S_ISREG(path.stat().st_mode):
        file = os.fdopen(os.open(path, flags), "rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # the path may name something else by now
            return file
        file.close()
    raise InputError(f"{path} is not a regular file")


def read_regular(path: Path, limit: int) -> bytes:
    """Content of a regular file of at most `limit` bytes.

    Raises:
        InputError: it is missing, not a regular file, too large, or cannot be read.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > limit else file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}") from error
    if max(size, len(content)) > limit:
        raise InputError(f"{path} has {max(size, len(content))} bytes; at most {limit} are supported")
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next(iter(str(error).splitlines()), type(error).__name__)
