"""The life of a server process: it ends within a second on one Ctrl-C, on SIGTERM, or when its client is gone."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

GRACE_SECONDS = 0.4
"""How long requests may take to end once the server has been told to stop."""

CODES = {signal.SIGINT: 130, signal.SIGTERM: 0}
"""Exit codes of the signals that end a server."""


def run_until_stopped(serve: Callable[[], Awaitable[None]]) -> int:
    """Run a server until it ends by itself; the exit code. On a signal, the process is left at once.

    Threads that still compute, or wait for input, are not waited for: Python itself would, for as long as they take.
    """
    return asyncio.run(_until_stopped(serve))


async def _until_stopped(serve: Callable[[], Awaitable[None]]) -> int:
    loop, stopped = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
    for number in CODES:
        with suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
            loop.add_signal_handler(number, lambda n=number: stopped.done() or stopped.set_result(n))
    work = asyncio.ensure_future(serve())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        work.result()
        return 0
    work.cancel()
    await asyncio.wait([work], timeout=GRACE_SECONDS)
    leave_now(CODES[stopped.result()])
    return 0


def leave_now(code: int) -> None:
    """End the process without waiting for threads."""
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
