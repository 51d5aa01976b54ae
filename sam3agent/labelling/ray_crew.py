"""Workers as actors of a Ray cluster. A node that is lost costs the images that its workers had in hand."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sam3agent.labelling.crew import Crew, Outcome, Seat, Task
from sam3agent.labelling.label_items import LabelItem
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.labeller import Labelled, Labeller
from sam3model.checkpoint.hub import TINY
from sam3model.errors import ConfigError, Sam3Error
from sam3model.files import exists, expanded


class RayCrew(Crew):
    """Several workers, each an actor that holds the model: one per GPU of the cluster, or per core if it has none."""

    def __init__(self, job: LabelJob, address: str | None = None, workers: int | None = None) -> None:
        """address: of the cluster, `ray://HOST:PORT`; None for `RAY_ADDRESS`, or else one on this machine.

        Raises `ConfigError` without Ray, or if the cluster cannot be reached.
        """
        self._ray, self._is_ours = _connected(address)
        resources = self._ray.cluster_resources()
        self._gpus = 1 if resources.get("GPU", 0) >= 1 and job.settings.device != "cpu" else 0
        super().__init__(job, workers or max(1, int(resources.get("GPU" if self._gpus else "CPU", 1))))
        self._waiting: dict[Any, tuple[Seat, Task]] = {}
        self.seats = [Seat(number) for number in range(self.workers)]
        self._actors = [self._started(number) for number in range(self.workers)]

    def send(self, seat: Seat, task: Task, item: LabelItem) -> None:
        """Call the actor of a seat."""
        self._waiting[self._actors[seat.number].label.remote(item.absolute())] = (seat, task)

    def wait(self) -> Sequence[Outcome]:
        """The next results. Raises what a task raised: an error in this program."""
        done, _ = self._ray.wait(list(self._waiting), num_returns=1)
        outcomes = list[Outcome]()
        for reference in done:
            seat, task = self._waiting.pop(reference)
            result = self._result(reference)
            if result is None:
                outcomes += self._lost(seat, task)
            else:
                outcomes.append(self.settled(seat, task, result))
        return outcomes

    def close(self) -> None:
        """End all actors, and leave the cluster, unless this program was connected to it before."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._is_ours:
            self._ray.shutdown()

    def _result(self, reference: Any) -> Labelled | None:
        """What an actor returned; None if it was lost."""
        lost = (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError)
        try:
            return self._ray.get(reference)
        except lost:
            return None
        except self._ray.exceptions.RayError as error:
            raise Sam3Error(f"Ray: {next(iter(str(error).strip().splitlines()[-1:]), type(error).__name__)}") from error

    def _lost(self, seat: Seat, task: Task) -> list[Outcome]:
        """All tasks of a seat whose actor was lost; a new actor takes it."""
        gone = {task, *(other for own, other in self._waiting.values() if own is seat)}
        self._waiting = {ref: pair for ref, pair in self._waiting.items() if pair[0] is not seat}
        self._actors[seat.number] = self._started(seat.number)
        return [self.settled(seat, one, None) for one in sorted(gone)]

    def _started(self, number: int) -> Any:
        options = {"num_cpus": 1, "num_gpus": self._gpus, "max_concurrency": self.depth, "max_restarts": 0}
        return self._ray.remote(Labeller).options(**options).remote(_absolute(self.job), self.share(number))


def _absolute(job: LabelJob) -> LabelJob:
    """A job whose paths are those of this process: an actor has another working directory."""
    weights = expanded(job.settings.weights)
    here = job.settings.weights != TINY and exists(weights)
    settings = job.settings.model_copy(update={"weights": str(weights.absolute())}) if here else job.settings
    return replace(job, out=job.out.absolute(), settings=settings)


def _connected(address: str | None) -> tuple[Any, bool]:
    """Ray, connected to a cluster, and whether it was connected here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.exceptions  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError("--workers ray needs Ray: pip install 'sam3agent[ray]'") from error
    is_new = not ray.is_initialized()
    try:
        if is_new:
            ray.init(address, log_to_driver=False, configure_logging=False, include_dashboard=False)
    except Exception as error:  # Ray raises bare exceptions if a node does not start
        where = address or os.environ.get("RAY_ADDRESS") or "on this machine"
        raise ConfigError(f"no Ray cluster {where}: {next(iter(str(error).splitlines()), '')}") from error
    return ray, is_new
