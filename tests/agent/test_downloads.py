"""Images behind URLs: what servers send is an image, or one line that names the URL."""

import gzip
import http.server
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from sam3agent.cli.image_sources import expand_sources, local_path
from sam3agent.downloads import MAX_DOWNLOAD, local_source, source_stem
from sam3agent.images import open_image
from sam3agent.labelling.label_sources import LabelSources
from sam3model.errors import InputError
from sam3model.resources import asset

IMAGE = asset("match.png").read_bytes()
SMILES = "%F0%9F%98%80" * 90

REPLIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "/packed.png": (gzip.compress(IMAGE), {"Content-Encoding": "gzip"}),
    "/deflated.png": (zlib.compress(IMAGE), {"Content-Encoding": "deflate"}),
    "/half-packed.png": (gzip.compress(IMAGE)[:-40], {"Content-Encoding": "gzip"}),
    "/named.png": (IMAGE, {"Content-Encoding": "aws-chunked"}),
    "/not-packed.png": (IMAGE, {"Content-Encoding": "gzip"}),
    "/brotli.png": (b"x", {"Content-Encoding": "br"}),
    "/short.png": (IMAGE[:-12], {"Content-Length": str(len(IMAGE))}),
    "/huge.png": (b"x", {"Content-Length": str(MAX_DOWNLOAD + 1)}),
    "/odd.png": (IMAGE, {"Content-Length": "many"}),
    "/page.png": (b"\n<!DOCTYPE html><html>Log in</html>", {"Content-Type": "text/html"}),
    "/empty.png": (b"", {}),
    "/text.png": (b"no image", {}),
}


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, headers = REPLIES.get(self.path, (IMAGE, {}))
            if self.path.startswith("/where/") and unquote(self.path) != "/where/ü 例.png?of=ä b":
                body = b"another path"
            self.send_response(200)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    "name",
    [
        "/packed.png",
        "/deflated.png",
        "/named.png",
        "/not-packed.png",
        "/odd.png",
        "/where/ü 例.png?of=ä b",
        f"/{SMILES}.png",
    ],
)
def test_an_image_comes_as_it_is(web: str, name: str) -> None:
    with local_source(web + name) as path:
        assert Path(path).read_bytes() == IMAGE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/half-packed.png", "its compressed data breaks off; try again"),
        ("/brotli.png", "compresses it as br"),
        ("/short.png", f"it broke off after {len(IMAGE) - 12} of {len(IMAGE)} bytes; try again"),
        ("/huge.png", "is too large"),
        ("/page.png", "is a web page, not an image or clip"),
        ("/empty.png", "is empty"),
        ("/text.png", "is not an image in a supported format"),
    ],
)
def test_what_is_no_image_is_said_of_the_url(web: str, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised, local_source(web + name) as path:
        open_image(path)
    assert web + name in str(raised.value) and "/sam3agent-" not in str(raised.value)


def test_an_address_that_cannot_be_read_is_an_error_of_input() -> None:
    broken = "http://me:secret@[::1/x.png"
    for use in (source_stem, lambda url: expand_sources([url], clips=True), lambda url: list(LabelSources((url,)))):
        with pytest.raises(InputError, match="is not an address that can be read") as raised:
            use(broken)
        assert "secret" not in str(raised.value)


def test_names_of_folders_fit_on_a_disk() -> None:
    assert len(source_stem(f"https://example.org/{SMILES}.png").encode()) <= 200
    assert source_stem("a/b.c.png") == "b.c"


def test_addresses_of_other_kinds(tmp_path: Path) -> None:
    assert local_path((tmp_path / "a b.png").as_uri()) == str(tmp_path / "a b.png")
    assert local_path("and/or: 1") == "and/or: 1"
    for word in ("ftp://host/x.png", "data:image/png;base64,AAAA", "s3://bucket/x.png"):
        with pytest.raises(InputError, match="addresses are not read"):
            local_path(word)
    with pytest.raises(InputError, match="another machine") as raised:
        local_path("file://other/x.png")
    assert "sam3://" not in str(raised.value), "what only the MCP server reads"
