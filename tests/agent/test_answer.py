"""Folders of answers: each its own, whoever else asks at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from sam3agent.answer import fresh_folder
from sam3model.errors import InputError


def test_two_who_ask_at_once_get_two_folders(tmp_path: Path) -> None:
    together = Barrier(8)

    def ask(number: int) -> Path:
        with fresh_folder(tmp_path / "out", "match") as folder:
            together.wait(10)  # all of them hold their folder before any writes
            (folder / "masks.json").write_text(str(number))
        return folder

    with ThreadPoolExecutor(8) as people:
        folders = list(people.map(ask, range(8)))
    assert {folder.name for folder in folders} == {f"match-{n}" for n in range(1, 9)}
    assert [(folder / "masks.json").read_text() for folder in folders] == list("01234567")


def test_a_folder_that_stays_empty_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(KeyError), fresh_folder(tmp_path, "match") as folder:
        raise KeyError(folder)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write into .*file"), fresh_folder(tmp_path / "file", "match"):
        pass
