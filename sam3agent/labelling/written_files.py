"""Which files of a data set its runs have written, so that they do not write over those of others."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sam3model.errors import InputError
from sam3model.files import read_regular, unfinished, write_json

MAX_BYTES = 1 << 20


class FilesOfKind(Protocol):
    """Files that a run writes, as patterns inside the output folder, such as those of a format."""

    @property
    def patterns(self) -> Sequence[str]:
        """Files of the whole data set."""
        ...

    @property
    def splits(self) -> Sequence[str]:
        """Names of the splits that are written."""
        ...

    def of(self, split: str) -> Sequence[str]:
        """Files of one split."""
        ...


@dataclass(frozen=True)
class FilesOfDataSet:
    """Files that do not depend on splits."""

    patterns: tuple[str, ...]
    splits: tuple[str, ...] = ()

    def of(self, split: str) -> Sequence[str]:
        """None."""
        return ()


@dataclass(frozen=True)
class WrittenFiles:
    """The kinds of files that the runs of a folder have written, and their splits. path: where this is kept."""

    path: Path
    splits: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, path: Path) -> "WrittenFiles | None":
        """What is kept; None if it cannot be read, or is missing, as in folders of older versions."""
        try:
            kept = json.loads(read_regular(path, MAX_BYTES))
            return cls(path, {str(kind): frozenset(map(str, splits)) for kind, splits in kept.items()})
        except (InputError, ValueError, TypeError, AttributeError):
            return None

    def require_own(self, out: Path, kinds: Mapping[str, FilesOfKind]) -> None:
        """Raise `InputError` if files would be written over that no run wrote, such as annotations of others."""
        patterns = list[str]()
        for kind, files in kinds.items():
            before = self.splits.get(kind)
            patterns += files.patterns if before is None else ()
            patterns += _of_splits(files, (split for split in files.splits if split not in (before or ())))
        if found := next(_found(out, patterns), None):
            raise InputError(
                f"{found} would be written over, and no journal says that a run has written it: "
                "move it away, or choose another --out"
            )

    def begin(self, kinds: Mapping[str, FilesOfKind]) -> None:
        """Keep that these files are being written, before the first of them. Raises `OutputError`."""
        for left in unfinished(self.path.parent, self.path.name):
            left.unlink(missing_ok=True)
        now = {kind: self.splits.get(kind, frozenset()).union(files.splits) for kind, files in kinds.items()}
        self._keep({**self.splits, **now})

    def finish(self, out: Path, kinds: Mapping[str, FilesOfKind]) -> None:
        """Keep that these files are written, and delete those of splits that are no longer asked for."""
        for kind, files in kinds.items():
            own = set(_found(out, _of_splits(files, files.splits)))
            gone = self.splits.get(kind, frozenset()).difference(files.splits)
            for path in _found(out, _of_splits(files, gone)):
                if path not in own:
                    path.unlink(missing_ok=True)
        self._keep({**self.splits, **{kind: frozenset(files.splits) for kind, files in kinds.items()}})

    def _keep(self, splits: Mapping[str, frozenset[str]]) -> None:
        write_json(self.path, {kind: sorted(splits[kind]) for kind in sorted(splits)})


def _of_splits(files: FilesOfKind, splits: Iterable[str]) -> list[str]:
    return [pattern for split in splits for pattern in files.of(split)]


def _found(out: Path, patterns: Sequence[str]) -> Iterator[Path]:
    return (path for pattern in patterns for path in out.glob(pattern))
