"""A run from its config to its weights: `train` is the loop, `Run` what the loop needs and what survives a kill."""

import json
import logging
import math
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sam3model.checkpoint import save_native
from sam3model.compile import compile_model
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches, stream
from sam3model.data.queries import Batch
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import resolve_device
from sam3model.errors import TrainingError
from sam3model.losses import Sam3LossWrapper
from sam3model.text import Tokenizer
from sam3model.training.config import CurriculumStage, TrainConfig, to_dict
from sam3model.training.ema import Ema
from sam3model.training.interactive import Annotator, judging
from sam3model.training.lora import plain_model
from sam3model.training.optim import build_optimizer, set_rates
from sam3model.training.panel import save_panel
from sam3model.training.parallel import World, drop, joined, sharded, sharded_optimizer, whole
from sam3model.training.report import Report, Silent, lasting
from sam3model.training.resume import best_so_far, require_same_run, with_moments
from sam3model.training.schedule import factor, stage_at
from sam3model.training.sources import open_sources
from sam3model.training.start import initial_model
from sam3model.training.state import Progress, StateFolder, own_folder, random_state, restore_random
from sam3model.training.step import StepReport, train_step
from sam3model.training.validate import validate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: `finished`, or by a signal; its progress, last validation and weights.

    `stopped`: somebody wants it to end. `preempted`: a scheduler wants it to go on later (SIGUSR1 or SIGUSR2).
    """

    status: str
    progress: Progress
    metrics: dict[str, float]
    weights: Path | None


def train(config: TrainConfig) -> Result:
    """Train until the budget is used up or SIGTERM comes, and write the averaged weights.

    A folder that holds states of this run is resumed (unless `config.resume` is off): under a budget of steps the next
    losses are then the same bit for bit.

    Raises:
        TrainingError: `max_bad_steps` non-finite steps in a row (everything is saved before), or the folder holds the
            state of another model.
        CheckpointError: `model.weights` cannot be read, or do not fit the preset.
        InputError: no such device.
        ConfigError: the folder cannot be made, or holds a run with another seed, model or data set.
    Several processes started by torchrun share each batch; the first one writes.
    """
    torch.set_num_threads(config.threads)
    with joined(config.device, config.parallel) as world:
        return _train(Run(config, world))


def _train(run: "Run") -> Result:
    config = run.config
    if run.done >= 1:
        log.warning("the budget was used up before: nothing more is learnt (set a larger one, or resume=false)")
    with run.report() as report, StopSignal() as stop:
        for batch in run.batches(stop):
            outcome = run.step(batch)
            run.tell(report, outcome)
            if run.progress.bad_in_a_row >= config.max_bad_steps:
                run.save()
                raise TrainingError(
                    f"{config.max_bad_steps} non-finite steps in a row, the last one in the {outcome.bad}; "
                    f"the state before them is in {run.folder}: lower the learning rate or look at these samples"
                )
            if run.due("checkpoint", config.checkpoint.every_minutes):
                run.save()
            if run.due("validation", config.validation.every_minutes):
                run.validate(report)
        run.save()
        if run.done < 1:
            return Result("preempted" if stop.shared(run.world) > 1 else "stopped", run.progress, {}, None)
        metrics = run.validate(report)
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise TrainingError(
                "the weights are worth nothing, their validation loss is not finite: lower the learning rate"
            )
        return Result("finished", run.progress, metrics, run.export("final.safetensors", metrics))


class Run:
    """Model, optimiser, averages and progress of a run; new, or as the newest readable state left them."""

    def __init__(self, config: TrainConfig, world: World | None = None) -> None:
        detector = config.model.resolve()
        self.config = config = config.sized(detector.vit.image_size, detector.vit.patch_size * detector.vit.window)
        self.folder = own_folder(config)
        self.sources = open_sources(config)
        torch.manual_seed(config.seed)
        self.world = world or World(device=resolve_device(config.device))
        for stage in config.stages:
            self.world.share(stage.batch, config.optim.accumulate)
        self.model = initial_model(config.model, detector).to(self.world.device).train()
        if config.model.compile:
            compile_model(self.model)
        self.net = self.world.spread(self.model)
        self.precision = getattr(torch, config.precision)
        self.loss = Sam3LossWrapper(config.loss)
        self.annotator = Annotator(config.interactive, config.seed)
        self.optimizer = build_optimizer(self.model, config.optim)
        self.ema = Ema(self.model, config.ema.decay, config.ema.every)
        self.progress = Progress()
        self.states = StateFolder(self.folder, config.checkpoint.keep)
        if self.world.first:
            self.states.tidy(anew=not config.resume)
        self.best: float | None = None
        self.waited = self.smooth = 0.0
        self.tokenize = CachedTokenizer(Tokenizer(detector.text.context_length))
        if config.resume:
            self._resume()
        if self.world.size > 1:
            torch.manual_seed(hash((config.seed, self.progress.step, self.world.rank)))
        self.started = time.monotonic() - self.progress.seconds
        self.stage = self.config.stages[stage_at(config.stages, self.done)]
        # a run that is stopped more often than something is due must come to it all the same
        every = {"checkpoint": config.checkpoint.every_minutes, "validation": config.validation.every_minutes}
        spent = self.progress.seconds
        self.marks = {what: spent - spent % (60 * minutes) for what, minutes in every.items()}

    @property
    def done(self) -> float:
        """Share of the budget that is used up."""
        budget = self.config.budget
        if budget.steps is not None:
            return self.progress.step / budget.steps
        return self.progress.seconds / (60 * (budget.minutes or 1.0))

    def batches(self, stop: "StopSignal") -> Iterator[Batch]:
        """The batches of one stage after another, until the budget is used up or a signal came."""
        while not self._over(stop):
            self.stage = self.config.stages[stage_at(self.config.stages, self.done)]
            log.info("pictures of %d pixels, %d at a time", self.stage.size, self.stage.batch)
            for batch in self._timed(self._stream(self.stage)):
                yield batch
                if self.config.stages[stage_at(self.config.stages, self.done)] is not self.stage or self._over(stop):
                    break

    def _over(self, stop: "StopSignal") -> bool:
        """Whether the budget is used up or any process has had a signal: all of them must stop after the same step."""
        return self.done >= 1 or stop.shared(self.world) > 0

    def step(self, batch: Batch) -> StepReport:
        """Learn from one batch and count it; a non-finite one is reported and changes nothing else."""
        config, progress, world = self.config, self.progress, self.world
        set_rates(self.optimizer, self.rate)
        outcome = train_step(
            self.net, self.loss, self.optimizer, world.prepared(batch), config.optim, self.precision, world,
            partial(self.annotator.corrections, step=progress.step),
        )  # fmt: skip
        progress.step += 1
        progress.pictures += len(batch.pixels) * world.size
        progress.prompts += round(world.mean(len(batch.ids)) * world.size)
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
        """What all learning rates are multiplied by now."""
        return self.stage.lr_scale * factor(self.config.schedule, self.progress.step, self.done)

    def report(self) -> Report | Silent:
        """What tells of this run: a silent one in every process but the first."""
        return Report(self.folder, self.progress.step) if self.world.first else Silent()

    def tell(self, report: Report | Silent, outcome: StepReport) -> None:
        """Show progress and, every few steps, keep the scalars."""
        progress = self.progress
        if outcome.bad is None:
            self.smooth = outcome.loss if self.smooth == 0 else 0.95 * self.smooth + 0.05 * outcome.loss
        since, pictures = self.speed_from
        speed = (progress.pictures - pictures) / max(progress.seconds - since, 1e-9)
        report.progress(progress.step, self.done, progress.seconds, self.smooth, speed)
        if progress.step % self.config.log_every == 0 or outcome.bad is not None:
            values = {
                "loss": outcome.loss,
                "grad_norm": outcome.grad_norm,
                "rate": self.rate,
                "pictures": progress.pictures,
                "prompts": progress.prompts,
                "seconds": round(progress.seconds, 3),
                "pictures_per_s": round(speed, 3),
                "waiting": round(self.waited / max(progress.seconds - since, 1e-9), 4),
                "bad": outcome.bad,
            }
            report.scalars(progress.step, values | outcome.parts)

    def due(self, what: str, minutes: float) -> bool:
        """Whether `minutes` have passed since this was last due."""
        if self.progress.seconds - self.marks[what] < 60 * minutes:
            return False
        self.marks[what] = self.progress.seconds
        return True

    def validate(self, report: Report | Silent) -> dict[str, float]:
        """Judge what the run would hand over now on held-out pictures; the best so far is `best.safetensors`.

        The processes take turns at the pictures; the first one counts and writes.
        """
        settings, model = self.config.validation, self.artefact()
        world, (held_out, count) = self.world, self.sources.validation()
        pictures = batches(
            Sam3ImageDataset(held_out), self.tokenize, batch=settings.batch, images=count,
            rank=world.rank, world_size=world.size,
        )  # fmt: skip
        seen = validate(
            model, Sam3LossWrapper(replace(self.config.loss, across_ranks=False, normalization="local")), pictures,
            threshold=settings.threshold, precision=self.precision, nms=model.config.nms,
            examples=settings.examples, world=world, interaction=judging(self.config).corrections,
        )  # fmt: skip
        self.progress.seconds = world.largest(time.monotonic() - self.started)
        if not world.first:
            return {}
        metrics = seen.metrics
        with lasting("no picture of the validation"):
            save_panel(seen.examples, self.folder / "panels" / f"step_{self.progress.step:08d}.png")
        self._keep_if_best(model, metrics)
        report.scalars(self.progress.step, {f"val/{name}": value for name, value in metrics.items()})
        log.info("validation: %s", ", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
        return metrics

    def _keep_if_best(self, model: Sam3ImageModel, metrics: dict[str, float]) -> None:
        value = metrics[self.sources.metric]
        if math.isfinite(metrics["loss"]) and (self.best is None or value > self.best):
            with lasting("the best weights are not kept"):
                self._write(model, "best.safetensors", metrics)
                self.best = value

    def save(self) -> None:
        """Write the state of the run; shards are gathered one tensor at a time, and kept by the first process alone."""
        keep = Tensor.cpu if self.world.first else drop
        parts = {
            "model": whole(self.model.state_dict(), keep),
            "optimizer": whole(self.optimizer.state_dict(), keep),
            "ema": whole(self.ema.state_dict(), keep),
            "config": json.dumps(to_dict(self.config)),
            **random_state(self.world.device),
        }
        if self.world.first:
            self.states.save(self.progress, parts)

    def artefact(self) -> Sam3ImageModel:
        """What the run hands over: the averages, adapters added in, rounded to the half precision they are stored in.

        Validation judges these very values, so that what is loaded later is what was judged. Gradients are dropped: the
        copy takes their memory.
        """
        self.optimizer.zero_grad()
        with self.ema.applied_to(self.model) as model:
            return plain_model(model, torch.float16)

    def export(self, name: str, metrics: dict[str, float]) -> Path:
        """Write the artefact in the native layout, with config and record in the header."""
        return self._write(self.artefact(), name, metrics)

    def _write(self, model: Sam3ImageModel, name: str, metrics: dict[str, float]) -> Path:
        path = self.folder / name
        if self.world.first:
            save_native(model, path, metadata={"training": json.dumps(self.record(metrics))}, dtype=torch.float16)
        return path

    def record(self, metrics: dict[str, float]) -> dict[str, Any]:
        """The training record: command, settings, progress, metrics and versions."""
        return {
            "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
            "settings": to_dict(self.config),
            "progress": asdict(self.progress),
            "metrics": metrics,
            "torch": torch.__version__,
        }

    def _stream(self, stage: CurriculumStage) -> Iterator[Batch]:
        data, share = self.config.data, self.world.share(stage.batch, self.config.optim.accumulate)
        self.waited = 0.0
        self.speed_from = (self.progress.seconds, self.progress.pictures)
        return stream(
            Sam3ImageDataset(self.sources.training(stage)), self.tokenize,
            batch=share, start=self.progress.pictures + self.world.rank * share, stride=stage.batch,
            workers=data.workers, prefetch=data.prefetch,
        )  # fmt: skip

    def _timed(self, source: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the time spent waiting for them kept in `waited`."""
        while True:
            before = time.monotonic()
            batch = next(source)
            self.waited += time.monotonic() - before
            yield batch

    def _resume(self) -> None:
        found = self.states.load(mapped=self.world.device.type != "cpu")
        step = 0 if found is None else found[0].step
        if self.world.largest(step) != -self.world.largest(-step):
            raise TrainingError(f"the processes find different states: {self.folder} must be one folder that all share")
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
                f"the state in {self.folder} is of another model or optimiser: choose another name, or resume=false"
            ) from error
        restore_random(parts, self.world.device)
        self.best = best_so_far(self.folder / "best.safetensors", self.sources.metric)
        self.progress.bad_in_a_row = 0  # whoever starts it again has done something about them
        log.info("resuming at step %d", self.progress.step)

    def _resume_averages(self, kept: dict[str, Tensor]) -> None:
        """Go on with the averages of a state; where `ema.decay` was or becomes 0, begin with the resumed weights."""
        if kept and self.ema.average:
            self.ema.load_state_dict(sharded(kept, self.ema.state_dict()))
        else:
            self.ema = Ema(self.model, self.config.ema.decay, self.config.ema.every)


class StopSignal:
    """Turns a signal into a request: the step in hand ends, the state is saved, the run returns.

    `received` is 0 before, 1 after SIGTERM or Ctrl-C, 2 after a scheduler's SIGUSR1 or SIGUSR2. Those are repeated by
    schedulers and launchers as they like; a second Ctrl-C is somebody's impatience, and ends the run at once.
    """

    MEANING: ClassVar = {"SIGTERM": 1, "SIGINT": 1, "SIGUSR1": 2, "SIGUSR2": 2}

    def __init__(self) -> None:
        self.received = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        try:
            for name in self.MEANING.keys() & signal.Signals.__members__:
                self.before[signal.Signals[name]] = signal.signal(signal.Signals[name], self._note)
        except ValueError:
            log.debug("not in the main thread: signals are left alone")
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def shared(self, world: World) -> float:
        """The largest `received` of all processes."""
        return world.largest(self.received)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.received:
            log.warning("%s: stopping after this step", signal.Signals(number).name)
        self.received = max(self.received, self.MEANING[signal.Signals(number).name])
