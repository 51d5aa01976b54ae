"""The model that a run starts with: new or from weights, partly frozen or with adapters."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from sam3model.checkpoint import find_weights, load, read_config
from sam3model.config import DetectorConfig, Sam3Config
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import CheckpointError, ConfigError
from sam3model.parse import require_parts
from sam3model.training.clip_settings import ClipModelConfig
from sam3model.training.finer import halve_patches
from sam3model.training.lora import add_adapters
from sam3model.training.run_settings import RunConfig
from sam3model.training.settings import ModelConfig
from sam3model.training.state import own_folder

log = logging.getLogger(__name__)

M = TypeVar("M", bound=ModelConfig | ClipModelConfig)


def initial_model(config: ModelConfig, detector: DetectorConfig) -> Sam3ImageModel:
    """A new model, or one from weights, in float32 and with the dropout of `detector`.

    Weights with patches twice as large as those of `detector` are converted to the smaller patches.

    Raises:
        CheckpointError: the weights cannot be read or do not fit.
        ConfigError: a frozen prefix or a pattern of adapters matches nothing, or no parameter is left to train.
    """
    model = _from_weights(config.weights, detector) if config.weights else Sam3ImageModel(detector)
    model.set_checkpointing(config.checkpointing)
    if config.lora is not None:
        log.info("adapters on %d weights", add_adapters(model, config.lora))
    freeze(model, config.frozen)
    require_trained(model)
    return model


def settings_at_hand(model: M, config: RunConfig) -> M:
    """The settings to build the model of a run with.

    If a run resumes and the weights that it started from are gone, its own best weights have the sizes, and its state
    the values. Without best weights a preset of an image model has the sizes.
    """
    folder = own_folder(config)
    if model.weights is None or not config.resume or not any(folder.glob("step_*.pt")):
        return model
    try:
        find_weights(model.weights, download=False)
    except CheckpointError as error:
        best = folder / "best.safetensors"
        if not best.is_file() and (model.preset is None or not isinstance(model, ModelConfig)):
            return model
        log.warning("%s; the run goes on from its state", error)
        return replace(model, weights=str(best) if best.is_file() else None)
    return model


def require_trained(model: nn.Module) -> None:
    """Log how many parameters are trained. Raises `ConfigError` if all are frozen."""
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if not trained:
        raise ConfigError("model.frozen: no parameter is left to train")
    log.info("training %.2f M of %.2f M parameters", trained / 1e6, sum(p.numel() for p in model.parameters()) / 1e6)


def _from_weights(weights: str, detector: DetectorConfig) -> Sam3ImageModel:
    """The weights as they are or, if their patches are twice as large as those of `detector`, converted."""
    stated = read_config(weights).detector
    if stated.vit.patch_size != 2 * detector.vit.patch_size:
        heads = replace(detector.neck, interactive=stated.neck.interactive, propagation=stated.neck.propagation)
        config = Sam3Config(replace(detector, neck=heads))  # an image model trains neither head
        return load(weights, config=config, dtype=torch.float32).detector
    log.info("halving the patch size of %s", weights)
    return halve_patches(load(weights, dtype=torch.float32).detector, detector)


def freeze(model: nn.Module, prefixes: Sequence[str], trained: bool = False) -> None:
    """Freeze the parameters whose names start with a prefix, or let them be trained.

    Raises `ConfigError` if a prefix matches none.
    """
    named = dict(model.named_parameters())
    require_parts("model.trained" if trained else "model.frozen", prefixes, named)
    for name, parameter in named.items():
        if name.startswith(tuple(prefixes)):
            parameter.requires_grad_(trained)
