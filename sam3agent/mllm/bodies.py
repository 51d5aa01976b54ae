"""What is read from the responses of a server, without any of the server's rules: bodies, redirects, model lists."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from sam3model.untrusted import clean_line


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A response whose body was read. url: where it came from."""

    url: str
    status: int
    headers: Mapping[str, str]
    data: bytes


def unpacked(data: bytes, encoding: str, limit: int) -> bytes:
    """At most `limit` bytes of a body without its compression, which was not asked for.

    What does not unpack is returned as it is.
    """
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return data
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, limit)
    except zlib.error:
        return data


def next_url(response: HTTPResponse, *, posted: bool) -> tuple[str | None, str]:
    """Where a redirect leads, or None if that is another server or not for such a request; and its words."""
    location = clean_line(response.headers.get("location", ""), 200)
    try:
        target, here = urlsplit(urljoin(response.url, location)), urlsplit(response.url)
        same = (target.scheme, target.hostname, target.port) == (here.scheme, here.hostname, here.port)
    except ValueError:
        return None, location
    if not same or not location or (posted and response.status not in (307, 308)):
        return None, location
    return target.geturl(), location


def model_names(body: Any) -> list[str]:
    """Names in a model list. Raises `ValueError` if it is none."""
    data = body.get("data", body.get("models")) if isinstance(body, dict) else body
    if not isinstance(data, list):
        raise ValueError("not a list of models")
    names = [entry.get("id", entry.get("name")) if isinstance(entry, dict) else entry for entry in data]
    usable = [name for name in names if isinstance(name, str) and name and clean_line(name, 300) == name]
    if names and not usable:
        raise ValueError("no names of models")
    return usable


def count_images(request: Mapping[str, Any] | None) -> int:
    """Number of images in a Chat Completions request."""
    contents = [message["content"] for message in (request or {}).get("messages", ())]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(part["type"] == "image_url" for part in parts)
