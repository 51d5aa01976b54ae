"""Files are written completely or not at all."""

import json
import os
import resource
import signal
import stat
from pathlib import Path

import pytest
import torch

from sam3model.errors import OutputError
from sam3model.files import expanded, replacing, write_json, write_text


def test_folders_are_created_and_permissions_follow_the_umask(tmp_path):
    path = tmp_path / "a" / "b" / "c.json"
    before = os.umask(0o027)
    try:
        write_json(path, {"é": [1]}, indent=1)
    finally:
        os.umask(before)
    assert json.loads(path.read_text("utf-8")) == {"é": [1]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / ("long " * 50)
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("ne")
        assert path.read_text() == "old"
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_home_that_is_not_there_stays_as_it_is_written(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/a") == Path("/home/me/a")
    assert expanded("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, KeyError])
def test_a_failed_write_keeps_the_old_file(tmp_path, failure):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(failure), replacing(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [lambda p: torch.save(torch.zeros(9999), p), lambda p: p.write_bytes(bytes(9999))])
def test_a_full_disk_is_a_one_line_error_with_the_path(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("old")
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OutputError, match=f"cannot write {path}: ") as caught, replacing(path) as temporary:
            write(temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_created_is_a_one_line_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file/x: (File exists|Not a directory)$"):
        write_text(tmp_path / "file" / "x", "")
