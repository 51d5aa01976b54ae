"""One process per output folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam3model.errors import ConfigError


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Keep other processes that lock it out of an existing folder, where the system can.

    Raises `ConfigError` if another process is writing into it.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield folder
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another process is writing into {folder}: wait for it, or choose another --out"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield folder
    finally:
        os.close(handle)
