"""Folders, lists, iterators, parts of sources and reading ahead; all behave as one kind of source."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from sam3model.errors import InputError
from sam3model.frames import (
    BrokenFrameError,
    ClipFile,
    EndOfFramesError,
    FrameFolder,
    FrameList,
    FrameRangeError,
    FrameSource,
    FrameStream,
    Subset,
    every,
    open_frames,
    prefetched,
    read_frames,
    source_frame,
    window,
)
from sam3model.frames.animation_frames import untimed_frames
from tests.clips import number_in, numbered, write_clip


def images(count: int) -> list[np.ndarray]:
    return [numbered(t) for t in range(count)]


def numbers(source: FrameSource) -> list[int]:
    return [number_in(frame) for _, frame in read_frames(source)]


def folder_of(path: Path, count: int) -> Path:
    path.mkdir()
    for t in range(count):
        Image.fromarray(numbered(t)).save(path / f"{t}.png")
    return path


def test_a_gif_whose_frames_have_no_times_is_read_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    clip = open_frames(tmp_path / "x.gif")
    assert [frame[0, 0].argmax() for _, frame in read_frames(clip)] == [0, 1, 2]
    assert not caplog.records


def test_a_gif_without_times_is_decoded_once_however_many_frames_it_has(tmp_path: Path) -> None:
    colours = [(40 * (t % 6), 40 * (t // 6), 100) for t in range(24)]
    first, *others = [Image.new("RGB", (8, 8), colour) for colour in colours]
    first.save(tmp_path / "x.gif", save_all=True, append_images=others)
    frames = untimed_frames(tmp_path / "x.gif")
    seeks = []
    original = GifImageFile.seek

    def counted(image: GifImageFile, frame: int) -> None:
        seeks.append(abs(frame - image.tell()))
        original(image, frame)

    with patch.object(GifImageFile, "seek", counted):
        in_order = [np.asarray(frame)[0, 0].tolist() for frame in frames]
    assert np.abs(np.array(in_order) - colours).max() <= 8
    assert sum(seeks) == 23
    for t in (5, 23, 0, 0, 7, -1, 6):
        assert np.asarray(frames[t])[0, 0].tolist() == in_order[t]
    assert len(frames[2:5]) == 3
    with pytest.raises(IndexError):
        frames[24]


def test_every_kind_gives_the_same_frames(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "frames", 12)
    arrays = images(12)
    kinds = {
        FrameFolder: [folder, str(folder), [folder / f"{t}.png" for t in range(12)]],
        FrameList: [
            arrays,
            tuple(arrays),
            np.stack(arrays),
            [Image.fromarray(a) for a in arrays],
            [torch.from_numpy(a).permute(2, 0, 1) for a in arrays],
            torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2),
            [a / 255 for a in arrays],
        ],
        FrameStream: [iter(arrays), (a for a in arrays)],
        ClipFile: [write_clip(tmp_path / "a.mp4", 12)],
    }
    for kind, sources in kinds.items():
        for given in sources:
            source = open_frames(given)
            assert isinstance(source, kind)
            assert isinstance(source, FrameSource)
            assert source.size == (96, 64)
            assert numbers(source) == list(range(12))
            frame = source.frame(11)
            assert (frame.shape, frame.dtype, frame.flags.c_contiguous) == ((64, 96, 3), np.uint8, True)
            assert not frame.flags.writeable
            assert source.time(11) == pytest.approx(11 / 25)
            assert source.count == 12
            with pytest.raises(EndOfFramesError, match="no frame 12"):
                source.frame(12)
            with pytest.raises(FrameRangeError, match="no frame -1"):
                source.frame(-1)
            source.close()
            source.close()
            with pytest.raises(InputError, match="is closed: open it again"):
                source.frame(0)


def test_a_source_is_returned_as_it_is_and_one_image_is_one_frame(tmp_path: Path) -> None:
    source = FrameList(images(2))
    assert open_frames(source) is source
    Image.fromarray(numbered(7)).save(tmp_path / "a.png")
    for one in (tmp_path / "a.png", Image.fromarray(numbered(7))):
        assert numbers(open_frames(one)) == [7]
    with pytest.raises(InputError, match="must have 4 dimensions, not 3"):
        open_frames(numbered(7))
    with pytest.raises(InputError, match="cannot read frames from int"):
        open_frames(7)


def test_files_are_sorted_by_their_numbers(tmp_path: Path) -> None:
    names = ["10.png", "9.png", "frame10.png", "frame9.PNG", "1.png", "b.jpg"]
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "11.png").mkdir()
    found = [path.name for path in FrameFolder(tmp_path).files]
    assert found == ["1.png", "9.png", "10.png", "b.jpg", "frame9.PNG", "frame10.png"]


def test_images_of_a_folder_are_upright_and_opaque(tmp_path: Path) -> None:
    image = Image.fromarray(numbered(5))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "1.png", exif=exif)
    image.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "2.png")
    Image.new("RGBA", (64, 96), (0, 0, 0, 0)).save(tmp_path / "3.png")
    source = FrameFolder(tmp_path, rate=10)
    assert (source.size, source.rate, source.time(2)) == ((64, 96), 10, 0.2)
    np.testing.assert_array_equal(source.frame(0), source.frame(1))
    assert source.frame(2).min() == 255


def test_transparent_images_are_on_white_in_every_form(tmp_path: Path) -> None:
    """Under transparent pixels, a file has whatever its editor left there, often black."""
    pixels = np.random.RandomState(0).randint(0, 256, (8, 12, 4)).astype(np.uint8)
    pixels[:4, :, 3] = 0
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "1.png")
    expected = FrameFolder(tmp_path).frame(0)
    assert (expected[:4] == 255).all() and (expected[4:] < 255).any()
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (picture, pixels, channels_first):
        assert np.array_equal(FrameList([image]).frame(0), expected)
    for image in (pixels / 255, channels_first / 255):
        assert np.abs(FrameList([image]).frame(0).astype(int) - expected).max() <= 1
    palette = Image.new("P", (12, 8), 0)
    palette.info["transparency"] = 0
    assert (FrameList([palette]).frame(0) == 255).all()


def test_folders_that_cannot_be_read_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    mixed = folder_of(tmp_path / "mixed", 3)
    Image.new("RGB", (5, 4)).save(mixed / "1.png")
    bad = folder_of(tmp_path / "bad", 3)
    (bad / "2.png").write_text("no image")
    cases = {
        empty: "contains no images",
        mixed: r"differ in size: 1\.png is 5x4 and 0\.png is 96x64",
        bad: r"2\.png is not an image",
    }
    for folder, problem in cases.items():
        with pytest.raises(InputError, match=problem) as raised:
            open_frames(folder)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="there is no folder"):
        FrameFolder(tmp_path / "missing")
    with pytest.raises(InputError, match="positive number of frames per second"):
        FrameFolder(folder_of(tmp_path / "good", 1), rate=0)
    monkeypatch.setattr("sam3model.frames.frame_source.MAX_FRAME_PIXELS", 1000)
    with pytest.raises(InputError, match=r"0\.png are too large"):
        open_frames(tmp_path / "good")


def test_a_damaged_image_of_a_folder_says_what_came_before(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "frames", 4)
    data = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data[: len(data) // 2])
    source = open_frames(folder)
    assert number_in(source.frame(1)) == 1
    with pytest.raises(BrokenFrameError, match=r"2\.png is a damaged image") as raised:
        source.frame(2)
    assert raised.value.last_good == 1
    assert number_in(source.frame(3)) == 3


def test_lists_name_the_frame_that_does_not_fit() -> None:
    with pytest.raises(InputError, match="give at least one"):
        open_frames([])
    source = open_frames([numbered(0), numbered(1, (48, 32)), np.zeros((3, 3), int)])
    with pytest.raises(InputError, match="frame 1 is 48x32 and frame 0 is 96x64"):
        source.frame(1)
    with pytest.raises(InputError, match="frame 2: an image must contain bytes"):
        source.frame(2)


def test_a_list_is_not_changed_by_what_is_read_from_it() -> None:
    arrays = images(2)
    frame = open_frames(arrays).frame(1)
    assert not np.shares_memory(frame, arrays[1])
    assert arrays[1].flags.writeable


def test_an_iterator_is_read_once_and_remembers_a_window() -> None:
    taken = 0

    def generate() -> Iterator[np.ndarray]:
        nonlocal taken
        for image in images(20):
            taken += 1
            yield image

    source = FrameStream(generate(), window=4)
    assert (taken, source.count) == (1, None)
    assert number_in(source.frame(6)) == 6
    assert taken == 7
    assert [number_in(source.frame(t)) for t in (3, 6, 4, 3, 5)] == [3, 6, 4, 3, 5]
    with pytest.raises(FrameRangeError, match="frame 2 of the stream has passed: only the last 4"):
        source.frame(2)
    with pytest.raises(EndOfFramesError, match="it ended after 20 frames"):
        source.frame(25)
    assert source.count == 20
    assert number_in(source.frame(19)) == 19


def test_iterators_that_end_at_once_or_break() -> None:
    with pytest.raises(InputError, match="the stream has no frames"):
        open_frames(iter([]))
    source = open_frames(iter([numbered(0), numbered(1, (48, 32))]))
    with pytest.raises(InputError, match="frame 1 is 48x32"):
        source.frame(1)

    def broken() -> Iterator[np.ndarray]:
        yield numbered(0)
        raise TimeoutError("camera gone")

    with pytest.raises(TimeoutError, match="camera gone"):
        open_frames(broken()).frame(1)


def test_a_part_keeps_times_and_knows_the_numbers_of_the_clip(tmp_path: Path) -> None:
    clip = open_frames(write_clip(tmp_path / "a.mp4", 40))
    part = every(window(clip, 10, 31), 5)
    assert part.count == 5
    assert numbers(part) == [10, 15, 20, 25, 30]
    assert [source_frame(part, t) for t in range(5)] == [10, 15, 20, 25, 30]
    assert part.time(2) == pytest.approx(20 / 25)
    assert (part.rate, part.size) == (5, clip.size)
    assert source_frame(prefetched(part), 3) == 25
    assert source_frame(clip, 3) == 3
    for t, kind in ((5, EndOfFramesError), (-1, FrameRangeError)):
        with pytest.raises(kind):
            part.frame(t)
    assert every(clip, 1) is clip
    assert window(clip) is clip
    assert numbers(window(clip, 38, 100)) == [38, 39]
    for make in (
        lambda: every(clip, 0),
        lambda: window(clip, 5, 5),
        lambda: window(clip, -1),
        lambda: window(clip, 40),
    ):
        with pytest.raises(InputError):
            make()


def test_parts_of_iterators_end_where_they_should() -> None:
    for stop, expected in ((7, [1, 4]), (None, [1, 4, 7, 10]), (100, [1, 4, 7, 10])):
        part = Subset(FrameStream(iter(images(12))), 1, stop, 3)
        assert part.count is None
        assert numbers(part) == expected


def test_prefetched_frames_are_the_same_in_any_order(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 40)
    source = prefetched(open_frames(path))
    assert numbers(source) == list(range(40))
    for order in ([39, 38, 37, 36], [3, 30, 4, 31, 5], list(range(0, 40, 6))):
        assert [number_in(source.frame(t)) for t in order] == order
    assert (source.count, source.size, source.rate, source.time(5)) == (40, (96, 64), 25, pytest.approx(0.2))
    source.close()
    source.close()
    with pytest.raises(InputError, match="closed"):
        source.frame(0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("frames")]


class Recorder(FrameList):
    """A list that records what is read, and fails at frame 5."""

    def __init__(self) -> None:
        super().__init__(images(12))
        self.read: list[int] = []
        self.closed = False

    def frame(self, t: int) -> np.ndarray:
        self.read.append(t)
        if t == 5:
            raise BrokenFrameError("broken", 4)
        return super().frame(t)

    def close(self) -> None:
        self.closed = True


def test_reading_ahead_is_bounded_passes_errors_on_and_follows_the_direction() -> None:
    inner = Recorder()
    source = prefetched(inner)
    assert number_in(source.frame(3)) == 3
    deadline = time.monotonic() + 5
    while len(inner.read) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert inner.read == [3, 4, 5]  # two ahead, one of which failed, unnoticed so far
    assert number_in(source.frame(4)) == 4
    with pytest.raises(BrokenFrameError, match="broken"):
        source.frame(5)
    assert number_in(source.frame(6)) == 6
    inner.read.clear()
    source.frame(11)
    source.frame(10)
    source.frame(9)
    source.close()
    assert inner.closed
    assert set(inner.read) <= {11, 10, 9, 8, 7}


def test_reading_ahead_of_an_iterator_ends_with_it() -> None:
    assert numbers(prefetched(FrameStream(iter(images(5))))) == list(range(5))
