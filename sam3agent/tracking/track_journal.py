"""The journal of a run: a line for each finished frame, so that an interrupted run goes on where it stopped.

`track.jsonl` begins with a `start` record, which holds all that the results depend on. `frame` records follow in the
order of tracking, a `resume` record wherever a run went on, and an `end` record. Every output file is made from it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from sam3agent.tracking.tracked_frames import FrameTracks
from sam3model.errors import ConfigError, InputError, OutputError
from sam3model.files import held_alone, not_a_pipe

FILE_NAME = "track.jsonl"
VERSION = 1


class TrackJournal:
    """Append-only; written by one process at a time. A line is on disk when `add` returns.

    size: width and height of the clip. resumed_at: the first frame after each interruption. finished: whether the last
    frame is in it. `frames`: numbers of the finished frames, in the order of tracking.
    """

    def __init__(self, folder: Path, size: tuple[int, int], settings: Mapping[str, Any]) -> None:
        """Open the journal in a folder, or start one.

        Raises `InputError` if the folder cannot be made, `ConfigError` if it holds a run with other settings, or a line
        other than the last is damaged.
        """
        self.path = folder / FILE_NAME
        self.size = size
        self.resumed_at: list[int] = []
        self.finished = False
        self._places: dict[int, int] = {}
        self._end = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = not_a_pipe(self.path).open("a+b")
        except OSError as error:
            raise InputError(f"cannot write into {folder}: {error.strerror}") from error
        try:
            if not held_alone(self._file.fileno()):
                raise ConfigError(f"another process is tracking into {folder}: wait for it, or choose another --out")
            before = self._index()
            start = {"event": "start", "version": VERSION, **json.loads(json.dumps(dict(settings)))}
            if before and self._places:
                _compare(before, start, folder)
                self._file.truncate(self._end)
            else:
                self._file.truncate(0)
                self._end = 0
                self._write(start)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; a journal without frames is deleted."""
        self._file.close()
        if not self._places:
            with suppress(OSError):
                self.path.unlink()
                self.path.parent.rmdir()

    @property
    def frames(self) -> tuple[int, ...]:
        """Numbers of the finished frames, in the order of tracking."""
        return tuple(self._places)

    def __contains__(self, frame: int) -> bool:
        return frame in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, tracked: FrameTracks) -> None:
        """Append a frame. Raises `OutputError` if the disk is full."""
        place = self._end
        self._write(tracked.to_json())
        self._places[tracked.frame] = place

    def resume(self, frame: int) -> None:
        """Note that a run goes on before this frame."""
        self._write({"event": "resume", "frame": frame})
        self.resumed_at.append(frame)

    def finish(self) -> None:
        """Note that all frames are tracked."""
        self._write({"event": "end"})
        self.finished = True

    def read(self, frame: int) -> FrameTracks:
        """A finished frame. Raises `ConfigError` if its line is damaged."""
        self._file.seek(self._places[frame])
        try:
            return FrameTracks.from_json(json.loads(self._file.readline()), self.size)
        except (InputError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"{self.path}: frame {frame} is damaged: choose another --out or add --restart"
            ) from error

    def in_order_of_time(self) -> Iterator[FrameTracks]:
        """All finished frames by their number."""
        return (self.read(frame) for frame in sorted(self._places))

    def _write(self, record: Mapping[str, Any]) -> None:
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode()
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._end += len(line)

    def _index(self) -> dict[str, Any] | None:
        """Find the lines; the start record, or None for a new journal. An incomplete last line is left out."""
        start = None
        self._file.seek(0)
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                record = json.loads(line)
                self._note(record, first=start is None)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise ConfigError(
                    f"{self.path}: line {number} is damaged: choose another --out or add --restart"
                ) from error
            start = record if start is None else start
            self._end += len(line)
        return start

    def _note(self, record: dict[str, Any], *, first: bool) -> None:
        match record["event"]:
            case "start" if first:
                if record["version"] != VERSION:
                    raise ConfigError(f"{self.path} was written by another version of sam3agent: choose another --out")
            case "frame" if not first:
                self._places[int(record["frame"])] = self._end
            case "resume" if not first:
                self.resumed_at.append(int(record["frame"]))
            case "end" if not first:
                self.finished = True
            case _:
                raise ValueError("unexpected record")


def _compare(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raises `ConfigError` with what differs between the settings of a run and those of a command."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        shown = "; ".join(f"{name} {_shown(before.get(name))}, now {_shown(now.get(name))}" for name in names)
        raise ConfigError(f"{folder} holds a run with other settings ({shown}): choose another --out, or add --restart")


def _shown(value: Any) -> str:
    return "none" if value is None or value == [] else json.dumps(value, ensure_ascii=False)[:80]
