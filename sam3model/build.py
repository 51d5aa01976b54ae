"""Build a model from its configuration, and convert configurations to and from plain values."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from sam3model.blocks import ModelBlocks, ModelWithBlocks
from sam3model.config import IMAGE_PARTS, PRESETS, Sam3Config, VideoConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import ConfigError
from sam3model.interactive.heads import InteractiveHeads
from sam3model.parse import parse
from sam3model.tracker.tracker_model import Tracker

_FILLED = frozenset((torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.logit_))


class Sam3Model(ModelWithBlocks):
    """The parts of SAM 3, each a submodule with its own configuration.

    `detector` is the image model. `interactive` and `tracker` are None if they were not built. `video` are the rules of
    the video pipeline, which have no weights.
    """

    def __init__(
        self,
        detector: Sam3ImageModel,
        interactive: InteractiveHeads | None = None,
        tracker: Tracker | None = None,
        video: VideoConfig | None = None,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.interactive = interactive
        self.tracker = tracker
        self.video = video

    @property
    def blocks(self) -> ModelBlocks:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The blocks of all parts."""
        parts = [(name, part) for name, part in self.named_children() if isinstance(part, ModelWithBlocks)]

        def named(kind: str) -> tuple[str, ...]:
            return tuple(f"{name}.{block}" for name, part in parts for block in getattr(part.blocks, kind))

        return ModelBlocks(named("sharded"), named("checkpointed"), named("compiled"))

    @property
    def config(self) -> Sam3Config:
        """The configuration of the parts that this model has."""
        interactive = None if self.interactive is None else self.interactive.config
        tracker = None if self.tracker is None else self.tracker.config
        return Sam3Config(self.detector.config, interactive, tracker, self.video)


class _NoInitialValues(TorchFunctionMode):
    """Leaves out initial values: tensors without memory have none, and for these torch imports its compiler (3 s)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLED or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        func = torch.empty if func is torch.randn else func
        return func(*args, **(kwargs or {}))


@contextmanager
def no_memory() -> Iterator[None]:
    """Modules built here get tensors without memory and values, to be replaced by those of a state dict."""
    with torch.device("meta"), _NoInitialValues():
        yield


def build(config: Sam3Config | str = "sam3", parts: Collection[str] | None = IMAGE_PARTS) -> Sam3Model:
    """Build a freshly initialised model on the current default device.

    Args:
        config: a configuration or the name of a preset (`sam3`, `sam3_1`, `sam3_tiny`).
        parts: which of its parts to build: `detector`, `interactive`, `tracker`, `video`, each of which needs those
            before it. None builds all that the configuration has.

    Raises:
        ConfigError: unknown preset, or a part that the configuration lacks.
    """
    if isinstance(config, str):
        if config not in PRESETS:
            raise ConfigError(f"unknown preset {config!r}: choose from {', '.join(PRESETS)}")
        config = PRESETS[config]()
    config = config.only(parts)
    detector = config.detector
    return Sam3Model(
        Sam3ImageModel(detector),
        None if config.interactive is None else InteractiveHeads(detector, config.interactive),
        None if config.tracker is None else Tracker(detector, config.tracker),
        config.video,
    )


def config_to_dict(config: Sam3Config) -> dict[str, Any]:
    """A configuration as JSON-ready values, without the parts that are None."""
    return {part: values for part, values in dataclasses.asdict(config).items() if values is not None}


def config_from_dict(values: Mapping[str, Any]) -> Sam3Config:
    """The inverse of `config_to_dict`; missing fields keep their defaults.

    Raises:
        ConfigError: an unknown field, an invalid value, or parts that do not fit together.
    """
    return parse(Sam3Config, values)
