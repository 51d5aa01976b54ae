"""Which weights a run is of: a hash of the whole content, so that copies on several machines are the same."""

import hashlib
from functools import lru_cache
from pathlib import Path

from sam3model.errors import Sam3Error
from sam3model.files import open_regular
from sam3model.resources import TINY_WEIGHTS, asset

SUFFIXES = (".safetensors", ".pt", ".bin")
CONFIG = "config.json"
CHUNK = 1 << 22


def weights_hash(weights: str) -> str | None:
    """Hash of a local weights file, or of those in a folder; None for weights of a hub, whose name says which they are.

    Everything is hashed, since training may change a small part only: one to three seconds per GB, once per run.
    """
    try:
        path = _local(weights)
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files = [file for file in inside if file == path or file.suffix in SUFFIXES or file.name == CONFIG]
        digests = [f"{file.name if file != path else ''} {_digest(file, *_state(file))}" for file in files]
    except (Sam3Error, OSError, ValueError):
        return None
    whole = "\n".join(digests).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(whole, digest_size=16).hexdigest() if digests else None


def modified(weights: str) -> str | None:
    """How older versions told apart weights of one name: by size and modification time of the file."""
    try:
        size, time = _state(_local(weights))
    except (Sam3Error, OSError, ValueError):
        return None
    return f"{size} bytes, {time}"


def _local(weights: str) -> Path:
    return asset(TINY_WEIGHTS) if weights == "tiny" else Path(weights)


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, time: int) -> str:
    """Hash of a file as long as it has this size and modification time."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while part := file.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()
