"""Workers as processes of this machine. One that dies costs the images that it had in hand, which are done again."""

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from sam3agent.labelling.crew import Crew, Outcome, Seat, Task
from sam3agent.labelling.label_items import LabelItem
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.labeller import Labelled, Labeller
from sam3model.errors import Sam3Error

GRACE = 5.0
"""Seconds that a worker has to end by itself."""


@dataclass(frozen=True, eq=False, slots=True)
class _WorkerProcess:
    """A process, and the line to it."""

    process: BaseProcess
    line: Connection


class ProcessCrew(Crew):
    """Several workers, each a process that holds the model."""

    def __init__(self, job: LabelJob, workers: int) -> None:
        super().__init__(job, workers)
        self._context = multiprocessing.get_context("spawn")
        self.seats = [Seat(number) for number in range(self.workers)]
        self._workers = [self._started(number) for number in range(self.workers)]

    def send(self, seat: Seat, task: Task, item: LabelItem) -> None:
        """Send a task down the line of a worker. If it has just died, `wait` finds out."""
        with suppress(OSError):
            self._workers[seat.number].line.send((task, item))

    def wait(self) -> Sequence[Outcome]:
        """The next results. Raises what a task raised: an error in this program."""
        outcomes = list[Outcome]()
        ready = wait([self._workers[seat.number].line for seat in self.seats if seat.tasks])
        for seat in (seat for seat in self.seats if self._workers[seat.number].line in ready):
            try:
                task, result = self._workers[seat.number].line.recv()
            except (EOFError, OSError):
                outcomes += [self.settled(seat, task, None) for task in list(seat.tasks)]
                _end(self._workers[seat.number])
                self._workers[seat.number] = self._started(seat.number)
                continue
            if isinstance(result, BaseException):
                raise result
            outcomes.append(self.settled(seat, task, result))
        return outcomes

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.line.close()
        for worker in self._workers:
            _end(worker)

    def _started(self, number: int) -> _WorkerProcess:
        ours, theirs = self._context.Pipe()
        arguments = (self.job, number, self.workers, self.share(number), theirs)
        process = self._context.Process(target=serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _WorkerProcess(process, ours)


def _end(worker: _WorkerProcess) -> None:
    worker.line.close()
    worker.process.join(GRACE)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def serve(job: LabelJob, number: int, workers: int, calls: int, line: Connection) -> None:
    """The life of a worker: label what comes down the line, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator decides
    cores = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(cores))
    labeller = Labeller(replace(job, settings=job.settings.model_copy(update=_own_device(job, number))), calls)
    sending = threading.Lock()

    def label(task: Task, item: LabelItem) -> None:
        try:
            result: Labelled | BaseException = labeller.label(item)
        except Exception as error:
            result = Sam3Error(f"{type(error).__name__} while labelling {item.source}: {error}")
        with sending, suppress(OSError):
            line.send((task, result))

    with ThreadPoolExecutor(labeller.threads) as pool, suppress(EOFError, OSError):
        while True:
            task, item = line.recv()
            pool.submit(label, task, item)
    labeller.close()


def _own_device(job: LabelJob, number: int) -> dict[str, str]:
    """One CUDA device per worker, in turn, if there are several."""
    if job.settings.device not in ("auto", "cuda") or not shutil.which("nvidia-smi"):
        return {}  # without importing torch
    import torch

    count = torch.cuda.device_count()
    return {"device": f"cuda:{number % count}"} if count > 1 else {}
