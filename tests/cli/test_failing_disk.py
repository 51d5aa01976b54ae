"""A full or failing disk costs the files of an answer, never the answer."""

import asyncio
import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sam3agent.cli import main
from sam3agent.deadlines import within
from tests.agent.world import World


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image in the working directory, and a disk on which no file can be finished."""
    World().image.save(tmp_path / "p.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sam3agent.cli.segment.make_segmenter", lambda *_: World())
    monkeypatch.setattr("sam3agent.api.make_segmenter", lambda *_: World())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sam3model.files.os.fsync", full)
    return tmp_path / "p.png"


@pytest.mark.parametrize(
    "words",
    [("segment", "p.png", "--phrase", "player"), ("segment", "p.png", "--phrase", "player", "--format", "png"),
     ("ask", "p.png", "players"), ("ask", "p.png", "players", "--format", "cutout")],
    ids=" ".join,
)  # fmt: skip
def test_the_answer_is_printed(image: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--out", "full", "--json"])
    assert left.value.code == 0
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert value["masks"]
    assert any("No space left on device" in warning for warning in value["warnings"])
    assert value["overlay"] is None
    assert [path.name for path in (image.parent / "full").iterdir() if path.suffix in (".png", ".json")] == []


def test_a_program_that_runs_a_command_outlives_it(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although a call that it gave up goes on: only the process of a command line ends at once."""
    monkeypatch.setattr("sam3agent.deadlines.os._exit", lambda code: pytest.fail(f"left with {code}"))
    over = threading.Event()
    with pytest.raises(TimeoutError):
        asyncio.run(within(0.01, over.wait))
    try:
        with pytest.raises(SystemExit):
            main(["segment", "p.png", "--phrase", "player", "--out", "full", "--json"])
    finally:
        over.set()
