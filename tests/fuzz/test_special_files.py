"""Pipes, devices, loops of links and folders where a file is expected, from every door: one line, at once."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from sam3agent.tracking.track_journal import FILE_NAME, TrackJournal
from sam3model.errors import InputError
from tests.fuzz.commands import Ended, evals, sam3agent
from tests.fuzz.fuzzing import bounded


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket has at most 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "link to a device": link_to_zero,
    "loop": loop,
    "socket": unix_socket,
    "folder": Path.mkdir,
}


def with_config(path: Path) -> Ended:
    with mock.patch.dict(os.environ, {"SAM3AGENT_CONFIG": str(path)}):
        return sam3agent("ask", "no.png", "the ball")


def with_image(command: str, *more: str) -> Callable[[Path], Ended]:
    return lambda path: sam3agent(command, str(path), *more, "--out", str(path.parent / "out"))


def in_data_set(name: str, file: str) -> Callable[[Path], Ended]:
    def run(path: Path) -> Ended:
        place = path.parent / "data" / file
        place.parent.mkdir(parents=True)
        path.rename(place)
        return evals(name, "--root", str(path.parent / "data"), "--out", str(path.parent / "out"))

    return run


def as_result(name: str) -> Callable[[Path], Ended]:
    def run(path: Path) -> Ended:
        (path.parent / "run").mkdir()
        path.rename(path.parent / "run" / name)
        return evals("report", str(path.parent / "run"))

    return run


def as_predictions(path: Path) -> Ended:
    (path.parent / "data").mkdir()
    (path.parent / "data/valid.json").write_text('{"videos": [], "categories": [], "annotations": []}')
    return evals("ytvis", "--root", str(path.parent / "data"), "--predictions", str(path))


def as_journal(path: Path) -> Ended:
    (path.parent / "run").mkdir()
    path.rename(path.parent / "run/predictions.jsonl")
    return evals("playground", "--limit", "1", "--out", str(path.parent / "run"))


DOORS: dict[str, Callable[[Path], Ended]] = {
    "ask": with_image("ask", "the ball"),
    "segment": with_image("segment", "--phrase", "ball"),
    "track": with_image("track", "--phrase", "ball"),
    "replay": lambda path: sam3agent("replay", str(path)),
    "weights": lambda path: sam3agent("weights", "info", str(path.rename(path.with_suffix(".safetensors")))),
    "pickled weights": lambda path: sam3agent("weights", "info", str(path.rename(path.with_suffix(".pt")))),
    "settings": with_config,
    "output": lambda path: sam3agent("ask", "assets/match.png", "der Spieler", "--out", str(path / "x")),
    "annotations": in_data_set("coco", "annotations/instances_val2017.json"),
    "pickled references": in_data_set("refcoco", "refcoco/refs(unc).p"),
    "lines": in_data_set("countbench", "countbenchqa.jsonl"),
    "results": as_result("metrics.json"),
    "predictions": as_predictions,
    "journal": as_journal,
}
HARMLESS = {
    ("folder", door): "a folder is a way to give several files"
    for door in ("ask", "segment", "track", "replay", "weights", "pickled weights", "results", "predictions", "output")
} | {("loop", "journal"): "renamed, it is a link to a new file"}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_refused_at_once(kind: str, door: str, tmp_path: Path) -> None:
    if why := HARMLESS.get((kind, door)):
        pytest.skip(why)
    path = tmp_path / "special.png"
    SPECIAL[kind](path)
    with bounded():
        ended = DOORS[door](path)
    assert ended.code in (1, 2), ended
    assert len([line for line in ended.err.splitlines() if line.startswith(("sam3agent: ", "evals: "))]) == 1, ended.err


def test_a_pipe_in_the_place_of_a_trace_costs_the_trace_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trace.jsonl")
    with bounded():
        ended = sam3agent("ask", "assets/match.png", "der Spieler", "--out", str(tmp_path))
    assert ended.code == 2
    assert "no trace of this question is kept" in ended.err
    assert ended.out.startswith("not understood: ")


def test_a_pipe_in_the_place_of_a_journal_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE_NAME)
    with bounded(), pytest.raises(InputError, match="it is a pipe, not a file"):
        TrackJournal(tmp_path, (4, 4), {})
