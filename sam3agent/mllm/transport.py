"""One Chat Completions request over HTTP: bounded retries, bounded time, bounded size, and errors of our own.

The body is read as bytes and parsed here, not by the SDK, so that a reply which never ends is cut and one which is not
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

_CONTEXT = ("context length", "context_length", "context size", "context window", "maximum model length")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is, and how patient to be; times in seconds.

    connect_s: to reach the server. read_s: silence within a reply. reply_s: one whole reply.
    retries: further tries after a failure that time may heal. backoff_s: first pause, doubled each time.
    longest_pause_s: a `Retry-After` beyond it ends the call. concurrency: requests under way at once.
    max_reply_bytes: a longer reply is cut.
    """

    base_url: str = "http://127.0.0.1:8000/v1"
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
    """A 400 or 422, whose words may name an option of the request that the server cannot do."""


class _TransientError(Exception):
    """A failure worth another try: the error to raise in the end, and the pause that the server asked for."""

    def __init__(self, error: errors.MLLMError, pause_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s


class _Bound(NamedTuple):
    """What belongs to one event loop: connections and places cannot move to another."""

    loop: asyncio.AbstractEventLoop
    client: "AsyncOpenAI"
    places: asyncio.Semaphore


class Transport:
    """Posts requests to one `Endpoint`, any number at once, on one event loop at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._bound: _Bound | None = None
        self._reached = False

    async def post(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a Chat Completions request and return the reply's JSON object, retries included within `timeout_s`.

        Raises: `MLLMError`, and nothing else but cancellation.
        """
        deadline, attempt = time.monotonic() + timeout_s, 0
        while True:
            try:
                async with self._place(deadline) as client:
                    return await self._try(client, request, deadline)
            except _TransientError as failure:
                if attempt >= self.endpoint.retries:
                    raise failure.error from None
                await self._pause(failure, attempt, deadline)
                attempt += 1

    async def models(self) -> list[str]:
        """Names of the models that the server offers. Raises: `MLLMError`, and nothing else but cancellation."""
        import httpx2
        import openai

        at = self.endpoint
        try:
            async with asyncio.timeout(at.connect_s + at.connect_s):
                page = await self._bind().client.models.list()
            return [model.id for model in page.data]
        except openai.APIStatusError as problem:
            failure = self._status_error(problem, "")
        except (TimeoutError, openai.APIConnectionError, httpx2.HTTPError) as problem:
            failure = self._broken(problem)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            failure = errors.MLLMBadReplyError(f"{at.base_url} does not list its models; name one with --model.")
        raise failure.error if isinstance(failure, _TransientError) else failure

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        bound, self._bound = self._bound, None
        if bound is not None and bound.loop is asyncio.get_running_loop():
            await bound.client.close()

    def _bind(self) -> _Bound:
        loop = asyncio.get_running_loop()
        if self._bound is None or self._bound.loop is not loop:
            self._bound = _Bound(loop, self._connect(), asyncio.Semaphore(self.endpoint.concurrency))
        return self._bound

    @asynccontextmanager
    async def _place(self, deadline: float) -> "AsyncIterator[AsyncOpenAI]":
        """One of the `concurrency` places, given back between tries."""
        bound = self._bind()
        try:
            await asyncio.wait_for(bound.places.acquire(), max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            raise errors.MLLMTimeoutError(
                f"{self.endpoint.base_url} is still busy with earlier questions; allow more time, or ask less at once."
            ) from None
        try:
            yield bound.client
        finally:
            bound.places.release()

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
            raise errors.MLLMUnreachableError(f"{at.base_url!r} is no usable server address: {problem}") from None

    async def _pause(self, failure: _TransientError, attempt: int, deadline: float) -> None:
        at = self.endpoint
        pause = failure.pause_s
        if pause is None:
            pause = min(at.backoff_s * 2**attempt, at.longest_pause_s) * random.uniform(0.75, 1.0)
        if pause > at.longest_pause_s or time.monotonic() + pause > deadline:
            raise failure.error
        log.info("%s Trying again in %.1f s.", failure.error, pause)
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
            raise errors.MLLMRejectedError(f"The request cannot be sent to {at.base_url}: {problem}") from None
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
                    raise errors.MLLMTimeoutError(
                        f"The reply of {at.base_url} had no end; it was cut at {len(data)} bytes."
                    )
        return bytes(data)

    def _parse(self, data: bytes) -> dict[str, Any]:
        """The JSON object of a reply; a body that is something else may be a proxy's hiccup and is tried again."""
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        said = data[:80].decode("utf-8", "replace").strip()
        raise _TransientError(
            errors.MLLMBadReplyError(
                f"{self.endpoint.base_url} answers, but not with a chat completion (it says {said!r}); "
                "check that the base URL ends in /v1 and names an OpenAI-compatible server."
            )
        )

    def _broken(self, problem: Exception, limit: float | None = None) -> Exception:
        """The error for a failed connection. Where nothing ever answered, more tries only keep the user waiting."""
        import httpx2
        import openai

        at = self.endpoint
        cause = (isinstance(problem, openai.OpenAIError) and problem.__cause__) or problem
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout) and not self._reached:
            return errors.MLLMUnreachableError(
                f"No MLLM server answers at {at.base_url} ({str(cause) or 'timed out'}); "
                "start one there, or name another with --base-url."
            )
        if isinstance(cause, TimeoutError | httpx2.TimeoutException):
            within = f" within {limit:.3g} s" if limit else ""
            return errors.MLLMTimeoutError(
                f"No whole reply came from {at.base_url}{within}; allow more time, or serve a smaller model."
            )
        return _TransientError(
            errors.MLLMDisconnectedError(
                f"The connection to {at.base_url} breaks ({type(cause).__name__}); look into the server's log."
            )
        )

    def _status_error(self, problem: "APIStatusError", model: str) -> Exception:
        at, status, said = self.endpoint, problem.status_code, _words(problem)
        if status in (401, 403):
            return errors.MLLMKeyRefusedError(
                f"{at.base_url} refuses the API key ({status}: {said}); set SAM3AGENT_API_KEY to a valid one."
            )
        if status == 404:
            return errors.MLLMUnknownModelError(
                f"{at.base_url} has no model {model!r}, or no such service ({said}); "
                "check --model, and that the base URL ends in /v1."
            )
        if "too large" not in said and any(words in said.lower() for words in _CONTEXT):
            return errors.MLLMContextError(
                f"The conversation does not fit the context of {model!r} ({said}); "
                "serve the model with a longer context, or give a smaller picture."
            )
        if status in (408, 409, 425, 429) or status >= 500:
            busy = errors.MLLMBusyError(
                f"{at.base_url} is overloaded or failing ({status}: {said}); try again later, or ask less at once."
            )
            return _TransientError(busy, _retry_after(problem.response.headers.get("retry-after")))
        kind = RefusedOptionError if status in (400, 422) else errors.MLLMRejectedError
        return kind(f"{at.base_url} rejects the request ({status}: {said}); look into the server's log.")


@cache
def _certificates() -> "SSLContext":
    """The trusted certificates; reading them takes longer than many a request, so it is done once."""
    import httpx2

    return httpx2.create_ssl_context()


def _words(problem: "APIStatusError") -> str:
    """What the server said with an error status, on one line of bounded length."""
    body = problem.body
    said = body.get("message") if isinstance(body, dict) else body
    parts = [str(part) for part in (said or problem.message, problem.param, problem.code) if part]
    return " ".join(" ".join(parts).split())[:300]


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by a `Retry-After` header, given in seconds or as a date; None if absent or unreadable."""
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
