"""Chat Completions requests over HTTP, with limits on retries, time and size, and with errors of our own.

This is the edge: whatever a server sends becomes a clean, bounded JSON object or an `MLLMError`, and no other exception
leaves it. Bodies are read in pieces, also those of errors, so that one without end is cut off. A reply that comes as a
stream although none was asked for is joined. Images are never carried to another host by a redirect.
"""

import asyncio
import json
import logging
import random
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sam3agent.mllm import errors
from sam3agent.mllm.bodies import HTTPResponse, count_images, model_names, next_url, unpacked
from sam3agent.mllm.endpoint import LOCAL_URL, Endpoint, certificates, checked_url, proxy_for, request_url
from sam3agent.mllm.event_stream import has_ended, is_event_stream, joined
from sam3agent.mllm.profiles import MANY_IMAGES, SYSTEM, TOOL_MESSAGES
from sam3agent.mllm.server_errors import (
    RefusedOptionError,
    ServerError,
    TransientError,
    error_message,
    inner_error,
    inner_status,
)
from sam3model.errors import ConfigError
from sam3model.untrusted import clean_line, read_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import AsyncClient

__all__ = ["LOCAL_URL", "Endpoint", "RefusedOptionError", "Transport"]

log = logging.getLogger(__name__)

_HOPS = 3
"""Maximum number of redirects, all within one server."""


class _Connections(NamedTuple):
    """Connections and request slots. They belong to one event loop and cannot be used on another."""

    loop: asyncio.AbstractEventLoop
    client: "AsyncClient"
    slots: asyncio.Semaphore


class Transport:
    """Posts requests to one `Endpoint`. Requests may be concurrent, but on one event loop at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._open: _Connections | None = None
        self._reached = False

    async def post(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a Chat Completions request and return the JSON object of the reply. `timeout_s` includes all retries.

        Raises only `MLLMError`, or `CancelledError` if cancelled.
        """
        try:
            return await self._post(request, timeout_s)
        except errors.MLLMError as error:
            raise errors.without_origin(error) from None

    async def _post(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        deadline, attempt = time.monotonic() + timeout_s, 0
        while True:
            try:
                async with self._slot(deadline) as client:
                    return await self._try(client, request, deadline)
            except TransientError as failure:
                if attempt >= self.endpoint.retries:
                    raise failure.error from None
                await self._pause(failure, attempt, deadline)
                attempt += 1

    async def models(self) -> list[str]:
        """Names of the models on the server. Raises only `MLLMError`, or `CancelledError` if cancelled."""
        at = self.endpoint
        try:
            response = await self._exchange(self._connections().client, "models", None, 2 * at.connect_s)
            if response.status >= 400:
                raise self._refused(response, None)
            return model_names(read_json(response.data))
        except TransientError as failure:
            raise failure.error from None
        except ValueError:
            raise errors.MLLMBadReplyError(
                f"The model list of {at.shown} cannot be read; choose a model with --model, "
                "and check that --base-url ends in /v1."
            ) from None

    async def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        opened, self._open = self._open, None
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.client.aclose()

    def _connections(self) -> _Connections:
        loop = asyncio.get_running_loop()
        if self._open is None or self._open.loop is not loop:
            self._open = _Connections(loop, self._connect(), asyncio.Semaphore(self.endpoint.concurrency))
        return self._open

    @asynccontextmanager
    async def _slot(self, deadline: float) -> "AsyncIterator[AsyncClient]":
        """One of the `concurrency` request slots; released between attempts."""
        opened = self._connections()
        try:
            await asyncio.wait_for(opened.slots.acquire(), max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            raise errors.MLLMTimeoutError(
                f"{self.endpoint.shown} is busy with earlier requests; raise --max-seconds, or ask less at once."
            ) from None
        try:
            yield opened.client
        finally:
            opened.slots.release()

    def _connect(self) -> "AsyncClient":
        """A client that trusts nothing in the environment but the proxy and certificates that were checked."""
        import httpx2

        at = self.endpoint
        try:
            url = checked_url(at.base_url)
            proxy = proxy_for(url)
            secure = url.startswith("https:") or (proxy or "").startswith("https:")
            return httpx2.AsyncClient(
                timeout=httpx2.Timeout(at.read_s, connect=at.connect_s),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=at.concurrency),
                verify=certificates() if secure else False,  # nothing to verify: the connection has no TLS
                proxy=proxy,
                trust_env=False,
            )
        except ConfigError as error:
            raise errors.MLLMUnreachableError(str(error)) from None
        except errors.MLLMError:
            raise
        except Exception as problem:  # whatever a client library makes of odd settings
            raise self._cannot_send(problem) from None

    async def _pause(self, failure: TransientError, attempt: int, deadline: float) -> None:
        at = self.endpoint
        pause = failure.pause_s
        if pause is None:
            pause = min(at.backoff_s * 2**attempt, at.longest_pause_s) * random.uniform(0.75, 1.0)
        if pause > at.longest_pause_s or time.monotonic() + pause > deadline:
            raise failure.error
        log.info("%s Retrying in %.1f s.", failure.error, pause)
        await asyncio.sleep(pause)

    async def _try(self, client: "AsyncClient", request: dict[str, Any], deadline: float) -> dict[str, Any]:
        limit = min(self.endpoint.reply_s, max(deadline - time.monotonic(), 0.001))
        content = json.dumps(request, separators=(",", ":")).encode()
        response = await self._exchange(client, "chat/completions", content, limit)
        if response.status >= 400:
            raise self._refused(response, request)
        return self._parse(response, request)

    async def _exchange(self, client: "AsyncClient", path: str, content: bytes | None, limit: float) -> HTTPResponse:
        """One request and its response, redirects within the server included. Raises only our own errors."""
        try:
            url = request_url(self.endpoint.base_url, path)
            async with asyncio.timeout(limit):
                for _ in range(1 + _HOPS):
                    response = await self._read(client, url, content)
                    self._reached = True
                    if not 300 <= response.status < 400:
                        return response
                    url = self._redirected(response, posted=content is not None)
        except (errors.MLLMError, TransientError):
            raise
        except Exception as problem:  # the edge: a server can make a client library raise anything
            raise self._broken(problem, limit) from None
        raise errors.MLLMRejectedError(f"{self.endpoint.shown} redirects without end; check --base-url.")

    async def _read(self, client: "AsyncClient", url: str, content: bytes | None) -> HTTPResponse:
        """The response with its body, as much of it as is allowed."""
        at, data = self.endpoint, bytearray()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key := at.api_key.strip():
            if not (key.isascii() and key.isprintable()):
                raise errors.MLLMKeyRefusedError(
                    "The API key has characters that cannot be sent; set SAM3AGENT_API_KEY to a valid key."
                )
            headers["Authorization"] = f"Bearer {key}"
        method = "GET" if content is None else "POST"
        async with client.stream(method, url, content=content, headers=headers, follow_redirects=False) as response:
            failed, kind = response.status_code >= 300, response.headers.get("content-type", "")
            limit = at.max_error_bytes if failed else at.max_reply_bytes
            async for piece in response.aiter_raw():
                data += piece[: limit + 1 - len(data)]
                if len(data) > limit or (is_event_stream(kind, data) and has_ended(data, len(piece))):
                    break
        if len(data) > limit and not failed:
            raise self._endless(len(data))
        body = unpacked(bytes(data), response.headers.get("content-encoding", ""), limit + 1)
        if len(body) > limit and not failed:
            raise self._endless(len(body))
        return HTTPResponse(url, response.status_code, response.headers, body)

    def _endless(self, size: int) -> errors.MLLMError:
        return errors.MLLMTimeoutError(
            f"The reply of {self.endpoint.shown} had no end and was cut off at {size} bytes; check the server's log."
        )

    def _redirected(self, response: HTTPResponse, *, posted: bool) -> str:
        """Where a redirect leads within the server. Raises `MLLMRejectedError` if it leaves it."""
        target, location = next_url(response, posted=posted)
        if target is None:
            base = re.sub(r"/(chat/completions|models)/?(?=\?|$)", "", location)
            remedy = f"set --base-url to {base}" if base != location else "set --base-url to it"
            raise errors.MLLMRejectedError(
                f"{self.endpoint.shown} redirects to {location or 'nowhere'} ({response.status}); "
                f"if you trust that address, {remedy}."
            )
        return target

    def _parse(self, response: HTTPResponse, request: dict[str, Any]) -> dict[str, Any]:
        """The JSON object of a reply. Any other body is retried, because it may be a passing fault of a proxy."""
        streamed = is_event_stream(response.headers.get("content-type", ""), response.data)
        try:
            parsed = joined(response.data) if streamed else read_json(response.data)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            start = clean_line(response.data[:80].decode("utf-8", "replace"))
            raise TransientError(
                errors.MLLMBadReplyError(
                    f"{self.endpoint.shown} did not return a chat completion but {start!r}; "
                    "check that --base-url ends in /v1 and is that of an OpenAI-compatible server."
                )
            )
        error = inner_error(parsed)
        if error is not None:
            raise self._error(inner_status(error), error_message(error), response, request)
        return parsed

    def _refused(self, response: HTTPResponse, request: dict[str, Any] | None) -> Exception:
        """The exception for an error status."""
        text = response.data.decode("utf-8", "replace")
        try:
            message = error_message(read_json(response.data))
        except ValueError:
            message = clean_line(text, 300)
        return self._error(response.status, message, response, request)

    def _error(self, status: int, message: str, response: HTTPResponse, request: dict[str, Any] | None) -> Exception:
        key, images = self.endpoint.api_key.strip(), count_images(request)
        message = message.replace(key, "…") if len(key) >= 8 else message
        sent = {*(request or ()), *([MANY_IMAGES] if images > 1 else [])}
        messages = (request or {}).get("messages", ())
        if messages and messages[0]["role"] == "system":
            sent.add(SYSTEM)
        if any(message["role"] == "tool" for message in messages):
            sent.add(TOOL_MESSAGES)
        error = ServerError(status, message, response.headers.get("retry-after"), sent, images > 0)
        return error.as_exception(self.endpoint, (request or {}).get("model", ""))

    def _broken(self, problem: BaseException, limit: float) -> Exception:
        """The error for a failed connection. It is not retried if the server has never been reached."""
        import httpx2

        while isinstance(problem, BaseExceptionGroup):
            problem = problem.exceptions[0]
        at, why = self.endpoint, clean_line(str(problem), 200)
        unreachable = httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol | httpx2.ProxyError
        if isinstance(problem, unreachable) and not self._reached:
            way = " through the proxy of the environment" if proxy_for(at.base_url) else ""
            remedy = f"; or add {at.host.partition(':')[0]} to NO_PROXY" if way else ""
            return errors.MLLMUnreachableError(
                f"No MLLM server at {at.shown}{way} ({why or 'timed out'}); "
                f"start one, or set --base-url to another{remedy}."
            )
        if isinstance(problem, TimeoutError | httpx2.TimeoutException):
            return errors.MLLMTimeoutError(
                f"{at.shown} did not finish its reply within {limit:.3g} s; raise --timeout, or use a smaller model."
            )
        if isinstance(problem, httpx2.TransportError | httpx2.StreamError | OSError):
            return TransientError(
                errors.MLLMDisconnectedError(
                    f"The connection to {at.shown} keeps breaking ({type(problem).__name__}); check the server's log."
                )
            )
        return self._cannot_send(problem)

    def _cannot_send(self, problem: BaseException) -> errors.MLLMError:
        return errors.MLLMRejectedError(
            f"The request cannot be sent to {self.endpoint.shown} "
            f"({type(problem).__name__}: {clean_line(str(problem), 200)}); check --base-url and SAM3AGENT_API_KEY."
        )
