"""Exponential moving average of the weights. Runs validate and save the averages."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class Ema:
    """Averages of the trained parameters and the buffers of `model`, by name; frozen parameters are left out.

    With decay 0 there are no averages, and `applied_to` gives the model as it is. The decay rises as (1 + t) / (10 + t)
    up to `decay`, so that the first steps are forgotten quickly. With `every` k, one update counts for k steps
    (decay ** k), which costs a k-th of the time and averages over the same span.
    """

    def __init__(self, model: nn.Module, decay: float, every: int) -> None:
        self.decay = decay
        self.every = every
        frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
        kept = {name: value for name, value in model.state_dict().items() if name not in frozen} if decay else {}
        self.average = {name: value.detach().clone() for name, value in kept.items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update the averages with the weights after `step` steps, at every `every`-th step."""
        if not self.average or step % self.every:
            return
        weight = 1 - min(self.decay, (1 + step) / (10 + step)) ** self.every
        state = model.state_dict()
        alike: dict[type, list[str]] = {}  # shards and whole buffers are not updated in one call
        for name, value in self.average.items():
            if value.is_floating_point():
                alike.setdefault(type(value), []).append(name)
            else:
                value.copy_(state[name])
        for names in alike.values():
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                [self.average[name] for name in names], [state[name] for name in names], weight
            )

    @contextlib.contextmanager
    def applied_to(self, model: M) -> Iterator[M]:
        """Put the averages into `model`, in eval mode, and restore its own weights afterwards.

        They are swapped one tensor at a time, so no third copy is needed.
        """
        training = model.training
        state = model.state_dict()
        names = list(self.average)
        self._swap(state, names)
        try:
            yield model.eval()
        finally:
            self._swap(state, names[::-1])  # in reverse, in case two names share a tensor
            model.train(training)

    @torch.no_grad()
    def _swap(self, state: dict[str, Tensor], names: list[str]) -> None:
        for name in names:
            own = state[name].detach().clone()
            state[name].copy_(self.average[name])
            self.average[name].copy_(own)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load saved averages."""
        for name, value in state.items():
            self.average[name].copy_(value)
