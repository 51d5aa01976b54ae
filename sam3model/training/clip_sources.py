"""Opens the clips of a run: a source for each training stage, and one for validation."""

from sam3model.data.clip_sample import ClipSource
from sam3model.data.playground_stills import PlaygroundStills
from sam3model.errors import ConfigError
from sam3model.training.clip_settings import ClipStage, ClipTrainConfig


class ClipSources:
    """Rendered clips, at `size` pixels."""

    def __init__(self, config: ClipTrainConfig, size: int) -> None:
        self.config, self.size = config, size

    def training(self, stage: ClipStage) -> ClipSource:
        """Endless training clips for a stage."""
        return PlaygroundStills("train", self.config.seed, self.size, stage.objects, stage.mask_stride)

    def validation(self) -> ClipSource:
        """The validation clips, always the same."""
        return PlaygroundStills("val", 0, self.size, self.config.validation.objects, self.config.stages[-1].mask_stride)


def open_clips(config: ClipTrainConfig, size: int) -> ClipSources:
    """The clips that `config.data` names."""
    for stage in config.stages:
        if size % stage.mask_stride:
            raise ConfigError(f"stages.mask_stride must divide the model input of {size} pixels")
    return ClipSources(config, size)
