"""Writing clips: they read back, browsers play them, and a failure leaves no half file."""

import stat
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sam3model.errors import InputError, OutputError
from sam3model.frames import ClipFile, ClipWriter
from tests.clips import number_in, numbered


def write(path: Path, count: int, size: tuple[int, int] = (96, 64), rate: float = 25) -> ClipWriter:
    with ClipWriter(path, size, rate) as writer:
        for t in range(count):
            writer.write(numbered(t, size))
    return writer


def test_a_clip_reads_back(tmp_path: Path) -> None:
    assert write(tmp_path / "a.mp4", 40, rate=29.97).count == 40
    source = ClipFile(tmp_path / "a.mp4")
    assert [number_in(source.frame(t)) for t in range(source.count)] == list(range(40))
    assert source.rate == pytest.approx(29.97, abs=0.01)
    assert source.time(39) == pytest.approx(39 / 29.97, abs=1e-3)


def test_frames_of_a_source_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 3)
    source = ClipFile(tmp_path / "a.mp4")
    with ClipWriter(tmp_path / "b.mp4", source.size, source.rate) as writer:
        writer.write(source.frame(2))  # read-only
        writer.write(Image.fromarray(numbered(1)))
        writer.write(numbered(5)[:, ::-1][:, ::-1])  # not contiguous
    assert [number_in(ClipFile(tmp_path / "b.mp4").frame(t)) for t in range(3)] == [2, 1, 5]


def test_browsers_play_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, 5)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index comes first: playing starts before all is loaded
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.name == ("h264" if "libx264" in av.codecs_available else "mpeg4")
        assert context.pix_fmt == "yuv420p"


def test_colours_survive(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 100, 50)]
    with ClipWriter(tmp_path / "a.mp4", (32, 32), 5) as writer:
        for colour in colours:
            writer.write(np.full((32, 32, 3), colour, np.uint8))
    source = ClipFile(tmp_path / "a.mp4")
    for t, colour in enumerate(colours):
        np.testing.assert_allclose(source.frame(t)[16, 16], colour, atol=4)


@pytest.mark.parametrize("size", [(95, 63), (96, 63), (1, 1), (3, 5)])
def test_odd_sizes_are_padded_with_their_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    with ClipWriter(tmp_path / "a.mp4", size, 25) as writer:
        writer.write(np.full((size[1], size[0], 3), (200, 100, 50), np.uint8))
    source = ClipFile(tmp_path / "a.mp4")
    assert source.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    np.testing.assert_allclose(source.frame(0)[-1, -1], (200, 100, 50), atol=6)


def test_given_times_are_kept_from_the_first_on(tmp_path: Path) -> None:
    times = [10.0, 10.04, 10.5, 12.0, 12.01]
    with ClipWriter(tmp_path / "a.mp4", (96, 64), 25) as writer:
        for t, time in enumerate(times):
            writer.write(numbered(t), time)
    source = ClipFile(tmp_path / "a.mp4")
    assert [source.time(t) for t in range(5)] == pytest.approx([time - 10 for time in times], abs=1e-4)
    assert [number_in(source.frame(t)) for t in range(5)] == list(range(5))


def test_frames_of_another_size_or_type_and_times_that_do_not_increase(tmp_path: Path) -> None:
    with ClipWriter(tmp_path / "a.mp4", (96, 64), 25) as writer:
        writer.write(numbered(0), 1.0)
        with pytest.raises(InputError, match=r"must be \(64, 96, 3\) uint8, not \(63, 96, 3\)"):
            writer.write(numbered(1)[1:])
        with pytest.raises(InputError, match="float64"):
            writer.write(numbered(1) / 255)
        with pytest.raises(InputError, match="must increase"):
            writer.write(numbered(1), 1.0)
        writer.write(numbered(1), 2.0)
    assert ClipFile(tmp_path / "a.mp4").count == 2
    for size, rate in (((0, 5), 25), ((5, 5), 0), ((5, 5), float("nan"))):
        with pytest.raises(InputError):
            ClipWriter(tmp_path / "b.mp4", size, rate)
    with pytest.raises(OutputError, match="is closed"):
        writer.write(numbered(2), 3.0)


@pytest.mark.parametrize("error", [RuntimeError("no"), OSError("no"), KeyboardInterrupt()])
def test_an_error_in_the_middle_leaves_the_older_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")

    def fail() -> None:
        with ClipWriter(path, (96, 64), 25) as writer:
            writer.write(numbered(0))
            assert path.read_bytes() == b"older"
            raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert raised.value is error
    assert path.read_bytes() == b"older"
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_clip_without_frames_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame was written"), ClipWriter(tmp_path / "a.mp4", (96, 64), 25):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        ClipWriter(tmp_path / "file" / "a.mp4", (96, 64), 25)


def test_folders_are_made_and_permissions_are_usual(tmp_path: Path) -> None:
    write(tmp_path / "new" / "a.mp4", 2)
    (tmp_path / "usual").touch()
    assert stat.S_IMODE((tmp_path / "new" / "a.mp4").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "usual").stat().st_mode
    )


def test_without_x264_the_clip_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    assert write(tmp_path / "a.mp4", 10).codec == "mpeg4"
    source = ClipFile(tmp_path / "a.mp4")
    assert [number_in(source.frame(t)) for t in range(10)] == list(range(10))
