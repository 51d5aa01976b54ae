"""Low-rank adapters (LoRA, arXiv 2106.09685), and merging them into a plain model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sam3model.build import no_memory
from sam3model.config import require_positive
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import ConfigError
from sam3model.layers.attention import MultiheadAttention
from sam3model.training.parallel import whole


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Adapters of `rank`, scaled by alpha / rank, on the linear layers, attention projections and embeddings whose
    names match a pattern. For new words, include the token embedding, `text.encoder.token_embedding.weight`.
    """

    rank: int = 8
    alpha: float = 16.0
    patterns: tuple[str, ...] = (
        "vision.trunk.blocks.*", "text.encoder.transformer.*", "geometry.encode.*", "fusion.layers.*",
        "decoder.layers.*", "scoring.*", "segmentation.cross_attend_prompt.*", "segmentation.mask_predictor.*",
    )  # fmt: skip

    def __post_init__(self) -> None:
        require_positive(self, "rank", "alpha")


class LowRank(nn.Module):
    """Parametrisation of a weight (n, m): weight + scale * up (n, r) @ down (r, m), in float32; `up` starts at 0."""

    def __init__(self, weight: Tensor, config: LoraConfig) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.scale = config.alpha / config.rank
        self.up = nn.Parameter(weight.new_zeros(rows, config.rank))
        self.down = nn.Parameter(weight.new_empty(config.rank, columns))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted weight, (n, m)."""
        with torch.autocast(weight.device.type, enabled=False):
            return torch.addmm(weight, self.up, self.down, alpha=self.scale)


def add_adapters(model: nn.Module, config: LoraConfig) -> int:
    """Freeze the model and add adapters to the weights that match a pattern. Returns the number of adapters.

    Raises:
        ConfigError: a pattern matches no weight.
    """
    model.requires_grad_(False)
    chosen: dict[str, tuple[nn.Module, str]] = {}
    projections = dict(_projections(model))
    for pattern in config.patterns:
        fitting = {name: place for name, place in projections.items() if fnmatch(name, pattern)}
        if not fitting:
            raise ConfigError(
                f"model.lora.patterns: {pattern!r} matches no linear layer, attention projection or embedding"
            )
        chosen |= fitting
    for module, leaf in chosen.values():
        parametrize.register_parametrization(module, leaf, LowRank(getattr(module, leaf), config))
    return len(chosen)


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the model with adapters merged into the weights."""
    state = {name: value for name, value in model.state_dict().items() if "parametrizations." not in name}
    for prefix, module in model.named_modules():
        if parametrize.is_parametrized(module):
            for leaf in module.parametrizations:  # pyright: ignore[reportGeneralTypeIssues]
                state[f"{prefix}.{leaf}"] = getattr(module, leaf).detach()
    return state


def plain_model(model: Sam3ImageModel, dtype: torch.dtype | None = None) -> Sam3ImageModel:
    """A copy in eval mode with adapters merged, its values rounded to `dtype` but kept in their present type."""
    state = {name: value.clone() if dtype is None else value.to(dtype).to(value.dtype)
             for name, value in whole(plain_state(model)).items()}  # fmt: skip
    with no_memory():
        plain = Sam3ImageModel(model.config)
    plain.load_state_dict(state, assign=True)
    return plain.requires_grad_(False).eval()


def _projections(model: nn.Module) -> Iterator[tuple[str, tuple[nn.Module, str]]]:
    for prefix, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            yield f"{prefix}.weight", (module, "weight")
        elif isinstance(module, MultiheadAttention):
            yield f"{prefix}.in_proj_weight", (module, "in_proj_weight")
