"""Where runs are written: a folder per benchmark, split, weights and backend."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.journal import RUN, differing, read_record
from evals.plain_text import slug
from evals.run_parts import METHODS

log = logging.getLogger(__name__)

OUT = Path("runs/evals")


def run_folder(benchmark: str, split: str, labels: tuple[str, ...], shard: str | None) -> Path:
    """runs/evals/BENCHMARK/SPLIT-WEIGHTS-BACKEND, with the shard at the end.

    >>> run_folder("refcoco", "val", ("tiny", "rules"), "2/4").as_posix()
    'runs/evals/refcoco/val-tiny-rules-2-of-4'
    """
    parts = [split, *labels, *([shard.replace("/", "-of-")] if shard else [])]
    return OUT / benchmark / "-".join(filter(None, parts))


def weights_label(weights: str) -> str:
    """A short name of weights: a file by its folder and name, a repository by owner and name.

    >>> [weights_label(name) for name in ("tiny", "facebook/sam3", "runs/x/final.safetensors", "/data/sam3.pt")]
    ['tiny', 'facebook-sam3', 'x-final', 'data-sam3']
    """
    parts = [part for part in re.split(r"[/\\]", weights) if part not in ("", ".", "..")][-2:]
    if parts and weights.endswith((".safetensors", ".pt")):
        parts[-1] = Path(parts[-1]).stem
    return slug("-".join(parts), unique=False) if parts else ""


def earlier_folder(
    folder: Path,
    benchmark: str,
    split: str,
    shard: str | None,
    identity: Mapping[str, Any],
    earlier: Mapping[str, Any],
    backend: str,
) -> Path:
    """The folder of this very run as older versions named it (BENCHMARK/SPLIT), if it is there; else `folder`.

    identity, earlier: settings of the run, see `journal.differing`. backend: start of the backend's name, "" for none.
    """
    old = run_folder(benchmark, split, (), shard)
    if folder.exists() or not any((place / RUN).is_file() for place in (old, *(old / method for method in METHODS))):
        return folder
    run = next(path for place in (old, *(old / method for method in METHODS)) if (path := place / RUN).is_file())
    before = read_record(run)
    same = not {*differing(before, identity, earlier)} & {*identity} - {"method"}
    system = str(before.get("system", ""))
    if not same or not system.partition(" + ")[2].startswith(backend):
        return folder
    log.warning("going on with the run in %s, which an older version named without weights and backend", old)
    return old
