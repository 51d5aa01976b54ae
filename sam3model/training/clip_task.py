"""Training clicks and the tracker: clips with masks, simulated prompts, and the losses of SAM 2 (section 5)."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sam3model.build import Sam3Model, build, no_memory
from sam3model.checkpoint import load, save_native
from sam3model.compile import compile_model
from sam3model.config import Sam3Config
from sam3model.data.clip_batch import ClipBatch, clip_stream
from sam3model.devices import resolve_device, resolve_dtype
from sam3model.errors import CheckpointError, ConfigError
from sam3model.losses.terms import LossTerms
from sam3model.training.clip_passes import ClipPass, TrackedObjects, TrackingModel, steps_of, track
from sam3model.training.clip_prompts import SimulatedUser, draw_plan
from sam3model.training.clip_settings import TRACKED_PARTS, ClipModelConfig, ClipTrainConfig
from sam3model.training.clip_sources import open_clips
from sam3model.training.clip_validation import validate_clips
from sam3model.training.parallel import World, whole
from sam3model.training.place_prior import prefer_earlier_place, prefer_same_place
from sam3model.training.start import freeze, require_trained, settings_at_hand
from sam3model.training.state import own_folder

log = logging.getLogger(__name__)

_STILLS = 10**7
"""Number of the first still, so that no clip of the run begins with it."""


class ClipTask:
    """A whole model, clips, and the losses of the tracker. Validation is by J and by IoU after clicks.

    Raises:
        CheckpointError: `model.preset` is null and `model.weights` cannot be read.
        ConfigError: a setting does not fit the model or the data set, or the folder of the run cannot be made.
        DataError: the data set is missing, is not in its format, or too much of it is broken.
    """

    def __init__(self, config: ClipTrainConfig, world: World | None = None) -> None:
        self.config = config
        self._start = settings_at_hand(config.model, config)
        self.sizes = self._start.resolve()
        self.side = self.sizes.detector.vit.image_size
        self.panels = own_folder(config) / "panels"
        self.world = world or World(device=resolve_device(config.device))
        self.metric = config.validation.chosen
        self.precision = resolve_dtype(config.precision, self.world.device)
        self.sources = open_clips(config, self.side)
        for stage in config.stages:
            if stage.stills:
                self.world.share(stage.stills, config.optim.accumulate, "stages.stills")
        self._features: dict[tuple[tuple[int, ...], torch.Size], Tensor] = {}
        self._new: set[str] = set()

    def build(self) -> Sam3Model:
        """A new model or one from weights, with the image encoder frozen unless the settings say otherwise."""
        model, self._new = initial_parts(self._start, self.sizes)
        if "tracker" in self._new and model.tracker is not None:
            prefer_earlier_place(model.tracker, self._embedding_scale(model))
        elif self._single_frames:
            log.info("the tracker is kept as it is: train it on clips of several frames to fit the new mask heads")
        return compile_model(model) if self.config.model.compile else model

    def network(self, model: Sam3Model) -> TrackingModel:
        """The model with prompts and memory."""
        self._network = TrackingModel(model)
        return self._network

    def batches(self, stage: int, first: int, count: int, stride: int) -> Iterator[ClipBatch]:
        """Batches of `count` clips for a stage, and of stills in its ratio."""
        settings, data = self.config.stages[stage], self.config.data
        beside = f", and on {settings.stills} stills" if settings.stills else ""
        log.info("training on clips of %d frames, %d per batch%s", settings.frames, settings.batch, beside)
        workers = {"workers": data.workers, "prefetch": data.prefetch}
        clips = clip_stream(
            self.sources.training(settings), batch=count, start=first, stride=stride, visits=data.visits, **workers
        )
        if not settings.stills:
            return clips
        share = settings.stills * count // settings.batch
        start = _STILLS + first // count * share
        stills = clip_stream(self.sources.stills(settings), batch=share, start=start, stride=settings.stills, **workers)
        return (replace(batch, stills=single) for batch, single in zip(clips, stills, strict=False))

    def chunks(self, batch: ClipBatch, count: int) -> Sequence[ClipBatch]:
        """The batch on the device, in `count` chunks of whole clips."""
        if len(batch.names) % count:
            raise ConfigError(f"optim.accumulate: {len(batch.names)} clips cannot be cut into {count} equal chunks")
        return batch.to(self.world.device).chunks(count)

    def size(self, batch: ClipBatch) -> tuple[int, int]:
        """Number of clips, and of objects with those of stills."""
        return len(batch.names), sum(len(part.clip_index) for part in _parts(batch))

    def describe(self, batch: ClipBatch) -> str:
        """Names of the clips."""
        return ", ".join(name for part in _parts(batch) for name in part.names)

    def loss(self, network: nn.Module, batch: ClipBatch, step: int) -> LossTerms:
        """Loss of all frames and interactions together, in float32."""
        return self.score(self.predict(network, batch, step), batch)

    def predict(self, network: nn.Module, batch: ClipBatch, step: int) -> tuple[tuple[TrackedObjects, ...], ...]:
        """Masks of all objects, frames and interactions of one chunk at a step: of the clips, then of the stills."""
        return track(
            network, [self._pass(network, part, step, n) for n, part in enumerate(_parts(batch))], self.precision
        )

    def score(self, tracked: tuple[tuple[TrackedObjects, ...], ...], batch: ClipBatch) -> LossTerms:
        """Loss of what `predict` returned."""
        clips, *stills = (
            self.config.loss(steps_of(frames), part.masks, part.annotated)
            for frames, part in zip(tracked, _parts(batch), strict=True)
        )
        if not stills:
            return clips
        named = {f"still_{name}": value for name, value in stills[0].losses.items()}
        total = clips.total + self.config.data.stills_weight * stills[0].total
        return LossTerms(total, clips.losses | named, comparable=clips.total.detach())

    def artefact(self, model: Sam3Model) -> Sam3Model:
        """A copy, rounded to the half precision that it is stored in."""
        exact = {name for name, _ in model.named_buffers()}
        state = {
            name: value.clone() if name in exact or not value.is_floating_point() else value.half().to(value.dtype)
            for name, value in whole(model.state_dict()).items()
        }
        with no_memory():
            copy = build(model.config, parts=None)
        copy.load_state_dict(state, assign=True)
        return copy.requires_grad_(False).eval()

    def validate(self, artefact: Sam3Model, step: int) -> dict[str, float]:
        """Metrics on held-out clips, which the processes share; the first one also draws a panel of them."""
        panel = self.panels / f"step_{step:08d}.png"
        return validate_clips(
            TrackingModel(artefact).eval(), self.config.loss, self.sources.validation(),
            replace(self.config.validation, clips=self.sources.count),
            size=self.side, precision=self.precision, world=self.world, panel=panel,
        )  # fmt: skip

    def save(self, artefact: Sam3Model, path: Path, record: str) -> None:
        """Write the native layout in half precision, without a tracker that is new and saw single frames only."""
        if "tracker" in self._new and self._single_frames:
            artefact = Sam3Model(artefact.detector, artefact.interactive)
        save_native(artefact, path, metadata={"training": record}, dtype=torch.float16)

    def _pass(self, network: nn.Module, batch: ClipBatch, step: int, part: int) -> ClipPass:
        """Clips with prompts. part: 1 for stills."""
        plan = draw_plan(self.config.prompts, batch.frames.shape[1], (self.config.seed % 2**63, step, *[1] * part))
        frames = self._encode(network, batch) if part else self._encoded(network, batch)
        user = SimulatedUser(self.side, self._keys(batch, step), self.config.prompts.careful)
        return ClipPass(frames, batch.clip_index, batch.masks, plan, user)

    def _keys(self, batch: ClipBatch, step: int) -> list[tuple[int, ...]]:
        """A seed for each object: the same in a resumed run and for any split into chunks or processes."""
        clips = batch.clip_index.tolist()
        places = [clips[:row].count(clip) for row, clip in enumerate(clips)]
        seed = self.config.seed % 2**63
        return [(seed, step, batch.numbers[clip], place) for clip, place in zip(clips, places, strict=True)]

    def _encoded(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        """As `_encode`, but kept for the next visit of the same clips."""
        if self.config.data.visits == 1:
            return self._encode(network, batch)
        key = batch.numbers, batch.frames.shape
        if key not in self._features:
            while len(self._features) >= self.config.optim.accumulate:
                del self._features[next(iter(self._features))]
            self._features[key] = self._encode(network, batch)
        return self._features[key]

    def _encode(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        """Trunk features if the trunk is frozen, else the frames."""
        trunk = self._network.model.detector.vision.trunk
        if any(parameter.requires_grad for parameter in trunk.parameters()):
            return batch.frames
        trunk.eval()  # drop path would make other features when a run is resumed between two visits
        with torch.no_grad(), torch.autocast(batch.frames.device.type, self.precision, self._low):
            return network(batch.frames)[0]

    @torch.no_grad()
    def _embedding_scale(self, model: Sam3Model) -> float:
        """Standard deviation of the embeddings of a clip."""
        frames = self.sources.validation()(0).frames
        return model.detector.vision.neck(model.detector.vision.trunk(frames), "interactive")[-1].std().item()

    @property
    def _single_frames(self) -> bool:
        """Whether all clips have a single frame, from which a tracker learns nothing."""
        return all(stage.frames == 1 for stage in self.config.stages)

    @property
    def _low(self) -> bool:
        return self.precision is not torch.float32


def _parts(batch: ClipBatch) -> tuple[ClipBatch, ...]:
    """The clips and the stills of a batch."""
    return (batch,) if batch.stills is None else (batch, batch.stills)


def initial_parts(config: ClipModelConfig, sizes: Sam3Config) -> tuple[Sam3Model, set[str]]:
    """A new model, or one from weights, in float32, with parameters frozen; and the parts that start new.

    Raises:
        CheckpointError: the weights cannot be read or do not fit.
        ConfigError: a prefix matches nothing, or no parameter is left to train.
    """
    model, absent = build(sizes, parts=TRACKED_PARTS), {"interactive", "tracker"}
    if config.weights:
        given = load(config.weights, dtype=torch.float32, parts=None)
        absent = {part for part in absent if getattr(given, part) is None}
        _take(model, given, absent, config.weights)
    if "interactive" in absent:
        prefer_same_place(model)
    model.set_checkpointing(config.checkpointing)
    freeze(model, config.frozen)
    freeze(model, config.trained, trained=True)
    require_trained(model)
    return model, absent


_DETECTION, _INTERACTIVE = "detector.vision.neck.detection.", "detector.vision.neck.interactive."


def _take(model: Sam3Model, given: Sam3Model, absent: Collection[str], name: str) -> None:
    """Take over the tensors of all parts but those that are absent."""
    state, own = given.state_dict(), model.state_dict()
    if given.config.detector.neck.interactive is None:
        shared = {key: value for key, value in state.items() if key.startswith(_DETECTION)}
        state |= {key.replace(_DETECTION, _INTERACTIVE): value for key, value in shared.items()}
    for key, value in own.items():
        if key.split(".")[0] in absent:
            continue
        found = state.pop(key, None)
        if found is None or found.shape != value.shape:
            raise CheckpointError(f"model.weights: {name} has no {key} of shape {tuple(value.shape)}")
        own[key] = found
    if state:
        raise CheckpointError(f"model.weights: {name} has {next(iter(state))}, which this model lacks")
    if absent:
        log.info("%s has no %s: it starts new", name, " and ".join(sorted(absent)))
    model.load_state_dict(own)
