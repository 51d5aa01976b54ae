"""`sam3agent label` as it is typed: with sam3-tiny, what it prints, exit codes, and how an MLLM is asked."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sam3agent.cli import main
from sam3agent.config import Settings
from sam3agent.labelling.label_data_set import Workers, label_data_set
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.label_progress import LabelProgress, duration
from tests.docs.fenced_blocks import table_keys
from tests.docs.test_output_fields import OUTPUT, leaves
from tests.labelling.coloured_blocks import draw_folder, make_blocks
from tests.labelling.test_label_runs import job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    draw_folder(tmp_path / "photos", 12)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["label", *words])
    return int(str(end.value.code))


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks in place of weights, for jobs of the command line."""
    monkeypatch.setattr("sam3agent.cli.label.LabelJob", partial(LabelJob, segmenter=make_blocks))


def test_sam3_tiny_labels_the_demo_image(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = str(ROOT / "assets" / "match.png")
    words = (image, "--phrase", "player in white, ball", "--query", "leftmost player in white", "--out", "set")
    assert run(*words, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["masks"] == {"player in white": 4, "ball": 1, "leftmost player in white": 1}
    value["masks"] = list(value["masks"])
    value["splits"] = list(value["splits"])
    assert set(leaves(value)) == table_keys(OUTPUT, "label --json")


def test_what_is_printed(place: Path, blocks: None, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "photos" / "bad.png").write_text("no image")
    words = ("photos", "--phrase", "red block", "--out", "set", "--split", "train=0.5,val=0.5", "--review")
    assert run(*words) == 1
    shown = capsys.readouterr()
    assert "13 images: " in shown.out and "1 failed" in shown.out and "failures.txt" in shown.out
    assert "photos/bad.png is not an image in a supported format" in shown.err
    (place / "photos" / "bad.png").unlink()
    assert run(*words) == 0
    assert "(12 of them done before)" in capsys.readouterr().out


def test_a_damaged_source_is_counted_as_a_broken_image_is(
    place: Path, blocks: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "bad.mp4").write_bytes(b"no clip" * 100)
    words = ("photos", "bad.mp4", "photos/{11..12}.jpg", "--phrase", "red block", "--out", "set")
    assert run(*words) == 2 and "there is no file photos/11.jpg" in capsys.readouterr().err
    words = ("photos", "bad.mp4", "--phrase", "red block", "--out", "set", "--workers", "2")
    assert run(*words) == 1
    shown = capsys.readouterr()
    assert "13 images: " in shown.out and "1 failed" in shown.out
    assert "bad.mp4 is not a clip" in shown.err and "bad.mp4" in (place / "set" / "failures.txt").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing argument: the images"),
        (("photos",), "Missing option --out"),
        (("photos", "--out", "set"), "nothing to search for"),
        (("photos", "--phrase", " ", "--out", "set"), "is empty"),
        (("nowhere.png", "--out", "set", "--phrase", "red"), "there is no file nowhere.png"),
        (("photos", "--out", "set", "--phrase", "red", "--format", "yolo"), "--format yolo is not known"),
        (("photos", "--out", "set", "--phrase", "red", "--images", "move"), "--images move is not known"),
        (("photos", "--out", "set", "--phrase", "red", "--images", "none", "--review"), "--review shows the images"),
        (("photos", "--out", "set", "--phrase", "red", "--workers", "two"), "--workers two is not a number"),
        (("photos", "--out", "set", "--phrase", "red", "--actors", "2"), "--actors is for --workers ray"),
        (("photos", "--out", "set", "--phrase", "red", "--split", "train=2"), "do not add up to 1"),
        (("photos", "--out", "set", "--phrase", "red", "--weights", "no.pt"), "no weights at no.pt"),
        (("photos", "--out", "set", "--phrase", "red", "--mllm", "openai"), "--mllm is for questions"),
        (("photos", "--out", "set", "--phrase", "red", "--query", " ", "--max-calls", "3"), "leave --max-calls out"),
    ],
)
def test_what_cannot_be_run(
    place: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err


@dataclass
class Server:
    """A server that searches and answers "no match", each after a while, and counts calls that run at once; mutable."""

    url: str = ""
    running: int = 0
    most: int = 0
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    def reply(name: str, **arguments: object) -> dict[str, object]:
        call = {"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}

    search, none = reply("segment_phrase", phrases=["odd one"]), reply("report_no_match", reason="nothing like it")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            searched = b"tool_call_id" in self.rfile.read(int(self.headers["Content-Length"]))
            with state.lock:
                state.running += 1
                state.calls += 1
                state.most = max(state.most, state.running)
            time.sleep(0.2)
            with state.lock:
                state.running -= 1
            body = json.dumps(none if searched else search).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("workers", [1, 2])
def test_mllm_calls_at_once_are_limited_over_all_workers(place: Path, server: Server, workers: int) -> None:
    settings = Settings(model="some-model", base_url=server.url)
    asked = job("set", queries=("the odd one",), settings=settings, calls=3)
    summary = label_data_set(asked, workers=Workers(workers))
    assert server.calls >= 12 and 1 < server.most <= 3
    assert summary.masks["the odd one"] == 0 and not summary.images["failed"]


def test_more_workers_than_calls_are_not_started(place: Path, server: Server) -> None:
    settings = Settings(model="some-model", base_url=server.url)
    label_data_set(job("set", queries=("the odd one",), settings=settings, calls=1), workers=Workers(2))
    assert server.calls >= 12 and server.most == 1


def test_a_server_that_is_not_there_ends_the_run(place: Path, capsys: pytest.CaptureFixture[str], blocks: None) -> None:
    words = ("photos", "--query", "the odd one", "--out", "set", "--base-url", "http://localhost:9/v1")
    assert run(*words) == 1
    assert "No MLLM server at http://localhost:9/v1" in capsys.readouterr().err


def test_progress_in_words() -> None:
    progress = LabelProgress()
    progress.total = 10
    progress.known({"labelled": 4, "failed": 0})
    for status in ("labelled", "no_match", "failed"):
        progress.done({"status": status})
        time.sleep(0.01)
    assert str(progress).startswith("7 of 10 images, ")
    assert " left, 1 failed" in str(progress) and "/s, " in str(progress)
    assert [duration(seconds) for seconds in (1, 61, 3660, 90000)] == ["1 s", "1 min 01 s", "1 h 01 min", "1 d 1 h"]
