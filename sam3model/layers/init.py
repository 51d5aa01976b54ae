"""Weight initialisation for training from scratch."""

from torch import nn


def xavier_(module: nn.Module) -> None:
    """Set Xavier weights and zero biases in all linear layers of `module` (attention initialises its own)."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
