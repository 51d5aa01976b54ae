"""Sources that are missing or damaged: they fail by themselves, and the others are labelled."""

import os
from pathlib import Path

import pytest

from sam3agent.labelling.label_items import FrameOfClip, LabelItem, UnreadableSource
from sam3model.errors import InputError
from tests.clips import write_clip
from tests.labelling.coloured_blocks import draw, draw_folder
from tests.labelling.test_label_sources import items, write_tar


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "photos", 11)
    return tmp_path


def reasons(found: list[LabelItem]) -> dict[str, str]:
    return {item.source: item.place.reason for item in found if isinstance(item.place, UnreadableSource)}


def test_an_archive_that_is_missing_or_damaged_fails_alone(place: Path) -> None:
    for number in (1, 3, 4):
        write_tar(place / f"shard-{number}.tar", 3, start=10 * number)
    data = bytearray((place / "shard-3.tar").read_bytes())
    data[2048 : 2048 + 512] = b"x" * 512  # the header after the first image and its file of values
    (place / "shard-3.tar").write_bytes(bytes(data))
    found = items("shard-{1..4}.tar")
    assert [item.source for item in found if item.source.endswith(".png")] == [
        *(f"shard-1.tar#{number}.png" for number in (10, 11, 12)),
        "shard-3.tar#30.png",
        *(f"shard-4.tar#{number}.png" for number in (40, 41, 42)),
    ]
    found_reasons = reasons(found)
    assert found_reasons["shard-2.tar"] == "there is no file shard-2.tar"
    assert "cannot read shard-3.tar: it is damaged at byte" in found_reasons["shard-3.tar"]
    with pytest.raises(InputError, match=r"there is no file shard-8\.tar"):
        items("shard-{8..9}.tar")


def test_an_archive_without_images_is_refused_beside_others(place: Path) -> None:
    """It is not damaged, so that nothing would fail: it would be left out without a word."""
    write_tar(place / "empty.tar", 0)
    for words in (("photos", "empty.tar"), ("empty.tar",)):
        with pytest.raises(InputError, match=r"empty\.tar has no images"):
            items(*words)


def test_a_clip_that_is_damaged_fails_alone(place: Path) -> None:
    write_clip(place / "b.mp4", 4)
    (place / "a.mp4").write_bytes(b"no clip" * 100)
    Path("clips.txt").write_text("a.mp4\nb.mp4\nnowhere/*.tar\nnowhere.mp4\n")
    for words in (("*.mp4",), ("a.mp4", "b.mp4"), ("clips.txt",)):
        found = items(*words)
        assert len([item for item in found if isinstance(item.place, FrameOfClip)]) == 4
        assert "a.mp4" in str(reasons(found))
    assert "no file matches nowhere" in str(reasons(items("clips.txt"))) and len(reasons(items("clips.txt"))) == 3
    for words in (("a.mp4",), ("b.mp4", "nowhere.mp4"), ("b.mp4", "packed.tar.gz")):
        with pytest.raises(InputError):
            items(*words)


def test_a_folder_that_cannot_be_read_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(place / "photos" / "locked" / "x.png", 1)
    scan = os.scandir

    def locked(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    found = items("photos")
    assert reasons(found) == {"photos/locked": "cannot read the folder photos/locked: Permission denied"}
    assert len(found) == 12
