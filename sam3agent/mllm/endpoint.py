"""URL and key of a server with the limits of its use, and the way to it: proxy and certificates.

Loopback addresses are reached directly, whatever the environment says about proxies. A variable that cannot be used is
named in the error, with what to do.
"""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import proxy_bypass_environment  # pyright: ignore[reportAttributeAccessIssue]

from sam3agent.mllm.errors import MLLMUnreachableError
from sam3model.connection import without_account
from sam3model.errors import ConfigError
from sam3model.untrusted import clean_line

LOCAL_URL = "http://127.0.0.1:8000/v1"
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL and key of a server, with limits. Times are in seconds.

    connect_s: maximum time to connect. read_s: maximum pause within a reply. reply_s: maximum time of a whole reply.
    retries: maximum number of retries after transient failures. backoff_s: first pause, doubled each time.
    longest_pause_s: maximum pause; a longer `Retry-After` ends the call. concurrency: maximum number of concurrent
    requests. max_reply_bytes: maximum size of a reply; max_error_bytes: as much of an error response is read.
    """

    base_url: str = LOCAL_URL
    api_key: str = ""
    connect_s: float = 5.0
    read_s: float = 120.0
    reply_s: float = 180.0
    retries: int = 4
    backoff_s: float = 0.5
    longest_pause_s: float = 30.0
    concurrency: int = 8
    max_reply_bytes: int = 4 << 20
    max_error_bytes: int = 64 << 10

    @property
    def shown(self) -> str:
        """The URL for messages, without user name and password."""
        return clean_line(without_account(self.base_url), 200)

    @property
    def host(self) -> str:
        """Host and port for names, without user name and password."""
        return self.shown.partition("//")[2].partition("/")[0] or self.shown


def request_url(base_url: str, path: str) -> str:
    """The URL of a request to a server; a query of the base URL stays at the end."""
    parts = urlsplit(base_url.strip())
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment=""))


def checked_url(url: str, named: str = "--base-url") -> str:
    """The URL of a server. `named` is its flag or variable. Raises `ConfigError` if nothing can be reached by it."""
    shown = Endpoint(url).shown
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 (raises if it is not a port)
    except ValueError as error:
        raise ConfigError(f"{named} {shown!r} is not a URL ({error}); write e.g. {LOCAL_URL}") from error
    if parts.scheme not in ("http", "https") or "://" not in url:
        hint = f"http://{shown.rpartition('://')[2].rstrip('/')}" if shown else LOCAL_URL
        raise ConfigError(f"{named} {shown!r} needs http:// or https:// in front; did you mean {hint}?")
    if not parts.hostname:
        raise ConfigError(f"{named} {shown!r} names no host; write e.g. {LOCAL_URL}")
    return url.strip()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or address.is_unspecified or (mapped is not None and mapped.is_loopback)


def proxy_for(url: str, environment: Mapping[str, str] | None = None) -> str | None:
    """The proxy on the way to a URL; None to connect directly.

    Raises `MLLMUnreachableError` with the name of the variable if its proxy cannot be used.
    """
    environment = os.environ if environment is None else environment
    parts = urlsplit(url)
    host = parts.hostname or ""
    excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if is_loopback(host) or (excluded and proxy_bypass_environment(host, {"no": excluded})):
        return None
    names = (f"{parts.scheme}_proxy", "all_proxy")
    for name in (spelled for known in names for spelled in (known, known.upper())):
        if proxy := environment.get(name, "").strip():
            return _usable_proxy(name, proxy, host)
    return None


def _usable_proxy(variable: str, proxy: str, host: str) -> str:
    remedy = f"correct {variable}, unset it, or add {host} to NO_PROXY"
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    shown = Endpoint(proxy).shown
    try:
        parts: SplitResult | None = urlsplit(proxy)
        usable = bool(parts and parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, usable = None, False
    if parts is None or not usable or parts.scheme not in ("http", "https", "socks5", "socks5h"):
        raise MLLMUnreachableError(f"{variable} is {shown!r}, which is not a proxy that can be used; {remedy}.")
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise MLLMUnreachableError(
            f"{variable} is {shown!r}, and SOCKS proxies need the package socksio: pip install socksio; or {remedy}."
        )
    return proxy


def certificates() -> ssl.SSLContext:
    """The trusted certificates. Raises `MLLMUnreachableError` with the name of the variable that prevents reading."""
    for variable in _CERTIFICATES:
        path = os.environ.get(variable)
        if path and not Path(path).exists():
            raise MLLMUnreachableError(f"{variable} is {path!r}, which does not exist; correct it, or unset it.")
    try:
        return _read_certificates(tuple(os.environ.get(variable) for variable in _CERTIFICATES))
    except (OSError, ValueError) as error:
        named = ", ".join(name for name in (*_CERTIFICATES, "SSLKEYLOGFILE") if os.environ.get(name))
        raise MLLMUnreachableError(
            f"the certificates cannot be read ({clean_line(str(error), 200)}); "
            f"{f'correct or unset {named}' if named else 'reinstall the package certifi'}."
        ) from error


@cache
def _read_certificates(_: tuple[str | None, ...]) -> ssl.SSLContext:
    """Reading them can take longer than a request, so it is done once."""
    import httpx2

    return httpx2.create_ssl_context()
