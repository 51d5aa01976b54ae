"""Calls on a thread that are given up at a deadline, because a running model cannot be interrupted."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar
from weakref import WeakSet

P = ParamSpec("P")
T = TypeVar("T")

_given_up: WeakSet[threading.Thread] = WeakSet()


async def within(seconds: float | None, run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call on a thread of its own, or its exception.

    seconds: maximum time; None to wait for ever. Raises `TimeoutError` after it; the thread then ends by itself, and
    nobody waits for it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # pyright: ignore[reportArgumentType]

    def work() -> None:
        result, error = None, None
        try:
            result = run(*args, **kwargs)
        except BaseException as problem:
            error = problem
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    thread = threading.Thread(target=work, name="sam3agent-work", daemon=True)
    thread.start()
    try:
        return await asyncio.wait_for(done, None if seconds is None else max(seconds, 0.01))
    except (TimeoutError, asyncio.CancelledError):
        _given_up.difference_update([old for old in _given_up if not old.is_alive()])  # a server gives up many
        if thread.is_alive():
            _given_up.add(thread)
        raise


def still_wanted() -> None:
    """Raises `TimeoutError` on a thread that was given up: call it before work that would then be for nobody."""
    if threading.current_thread() in _given_up:
        raise TimeoutError("nobody waits for this any more")


def leave(code: int) -> None:
    """Leave the process at once if a thread was given up and still runs, because exiting would wait for it."""
    if any(thread.is_alive() for thread in _given_up):
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
