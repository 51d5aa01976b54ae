"""Downloads of weights from the hub: what is fetched, from where, and what goes wrong."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from sam3model import checkpoint
from sam3model.errors import CheckpointError


class Hub(BaseHTTPRequestHandler):
    """A minimal hub for downloads; its response depends on the owner of the repository."""

    folder: Path
    asked: ClassVar[list[str]] = []

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        _, owner, _, _, revision, name = self.path.split("/", 5)
        Hub.asked.append(revision)
        if owner == "gated":
            return self.answer(403, {"X-Error-Code": "GatedRepo"})
        if revision == "gone":
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        if owner == "absent":
            return self.answer(401, {"X-Error-Code": "RepoNotFound"})
        file = self.folder / name
        if not file.is_file():
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "c" * 40})
        body = file.read_bytes()
        return self.answer(200, {"X-Repo-Commit": "c" * 40, "ETag": f'"{name}"'}, body)

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    Hub.folder = tmp_path / "hub"
    Hub.folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()


def test_hub_download_prefers_the_official_file(hub):
    (Hub.folder / "sam3.pt").write_bytes(b"weights")
    found = checkpoint.find_weights("facebook/sam3")
    assert found.name == "sam3.pt" and found.read_bytes() == b"weights"
    hub.shutdown()
    hub.server_close()
    assert checkpoint.find_weights("facebook/sam3").read_bytes() == b"weights", "a cached file needs no network"


def test_without_download_a_missing_repository_is_an_error(hub):
    (Hub.folder / "sam3.pt").write_bytes(b"weights")
    with pytest.raises(CheckpointError, match="facebook/sam3 is not in the local cache: its first use downloads it"):
        checkpoint.find_weights("facebook/sam3", download=False)
    fetched = checkpoint.find_weights("facebook/sam3")
    assert checkpoint.find_weights("facebook/sam3", download=False) == fetched


def test_a_revision_of_a_repository_can_be_pinned(hub):
    (Hub.folder / "sam3.pt").write_bytes(b"weights")
    Hub.asked.clear()
    pinned = checkpoint.find_weights(f"facebook/sam3@{'c' * 40}")
    assert set(Hub.asked) == {"c" * 40}
    assert checkpoint.find_weights(f"facebook/sam3@{'c' * 40}", download=False) == pinned
    with pytest.raises(CheckpointError, match=r"facebook/sam3@v1\.0 is not in the local cache"):
        checkpoint.find_weights("facebook/sam3@v1.0", download=False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTPS_PROXY", "ftp://x"), ("ALL_PROXY", "socks9://127.0.0.1:1"), ("SSL_CERT_FILE", "/nowhere/certificates")],
)
def test_a_variable_in_the_way_is_named(tmp_path, variable, value):
    code = "import sys; from sam3model.checkpoint import find_weights\ntry: find_weights('facebook/sam3')\n"
    code += "except Exception as error: print(type(error).__name__, error)"
    plain = {k: v for k, v in os.environ.items() if not k.lower().endswith(("_proxy", "_offline"))}
    environment = {**plain, variable: value, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "https://127.0.0.1:9"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("CheckpointError "), done.stdout + done.stderr
    assert variable in done.stdout
    assert done.stdout.count("\n") == 1


def test_hub_download_falls_back_to_transformers(hub):
    (Hub.folder / "config.json").write_text("{}")
    (Hub.folder / "model.safetensors").write_bytes(b"w")
    folder = checkpoint.find_weights("someone/sam3")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert checkpoint.find_weights("someone/sam3", download=False) == folder


@pytest.mark.parametrize(
    ("name", "offline", "says"),
    [
        ("gated/sam3", False, "is gated: accept its licence"),
        ("absent/sam3", False, "absent/sam3 does not exist or is private"),
        ("absent/sam3.1", False, "absent/sam3.1 does not exist or is private"),
        ("facebook/sam3", True, "not in the local cache"),
        ("facebook/sam3@gone", False, "facebook/sam3 has no revision 'gone': give a branch, a tag or a commit"),
        ("facebook/sam3@", False, "no weights at facebook/sam3@"),
        ("facebook/sam3@../x", False, "no weights at facebook/sam3@"),
    ],
)
def test_hub_errors_say_what_to_do(hub, monkeypatch, name, offline, says):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    with pytest.raises(CheckpointError, match=says) as caught:
        checkpoint.find_weights(name)
    assert "\n" not in str(caught.value)
