"""AdamW with a learning rate per part of the model and layer decay, as in the official fine-tuning recipe."""

import torch
from torch import nn

from sam3model.parse import require_parts
from sam3model.training.run_settings import OptimConfig

_TRUNK = ("vision.trunk.", "detector.vision.trunk.")
"""The vision trunk of an image model and of a model with a tracker."""


def parameter_groups(model: nn.Module, config: OptimConfig) -> list[dict]:
    """Trained parameters grouped by learning rate and weight decay, in order of first appearance.

    Each group has `params`, `names`, `peak_lr`, `lr` (the same until the schedule sets it) and `weight_decay`.

    Raises:
        ConfigError: a prefix in `config.rates` matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    require_parts("optim.rates", config.rates, names)
    layer_norms = _layer_norm_parameters(model)
    inner = [_inside_trunk(name) for name in names]
    depth = len({name.split(".")[1] for name in inner if name.startswith("blocks.")})
    groups: dict[tuple[float, float], dict] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = 0.0 if "bias" in name or name in layer_norms else config.weight_decay
        rate = base_rate(name, config) * layer_factor(name, depth, config.layer_decay)
        group = groups.setdefault(
            (rate, decay), {"params": [], "names": [], "peak_lr": rate, "lr": rate, "weight_decay": decay}
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def base_rate(name: str, config: OptimConfig) -> float:
    """The rate of the longest prefix in `config.rates` that matches the name, or else `config.lr`."""
    fitting = [prefix for prefix in config.rates if name.startswith(prefix)]
    return config.rates[max(fitting, key=len)] if fitting else config.lr


def layer_factor(name: str, depth: int, decay: float) -> float:
    """Layer decay factor of a parameter: decay ** (depth + 1 - id) in the vision trunk, 1 outside of it.

    id: i + 1 for block i, 0 for the patch embedding and the norm before the blocks. The position table has factor 1.
    """
    inner = _inside_trunk(name)
    if not inner or "pos_embed" in name:
        return 1.0
    if inner.startswith("blocks.") and "rel_pos" not in inner:
        return decay ** (depth - int(inner.split(".")[1]))
    return decay ** (depth + 1) if inner.startswith(("patch_embed", "cls_token", "ln_pre")) else 1.0


def _inside_trunk(name: str) -> str:
    """The name of a parameter inside the vision trunk; empty for all others."""
    return name[name.index("trunk.") + len("trunk.") :] if name.startswith(_TRUNK) else ""


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Fused AdamW. It reads each parameter once, which matters for the large token table."""
    return torch.optim.AdamW(
        parameter_groups(model, config), lr=config.lr, betas=config.betas, eps=config.eps, fused=True
    )


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its peak rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def _layer_norm_parameters(model: nn.Module) -> set[str]:
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for name, _ in module.named_parameters(recurse=False)
    }
