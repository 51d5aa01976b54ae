"""What the training loop needs from a task. Adding a task is a new class; the loop stays as it is."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from torch import nn

from sam3model.blocks import ModelWithBlocks
from sam3model.losses.terms import LossTerms
from sam3model.training.parallel import World
from sam3model.training.run_settings import RunConfig

B = TypeVar("B")
M = TypeVar("M", bound=ModelWithBlocks)


class Task(Protocol[B, M]):
    """A model of type `M`, its batches of type `B`, its loss and its validation."""

    @property
    def config(self) -> RunConfig:
        """The settings of the run, with no defaults left to resolve."""
        ...

    @property
    def world(self) -> World:
        """The processes that share the work."""
        ...

    @property
    def metric(self) -> str:
        """The metric of `validate` whose highest value marks the best weights; of equals, the lowest loss does."""
        ...

    def build(self) -> M:
        """The model to train, on the CPU. Its parameter names are those in checkpoints and in `optim.rates`."""
        ...

    def network(self, model: M) -> nn.Module:
        """The module that `loss` calls: `model` itself, or a wrapper around it."""
        ...

    def batches(self, stage: int, first: int, count: int, stride: int) -> Iterator[B]:
        """Endless batches of `count` samples for the stage with this index.

        The first batch starts at sample `first`, and each following one `stride` samples later. Samples depend only on
        their number, so that a resumed run sees the same batches.
        """
        ...

    def chunks(self, batch: B, count: int) -> Sequence[B]:
        """The batch on the device of `world`, cut into `count` equal chunks. Raises ConfigError if that fails."""
        ...

    def size(self, batch: B) -> tuple[int, int]:
        """Number of samples and of prompts in a batch."""
        ...

    def describe(self, batch: B) -> str:
        """The samples of a batch, for error messages."""
        ...

    def loss(self, network: nn.Module, batch: B, step: int) -> LossTerms:
        """Loss of one chunk at a step; `network` is what `network()` returned, possibly spread over processes."""
        ...

    def artefact(self, model: M) -> M:
        """A copy of the model as it is saved: this is what gets validated."""
        ...

    def validate(self, artefact: M, step: int) -> Mapping[str, float | None]:
        """Metrics of an artefact, "loss" and `metric` among them; empty in all processes but the first.

        None: the metric does not apply to the validation set. The loss is on the scale of `LossTerms.shown`.
        """
        ...

    def save(self, artefact: M, path: Path, record: str) -> None:
        """Write an artefact with the training record (JSON) in its header. Raises OutputError."""
        ...


@runtime_checkable
class CertifyingTask(Protocol):
    """A task that also compares finished weights with those that the run started from."""

    def certify(self, weights: Path) -> Sequence[str]:
        """Write a certificate beside the weights. Returns a line for everything that they have lost."""
        ...
