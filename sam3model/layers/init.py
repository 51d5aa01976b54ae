"""Starting values for training from scratch."""

from torch import nn


def xavier_(module: nn.Module) -> None:
    """Xavier weights and zero biases in every linear layer below `module` (attention sets its own projection)."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
