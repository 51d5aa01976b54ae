"""Atomic writing: readers see the old file or the complete new one. Bounded reading, of regular files only."""

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sam3model.errors import InputError, OutputError, reason_of

_PART = 1 << 20

TEMPORARY_NAME = 32
"""How many characters of the name of a file the name of its temporary file has."""


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it when the block succeeds, and is deleted when it fails.

    Missing folders are created. The permissions are those of a new file, however the block writes it.

    private: whether only its owner may read it, from the start.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name[:TEMPORARY_NAME]}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(0o600 if private else 0o666, exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError if the disk is full
        raise OutputError(f"cannot write {path}: {reason_of(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def unfinished(folder: Path, names: str) -> Iterator[Path]:
    """The temporary files that a killed process left of `replacing` files whose names match a pattern.

    names: a pattern of the first `TEMPORARY_NAME` characters of the names.
    """
    return folder.glob(f".{names}." + "[0-9a-f]" * 8)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write UTF-8 text atomically, readable by its owner only if `private`; raises `OutputError`."""
    with replacing(path, private=private) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write JSON atomically, on one line unless `indent` is given; raises `OutputError`."""
    write_text(path, json.dumps(content, indent=indent) + "\n")


def private_folder(path: Path) -> None:
    """Make a folder and what is missing above it; those that are made can be entered by their owner only.

    Raises `OutputError` if they cannot be made.
    """
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {reason_of(error)}") from error


def expanded(path: str | Path) -> Path:
    """A path with its `~` or `~user` written out; unchanged, as in a shell, if there is no such home."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (that of pathlib raises without a home)


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder; False also for a name that cannot exist."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def exists(path: str | Path) -> bool:
    """Whether there is something at a path; False also for a name that cannot exist."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading. Anything else (a device, pipe, socket or folder) is refused without reading it.

    The kind is checked on the open file, so it cannot change in between.

    Raises:
        InputError: the file is missing, not a regular file, or cannot be opened.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # some devices act when they are opened
            raise _not_regular(path)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise _not_regular(path)


def read_regular(path: str | Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes.

    Raises:
        InputError: as `open_regular`, or the file is larger.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise _too_large(str(path), limit)
        return read_at_most(file, limit, str(path))


def read_at_most(stream: BinaryIO, limit: int, name: str) -> bytes:
    """All bytes of a stream, at most `limit`. Raises `InputError` if there are more, or if reading fails.

    name: what messages call the stream.
    """
    parts, left = list[bytes](), limit + 1
    try:
        while left and (part := stream.read(min(left, _PART))):
            parts.append(part)
            left -= len(part)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error
    if not left:
        raise _too_large(name, limit)
    return b"".join(parts)


def not_a_pipe(path: Path) -> Path:
    """The path of a file that is to be written in place: opening a pipe would wait for a reader for ever.

    Raises `OSError` if a pipe is there.
    """
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISFIFO(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, not a file", str(path))
    return path


def held_alone(handle: int) -> bool:
    """Lock an open file or folder against other processes, until it is closed; False if another one holds it.

    True without a lock where the system or the file system has none.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


def _too_large(name: str, limit: int) -> InputError:
    bound = f"{limit / 1e6:.0f} MB" if limit >= 1e6 else f"{limit} bytes"
    return InputError(f"{name} is too large: the limit is {bound}")


def _not_regular(path: str | Path) -> InputError:
    if Path(path).is_dir():
        return InputError(f"{path} is a folder, not a file")
    return InputError(f"{path} is not a regular file but a device, pipe or socket: save its contents to a file first")


def writable_name(name: str) -> str:
    """The name of a file or folder with "_" for the characters that a file system may refuse.

    >>> writable_name('what? "a:b"')
    'what_ _a_b_'
    """
    return "".join(c if c.isprintable() and c not in '\\:*?"<>|' else "_" for c in name)
