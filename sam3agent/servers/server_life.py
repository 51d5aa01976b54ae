"""The life of a server process: it ends within a second on one Ctrl-C, on SIGTERM, or when its client is gone."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

GRACE_SECONDS = 0.4
"""How long requests may take to end once the server has been told to stop."""

CODES = {signal.SIGINT: 130, signal.SIGTERM: 0}
"""Exit codes of the signals that end a server."""


def run_until_stopped(serve: Callable[[], Awaitable[None]]) -> None:
    """Run a server until it ends by itself or a signal comes, and leave the process. Raises what the server raises.

    Nothing is waited for: neither threads that compute or wait for input, nor Python's own tidying up, which takes
    seconds once Torch is loaded.
    """
    asyncio.run(_until_stopped(serve))


async def _until_stopped(serve: Callable[[], Awaitable[None]]) -> NoReturn:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[signal.Signals] = loop.create_future()
    for number in CODES:
        with suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
            loop.add_signal_handler(number, lambda n=number: stopped.done() or stopped.set_result(n))
    work = asyncio.ensure_future(serve())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        work.cancel()
        await asyncio.wait([work], timeout=GRACE_SECONDS)
        leave_now(CODES[stopped.result()])
    if not _client_left(work):
        work.result()
    leave_now(0)


def _client_left(work: "asyncio.Future[None]") -> bool:
    """Whether a server ended because nobody reads what it writes."""
    error = work.exception()
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return isinstance(error, ConnectionError)


def leave_now(code: int) -> NoReturn:
    """End the process without waiting for threads."""
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
