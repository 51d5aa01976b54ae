"""The average of two sets of weights of which one was trained from the other."""

from collections.abc import Sequence

import torch

from sam3model.build import Sam3Model
from sam3model.errors import ConfigError
from sam3model.parse import require_parts


@torch.no_grad()
def average_into(after: Sam3Model, before: Sam3Model, share: float, keep: Sequence[str] = ()) -> None:
    """Change the parameters of `after` to (1 - share) * before + share * after, computed in float32.

    Further training improves what it is about and harms the rest; the average keeps most of both, because models that
    come from one another lie in one basin of the loss (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    share: of `after`, 0..1. keep: prefixes of names of parameters that stay as they are in `after`; there `before` may
    differ in shape, or lack them.

    Raises:
        ConfigError: the share is out of range, a prefix matches nothing, or the models differ elsewhere.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"the share must be between 0 and 1, not {share}")
    state, other = dict(after.named_parameters()), dict(before.named_parameters())
    require_parts("keep", keep, state)
    mixed = {name: value for name, value in state.items() if not name.startswith(tuple(keep))}
    absent = [name for name in other if name not in state and not name.startswith(tuple(keep))]
    for name in (*mixed, *absent):
        one, two = state.get(name), other.get(name)
        if one is None or two is None or one.shape != two.shape:
            raise ConfigError(f"the two models differ in {name}: average models of one size, or keep that part")
    for name, value in mixed.items():
        value.copy_(torch.lerp(other[name].float(), value.float(), share))
