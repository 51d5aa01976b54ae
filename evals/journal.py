"""The files of a run. Predictions are appended as JSON lines, so an interrupted run can be resumed."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from evals.dataset_files import read_json
from evals.plain_text import short_line
from evals.prediction_records import StoredPrediction, from_record, to_record
from evals.samples import SampleKind
from sam3model.errors import ConfigError, DataError, InputError, MetricError, OutputError
from sam3model.files import held_alone, not_a_pipe, open_regular, write_json

PREDICTIONS = "predictions.jsonl"
FAILURES = "failures.jsonl"
RUN = "run.json"
METRICS = "metrics.json"
START = '{"key": '
RECORD = "record"
"""Field of run.json that does not identify the run: versions, commit and date of its start."""
UNSTATED: Mapping[str, Any] = {"max_seconds": 300.0, "max_segmenter_calls": 20}
"""Values of settings that older runs did not record."""


class Journal:
    """The folder of a run, written by one process at a time.

    settings: identify the run. record: the software, see `evals.run_record`. earlier: see `differing`. Raises
    `ConfigError` if the folder holds a run with other settings or another process writes to it, `DataError` if a file
    is damaged.
    """

    def __init__(
        self,
        folder: Path,
        kind: SampleKind,
        settings: Mapping[str, Any],
        record: Mapping[str, Any] | None = None,
        earlier: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self._earlier = earlier or {}
        self._file = _open_alone(folder)
        try:
            self.started = self._claim(dict(settings), dict(record or {}))
            self.predictions = Predictions(folder, kind)
            self.failures: dict[str, str] = {}
            (folder / FAILURES).unlink(missing_ok=True)
            self._file.truncate(self.predictions.end)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def keep(self, key: str, stored: StoredPrediction) -> None:
        """Append a prediction; it is on disk when this returns. Raises `OutputError`."""
        _append(self._file, self.folder / PREDICTIONS, to_record(key, stored))

    def fail(self, key: str, error: BaseException) -> None:
        """Record a failed sample; a rerun tries it again. Raises `OutputError`."""
        self.failures[key] = short_line(f"{type(error).__name__}: {error}")
        path = self.folder / FAILURES
        try:
            file = path.open("ab", buffering=0)
        except OSError as reason:
            raise OutputError(f"cannot write {path}: {reason.strerror}") from reason
        with file:
            _append(file, path, {"key": key, "error": self.failures[key]})

    def _claim(self, settings: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
        """Check that the run in the folder is this one, or start it; returns the record of its start."""
        path = self.folder / RUN
        if not path.exists():
            self._refuse_foreign()
            write_json(path, {**settings, RECORD: record}, indent=1)
            return record
        before = read_record(path)
        for name in differing(before, settings, self._earlier):
            raise ConfigError(
                f"{self.folder} holds a run with {name} {before.get(name, UNSTATED.get(name))}, "
                f"not {settings.get(name)}: choose another --out, or delete it"
            )
        started = before.get(RECORD)
        return started if isinstance(started, dict) else {}

    def _refuse_foreign(self) -> None:
        """Raise `ConfigError` if a folder without a run holds files that this run would write over."""
        foreign = [name for name in (PREDICTIONS, METRICS) if _size(self.folder / name)]
        if foreign:
            raise ConfigError(
                f"{self.folder} holds {foreign[0]}, but no {RUN} that says of which run: "
                "choose another --out, or move the file away"
            )


def differing(before: Mapping[str, Any], now: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[str]:
    """Names of the settings in which a run differs from one that began before.

    earlier: values that older versions recorded in place of those of `now`.
    """
    names = sorted((now.keys() | before.keys()) - {RECORD})
    values = {name: before.get(name, UNSTATED.get(name)) for name in names}
    return [n for n in names if values[n] != now.get(n) and (n not in earlier or values[n] != earlier[n])]


def _size(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _open_alone(folder: Path) -> BinaryIO:
    """The file of predictions, locked against other processes where the system can. Raises `ConfigError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = not_a_pipe(folder / PREDICTIONS).open(
            "ab", buffering=0
        )  # unbuffered: a full disk fails where it is noticed
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot write to {folder}: {getattr(error, 'strerror', None) or error}") from error
    if not held_alone(file.fileno()):
        file.close()
        raise ConfigError(f"another process is running a benchmark in {folder}: wait for it, or choose another --out")
    return file


def _append(file: BinaryIO, path: Path, record: Mapping[str, Any]) -> None:
    """Append a line, or nothing: after half a line, the next one would be lost, too. Raises `OutputError`."""
    line = (json.dumps(record) + "\n").encode()
    try:
        written = file.write(line)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    if written != len(line):
        with contextlib.suppress(OSError):
            file.truncate(os.fstat(file.fileno()).st_size - written)
        raise OutputError(f"cannot write {path}: the disk is full")


class Predictions:
    """The stored predictions of a run, read on demand, since those of a large run do not fit into memory.

    An incomplete last line (after a crash) is ignored; if a key occurs twice, the later line counts.
    end: bytes of all complete lines. Raises `DataError` if the file is damaged.
    """

    def __init__(self, folder: Path, kind: SampleKind) -> None:
        self.end = 0
        self._kind: SampleKind = kind
        self._path = folder / PREDICTIONS
        self._places: dict[str, int] = {}
        if self._path.exists():
            self._index()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> StoredPrediction | None:
        """The prediction of a sample, or None."""
        if key not in self._places:
            return None
        try:
            with open_regular(self._path) as file:
                file.seek(self._places[key])
                line = file.readline()
            return from_record(json.loads(line), self._kind)[1]
        except (
            AttributeError,
            InputError,
            LookupError,
            MetricError,
            OSError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise self._damage(repr(key), error) from error

    def _index(self) -> None:
        """Find where the line of each key starts; a line starts with its key."""
        decoder = json.JSONDecoder()
        try:
            with open_regular(self._path) as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    key = decoder.raw_decode(line[len(START) :].decode())[0]
                    if not isinstance(key, str):
                        raise TypeError("the field 'key' is not a string")
                    self._places[key] = self.end
                    self.end += len(line)
        except (OSError, RecursionError, TypeError, ValueError) as error:
            raise self._damage(f"byte {self.end}", error) from error
        except InputError as error:
            raise DataError(str(error)) from error

    def _damage(self, what: str, error: Exception) -> DataError:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        return DataError(f"{self._path}: the prediction at {what} is damaged ({type(error).__name__}: {reason})")


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object written by a run. Raises `DataError`."""
    try:
        value = read_json(path)
    except DataError as error:
        raise DataError(f"{path} is not a file of a run: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is not a file of a run: it is not a JSON object")
    return value
