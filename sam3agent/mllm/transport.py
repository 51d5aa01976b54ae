"""Chat Completions requests over HTTP, with limits on retries, time and size, and with errors of our own.

The body is read as bytes and parsed here, not by the SDK, so that an endless reply can be cut off, and one that is not
JSON becomes an `MLLMBadReplyError`.
"""

import asyncio
import email.utils
import json
import logging
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sam3agent.mllm import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from ssl import SSLContext

    from openai import APIStatusError, AsyncOpenAI

log = logging.getLogger(__name__)

LOCAL_URL = "http://127.0.0.1:8000/v1"
_CONTEXT = ("context length", "context_length", "context size", "context window", "maximum model length")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL and key of a server, with limits. Times are in seconds.

    connect_s: maximum time to connect. read_s: maximum pause within a reply. reply_s: maximum time of a whole reply.
    retries: maximum number of retries after transient failures. backoff_s: first pause, doubled each time.
    longest_pause_s: maximum pause; a longer `Retry-After` ends the call. concurrency: maximum number of concurrent
    requests. max_reply_bytes: maximum size of a reply.
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


class RefusedOptionError(errors.MLLMRejectedError):
    """A 400 or 422 response. Its message may name an option that the server does not support."""


class _TransientError(Exception):
    """A failure to retry. error: to raise after the last attempt. pause_s: the pause that the server requested."""

    def __init__(self, error: errors.MLLMError, pause_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s


class _Connections(NamedTuple):
    """Connections and request slots. They belong to one event loop and cannot be used on another."""

    loop: asyncio.AbstractEventLoop
    client: "AsyncOpenAI"
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
        deadline, attempt = time.monotonic() + timeout_s, 0
        while True:
            try:
                async with self._slot(deadline) as client:
                    return await self._try(client, request, deadline)
            except _TransientError as failure:
                if attempt >= self.endpoint.retries:
                    raise failure.error from None
                await self._pause(failure, attempt, deadline)
                attempt += 1

    async def models(self) -> list[str]:
        """Names of the models on the server. Raises only `MLLMError`, or `CancelledError` if cancelled."""
        import httpx2
        import openai

        at = self.endpoint
        try:
            async with asyncio.timeout(at.connect_s + at.connect_s):
                page = await self._connections().client.models.list()
            return [model.id for model in page.data]
        except openai.APIStatusError as problem:
            failure = self._status_error(problem, "")
        except (TimeoutError, openai.APIConnectionError, httpx2.HTTPError) as problem:
            failure = self._broken(problem)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            failure = errors.MLLMBadReplyError(f"{at.base_url} does not list its models; choose one with --model.")
        raise failure.error if isinstance(failure, _TransientError) else failure

    async def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        opened, self._open = self._open, None
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.client.close()

    def _connections(self) -> _Connections:
        loop = asyncio.get_running_loop()
        if self._open is None or self._open.loop is not loop:
            self._open = _Connections(loop, self._connect(), asyncio.Semaphore(self.endpoint.concurrency))
        return self._open

    @asynccontextmanager
    async def _slot(self, deadline: float) -> "AsyncIterator[AsyncOpenAI]":
        """One of the `concurrency` request slots; released between attempts."""
        opened = self._connections()
        try:
            await asyncio.wait_for(opened.slots.acquire(), max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            raise errors.MLLMTimeoutError(
                f"{self.endpoint.base_url} is busy with earlier requests; raise --max-seconds, or ask less at once."
            ) from None
        try:
            yield opened.client
        finally:
            opened.slots.release()

    def _connect(self) -> "AsyncOpenAI":
        import httpx2
        import openai

        at = self.endpoint
        timeout = httpx2.Timeout(at.read_s, connect=at.connect_s, pool=None)
        client = openai.DefaultAsyncHttpx2Client(verify=_certificates(), timeout=timeout)
        try:
            return openai.AsyncOpenAI(
                base_url=at.base_url,
                api_key=at.api_key or "EMPTY",
                max_retries=0,
                timeout=timeout,
                http_client=client,
            )
        except (openai.OpenAIError, httpx2.InvalidURL, ValueError, TypeError) as problem:
            raise errors.MLLMUnreachableError(
                f"{at.base_url!r} is not a valid server URL ({problem}); set --base-url, e.g. to {LOCAL_URL}."
            ) from None

    async def _pause(self, failure: _TransientError, attempt: int, deadline: float) -> None:
        at = self.endpoint
        pause = failure.pause_s
        if pause is None:
            pause = min(at.backoff_s * 2**attempt, at.longest_pause_s) * random.uniform(0.75, 1.0)
        if pause > at.longest_pause_s or time.monotonic() + pause > deadline:
            raise failure.error
        log.info("%s Retrying in %.1f s.", failure.error, pause)
        await asyncio.sleep(pause)

    async def _try(self, client: "AsyncOpenAI", request: dict[str, Any], deadline: float) -> dict[str, Any]:
        import httpx2
        import openai

        at = self.endpoint
        limit = min(at.reply_s, max(deadline - time.monotonic(), 0.001))
        try:
            async with asyncio.timeout(limit):
                data = await self._read(client, request)
        except openai.APIStatusError as problem:
            self._reached = True
            raise self._status_error(problem, request["model"]) from None
        except (TimeoutError, openai.APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as problem:
            raise self._broken(problem, limit) from None
        except (openai.OpenAIError, httpx2.InvalidURL, ValueError, TypeError) as problem:
            raise errors.MLLMRejectedError(
                f"The request cannot be sent to {at.base_url} ({problem}); check --base-url."
            ) from None
        self._reached = True
        return self._parse(data)

    async def _read(self, client: "AsyncOpenAI", request: dict[str, Any]) -> bytes:
        at, data = self.endpoint, bytearray()
        options = {name: value for name, value in request.items() if name not in ("model", "messages")}
        async with client.chat.completions.with_streaming_response.create(
            model=request["model"], messages=request["messages"], extra_body=options
        ) as response:
            async for piece in response.iter_bytes():
                data += piece
                if len(data) > at.max_reply_bytes:
                    cut = f"The reply of {at.base_url} had no end and was cut off at {len(data)} bytes"
                    raise errors.MLLMTimeoutError(f"{cut}; check the server's log.")
        return bytes(data)

    def _parse(self, data: bytes) -> dict[str, Any]:
        """The JSON object of a reply. Any other body is retried, because it may be a passing fault of a proxy."""
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        start = data[:80].decode("utf-8", "replace").strip()
        raise _TransientError(
            errors.MLLMBadReplyError(
                f"{self.endpoint.base_url} did not return a chat completion but {start!r}; "
                "check that --base-url ends in /v1 and is that of an OpenAI-compatible server."
            )
        )

    def _broken(self, problem: Exception, limit: float | None = None) -> Exception:
        """The error for a failed connection. It is not retried if the server has never been reached."""
        import httpx2
        import openai

        at = self.endpoint
        cause = (isinstance(problem, openai.OpenAIError) and problem.__cause__) or problem
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout) and not self._reached:
            return errors.MLLMUnreachableError(
                f"No MLLM server at {at.base_url} ({str(cause) or 'timed out'}); "
                "start one, or set --base-url to another."
            )
        if isinstance(cause, TimeoutError | httpx2.TimeoutException):
            within = f" within {limit:.3g} s" if limit else ""
            return errors.MLLMTimeoutError(
                f"{at.base_url} did not finish its reply{within}; raise --timeout, or use a smaller model."
            )
        return _TransientError(
            errors.MLLMDisconnectedError(
                f"The connection to {at.base_url} keeps breaking ({type(cause).__name__}); check the server's log."
            )
        )

    def _status_error(self, problem: "APIStatusError", model: str) -> Exception:
        at, status, message = self.endpoint, problem.status_code, _message(problem)
        if status in (401, 403):
            return errors.MLLMKeyRefusedError(
                f"{at.base_url} rejected the API key ({status}: {message}); set SAM3AGENT_API_KEY to a valid key."
            )
        if status == 404:
            return errors.MLLMUnknownModelError(
                f"{at.base_url} does not have the model {model!r}, or is the wrong URL ({message}); "
                "check --model, and that --base-url ends in /v1."
            )
        if "too large" not in message and any(words in message.lower() for words in _CONTEXT):
            return errors.MLLMContextError(
                f"The conversation exceeds the context length of {model!r} ({message}); "
                "serve the model with a longer context, or use a smaller image."
            )
        if status in (408, 409, 425, 429) or status >= 500:
            busy = errors.MLLMBusyError(
                f"{at.base_url} is overloaded or failing ({status}: {message}); try again later, or ask less at once."
            )
            return _TransientError(busy, _retry_after(problem.response.headers.get("retry-after")))
        kind = RefusedOptionError if status in (400, 422) else errors.MLLMRejectedError
        return kind(f"{at.base_url} rejected the request ({status}: {message}); check the server's log.")


@cache
def _certificates() -> "SSLContext":
    """The trusted certificates. Reading them can take longer than a request, so it is done once."""
    import httpx2

    return httpx2.create_ssl_context()


def _message(problem: "APIStatusError") -> str:
    """The message of an error response, on one line of at most 300 characters."""
    body = problem.body
    message = body.get("message") if isinstance(body, dict) else body
    parts = [str(part) for part in (message or problem.message, problem.param, problem.code) if part]
    return " ".join(" ".join(parts).split())[:300]


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait according to a `Retry-After` header (seconds or a date); None if missing or invalid."""
    if not value:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
