"""Opens the clips of a run: a source for each training stage, and one for validation."""

from sam3model.data.clip_sample import ClipSource
from sam3model.errors import ConfigError
from sam3model.training.clip_sets import ClipShape, RenderedScenes, open_clip_set
from sam3model.training.clip_settings import ClipStage, ClipTrainConfig


class ClipSources:
    """The clips that `config.data` names, at `size` pixels. count: number of validation clips.

    Raises:
        ConfigError: a setting does not fit the data set.
        DataError: the data set is missing, is not in its format, or too much of it is broken.
    """

    def __init__(self, config: ClipTrainConfig, size: int) -> None:
        self.config, self.size = config, size
        wanted = config.validation.clips
        self.opened = open_clip_set(config.data, seed=config.seed, validated=wanted)
        self.count = wanted if self.opened.count is None else min(wanted, self.opened.count)

    def training(self, stage: ClipStage) -> ClipSource:
        """Endless training clips for a stage."""
        return self.opened.training(ClipShape(self.size, stage.frames, stage.objects, stage.mask_stride))

    def stills(self, stage: ClipStage) -> ClipSource:
        """Endless single frames for a stage; scenes for Playground clips."""
        opened = RenderedScenes(self.config.seed) if self.config.data.source == "playground" else self.opened
        return opened.training(ClipShape(self.size, 1, stage.objects, stage.mask_stride))

    def validation(self) -> ClipSource:
        """The validation clips, always the same."""
        settings, stride = self.config.validation, self.config.stages[-1].mask_stride
        return self.opened.validation(ClipShape(self.size, settings.frames, settings.objects, stride))


def open_clips(config: ClipTrainConfig, size: int) -> ClipSources:
    """The clips that `config.data` names. Raises as `ClipSources` does."""
    frames = (*(stage.frames for stage in config.stages), config.validation.frames)
    if config.data.source == "playground_stills" and max(frames) > 1:
        raise ConfigError("data.source=playground_stills: set stages.frames and validation.frames to 1")
    for stage in config.stages:
        if size % stage.mask_stride:
            raise ConfigError(f"stages.mask_stride must divide the model input of {size} pixels")
    return ClipSources(config, size)
