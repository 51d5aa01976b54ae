"""The training loop for any task: `train` runs it, `TrainingRun` is what it needs and what survives a kill."""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from sam3model.errors import Sam3Error, TrainingError, reason_of
from sam3model.training.ema import Ema
from sam3model.training.optim import build_optimizer, set_rates
from sam3model.training.parallel import World, joined, sharded, sharded_optimizer, whole
from sam3model.training.resume import (
    Rank,
    best_so_far,
    rank_of,
    require_other_weights,
    require_same_run,
    with_moments,
)
from sam3model.training.run_settings import RunConfig
from sam3model.training.schedule import factor, stage_at
from sam3model.training.state import (
    Progress,
    StateFolder,
    alone_in,
    own_folder,
    random_state,
    restore_random,
    training_record,
)
from sam3model.training.step import StepReport, train_step
from sam3model.training.stop_signal import StopSignal
from sam3model.training.task import CertifyingTask, Task
from sam3model.training.training_log import Metrics, TrainingLog, log_failure, metrics_text

log = logging.getLogger(__name__)

C = TypeVar("C", bound=RunConfig)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a run ended, its progress, the metrics of its last validation, its weights, and what they have lost.

    status: `finished`; `stopped` by a user; or `preempted` by a scheduler (SIGUSR1, SIGUSR2), to be continued later.
    """

    status: str
    progress: Progress
    metrics: Metrics
    weights: Path | None
    warnings: tuple[str, ...] = ()


def train(config: C, make_task: Callable[[C, World], Task[Any, Any]]) -> TrainingResult:
    """Train until the budget is used up or a signal arrives, and write the averaged weights.

    A folder that holds states of this run is resumed (unless `config.resume` is off). With a budget of steps, the
    following losses are then bit for bit those of an uninterrupted run. Processes started by torchrun share each batch;
    the first one writes.

    Raises:
        TrainingError: `max_bad_steps` non-finite steps in a row (the state is saved first), the final weights are not
            finite, or the folder holds the state of another model.
        InputError: the device is not available.
        ConfigError: the folder cannot be made, another run writes into it, it holds a run with another seed, model
            or data set, or the run would write over the weights that it starts from.
        Whatever `make_task` and the task raise.
    """
    torch.set_num_threads(config.threads)
    with joined(config.device, config.parallel) as world, alone_in(own_folder(config), world.first):
        return _train(TrainingRun(make_task(config, world)))


def _train(run: "TrainingRun") -> TrainingResult:
    config = run.config
    if run.done >= 1:
        log.warning("the budget is already used up: nothing is trained (raise it, or set resume=false)")
    with run.open_log() as training_log, StopSignal() as stop:
        for batch in run.batches(stop):
            outcome = run.step(batch)
            run.record_step(training_log, outcome)
            if run.progress.bad_in_a_row >= config.max_bad_steps:
                run.save()
                raise TrainingError(
                    f"{config.max_bad_steps} non-finite steps in a row, the last one in the {outcome.bad}; "
                    f"the state before them is in {run.folder}: lower the learning rate or check these samples"
                )
            if run.due("checkpoint", config.checkpoint.every_minutes):
                run.save()
            if run.due("validation", config.validation.every_minutes):
                run.validate(training_log)
        run.save()
        if run.done < 1:
            return TrainingResult("preempted" if stop.shared(run.world) > 1 else "stopped", run.progress, {}, None)
        metrics = run.validate(training_log)
        if not math.isfinite(metrics.get("loss") or 0.0):
            raise TrainingError("the validation loss of the final weights is not finite: lower the learning rate")
        weights = run.export("final.safetensors", metrics)
        return TrainingResult("finished", run.progress, metrics, weights, run.certify(training_log))


class TrainingRun:
    """Model, optimiser, averaged weights and progress of a run: new, or restored from the newest readable state."""

    def __init__(self, task: Task[Any, Any]) -> None:
        self.task, self.world = task, task.world
        self.config = config = task.config
        self.folder = own_folder(config)
        require_other_weights(config, self.folder)
        torch.manual_seed(config.seed)
        for stage in config.stages:
            self.world.share(stage.batch, config.optim.accumulate)
        self.model = task.build().to(self.world.device).train()
        self.network = self.world.spread(task.network(self.model).train(), self.model.shards())
        self.optimizer = build_optimizer(self.model, config.optim)
        self.ema = Ema(self.model, config.ema.decay, config.ema.every)
        self.progress = Progress()
        self.states = StateFolder(self.folder, config.checkpoint.keep)
        if self.world.first:
            self.states.tidy(fresh=not config.resume)
        self.best: Rank | None = None
        self.waited = self.smooth = 0.0
        if config.resume:
            self._resume()
        if self.world.size > 1:
            torch.manual_seed(hash((config.seed, self.progress.step, self.world.rank)))
        self.started = time.monotonic() - self.progress.seconds
        self.stage = stage_at(config.stages, self.done)
        # Counted over the whole run, so that a run that is stopped often still saves and validates.
        every = {"checkpoint": config.checkpoint.every_minutes, "validation": config.validation.every_minutes}
        spent = self.progress.seconds
        self.last_due = {what: spent - spent % (60 * minutes) for what, minutes in every.items()}

    @property
    def done(self) -> float:
        """Fraction of the budget that is used up."""
        budget = self.config.budget
        if budget.steps is not None:
            return self.progress.step / budget.steps
        return self.progress.seconds / (60 * (budget.minutes or 1.0))

    def batches(self, stop: StopSignal) -> Iterator[Any]:
        """Batches of one stage after another, until the budget is used up or a signal arrives."""
        while not self._over(stop):
            self.stage = stage_at(self.config.stages, self.done)
            for batch in self._timed(self._stream(self.stage)):
                yield batch
                if stage_at(self.config.stages, self.done) != self.stage or self._over(stop):
                    break

    def _over(self, stop: StopSignal) -> bool:
        """Whether to stop: all processes must agree on it after the same step."""
        return self.done >= 1 or stop.shared(self.world) > 0

    def step(self, batch: Any) -> StepReport:
        """Train on one batch and count it. A non-finite step is reported and changes nothing else."""
        config, progress, world = self.config, self.progress, self.world
        set_rates(self.optimizer, self.rate)
        outcome = train_step(self.network, self.task, self.optimizer, batch, config.optim, progress.step)
        samples, prompts = self.task.size(batch)
        progress.step += 1
        progress.samples += samples * world.size
        progress.prompts += round(world.mean(prompts) * world.size)
        progress.seconds = world.largest(time.monotonic() - self.started)
        if outcome.bad is None:
            progress.bad_in_a_row = 0
            self.ema.update(self.model, progress.step)
        else:
            progress.bad_in_a_row += 1
            progress.bad_steps += 1
            log.warning("step %d skipped: non-finite %s", progress.step, outcome.bad)
        return outcome

    @property
    def rate(self) -> float:
        """Current factor on all learning rates."""
        stage = self.config.stages[self.stage]
        return stage.lr_scale * factor(self.config.schedule, self.progress.step, self.done)

    def open_log(self) -> contextlib.AbstractContextManager[TrainingLog | None]:
        """The log of this run; None in all processes but the first."""
        return TrainingLog(self.folder, self.progress.step) if self.world.first else contextlib.nullcontext()

    def record_step(self, training_log: TrainingLog | None, outcome: StepReport) -> None:
        """Show progress and, every `log_every` steps, write the scalars."""
        if training_log is None:
            return
        progress = self.progress
        if outcome.bad is None:
            self.smooth = outcome.loss if self.smooth == 0 else 0.95 * self.smooth + 0.05 * outcome.loss
        since, samples = self.speed_from
        seconds = max(progress.seconds - since, 1e-9)
        speed = (progress.samples - samples) / seconds
        training_log.progress(progress.step, self.done, progress.seconds, self.smooth, speed)
        if progress.step % self.config.log_every == 0 or outcome.bad is not None:
            values = {"loss": outcome.loss, "objective": outcome.objective, "grad_norm": outcome.grad_norm}
            values |= {"rate": self.rate}
            values |= {"samples": progress.samples, "prompts": progress.prompts, "seconds": round(progress.seconds, 3)}
            values |= {"samples_per_s": round(speed, 3), "waiting": round(self.waited / seconds, 4), "bad": outcome.bad}
            training_log.scalars(progress.step, values | outcome.parts)

    def due(self, what: str, minutes: float) -> bool:
        """Whether `minutes` have passed since this was last due."""
        if self.progress.seconds - self.last_due[what] < 60 * minutes:
            return False
        self.last_due[what] = self.progress.seconds
        return True

    def validate(self, training_log: TrainingLog | None) -> Metrics:
        """Validate the weights that would be saved now; keep them as `best.safetensors` if they are the best so far.

        Returns the metrics in the first process, and nothing in the others.
        """
        model = self.artefact()
        metrics = self.task.validate(model, self.progress.step)
        self.progress.seconds = self.world.largest(time.monotonic() - self.started)
        if training_log is None:
            return {}
        self._keep_if_best(model, metrics)
        training_log.scalars(self.progress.step, {f"val/{name}": value for name, value in metrics.items()})
        log.info("validation: %s", metrics_text(metrics))
        return metrics

    def _keep_if_best(self, model: Any, metrics: Metrics) -> None:
        rank = rank_of(metrics, self.task.metric)
        if rank is not None and (self.best is None or rank > self.best):
            with log_failure("the best weights were not saved"):
                self._write(model, "best.safetensors", metrics)
                self.best = rank

    def save(self) -> None:
        """Write the state of the run. Shards are gathered one tensor at a time, in the first process only."""
        keep = Tensor.cpu if self.world.first else lambda _: None
        parts = {
            "model": whole(self.model.state_dict(), keep),
            "optimizer": whole(self.optimizer.state_dict(), keep),
            "ema": whole(self.ema.average, keep),
            "config": json.dumps(asdict(self.config)),
            **random_state(self.world.device),
        }
        if self.world.first:
            self.states.save(self.progress, parts)

    def artefact(self) -> Any:
        """The model that the run would save now, from the averaged weights.

        Validation uses exactly these values, so a saved model has the metrics that were reported for it. Gradients are
        dropped first: the copy needs their memory.
        """
        self.optimizer.zero_grad()
        updated = self.progress.step >= self.ema.every  # before, the averages are what the run began with
        averages = self.ema if updated else Ema(self.model, decay=0.0, every=1)
        with averages.applied_to(self.model) as model:
            return self.task.artefact(model)

    def export(self, name: str, metrics: Metrics) -> Path:
        """Write the artefact to the folder of the run, with config and training record in its header."""
        return self._write(self.artefact(), name, metrics)

    def certify(self, training_log: TrainingLog | None) -> tuple[str, ...]:
        """Let the task compare the best weights with those that the run started from.

        Returns what they have lost, or that they could not be compared.
        """
        best = self.folder / "best.safetensors"
        if training_log is None or not isinstance(self.task, CertifyingTask) or not best.is_file():
            return ()
        self.optimizer.zero_grad()
        try:
            lost = tuple(self.task.certify(best))
        except (Sam3Error, OSError, torch.OutOfMemoryError) as error:  # the weights are there: the run has succeeded
            lost = (f"the certificate was not written: {reason_of(error)}",)
        for line in lost:
            log.warning("%s", line)
        return lost

    def _write(self, model: Any, name: str, metrics: Metrics) -> Path:
        path = self.folder / name
        if self.world.first:
            self.task.save(model, path, training_record(self.config, self.progress, metrics))
        return path

    def _stream(self, stage: int) -> Iterator[Any]:
        batch = self.config.stages[stage].batch
        share = self.world.share(batch, self.config.optim.accumulate)
        self.waited = 0.0
        self.speed_from = (self.progress.seconds, self.progress.samples)
        whole = self.progress.samples // batch * batch  # a stage with another batch may have ended between two
        return self.task.batches(stage, whole + self.world.rank * share, share, batch)

    def _timed(self, source: Iterator[Any]) -> Iterator[Any]:
        """The same batches; the time spent waiting for them is added to `waited`."""
        while True:
            before = time.monotonic()
            batch = next(source)
            self.waited += time.monotonic() - before
            yield batch

    def _resume(self) -> None:
        found = self.states.load(mapped=self.world.device.type != "cpu")
        step = 0 if found is None else found[0].step
        if self.world.largest(step) != -self.world.largest(-step):
            raise TrainingError(f"the processes found different states: {self.folder} must be a shared folder")
        if found is None:
            return
        self.progress, parts = found
        require_same_run(parts["config"], self.config, self.folder)
        try:
            self.model.load_state_dict(sharded(parts["model"], self.model.state_dict()))
            moments = with_moments(parts["optimizer"], self.optimizer)
            self.optimizer.load_state_dict(sharded_optimizer(moments, self.optimizer))
            self._resume_averages(parts["ema"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the state in {self.folder} is from another model or optimiser: choose another name, or resume=false"
            ) from error
        restore_random(parts, self.world.device)
        self.best = best_so_far(self.folder / "best.safetensors", self.task.metric)
        self.progress.bad_in_a_row = 0  # the user has presumably dealt with their cause
        log.info("resuming at step %d", self.progress.step)

    def _resume_averages(self, kept: dict[str, Tensor]) -> None:
        """Restore the averages; if `ema.decay` was or becomes 0, start from the resumed weights."""
        if kept and self.ema.average:
            self.ema.load_state_dict(sharded(kept, self.ema.average))
        else:
            self.ema = Ema(self.model, self.config.ema.decay, self.config.ema.every)
