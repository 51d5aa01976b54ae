"""Reading clips: exact frame numbers in any order, times, rotation, and one clear line for what is no clip."""

import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from av.video.stream import VideoStream

from sam3model.errors import ConfigError, InputError
from sam3model.frames import BrokenFrameError, ClipFile, EndOfFramesError, FrameRangeError, open_frames, read_frames
from tests.clips import (
    CODECS,
    SIZE,
    break_packets,
    cut,
    number_in,
    numbered,
    trim_by_edit_list,
    write_audio,
    write_clip,
    write_without_frames,
)

COUNT = 60


@pytest.fixture(scope="module", params=list(CODECS))
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / request.param, COUNT, kind=request.param)


def numbers(source: ClipFile, order: list[int]) -> list[int]:
    return [number_in(source.frame(t)) for t in order]


def test_forwards_every_frame_is_exact(clip: Path) -> None:
    source = ClipFile(clip)
    assert (source.count, source.size, source.rate) == (COUNT, SIZE, pytest.approx(25))
    assert numbers(source, list(range(COUNT))) == list(range(COUNT))
    assert source.damage is None


@pytest.mark.parametrize("order", ["backwards", "shuffled", "every seventh"])
def test_any_order_gives_the_frames_of_reading_forwards(clip: Path, order: str) -> None:
    asked = {
        "backwards": list(reversed(range(COUNT))),
        "shuffled": random.Random(3).sample(range(COUNT), COUNT),
        "every seventh": list(range(0, COUNT, 7)),
    }[order]
    forwards = ClipFile(clip)
    images = [forwards.frame(t) for t in range(COUNT)]
    source = ClipFile(clip)
    source._cache.capacity = 3  # so that frames must be reached by seeking
    for t in asked:
        np.testing.assert_array_equal(source.frame(t), images[t])


def test_frames_are_contiguous_bytes_in_the_right_colours(clip: Path) -> None:
    frame = ClipFile(clip).frame(5)
    assert frame.shape == (64, 96, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    assert not frame.flags.writeable
    tolerance = 60 if clip.suffix == ".gif" else 6  # with two bits of blue
    np.testing.assert_allclose(frame[56, 80], numbered(5)[56, 80], atol=tolerance)


def test_reading_forwards_does_not_seek(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ClipFile(clip)
    seeks: list[int] = []
    start_at = source._decoder.start_at
    monkeypatch.setattr(source._decoder, "start_at", lambda key: (seeks.append(key), start_at(key)))
    for t in range(COUNT):
        source.frame(t)
    assert seeks == []
    source.frame(20)
    assert len(seeks) == 1


def test_reading_backwards_decodes_each_stretch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ClipFile(write_clip(tmp_path / "a.mp4", 120, gop=120))
    decoded = 0
    next_frame = source._decoder.next_frame

    def counted():
        nonlocal decoded
        decoded += 1
        return next_frame()

    monkeypatch.setattr(source._decoder, "next_frame", counted)
    assert numbers(source, list(reversed(range(120)))) == list(reversed(range(120)))
    assert decoded < 120 * (120 / source._cache.capacity + 1)  # 7,260 if every frame were reached from the key frame


def test_times_of_a_variable_rate_come_from_the_file(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.54, 1.5, 1.52, 1.54, 3.0, 3.25]
    for kind in ("h264.mp4", "h264.mkv"):
        source = ClipFile(write_clip(tmp_path / kind, len(times), kind=kind, times=times))
        assert [source.time(t) for t in range(source.count)] == pytest.approx(times, abs=1e-3)
        assert numbers(source, [9, 0, 5, 3, 8]) == [9, 0, 5, 3, 8]
        assert source.rate == pytest.approx(9 / 3.25)


@pytest.mark.skipif(not hasattr(VideoStream, "set_display_rotation"), reason="this PyAV cannot write rotations")
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_are_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    source = ClipFile(write_clip(tmp_path / "a.mp4", 3, rotation=rotation, mirrored=mirrored))
    stored = ClipFile(write_clip(tmp_path / "b.mp4", 3)).frame(1)
    expected = np.rot90(stored, rotation // 90)
    expected = expected[:, ::-1] if mirrored else expected
    assert source.size == (expected.shape[1], expected.shape[0])
    np.testing.assert_array_equal(source.frame(1), expected)
    assert source.frame(1).flags.c_contiguous


@pytest.mark.parametrize("size", [(95, 63), (17, 33), (2, 2)])
def test_odd_and_tiny_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    source = ClipFile(write_clip(tmp_path / "a.avi", 4, kind="mpeg4.avi", size=size))
    assert source.size == size
    assert source.frame(3).shape == (size[1], size[0], 3)


def test_numbers_outside_a_clip(tmp_path: Path) -> None:
    source = ClipFile(write_clip(tmp_path / "a.mp4", 5))
    with pytest.raises(EndOfFramesError, match=r"a\.mp4 has no frame 5: its frames are 0 to 4"):
        source.frame(5)
    with pytest.raises(FrameRangeError, match="no frame -1"):
        source.frame(-1)
    with pytest.raises(EndOfFramesError):
        source.time(5)


def test_a_closed_clip_says_so(tmp_path: Path) -> None:
    source = ClipFile(write_clip(tmp_path / "a.mp4", 5))
    source.close()
    source.close()
    with pytest.raises(InputError, match="is closed"):
        source.frame(0)


@pytest.mark.parametrize(("kind", "fraction"), [("h264.mp4", 0.85), ("vp9.webm", 0.6), ("mpeg4.mov", 0.8)])
def test_a_truncated_clip_is_read_to_its_last_whole_frame(
    tmp_path: Path, kind: str, fraction: float, caplog: pytest.LogCaptureFixture
) -> None:
    path = cut(write_clip(tmp_path / kind, COUNT, kind=kind), fraction)
    source = ClipFile(path)
    assert 10 < source.count < COUNT
    assert numbers(source, list(range(source.count))) == list(range(source.count))
    assert source.damage is not None
    assert f"{path} was cut off" in source.damage
    assert [record.message for record in caplog.records] == [source.damage]
    with pytest.raises(BrokenFrameError, match=f"last good frame is {source.count - 1}") as raised:
        source.frame(source.count)
    assert raised.value.last_good == source.count - 1


@pytest.mark.parametrize(("start", "first"), [(0.6, 15), (0.48, 12)])
def test_a_trimmed_clip_shows_its_part_and_is_not_called_damaged(tmp_path: Path, start: float, first: int) -> None:
    source = ClipFile(trim_by_edit_list(write_clip(tmp_path / "a.mp4", COUNT), start, 1.0))
    assert source.count == 25
    assert numbers(source, [0, 24, 10, 5]) == [first, first + 24, first + 10, first + 5]
    assert (source.time(0), source.time(24)) == (0, pytest.approx(0.96))
    assert source.damage is None


@pytest.mark.parametrize("kind", ["h264.mp4", "h264.mkv"])
def test_a_last_frame_that_stays_long_is_no_damage(tmp_path: Path, kind: str) -> None:
    assert ClipFile(write_clip(tmp_path / kind, 4, kind=kind, times=[0, 1, 2, 9])).damage is None


def test_an_index_of_10000_frames_is_small(tmp_path: Path) -> None:
    gray = [np.full((16, 16, 3), 20 * i, np.uint8) for i in range(10)]
    path = write_clip(tmp_path / "a.avi", 10_000, kind="mpeg4.avi", size=(16, 16), draw=lambda t, _: gray[t % 10])
    source = ClipFile(path)
    index = source._index
    assert source.count == 10_000
    assert index.stamps.nbytes + index.keys.nbytes < 200_000


@pytest.mark.parametrize(("kind", "packet"), [("mpeg4.mov", 30), ("vp9.webm", 31), ("h264.mp4", 30)])
def test_a_broken_frame_repeats_the_one_before_and_warns_once(
    tmp_path: Path, kind: str, packet: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = break_packets(write_clip(tmp_path / kind, COUNT, kind=kind), [packet])
    source = ClipFile(path)
    assert source.count == COUNT
    found = numbers(source, list(range(COUNT)))
    wrong = [t for t in range(COUNT) if found[t] != t]
    assert wrong, "the packet was not broken"
    assert all(25 < t < 36 and found[t] < t for t in wrong)  # the key frame at 36 repairs the rest
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot be decoded" in caplog.records[0].message
    assert source.replaced and source.replaced <= set(wrong)  # a decoder may also make up frames
    more = len(source.replaced) - 1
    assert source.damage == caplog.records[0].message + (f"; {more} more cannot be decoded" if more else "")


def test_a_broken_first_frame_is_replaced_by_the_first_good_one(tmp_path: Path) -> None:
    source = ClipFile(break_packets(write_clip(tmp_path / "a.mp4", COUNT), [0]))
    assert numbers(source, [0, 12, 13, 0]) == [12, 12, 13, 12]


def test_a_clip_whose_end_cannot_be_decoded_keeps_its_start(tmp_path: Path) -> None:
    path = break_packets(write_clip(tmp_path / "a.mp4", COUNT), range(36, COUNT))
    for first in (50, 0):  # asked for a late frame first, and in order
        source = ClipFile(path)
        if first:
            with pytest.raises(BrokenFrameError) as raised:
                source.frame(first)
            assert raised.value.last_good in range(33, 38)
        good: list[int] = []
        with pytest.raises(BrokenFrameError, match="breaks off before frame") as raised:
            good.extend(number_in(frame) for _, frame in read_frames(source))
        assert good[:34] == list(range(34))
        assert raised.value.last_good == len(good) - 1


def test_a_clip_of_which_nothing_can_be_decoded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of its frames can be decoded"):
        ClipFile(break_packets(write_clip(tmp_path / "a.mp4", 20), range(20)))


def test_what_is_no_clip_is_named_with_its_problem(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no clip")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{write_clip(tmp_path / 'a.mp4', 3)}\n#EXT-X-ENDLIST\n")
    cases = {
        tmp_path / "missing.mp4": "there is no file",
        text: "is not a clip in a supported format",
        empty: "is empty",
        playlist: "is not a clip in a supported format",
        write_audio(tmp_path / "sound.m4a"): "has no video stream, only audio",
        write_without_frames(tmp_path / "none.mp4"): "no frames",
        cut(write_clip(tmp_path / "late.mp4", index_first=False), 0.6): "incomplete or damaged: its index is missing",
        tmp_path / ("x" * 300 + ".mp4"): "cannot read",
    }
    for path, problem in cases.items():
        with pytest.raises(InputError, match=problem) as raised:
            open_frames(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_title_in_another_encoding_is_no_obstacle(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", 3, kind="h264.mkv")
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xe9avf"))  # Latin-1 where UTF-8 is expected
    assert number_in(open_frames(path).frame(2)) == 2


@pytest.mark.parametrize("kind", list(CODECS))
def test_random_damage_ends_in_one_line_or_in_frames(tmp_path: Path, kind: str) -> None:
    whole = write_clip(tmp_path / kind, 30, kind=kind).read_bytes()
    dice = random.Random(7)
    for attempt in range(12):
        data = bytearray(whole)
        if attempt % 2:
            data = data[: dice.randrange(1, len(data))]
        for _ in range(dice.choice([1, 5, 50])):
            data[dice.randrange(len(data))] = dice.randrange(256)
        (tmp_path / kind).write_bytes(data)
        try:
            source = open_frames(tmp_path / kind)
            for _, frame in read_frames(source, stop=60):
                assert frame.shape == (source.size[1], source.size[0], 3)
        except InputError as error:
            assert kind in str(error)
            assert "\n" not in str(error)


def test_names_that_could_be_taken_for_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.mp4", "concat:x.mp4", "frame%03d.mp4", "-", "ü ñ.mp4", "http:.mp4"):
        write_clip(tmp_path / "a.mp4", 3).rename(name)
        source = ClipFile(name)
        assert number_in(source.frame(2)) == 2
        source.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))
    write_clip(tmp_path / "a.mp4", 3).rename(path)
    with pytest.raises(InputError, match="rename the file"):
        open_frames(path)


def test_frames_above_the_pixel_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", 3)
    monkeypatch.setattr("sam3model.frames.frame_source.MAX_FRAME_PIXELS", 1000)
    with pytest.raises(InputError, match="too large: 96x64 pixels"):
        ClipFile(path)


def test_neither_pyav_nor_torch_is_imported_until_needed() -> None:
    code = "import sys, sam3model.frames; print([m for m in ('av', 'torch', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_pyav_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", 3)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match="run `pip install av`"):
        open_frames(path)
