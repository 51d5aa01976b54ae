"""An HTTP server with a Chat Completions API that fails on demand: each POST plays the next behaviour of a script."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


def completion(
    content: str | None = None,
    calls: list[tuple[str, Any]] = (),
    *,
    finish: str = "stop",
    refusal: str | None = None,
    usage: tuple[int, int] | None = (11, 7),
) -> dict[str, Any]:
    """Body of a chat completion. Arguments of a call that are not a string are sent as JSON."""
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args)},
            }
            for i, (name, args) in enumerate(calls)
        ]
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "test-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else finish}],
    }
    if usage:
        prompt, reply = usage
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply}
    return body


def reply(*args: Any, **kwargs: Any) -> Behaviour:
    """Send a valid response: `completion(...)`."""
    return body(json.dumps(completion(*args, **kwargs)))


def body(text: str | bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Behaviour:
    """Send exactly this body."""
    data = text.encode() if isinstance(text, str) else text

    def play(handler: "Handler") -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return play


def error(status: int, message: str = "no", **headers: str) -> Behaviour:
    """Send an error in OpenAI format."""
    return body(json.dumps({"error": {"message": message, "type": "error", "code": None}}), status, **headers)


def cut() -> Behaviour:
    """Announce a long body, send a part of it, and close the connection."""

    def play(handler: "Handler") -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [{"message": {"content": "The pl')
        handler.close_connection = True

    return play


def hang_up() -> Behaviour:
    """Close the connection without a response."""

    def play(handler: "Handler") -> None:
        handler.close_connection = True

    return play


def endless(pause: float = 0.01, chunk: bytes = b" " * 64, status: int = 200) -> Behaviour:
    """Send a body without end, until the client disconnects or the server stops."""

    def play(handler: "Handler") -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        handler.close_connection = True
        while not handler.owner.stopping.wait(pause):
            handler.wfile.write(chunk)

    return play


def silent() -> Behaviour:
    """Read the request and send nothing until the server stops."""

    def play(handler: "Handler") -> None:
        handler.owner.stopping.wait(30)
        handler.close_connection = True

    return play


def delayed(seconds: float, then: Behaviour) -> Behaviour:
    """Respond after a delay."""

    def play(handler: "Handler") -> None:
        handler.owner.stopping.wait(seconds)
        then(handler)

    return play


class Handler(BaseHTTPRequestHandler):
    """Records the request and plays the next behaviour of its `FaultServer`."""

    protocol_version = "HTTP/1.1"
    owner: "FaultServer"
    asked: dict[str, Any]

    def do_POST(self) -> None:
        payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked = json.loads(payload)
        behaviour = self.owner.next(payload, {name.lower(): value for name, value in self.headers.items()})
        try:
            behaviour(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.owner.leave()

    def do_GET(self) -> None:
        models = [{"id": name, "object": "model"} for name in self.owner.models]
        try:
            (self.owner.listed or body(json.dumps({"object": "list", "data": models})))(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Keep the log out of the test output."""


@dataclass
class FaultServer:
    """Plays `script` in order, then `default` forever, and records all requests.

    models: names in the model list. listed: what a GET plays instead of them.
    requests: parsed bodies, of which the last `kept` stay. raw: their bytes. headers: by lower-case name. max_open:
    maximum number of open requests.
    """

    script: list[Behaviour]
    default: Behaviour
    models: tuple[str, ...] = ("test-model",)
    listed: Behaviour | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    kept: int = 1_000_000
    max_open: int = 0
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, payload: bytes, headers: dict[str, str]) -> Behaviour:
        with self._lock:
            self.raw.append(payload)
            self.requests.append(json.loads(payload))
            self.headers.append(headers)
            for record in (self.raw, self.requests, self.headers):
                del record[: -self.kept]
            self._open += 1
            self.max_open = max(self.max_open, self._open)
            return self.script.pop(0) if self.script else self.default

    def leave(self) -> None:
        with self._lock:
            self._open -= 1


@contextmanager
def fault_server(*script: Behaviour, default: Behaviour | None = None) -> Iterator[FaultServer]:
    """Serve on a free local port for the duration of the block."""
    owner = FaultServer(list(script), default or reply("that is all"))
    handler = type("BoundHandler", (Handler,), {"owner": owner})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that hang up are no news
    owner.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        owner.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
