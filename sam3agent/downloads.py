"""Images and clips behind URLs, downloaded for as long as they are needed."""

import base64
import itertools
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from sam3model.connection import variables_in_the_way, without_account
from sam3model.errors import InputError, Sam3Error
from sam3model.files import writable_name

STDIN = "-"

MAX_DOWNLOAD = 256 * 1024 * 1024
"""Maximum size of a downloaded image or clip in bytes."""

DOWNLOAD_SECONDS = 120.0

_SAFE = "%/:?@!$&'()*+,;=~[]|"
"""What stays as it is in the path and query of a URL, besides letters and digits."""

MAX_NAME, MAX_NAME_BYTES = 80, 200
"""Longest name of a folder of results, in characters and in bytes; disks take 255 bytes."""


def is_url(word: str) -> bool:
    """Whether a word is the URL of an image."""
    return word.lower().startswith(("http://", "https://"))


def shown_url(word: str) -> str:
    """A source as it is printed and recorded: a URL without user name and password."""
    return without_account(word) if is_url(word) else word


@contextmanager
def local_source(source: str) -> Iterator[str]:
    """A source as something that can be opened: an image or clip behind a URL is downloaded for as long as needed.

    Raises `InputError` if it cannot be downloaded. Errors of the block name the URL, not the downloaded file.
    """
    if not is_url(source):
        yield source
        return
    ending = Path(split_url(source).path).suffix[:8]
    with tempfile.TemporaryDirectory(prefix="sam3agent-") as folder:
        path = Path(folder) / (source_stem(source) + ending)
        _download(source, path)
        try:
            yield str(path)
        except Sam3Error as error:
            error.args = tuple(
                in_words_of(source, str(path), arg) if isinstance(arg, str) else arg for arg in error.args
            )
            raise


def in_words_of(source: str, path: str, text: str) -> str:
    """A text about a downloaded file, with the source in place of where it was for a while."""
    return text.replace(path, shown_url(source)) if is_url(source) else text


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises `InputError` if it is not one."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InputError(f"{shown_url(url)} is not an address that can be read: {error}") from error


def source_stem(source: str) -> str:
    """The name of a source without ending, for the folder of its results."""
    if source == STDIN:
        return "stdin"
    path = unquote(split_url(source).path) if is_url(source) else source
    stem = short_name(Path(path).stem)
    return stem if stem.strip(".") else "image"


def short_name(name: str) -> str:
    """A name that can be written on any disk, with room for what is put behind it."""
    return writable_name(name.replace("/", "_"))[:MAX_NAME].encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")


def _download(url: str, path: Path) -> None:
    try:
        request = _request(url)
        direct = (urllib.request.ProxyHandler({}),) if _is_local(url) else ()
        opener = urllib.request.build_opener(_WebOnly, *direct)
        with opener.open(request, timeout=30) as reply, path.open("wb") as file:
            for part in _unpacked(reply, _parts(reply, shown_url(url)), shown_url(url)):
                file.write(part)
        _check_content(path, shown_url(url))
    except urllib.error.HTTPError as error:
        raise InputError(f"cannot download {shown_url(url)}: the server answers {error.code}") from error
    except InputError:
        raise
    except Exception as error:  # http.client raises many kinds on malformed replies
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InputError(f"cannot download {shown_url(url)}: {reason}{_hint(url)}") from error


def _parts(reply: Any, url: str) -> Iterator[bytes]:
    """The body of a reply as it comes. Raises `InputError` if it is too large, too slow or breaks off."""
    deadline, came = time.monotonic() + DOWNLOAD_SECONDS, 0
    if (reply.length or 0) > MAX_DOWNLOAD:
        raise _too_large(url)
    while part := reply.read(1 << 16):
        came += len(part)
        if came > MAX_DOWNLOAD:
            raise _too_large(url)
        if time.monotonic() > deadline:
            raise InputError(f"{url} was not downloaded within {DOWNLOAD_SECONDS:.0f} seconds")
        yield part
    if reply.length:  # what was promised and did not come
        raise InputError(f"cannot download {url}: it broke off after {came} of {came + reply.length} bytes; try again")


def _unpacked(reply: Any, parts: Iterator[bytes], url: str) -> Iterator[bytes]:
    """The parts of a body, decompressed if the server has compressed them. Raises `InputError` as `_parts`."""
    packing = (reply.headers.get("Content-Encoding") or "").strip().lower()
    if packing in ("br", "zstd", "compress"):
        raise InputError(f"cannot download {url}: the server compresses it as {packing}, which was not asked for")
    first = next(parts, b"")
    begins = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "deflate": b"\x78"}.get(packing)
    if begins is None or not first.startswith(begins):  # servers also send other words, and "gzip" of what is not
        yield first
        yield from parts
        return
    unpack, size = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32), 0  # gzip or zlib, as its header says
    for part in itertools.chain([first], parts):
        data = unpack.decompress(part)
        size += len(data)
        if size > MAX_DOWNLOAD:
            raise _too_large(url)
        yield data
    if not unpack.eof:
        raise InputError(f"cannot download {url}: its compressed data breaks off; try again")


def _too_large(url: str) -> InputError:
    return InputError(f"{url} is too large: the limit is {MAX_DOWNLOAD / 1e6:.0f} MB")


def _check_content(path: Path, url: str) -> None:
    """Raises `InputError` for what servers send in place of an image."""
    with path.open("rb") as file:
        head = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{url} is a web page, not an image or clip: give the address of the image itself")


def _request(url: str) -> urllib.request.Request:
    """A request for a URL. Its user name and password are for this host only: redirects do not get them."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    path, query = quote(parts.path, safe=_SAFE), quote(parts.query, safe=_SAFE)  # people paste what browsers show
    address = parts._replace(netloc=host, path=path, query=query).geturl()
    request = urllib.request.Request(address, headers={"User-Agent": "sam3agent"})
    if account:
        code = base64.b64encode(unquote(account).encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {code}")
    return request


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _hint(url: str) -> str:
    return "" if _is_local(url) else variables_in_the_way()


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """The next request."""
        if not is_url(newurl):
            raise InputError(f"{shown_url(req.full_url)} redirects to {shown_url(newurl)}, which is not http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
