"""A folder of frames as one clip: `ask FOLDER "question" --clip`, in Python without a flag, and its trace."""

import json
from pathlib import Path

import pytest
from PIL import Image

from sam3agent import Agent
from sam3agent.agent.recorded import recorded_media
from sam3agent.agent.trace import read_trace
from sam3agent.cli.app import guarded
from sam3agent.cli.ask import run_ask
from sam3agent.cli.flags import Screen
from sam3agent.cli.image_sources import expand_sources
from sam3agent.media import ClipMedia, ImageMedia, open_media
from sam3agent.testing import ScriptedSegmenter
from sam3model.errors import InputError
from tests.agent.moving_blocks import FRAMES, pixels, tracker

QUESTION = "the player in white that moves to the right"


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the frames of a clip, whose names are sorted as people count; the weights are a known world."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sam3agent.api.make_segmenter", lambda *_: ScriptedSegmenter({}))
    monkeypatch.setattr("sam3agent.api.make_tracker", lambda *_: tracker())
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(FRAMES):
        Image.fromarray(pixels(t)).save(folder / f"{t}.png")
    return folder


def ask(*words: str, clips: bool = True) -> int:
    return guarded(lambda: run_ask(words, {}, Screen(as_json=True, clips=clips)))


def test_a_folder_is_one_clip_where_it_is_said(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("frames", QUESTION) == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["status"] == "answered" and len(found["masks"]) == 1
    assert Path("sam3agent-out/frames-1/strip.png").exists()
    assert expand_sources(["frames"], clips=True) == (["frames"], False)
    assert expand_sources(["frames"]) == ([f"frames/{t}.png" for t in range(FRAMES)], True), "else its images"


def test_several_clips_are_asked_about_one_by_one(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("again").symlink_to(frames, target_is_directory=True)
    words = ("frames", "./again", QUESTION)
    for _ in range(2):
        assert ask(*words) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [record["status"] for record in found] == ["answered"] * 2
    Image.fromarray(pixels(0)).save(frames / "0.png")
    assert ask(*words) == 0, "a frame that was written again is noticed"
    assert "done before" not in capsys.readouterr().err


def test_an_answer_says_which_frame_cannot_be_read(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = frames / "7.png"
    path.write_bytes(path.read_bytes()[:-60])
    assert ask("frames", "the player in white") == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert any("frame 7 cannot be read" in text and "7.png is a damaged image" in text for text in found["warnings"])


def test_an_image_is_no_clip(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("frames/0.png", QUESTION) == 2
    assert "frames/0.png is no clip: --clip is for clips" in capsys.readouterr().err
    assert ask("nowhere", QUESTION) == 2 and "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["-", "https://example.com/a.JPG?size=2"])
def test_a_stream_and_an_image_by_url_are_no_clips(word: str) -> None:
    with pytest.raises(InputError, match="is no clip: --clip is for clips"):
        expand_sources([word], clips=True)
    assert expand_sources(["https://example.com/a.mp4"], clips=True)[0] == ["https://example.com/a.mp4"]


def test_a_pattern_stands_for_the_clips_that_match_it(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("frames10").symlink_to(frames, target_is_directory=True)
    Path("frames2").symlink_to(frames, target_is_directory=True)
    Path("frames.txt").write_text("of a lamp")
    assert expand_sources(["frames?*"], clips=True) == (["frames2", "frames10"], True)
    assert ask("./fra*", QUESTION) == 0
    assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == ["answered"] * 3
    assert ask("*.txt", QUESTION) == 2 and "no clip and no folder matches *.txt" in capsys.readouterr().err


def test_a_clip_that_is_named_twice_is_one(frames: Path) -> None:
    Path("again").symlink_to(frames, target_is_directory=True)
    words = ["frames", "again", "frames/", "./frames", str(frames), "fr*s"]
    assert expand_sources(words, clips=True)[0] == ["frames", "again"]


def test_in_python_a_folder_is_a_clip(frames: Path, tmp_path: Path) -> None:
    agent = Agent(ScriptedSegmenter({}), tracker=tracker())
    answer = agent.ask(frames, QUESTION, out=tmp_path / "out")
    assert answer.status == "answered" and len(answer.masks[0].masklet.areas) > 1
    media = recorded_media(read_trace(tmp_path / "out"), tmp_path / "out")
    assert isinstance(media, ClipMedia) and media.count == FRAMES, "its trace can be run again"
    assert isinstance(open_media(frames / "0.png"), ImageMedia)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        open_media(tmp_path / "empty")
