"""`sam3agent track` as a process: files, messages, exit codes, and going on after being killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.agent.moving_blocks import FRAMES, write_clip
from tests.cli.test_cli import ROOT, run
from tests.clips import break_packets

PHRASES = ("--phrase", "player in white", "--phrase", "player in red")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_clip(tmp_path / "blocks.mp4")
    return tmp_path


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder), **variables}
    command = [sys.executable, "-m", "tests.cli.fake_sam3agent", "track", "blocks.mp4", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def lines(folder: Path) -> int:
    journal = folder / "out" / "track.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def stop_between_frames(process: subprocess.Popen, folder: Path, how: signal.Signals) -> bytes:
    """Stop a process once some frames are done; what it wrote to standard error."""
    deadline = time.monotonic() + 60
    while lines(folder) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    return process.communicate(timeout=60)[1]


def tracks(folder: Path, name: str = "out") -> dict:
    return json.loads((folder / name / "tracks.json").read_text())


def test_track_prints_and_writes(folder: Path) -> None:
    done = run("track", "blocks.mp4", *PHRASES, "--format", "davis,MOT", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode()
    assert said.startswith("3 objects on 12 frames")
    assert 'object 1  score 0.90  frames 0 to 11, visible on 10  "player in white"' in said
    out = folder / "sam3agent-out" / "blocks-track"
    assert {path.name for path in out.iterdir()} == {
        "overlay.mp4", "tracks.json", "track.jsonl", "davis", "mot.txt",
    }  # fmt: skip
    assert b"%|" not in done.stderr and b"tracking 12 frames" in done.stderr


def test_json_is_one_object_and_nothing_else(folder: Path) -> None:
    command = ("track", "blocks.mp4", "--click", "0:10,30", "--click", "4:72,40:2", "--preview", "--json")
    done = run(*command, "--out", "out", cwd=folder)
    assert done.returncode == 0 and done.stderr == b""
    value = json.loads(done.stdout)
    assert value["frames"] == {"first": 0, "last": 11, "count": 12, "tracked_now": 12}
    assert [(o["id"], o["phrase"], o["first_frame"], o["frames_visible"]) for o in value["objects"]] == [
        (1, None, 0, 10), (2, None, 4, 8),
    ]  # fmt: skip
    assert value["complete"] and value["problem"] is None and value["resumed_at"] == []
    assert Image.open(folder / value["preview"]).format == "PNG" and not (folder / "out/overlay.mp4").exists()
    again = json.loads(run(*command[:-2], "--json", "--out", "out", cwd=folder, TRACKER_PROBLEM="none").stdout)
    assert again["frames"]["tracked_now"] == 0 and (folder / again["overlay"]).is_file()  # no model is needed


def test_frames_that_cannot_be_decoded_are_in_the_result(folder: Path) -> None:
    break_packets(folder / "blocks.mp4", [FRAMES - 2])
    done = run("track", "blocks.mp4", *PHRASES, "--json", "--out", "out", cwd=folder)
    value = json.loads(done.stdout)
    assert any("blocks.mp4 is damaged: frame" in note and "cannot be decoded" in note for note in value["notes"])


def test_a_part_of_the_clip_backwards(folder: Path) -> None:
    part = ("--from", "2", "--to", "10", "--every", "4", "--reverse", "--max-objects", "1")
    done = run("track", "blocks.mp4", "--phrase", "player", *part, "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert tracks(folder)["videos"][0]["frames"] == [2, 6, 10] and len(tracks(folder)["annotations"]) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_same_command_goes_on_after_a_kill(folder: Path, how: signal.Signals) -> None:
    arguments = (*PHRASES, "--out", "out")
    process = start(folder, *arguments, FRAME_SECONDS="0.3")
    errors = stop_between_frames(process, folder, how)
    finished = lines(folder) - 1
    assert 3 <= finished < FRAMES and not (folder / "out/tracks.json").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130 and b"the same command goes on from there" in errors
        assert b"Traceback" not in errors
    kept = (folder / "out/track.jsonl").read_bytes()
    done = run("track", "blocks.mp4", *arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert value["frames"]["tracked_now"] == FRAMES - finished and value["resumed_at"] == [finished - 1]
    assert (folder / "out/track.jsonl").read_bytes().startswith(kept)
    run("track", "blocks.mp4", *PHRASES, "--out", "whole", cwd=folder)
    assert tracks(folder)["annotations"] == tracks(folder, "whole")["annotations"]
    assert tracks(folder)["info"]["resumed_at"] == [finished - 1]


def test_other_settings_need_another_folder_or_a_restart(folder: Path) -> None:
    run("track", "blocks.mp4", *PHRASES, "--out", "out", cwd=folder)
    other = ("track", "blocks.mp4", "--phrase", "player in red", "--out", "out")
    refused = run(*other, cwd=folder)
    assert refused.returncode == 2 and b"phrases" in refused.stderr and b"--restart" in refused.stderr
    write_clip(folder / "blocks.mp4", range(3, 12))
    changed = run("track", "blocks.mp4", *PHRASES, "--out", "out", cwd=folder)
    assert changed.returncode == 2 and b"other settings (clip " in changed.stderr
    done = run(*other, "--restart", "--preview", cwd=folder)
    assert done.returncode == 0 and len(tracks(folder)["annotations"]) == 1
    assert not (folder / "out/overlay.mp4").exists()  # it was of the run before


def test_a_clip_that_breaks_off_keeps_what_was_tracked(folder: Path) -> None:
    frames = folder / "frames"
    frames.mkdir()
    for t in range(6):
        Image.new("RGB", (96, 64), (0, 90, 0)).save(frames / f"{t}.jpg")
    data = (frames / "4.jpg").read_bytes()
    (frames / "4.jpg").write_bytes(data[: len(data) - 40])
    done = run("track", "frames", *PHRASES, "--out", "out", cwd=folder)
    assert done.returncode == 1 and done.stdout.startswith(b"3 objects on 4 frames")
    last = done.stderr.decode().strip().splitlines()[-1]
    assert "4.jpg" in last and "the 4 frames before are tracked" in last
    assert tracks(folder)["videos"][0]["length"] == 4 and tracks(folder)["info"]["problem"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none.mp4", "--phrase", "x"), "there is no file none.mp4"),
        (("p.png", "--phrase", "x"), "is an image, not a clip"),
        (("text.mp4", "--phrase", "x"), "text.mp4"),
        (("blocks.mp4",), "nothing to track"),
        (("blocks.mp4", "--click", "99:1,2"), "frame 99"),
        (("blocks.mp4", "--click", "1,2"), "--click 1,2: write FRAME:x,y"),
        (("blocks.mp4", "--mask", "0:p.png"), "pixels"),
        (("blocks.mp4", "--phrase", "x", "--from", "12"), "--from 12"),
        (("blocks.mp4", "--phrase", "x", "--every", "0"), "--every"),
        (("blocks.mp4", "--phrase", "x", "--format", "avi"), "davis, coco-vid, mot"),
        (("blocks.mp4", "--phrase", "x", "--threshold", "2"), "--threshold"),
        (("blocks.mp4", "--phrase", "x", "--out", "p.png/out"), "cannot write into p.png/out"),
        (("blocks.mp4", "--phrase", "x"), "these weights have no tracker"),
    ],
)
def test_errors_are_one_line_and_code_2(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    Image.new("RGB", (9, 9), "white").save(folder / "p.png")
    (folder / "text.mp4").write_text("hello")
    done = run("track", *arguments, cwd=folder, TRACKER_PROBLEM="these weights have no tracker")
    assert done.returncode == 2, done.stderr
    last = done.stderr.decode().strip().splitlines()[-1]
    assert last.startswith("sam3agent: ") and says in last
    assert b"Traceback" not in done.stderr and done.stdout == b""
    assert not (folder / "sam3agent-out" / "blocks-track").exists()
