"""Images and clips behind URLs, downloaded for as long as they are needed."""

import base64
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sam3model.connection import variables_in_the_way, without_account
from sam3model.errors import InputError

STDIN = "-"

MAX_DOWNLOAD = 256 * 1024 * 1024
"""Maximum size of a downloaded image or clip in bytes."""

DOWNLOAD_SECONDS = 120.0


def is_url(word: str) -> bool:
    """Whether a word is the URL of an image."""
    return word.lower().startswith(("http://", "https://"))


def shown_url(word: str) -> str:
    """A source as it is printed and recorded: a URL without user name and password."""
    return without_account(word) if is_url(word) else word


@contextmanager
def local_source(source: str) -> Iterator[str]:
    """A source as something that can be opened: an image or clip behind a URL is downloaded for as long as needed.

    Raises `InputError` if it cannot be downloaded.
    """
    if not is_url(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="sam3agent-") as folder:
        path = Path(folder) / (source_stem(source) + Path(urlsplit(source).path).suffix[:8])
        _download(source, path)
        yield str(path)


def source_stem(source: str) -> str:
    """The name of a source without ending, for the folder of its results."""
    if source == STDIN:
        return "stdin"
    path = unquote(urlsplit(source).path) if is_url(source) else source
    stem = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in Path(path).stem)[:80]
    return stem if stem.strip(".") else "image"


def _download(url: str, path: Path) -> None:
    deadline, left = time.monotonic() + DOWNLOAD_SECONDS, MAX_DOWNLOAD
    try:
        request = _request(url)
        direct = (urllib.request.ProxyHandler({}),) if _is_local(url) else ()
        opener = urllib.request.build_opener(_WebOnly, *direct)
        with opener.open(request, timeout=30) as reply, path.open("wb") as file:
            while part := reply.read(1 << 16):
                left -= len(part)
                if left < 0:
                    raise InputError(f"{shown_url(url)} is too large: the limit is {MAX_DOWNLOAD / 1e6:.0f} MB")
                if time.monotonic() > deadline:
                    raise InputError(f"{shown_url(url)} was not downloaded within {DOWNLOAD_SECONDS:.0f} seconds")
                file.write(part)
    except urllib.error.HTTPError as error:
        raise InputError(f"cannot download {shown_url(url)}: the server answers {error.code}") from error
    except InputError:
        raise
    except Exception as error:  # http.client raises many kinds on malformed replies
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InputError(f"cannot download {shown_url(url)}: {reason}{_hint(url)}") from error


def _request(url: str) -> urllib.request.Request:
    """A request for a URL. Its user name and password are for this host only: redirects do not get them."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), headers={"User-Agent": "sam3agent"})
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
