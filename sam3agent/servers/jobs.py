"""Long work of a server: it reports, can be stopped, and its result outlives a client that gave up waiting."""

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from sam3agent.deadlines import within
from sam3agent.servers.client_shares import ClientShares
from sam3agent.servers.mcp_replies import Reply, ToolReply
from sam3agent.tools.registry import ToolUseError

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]

KEPT = 32
"""Number of finished jobs of one client whose results are kept."""

KEPT_BYTES = 64 * 1024**2
"""Maximum size of all results that are kept."""

KEPT_SECONDS = 3600.0
"""How long the result of a finished job is kept."""

MAX_REPORTS = 200
"""Number of the latest reports that a job keeps."""


class JobStoppedError(Exception):
    """Ends the work of a job that was cancelled; raised wherever the work reports or reads a frame."""


class Job:
    """One call of a tool that may take long.

    client: whose it is. title: what it does, for people. pending: the reply as long as it works. handed_over: whether
    the client has its id, so that it goes on without anybody waiting. reports: number, done, total and words of each of
    the latest reports. meta: the `_meta` of its reply. created, updated: times, in seconds since 1970.
    """

    def __init__(self, client: str, title: str, pending: ToolReply) -> None:
        self.id = secrets.token_hex(5)
        self.client = client
        self.title = title
        self.pending = pending.model_copy(update={"job": self.id})
        self.started: float | None = None
        self.ended: float | None = None
        self.reports: deque[tuple[int, float, float | None, str]] = deque(maxlen=MAX_REPORTS)
        self.handed_over = False
        self.meta: dict[str, Any] | None = None
        self.created = self.updated = time.time()
        self._count = 0
        self._stop = threading.Event()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Reply] | None = None

    def run(self, work: Callable[["Job"], Awaitable[Reply]]) -> None:
        """Start the work on the event loop, apart from the request that asked for it."""

        async def settle() -> Reply:
            try:
                reply = await work(self)
                return await within(None, reply.settled) if self.handed_over else reply
            finally:
                self.ended, self.updated = time.monotonic(), time.time()
                self._changed.set()

        self._task = self._loop.create_task(settle())
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def state(self) -> JobState:
        """Where the job is."""
        if self._task is None or not self._task.done():
            return "waiting" if self.started is None else "running"
        if self._task.cancelled() or isinstance(self._task.exception(), JobStoppedError):
            return "cancelled"
        return "failed" if self._task.exception() else "done"

    @property
    def finished(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._task is not None and self._task.done()

    @property
    def nbytes(self) -> int:
        """Size of its reply in bytes, about; 0 without one."""
        return self.result().nbytes if self.state == "done" else 0

    @property
    def lasted(self) -> float | None:
        """Seconds from its creation to its end; None before."""
        return None if self.ended is None else self.updated - self.created

    def begin(self) -> None:
        """The work leaves the queue."""
        self.started = time.monotonic()

    def report(self, done: float, total: float | None, words: str) -> None:
        """Tell how far the work is; may be called on any thread. Raises `JobStoppedError` if it was cancelled."""
        self.check()
        self._loop.call_soon_threadsafe(self._note, done, total, words)

    def tell(self, words: str) -> None:
        """A report in words alone."""
        self._loop.call_soon_threadsafe(self._note, None, None, words)

    def check(self) -> None:
        """Raise `JobStoppedError` if the job was cancelled."""
        if self._stop.is_set():
            raise JobStoppedError(self.id)

    def cancel(self) -> None:
        """Stop the work: what waits ends at once, a thread at its next report or frame."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()

    def when_ended(self, call: Callable[[], object]) -> None:
        """Call something once it has ended, in whatever way, on the event loop."""
        if self._task is not None:
            self._task.add_done_callback(lambda _: call())

    def result(self) -> Reply:
        """The reply of a job that is done. Raises the error of one that failed, `ToolUseError` if it was cancelled."""
        if self.state == "cancelled" or self._task is None:
            raise ToolUseError(f"the job {self.id} was cancelled")
        return self._task.result()

    async def wait(self, seconds: float) -> None:
        """Wait for the next report or the end, at most so long."""
        self._changed.clear()
        if self.finished:
            return
        try:
            await asyncio.wait_for(self._changed.wait(), max(seconds, 0.001))
        except TimeoutError:
            return
        if self.ended is not None and self._task is not None:
            await asyncio.wait([self._task], timeout=1)

    def _note(self, done: float | None, total: float | None, words: str) -> None:
        self._count += 1
        self.updated = time.time()
        self.reports.append((self._count, self._count if done is None else done, total, words))
        self._changed.set()


class Jobs:
    """The jobs of a server by id: all that run, and the latest finished ones of each client."""

    def __init__(self) -> None:
        self._running = dict[str, Job]()
        self._finished = ClientShares[str, Job](KEPT, KEPT_BYTES)

    def start(self, client: str, title: str, pending: ToolReply, work: Callable[[Job], Awaitable[Reply]]) -> Job:
        """Start some work as a job."""
        self._sort()
        job = Job(client, title, pending)
        self._running[job.id] = job
        job.run(work)
        return job

    def get(self, job_id: str) -> Job:
        """The job with an id. Raises `ToolUseError` if there is none."""
        self._sort()
        job = self._running.get(job_id.strip()) or self._finished.get(job_id.strip())
        if job is None:
            raise ToolUseError(f"there is no job {job_id!r}; job_status without an id lists the jobs")
        return job

    def of(self, client: str) -> list[Job]:
        """The jobs of a client, the latest first."""
        self._sort()
        running = [job for job in reversed(self._running.values()) if job.client == client]
        return [*running, *(job for _, job in self._finished.newest(client))]

    def drop(self, job: Job) -> None:
        """Forget a job whose result was delivered."""
        self._running.pop(job.id, None)
        self._finished.drop(job.id)

    def _sort(self) -> None:
        """Move jobs that have ended to the finished ones, and forget those that ended long ago."""
        for job in [job for job in self._running.values() if job.finished]:
            del self._running[job.id]
            self._finished.put(job.id, job.client, job, job.nbytes)
        limit = time.monotonic() - KEPT_SECONDS
        for job in [job for _, job in self._finished.newest() if (job.ended or 0) < limit]:
            self._finished.drop(job.id)


def time_left(done: float, total: float, elapsed: float) -> str:
    """The time that work will still take, in words, from what was done so far; empty if too little was."""
    if done <= 0 or elapsed < 1 or done >= total:
        return ""
    seconds = elapsed / done * (total - done)
    return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"
