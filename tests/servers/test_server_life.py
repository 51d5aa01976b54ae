"""The process of a server: it says what it serves, and leaves within a second, whatever it is doing."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sam3agent.servers.serve_mcp import check_weights
from sam3model.errors import CheckpointError
from tests.drawn_match import drawing

CHECKOUT = Path(__file__).parents[2]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}


class Silent(BaseHTTPRequestHandler):
    """An MLLM server that never answers."""

    asked = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        time.sleep(30)


@pytest.fixture
def silent() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    Silent.asked.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`sam3agent mcp`, once it has said what it serves."""
    drawing().save(folder / "match.png")
    command = [sys.executable, "-c", "from sam3agent.cli import main; main()", "mcp", "--root", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--out", str(folder / "out"), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=folder,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            said = process.stderr.readline().decode()
            assert "MCP server" in said and str(folder) in said
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[bytes], *messages: dict) -> None:
    assert process.stdin is not None
    for message in messages:
        process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def ask(process: subprocess.Popen[bytes]) -> None:
    """Begin a question that will not be answered."""
    arguments = {"image": "match.png", "question": "the ball"}
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "ask", "arguments": arguments}}
    send(process, INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}, asked)
    assert Silent.asked.wait(60)


@pytest.mark.parametrize("end", ["client gone", "terminate", "interrupt"])
def test_it_leaves_within_a_second_in_the_middle_of_a_question(tmp_path: Path, silent: str, end: str) -> None:
    with started(tmp_path, "--base-url", silent, "--model", "m") as process:
        ask(process)
        began = time.monotonic()
        if end == "client gone":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM if end == "terminate" else signal.SIGINT)
        code = process.wait(10)
        assert time.monotonic() - began < 1.5  # a second, and time for this process to notice
        assert code == (130 if end == "interrupt" else 0)


def test_one_interrupt_ends_an_idle_server(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        send(process, INITIALIZE)
        assert process.stdout is not None and b"sam3agent" in process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130 and time.monotonic() - began < 1.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_over_http_it_does_not_wait_for_clients_to_hang_up(tmp_path: Path, number: signal.Signals) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(tmp_path, "--http", f"127.0.0.1:{port}") as process:
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")  # and no body
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == (130 if number == signal.SIGINT else 0)
        assert time.monotonic() - began < 1.5
        client.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--weights", "nope.pt"], "no weights at nope.pt"),
        (["--weights", "nope"], "no weights at nope"),
        (["--root", "/nope"], "/nope is not a folder"),
        (["--http", "0.0.0.0:8123"], "set a token"),
        (["--host-profile", "big"], "choose one of"),
        (["--allow-host", "a.org"], "for --http only"),
        (["--out-limit", "0"], "--out-limit"),
    ],
)
def test_what_is_wrong_is_said_at_the_start(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from sam3agent.cli.app import app, guarded

    assert guarded(lambda: app(args=["mcp", *arguments], standalone_mode=False)) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_weights_of_the_hub_are_looked_up_later() -> None:
    check_weights("facebook/sam3")
    check_weights("tiny")
    with pytest.raises(CheckpointError, match="no weights"):
        check_weights("folder/nope.safetensors")
