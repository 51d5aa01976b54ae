"""A queue for work that computes: few at once, and every image has its turn, however many calls wait for another."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class FairLane:
    """Lets a few callers in at once. Of those who wait, keys take turns; callers of one key are in order."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a slot, and hold it. A caller that is cancelled leaves the queue."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, key: Hashable) -> None:
        called = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(called)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():  # called in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a slot to the next who waits, or keep it for the next who comes."""
        while self._waiting:
            key, queue = self._waiting.popitem(last=False)
            called = queue.popleft()
            if queue:
                self._waiting[key] = queue
            if not called.done():
                called.set_result(None)
                return
        self._free += 1
