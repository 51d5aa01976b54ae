"""Work that is not left half done, although the request that asked for it was cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_going_on = set[asyncio.Task[Any]]()


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of some work. It goes on to its end also if who waits for it is cancelled."""
    task = asyncio.get_running_loop().create_task(work)
    _going_on.add(task)  # so that it is not collected
    task.add_done_callback(_settled)
    return await asyncio.shield(task)


def _settled(task: asyncio.Task[Any]) -> None:
    _going_on.discard(task)
    if not task.cancelled():
        task.exception()  # also if nobody waits any more
