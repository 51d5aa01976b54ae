"""Training the image model on concepts: images with phrases, and the masks and boxes of every instance."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from sam3model.checkpoint import load, read_config, save_native
from sam3model.checkpoint.known_losses import CERTIFICATE
from sam3model.compile import compile_model
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches, stream
from sam3model.data.queries import Batch, split
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import has_native_bfloat16, resolve_device, resolve_dtype
from sam3model.files import write_json
from sam3model.losses import LossTerms, Sam3LossWrapper
from sam3model.structures import Detections, GeometryPrompt
from sam3model.text import Tokenizer
from sam3model.training.annotator import Annotator, validation_annotator
from sam3model.training.certificate import Certificate, figures, probes
from sam3model.training.certificate_chart import save_chart
from sam3model.training.lora import plain_model
from sam3model.training.panel import save_panel
from sam3model.training.parallel import World
from sam3model.training.passes import MultiPassModel, detect
from sam3model.training.settings import TrainConfig
from sam3model.training.sources import AnnotatedSources, open_sources, warn_crowded
from sam3model.training.start import initial_model, settings_at_hand
from sam3model.training.state import own_folder
from sam3model.training.training_log import Metrics, log_failure
from sam3model.training.validate import validate

log = logging.getLogger(__name__)


class ConceptTask:
    """The image model, images with phrases, the losses of the detector, and validation by concept F1.

    Raises:
        CheckpointError: `model.preset` is null and `model.weights` cannot be read.
        ConfigError: a setting does not fit the model or the data set, or the folder of the run cannot be made.
        DataError: the data set is missing, is not in its format, or too much of it is broken.
    """

    def __init__(self, config: TrainConfig, world: World | None = None) -> None:
        self._start = settings_at_hand(config.model, config)
        self.detector = self._start.resolve()
        vit = self.detector.vit
        self.config = config.sized(vit.image_size, vit.patch_size * vit.window)
        self.panels = own_folder(config) / "panels"
        self.world = world or World(device=resolve_device(config.device))
        self.sources = open_sources(self.config)
        self.metric = self.sources.metric
        self.precision = resolve_dtype(config.precision, self.world.device)
        if self.precision is torch.bfloat16 and not has_native_bfloat16(self.world.device):
            log.warning("this %s emulates bfloat16, which is slow: set precision=float32", self.world.device.type)
        warn_crowded(self.sources, self.detector.decoder.queries)
        self.tokenize = CachedTokenizer(Tokenizer(self.detector.text.context_length))
        self.criterion = Sam3LossWrapper(config.loss)
        self.annotator = Annotator(config.interactive, config.seed)

    def build(self) -> Sam3ImageModel:
        """A new model or one from weights, according to `config.model`."""
        model = initial_model(self._start, self.detector)
        return compile_model(model) if self.config.model.compile else model

    def network(self, model: Sam3ImageModel) -> MultiPassModel:
        """The model with its correction rounds."""
        return MultiPassModel(model)

    def batches(self, stage: int, first: int, count: int, stride: int) -> Iterator[Batch]:
        """Batches of `count` images for a stage."""
        settings, data = self.config.stages[stage], self.config.data
        log.info("training at %d pixels, %d images per batch", settings.size, settings.batch)
        return stream(
            Sam3ImageDataset(self.sources.training(settings)), self.tokenize,
            batch=count, start=first, stride=stride, workers=data.workers, prefetch=data.prefetch,
        )  # fmt: skip

    def chunks(self, batch: Batch, count: int) -> Sequence[Batch]:
        """The batch on the device, in `count` chunks of whole images.

        Under FSDP every process must run the geometry encoder, so batches without boxes get a padded one.
        """
        batch = batch.to(self.world.device)
        if self.world.uniform and batch.geometry is None:
            blank = GeometryPrompt.blank(len(batch.ids), boxes=1, device=batch.ids.device)
            batch = replace(batch, geometry=blank)
        return split(batch, count)

    def size(self, batch: Batch) -> tuple[int, int]:
        """Number of images and of prompts."""
        return len(batch.pixels), len(batch.ids)

    def describe(self, batch: Batch) -> str:
        """Names of the images, and the phrases."""
        return f"{', '.join(batch.names)} ({'; '.join(batch.phrases)})"

    def loss(self, network: nn.Module, batch: Batch, step: int) -> LossTerms:
        """Loss of all passes together, in float32."""
        return self.score(self.predict(network, batch, step), batch)

    def predict(self, network: nn.Module, batch: Batch, step: int) -> tuple[Detections, ...]:
        """Detections of all passes of one chunk at a step."""
        corrections = self.annotator.corrections(batch, step)
        return detect(network, batch, self.precision, corrections, min_masks=int(self.world.uniform))

    def score(self, passes: tuple[Detections, ...], batch: Batch) -> LossTerms:
        """Loss of what `predict` returned."""
        return self.criterion.over_passes(passes, batch.targets)

    def artefact(self, model: Sam3ImageModel) -> Sam3ImageModel:
        """A copy with adapters merged, rounded to the half precision that it is stored in."""
        return plain_model(model, torch.float16)

    def validate(self, artefact: Sam3ImageModel, step: int) -> Metrics:
        """Metrics on held-out images, which the processes share; the first one also draws a panel of examples."""
        settings, world, (held_out, count) = self.config.validation, self.world, self.sources.validation()
        images = batches(
            Sam3ImageDataset(held_out), self.tokenize, batch=settings.batch, images=count,
            rank=world.rank, world_size=world.size,
        )  # fmt: skip
        criterion = Sam3LossWrapper(replace(self.config.loss, across_ranks=False, normalization="local"))
        found = validate(
            MultiPassModel(artefact).eval(), criterion, images,
            threshold=settings.threshold, precision=self.precision, nms=artefact.config.nms,
            examples=settings.examples, world=world, interaction=validation_annotator(self.config).corrections,
        )  # fmt: skip
        if world.first:
            with log_failure("the validation panel was not saved"):
                save_panel(found.examples, self.panels / f"step_{step:08d}.png")
        return found.metrics

    def save(self, artefact: Sam3ImageModel, path: Path, record: str) -> None:
        """Write the native layout in half precision."""
        save_native(artefact, path, metadata={"training": record}, dtype=torch.float16)

    def certify(self, weights: Path) -> Sequence[str]:
        """Compare finished weights with those that the run started from: `certificate.json` and `.png` beside them.

        Returns a line for everything that they have lost. Nothing is compared without weights to start from, without
        annotated images, or if the start has another input size.
        """
        start, sources, count = self.config.model.weights, self.sources, self.config.validation.certificate
        if start is None or not count or not isinstance(sources, AnnotatedSources):
            return ()
        if read_config(start).detector.vit.image_size != self.detector.vit.image_size:
            return ()
        log.info("comparing %s with %s", weights, start)
        threshold, images = self.config.validation.threshold, probes(sources.validation()[0], count)
        before, after = (
            figures(
                load(name, device=self.world.device, dtype=torch.float32).detector,
                images, sources.foreign.held_out, threshold=threshold, old_domain=True,
            )
            for name in (start, weights)
        )  # fmt: skip
        found = Certificate(start, weights.name, len(images), threshold, before, after)
        write_json(weights.with_name(CERTIFICATE), found.content(), indent=1)
        save_chart(found, weights.with_name("certificate.png"))
        return found.lost()
