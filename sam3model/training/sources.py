"""From a run's settings to the sources of its pictures: for a stage of training, and for validation."""

from typing import Protocol

from sam3model.data.dataset import Source
from sam3model.data.scenes import PlaygroundSource
from sam3model.training.config import Stage, TrainConfig


class Sources(Protocol):
    """Where a run's pictures come from."""

    def training(self, stage: Stage) -> Source:
        """Pictures to learn from, without end, as this stage wants them."""
        ...

    def validation(self) -> tuple[Source, int]:
        """Held-out pictures, always the same ones, and how many of them to look at."""
        ...


def open_sources(config: TrainConfig) -> Sources:
    """Read the data set that `config.data` names, once for the whole run."""
    return _Playground(config)


class _Playground:
    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def training(self, stage: Stage) -> Source:
        data = self.config.data
        return PlaygroundSource(
            "train", seed=self.config.seed, size=stage.size, phrases=stage.phrases,
            outlined=stage.outlined, mask_stride=stage.mask_stride, negatives=data.negatives, exemplars=data.exemplars,
        )  # fmt: skip

    def validation(self) -> tuple[Source, int]:
        settings, stage = self.config.validation, self.config.stages[-1]
        source = PlaygroundSource("val", size=stage.size, phrases=settings.phrases, mask_stride=1)
        return source, settings.pictures
