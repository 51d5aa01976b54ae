"""Paths as people and models write them, and files that change or should not be read."""

import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest

from sam3agent.servers import confined_files
from sam3agent.servers.confined_files import Roots
from sam3agent.servers.written_paths import PastedImage, ResultName, read_path
from sam3model.errors import InputError
from sam3model.files import open_regular
from tests.drawn_match import drawing
from tests.servers.desk import Desk, data, text


def png() -> bytes:
    buffer = io.BytesIO()
    drawing().save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("a.png", "a.png"),
        (' "a b.png" ', "a b.png"),
        ("'/x/a.png'", "/x/a.png"),
        ("file:///x/a%20b.png", "/x/a b.png"),
        ("file://localhost/x/a.png", "/x/a.png"),
        ("FILE:/x/a.png", "/x/a.png"),
        ("file:a.png", "a.png"),
        ("a:b.png", "a:b.png"),
        ("100%.png", "100%.png"),
        (r"\\wsl$\Ubuntu\home\me\a.png", "/home/me/a.png"),
        (r"\\wsl.localhost\Ubuntu\home\me\a.png", "/home/me/a.png"),
        ("file://wsl.localhost/Ubuntu/home/me/a.png", "/home/me/a.png"),
    ],
)
def test_ways_to_write_a_path(written: str, path: str) -> None:
    assert read_path(written, windows=False) == Path(path)


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert read_path("~/a.png", windows=False) == Path("/home/me/a.png")


@pytest.mark.parametrize("written", [r"C:\Users\me\a.png", "c:/Users/me/a.png", "file:///C:/Users/me/a.png"])
def test_a_windows_path_on_windows(written: str) -> None:
    assert str(read_path(written, windows=True)).replace("\\", "/").lower() == "c:/users/me/a.png"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "file: address"),
        ("   ", "file: address"),
        ("a\0b", "not a usable path"),
        ("x" * 5000, "not a usable path"),
        ("https://example.org/a.png", "https: addresses are not read"),
        ("s3://bucket/a.png", "s3: addresses are not read"),
        ("file://server/share/a.png", "another machine"),
        (r"\\server\share\a.png", "Windows share"),
        (r"Q:\a.png", "sees no drive Q"),
        ("~nobody-of-this-name/a.png", "unknown user"),
        ("data:image/png;base64,", "holds no image"),
        ("data:image/png;base64,%%%", "damaged"),
    ],
)
def test_what_is_no_path_is_answered_with_what_is_accepted(written: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_path(written, windows=False)


def test_data_uris_and_results() -> None:
    encoded = base64.b64encode(b"\xfb\xff\xfe").decode()
    for written in (f"data:image/png;base64,{encoded}", f"data:;base64,{encoded.replace('+', '-').replace('/', '_')}"):
        assert read_path(written) == PastedImage(b"\xfb\xff\xfe")
    assert read_path("data:,%41%42") == PastedImage(b"AB")
    assert read_path("sam3://results/a-1/overlay.png") == ResultName("a-1/overlay.png")


def test_a_pasted_image_has_a_name_for_later_calls(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    pasted = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    found = desk.call("segment_phrase", image=pasted, phrases=["player in white"])
    name = data(found)["image"]
    assert name.startswith("sam3://results/pasted/") and name in text(found) and pasted not in text(found)
    assert not desk.call("examine_masks", image=name, ids=[1]).is_error
    assert desk.segmenter.opened == 1
    words = f"data:text/plain;base64,{base64.b64encode(b'words').decode()}"
    assert "not an image" in desk.refusal("segment_phrase", image=words, phrases=["x"])


def test_a_result_is_an_image_of_later_calls(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.call("segment_phrase", phrases=["player"])
    (_, overlay) = data(desk.call("select_masks", ids=[1]))["resources"]
    assert not desk.call("segment_phrase", image=overlay, phrases=["player"]).is_error
    for name in ("sam3://results/../match.png", "sam3://results/%2e%2e/match.png", "sam3://results/nope"):
        assert "there is no" in desk.refusal("segment_phrase", image=name, phrases=["player"])


def test_relative_paths_are_looked_for_in_every_root(tmp_path: Path) -> None:
    for name in ("one", "two/deep"):
        (tmp_path / name).mkdir(parents=True)
    drawing().save(tmp_path / "two/deep/a.png")
    roots = Roots([tmp_path / "one", tmp_path / "two"])
    assert roots.open("deep/a.png").path == tmp_path / "two/deep/a.png"
    if os.sep == "/":
        assert roots.open(r"deep\a.png").path == tmp_path / "two/deep/a.png"


@pytest.mark.parametrize("name", ["../secret.png", "link.png", "folder/secret.png", "two.png"])
def test_nothing_outside_is_read(tmp_path: Path, name: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    drawing().save(outside / "secret.png")
    drawing().save(tmp_path / "secret.png")
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "folder").symlink_to(outside)
    (inside / "two.png").symlink_to(inside / "link.png")
    with pytest.raises(InputError, match="outside the folders"):
        Roots([inside]).open(name)


def test_a_link_that_changes_between_check_and_use_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, secret = tmp_path / "inside", tmp_path / "secret.png"
    inside.mkdir()
    drawing().save(inside / "a.png")
    drawing().save(secret)

    def swapped(path: Path) -> Any:
        path.unlink()
        path.symlink_to(secret)
        return open_regular(path)

    monkeypatch.setattr(confined_files, "open_regular", swapped)
    with pytest.raises(InputError, match="outside the folders"):
        Roots([inside]).open("a.png")


def test_what_was_opened_is_what_is_read(tmp_path: Path) -> None:
    drawing().save(tmp_path / "a.png")
    file = Roots([tmp_path]).open("a.png")
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").symlink_to("/dev/zero")
    assert file.media().size == drawing().size


@pytest.mark.parametrize("kind", ["folder", "pipe", "sparse", "sparse clip", "empty"])
def test_special_and_huge_files_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    desk, path = Desk(tmp_path), tmp_path / ("other.mp4" if kind == "sparse clip" else "other.png")
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "empty":
            path.touch()
        case _:
            with path.open("wb") as file:
                file.truncate(1 << 40)
    said = desk.refusal("segment_phrase", image=path.name, phrases=["player"])
    assert any(word in said for word in ("is a folder", "not a regular file", "too large", "is empty"))
    assert not desk.call("segment_phrase", phrases=["player"]).is_error
