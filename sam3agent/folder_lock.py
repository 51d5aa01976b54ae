"""One process per output folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam3model.errors import ConfigError
from sam3model.files import held_alone


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Keep other processes that lock it out of an existing folder, where the system can.

    Raises `ConfigError` if another process is writing into it.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        yield folder
        return
    try:
        if not held_alone(handle):
            raise ConfigError(f"another process is writing into {folder}: wait for it, or choose another --out")
        yield folder
    finally:
        os.close(handle)
