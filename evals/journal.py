"""The files of a run. Predictions are appended as JSON lines, so an interrupted run can be resumed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, assert_never

from evals.samples import (
    ClickPrediction,
    Detection,
    MaskletPrediction,
    PhrasePrediction,
    PredictedTrack,
    Prediction,
    QuestionPrediction,
    SampleKind,
    VideoPrediction,
)
from sam3model.errors import ConfigError, DataError
from sam3model.files import write_json

PREDICTIONS = "predictions.jsonl"
FAILURES = "failures.jsonl"
RUN = "run.json"
METRICS = "metrics.json"
START = '{"key": '


class Journal:
    """The folder of a run, written by one process at a time.

    settings: identify the run. Raises `ConfigError` if the folder holds a run with other settings, `DataError` if a
    file is damaged.
    """

    def __init__(self, folder: Path, kind: SampleKind, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
        self._claim(dict(settings))
        self.predictions = Predictions(folder, kind)
        self.failures: dict[str, str] = {}
        (folder / FAILURES).unlink(missing_ok=True)
        self._file = (folder / PREDICTIONS).open("a", encoding="utf-8")
        self._file.truncate(self.predictions.end)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def keep(self, key: str, prediction: Prediction) -> None:
        """Append a prediction; it is on disk when this returns."""
        self._file.write(json.dumps(to_record(key, prediction)) + "\n")
        self._file.flush()

    def fail(self, key: str, error: BaseException) -> None:
        """Record a failed sample; a rerun tries it again."""
        self.failures[key] = f"{type(error).__name__}: {error}"
        with (self.folder / FAILURES).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "error": self.failures[key]}) + "\n")

    def _claim(self, settings: dict[str, Any]) -> None:
        path = self.folder / RUN
        if not path.exists():
            write_json(path, settings, indent=1)
            return
        before = read_record(path)
        for name in settings.keys() | before.keys():
            if before.get(name) != settings.get(name):
                raise ConfigError(
                    f"{self.folder} holds a run with {name} {before.get(name)}, not {settings.get(name)}: "
                    "choose another --out, or delete it"
                )


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

    def get(self, key: str) -> Prediction | None:
        """The prediction of a sample, or None."""
        if key not in self._places:
            return None
        with self._path.open("rb") as file:
            file.seek(self._places[key])
            line = file.readline()
        try:
            return from_record(json.loads(line), self._kind)[1]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damage(key, error) from error

    def _index(self) -> None:
        """Find where the line of each key starts; a line starts with its key."""
        decoder = json.JSONDecoder()
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    key = decoder.raw_decode(line[len(START) :].decode())[0]
                except ValueError as error:
                    raise self._damage(f"byte {self.end}", error) from error
                self._places[key] = self.end
                self.end += len(line)

    def _damage(self, what: str, error: Exception) -> DataError:
        return DataError(f"{self._path}: the prediction at {what} is damaged ({type(error).__name__}: {error})")


def to_record(key: str, prediction: Prediction) -> dict[str, Any]:
    """A prediction as a JSON object."""
    return {"key": key, **asdict(prediction)}


def from_record(record: Mapping[str, Any], kind: SampleKind) -> tuple[str, Prediction]:
    """The inverse of `to_record`, for a sample of this kind."""
    match kind:
        case "image-phrase":
            groups = tuple(_detections(group) for group in record["detections"])
            return record["key"], PhrasePrediction(tuple(record["phrases"]), groups)
        case "image-question":
            values = {name: value for name, value in record.items() if name != "key"}
            values |= {"size": tuple(record["size"]), "detections": _detections(record["detections"])}
            values["warnings"] = tuple(record.get("warnings", ()))
            return record["key"], QuestionPrediction(**values)
        case "video":
            frames, size = tuple(record["frames"]), (record["size"][0], record["size"][1])
            return record["key"], VideoPrediction(tuple(record["phrases"]), frames, size, _tracks(record["tracks"]))
        case "image-clicks":
            masks = tuple(tuple(row) for row in record["masks"])
            return record["key"], ClickPrediction(tuple(record["prompts"]), masks)
        case "masklets":
            protocols = {name: _tracks(rows) for name, rows in record["protocols"].items()}
            return record["key"], MaskletPrediction(tuple(record["phrases"]), protocols)
        case _:
            assert_never(kind)


def _detections(rows: Any) -> tuple[Detection, ...]:
    return tuple(Detection(row["score"], tuple(row["box"]), row["mask"]) for row in rows)


def _tracks(rows: Any) -> tuple[PredictedTrack, ...]:
    return tuple(PredictedTrack(row["prompt"], row["score"], tuple(row["masks"])) for row in rows)


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object written by a run."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a file of a run: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is not a file of a run")
    return value
