"""Training detector and tracker together: every step has images with phrases and clips with prompted objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from torch import nn

from sam3model.build import Sam3Model
from sam3model.data.clip_batch import ClipBatch
from sam3model.data.queries import Batch
from sam3model.errors import ConfigError
from sam3model.losses.terms import LossTerms
from sam3model.training.clip_passes import TrackingModel
from sam3model.training.clip_task import ClipTask
from sam3model.training.concept_task import ConceptTask
from sam3model.training.joint_settings import JointTrainConfig
from sam3model.training.parallel import World
from sam3model.training.passes import MultiPassModel
from sam3model.training.training_log import Metrics

I = TypeVar("I")  # noqa: E741
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class JointBatch:
    """The images and the clips of one step."""

    images: Batch
    clips: ClipBatch


class JointModel(nn.Module):
    """One model as the detector of images and as the tracker of clips."""

    def __init__(self, images: MultiPassModel, clips: TrackingModel) -> None:
        super().__init__()
        self.images = images
        self.clips = clips

    def forward(self, detect: Callable[[nn.Module], I], track: Callable[[nn.Module], C]) -> tuple[I, C]:
        """Both passes in one call, as DDP and FSDP need it."""
        return detect(self.images), track(self.clips)


class JointTask:
    """A `ConceptTask` and a `ClipTask` on one model. The best weights have the highest mean of both metrics.

    Raises:
        ConfigError: as both tasks, or the detector is frozen as a whole.
        CheckpointError, DataError: as both tasks.
    """

    metric = "both"

    def __init__(self, config: JointTrainConfig, world: World | None = None) -> None:
        self.config = config
        self.clips = ClipTask(config.clip_run(), world)
        self.world = self.clips.world
        self.images = ConceptTask(config.image_run(), self.world)
        for task, name in ((self.images, "images"), (self.clips, "clips")):
            task.panels = task.panels / name
        for stage in config.stages:
            self.world.share(stage.images, config.optim.accumulate, "stages.images")

    def build(self) -> Sam3Model:
        """A new model or one from weights."""
        model = self.clips.build()
        shared = model.detector.vision.neck.get_submodule("interactive")
        own = {id(parameter) for parameter in shared.parameters()}
        if not any(one.requires_grad for one in model.detector.parameters() if id(one) not in own):
            raise ConfigError("model.frozen: images would train nothing of the detector: use task=clips instead")
        return model

    def network(self, model: Sam3Model) -> JointModel:
        """The model with its correction rounds, prompts and memory."""
        return JointModel(self.images.network(model.detector), self.clips.network(model))

    def batches(self, stage: int, first: int, count: int, stride: int) -> Iterator[JointBatch]:
        """Batches of `count` clips, and of images in the ratio of the stage."""
        settings = self.config.stages[stage]
        share = settings.images * count // settings.batch
        images = self.images.batches(stage, first // count * share, share, settings.images)
        return map(JointBatch, images, self.clips.batches(stage, first, count, stride))

    def chunks(self, batch: JointBatch, count: int) -> Sequence[JointBatch]:
        """The batch on the device, in `count` chunks of whole images and clips."""
        parts = self.images.chunks(batch.images, count), self.clips.chunks(batch.clips, count)
        return [JointBatch(images, clips) for images, clips in zip(*parts, strict=True)]

    def size(self, batch: JointBatch) -> tuple[int, int]:
        """Number of clips, and of prompts and objects together."""
        clips, objects = self.clips.size(batch.clips)
        return clips, objects + self.images.size(batch.images)[1]

    def describe(self, batch: JointBatch) -> str:
        """Names of images and clips."""
        return f"{self.images.describe(batch.images)}; {self.clips.describe(batch.clips)}"

    def loss(self, network: nn.Module, batch: JointBatch, step: int) -> LossTerms:
        """The weighted sum of both losses."""
        passes, tracked = network(
            partial(self.images.predict, batch=batch.images, step=step),
            partial(self.clips.predict, batch=batch.clips, step=step),
        )
        images, clips = self.images.score(passes, batch.images), self.clips.score(tracked, batch.clips)
        weights = self.config.images.weight, self.config.clips.weight
        return LossTerms(
            weights[0] * images.total + weights[1] * clips.total,
            _named("image", images.losses) | _named("clip", clips.losses),
            _named("image", images.metrics) | _named("clip", clips.metrics),
            (weights[0] * images.compared + weights[1] * clips.compared).detach(),
        )

    def artefact(self, model: Sam3Model) -> Sam3Model:
        """A copy, rounded to the half precision that it is stored in."""
        return self.clips.artefact(model)

    def validate(self, artefact: Sam3Model, step: int) -> Metrics:
        """Metrics on held-out images and clips, and `both`, the mean of the metrics that choose the best weights."""
        images, clips = self.images.validate(artefact.detector, step), self.clips.validate(artefact, step)
        if not images:
            return {}
        loss = self.config.images.weight * (images["loss"] or 0.0) + self.config.clips.weight * clips["loss"]
        both = ((images[self.images.metric] or 0.0) + clips[self.clips.metric]) / 2
        return {"loss": loss, "both": both} | _named("image", images) | _named("clip", clips)

    def save(self, artefact: Sam3Model, path: Path, record: str) -> None:
        """Write the native layout in half precision."""
        self.clips.save(artefact, path, record)

    def certify(self, weights: Path) -> Sequence[str]:
        """The certificate of the detector, as of a run on images alone."""
        return self.images.certify(weights)


V = TypeVar("V")


def _named(kind: str, values: Mapping[str, V]) -> dict[str, V]:
    return {f"{kind}_{name}": value for name, value in values.items()}
