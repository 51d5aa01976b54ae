"""`sam3agent studio` as a process: its address, a kill in the middle, and mistakes on the command line."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sam3agent.cli import main
from tests.studio.studio_desk import drawn


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "sam3agent", "studio", *map(str, words), "--no-browser"]


@contextmanager
def running(*words: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A studio in a process of its own, and its address."""
    process = subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait(20)


def talk(address: str, path: str, **body: Any) -> Any:
    """A request with the token of an address."""
    parts = urlsplit(address)
    (token,) = parse_qs(parts.query)["token"]
    data = json.dumps(body).encode() if body else None
    headers = {"Authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(f"http://{parts.netloc}/api/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def test_a_killed_studio_goes_on_at_the_same_address(tmp_path: Path) -> None:
    folder, out = tmp_path / "files", tmp_path / "out"
    folder.mkdir()
    drawn().save(folder / "one.png")
    with running(folder, "--out", out) as (_, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", address)
        (item,) = talk(address, "items")["items"]
        seen = talk(address, "paint", item=item["id"], stroke=[[20, 20], [40, 30]], radius=4, label="line")
        second = subprocess.run(command(folder, "--out", out), capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2 and "another process" in second.stderr
        port = str(urlsplit(address).port)
    with running(folder, "--out", out, "--port", port) as (_, again):
        assert again == address
        shown = talk(again, f"items/{item['id']}")
        assert (shown["objects"], shown["masks"]) == (seen["objects"], seen["masks"])
        assert talk(again, "undo", item=item["id"])["objects"] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["missing"], "there is no file or folder missing"),
        (["--host", "0.0.0.0", "--no-token"], "for this machine only"),
        (["--threshold", "2"], "--threshold"),
    ],
)
def test_mistakes_exit_with_2_and_one_line(
    given: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["studio", *given, "--no-browser"])
    printed = capsys.readouterr()
    assert ended.value.code == 2 and words in printed.err
    assert len(printed.err.strip().splitlines()) == 1 and printed.out == ""
