"""Workers as the coordinator sees them: seats that take tasks and give results back, or are lost with their tasks."""

import queue
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sam3agent.labelling.label_items import LabelItem
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.labeller import Labelled, Labeller, share_of

Task = tuple[int, int]
"""Number of the shard, and place of the image in it."""

AHEAD = 2
"""Number of images that wait at a worker, so that it is never idle while the coordinator writes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a task. result: None if its worker was lost."""

    task: Task
    result: Labelled | None


@dataclass
class Seat:
    """The place of one worker; mutable. tasks: what it has in hand. alone: it may have nothing else in hand."""

    number: int
    tasks: dict[Task, LabelItem] = field(default_factory=dict)
    alone: bool = False


class Crew(ABC):
    """One or more workers.

    job: what they do. workers: how many; at most one per MLLM call if images cost calls.
    """

    def __init__(self, job: LabelJob, workers: int) -> None:
        self.job = job
        self.workers = min(workers, job.calls) if job.asks_mllm else workers
        threads = max(2, min(-(-job.calls // self.workers), 8)) if job.asks_mllm else 2
        self.depth = threads + AHEAD
        self.seats: list[Seat] = []

    @property
    def busy(self) -> bool:
        """Whether any task is in hand."""
        return any(seat.tasks for seat in self.seats)

    def share(self, number: int) -> int:
        """How many MLLM calls worker `number` may have running at once."""
        return share_of(self.job.calls, self.workers, number) if self.job.asks_mllm else 1

    def submit(self, task: Task, item: LabelItem, *, alone: bool = False) -> bool:
        """Give a task to the worker with the least in hand; False if there is no room now.

        alone: with nothing else in hand, so that it is known which task a worker is lost with.
        """
        free = [seat for seat in self.seats if not seat.alone and len(seat.tasks) < (1 if alone else self.depth)]
        if not free:
            return False
        seat = min(free, key=lambda one: len(one.tasks))
        seat.tasks[task], seat.alone = item, alone
        self.send(seat, task, item)
        return True

    def settled(self, seat: Seat, task: Task, result: Labelled | None) -> Outcome:
        """A task of a seat that has ended."""
        seat.tasks.pop(task, None)
        seat.alone = seat.alone and bool(seat.tasks)
        return Outcome(task, result)

    @abstractmethod
    def send(self, seat: Seat, task: Task, item: LabelItem) -> None:
        """Pass a task to the worker of a seat."""

    @abstractmethod
    def wait(self) -> Sequence[Outcome]:
        """Wait until at least one task has ended. A worker that was lost is replaced, and its tasks have no result."""

    @abstractmethod
    def close(self) -> None:
        """End all workers; what they have in hand is given up."""


class ThreadCrew(Crew):
    """One worker in this process."""

    def __init__(self, job: LabelJob) -> None:
        super().__init__(job, 1)
        self.seats = [Seat(0)]
        self._labeller = Labeller(job, job.calls)
        self._pool = ThreadPoolExecutor(self._labeller.threads, thread_name_prefix="sam3agent-label")
        self._done: queue.SimpleQueue[tuple[Task, Labelled | BaseException]] = queue.SimpleQueue()

    def send(self, seat: Seat, task: Task, item: LabelItem) -> None:
        """Queue a task."""
        self._pool.submit(self._label, task, item)

    def wait(self) -> Sequence[Outcome]:
        """The next result. Raises what a task raised: an error in this program."""
        task, result = self._done.get()
        if isinstance(result, BaseException):
            raise result
        return [self.settled(self.seats[0], task, result)]

    def close(self) -> None:
        """Finish what has begun, and drop the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._labeller.close()

    def _label(self, task: Task, item: LabelItem) -> None:
        try:
            self._done.put((task, self._labeller.label(item)))
        except BaseException as error:
            self._done.put((task, error))
