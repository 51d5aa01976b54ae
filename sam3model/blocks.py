"""The parts of a model that can be sharded, recomputed or compiled one by one. Each model class declares its own."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn


@dataclass(frozen=True, slots=True)
class ModelBlocks:
    """Names of submodules.

    sharded: containers whose children FSDP shards and gathers one at a time. checkpointed: modules with a
    `checkpointing` flag, which recompute their layers in the backward pass. compiled: modules worth compiling.
    """

    sharded: tuple[str, ...] = ()
    checkpointed: tuple[str, ...] = ()
    compiled: tuple[str, ...] = ()


class ModelWithBlocks(nn.Module):
    """A model that declares its blocks. Without a declaration, it is sharded as a whole and never compiled."""

    blocks: ClassVar[ModelBlocks] = ModelBlocks()

    def shards(self) -> list[nn.Module]:
        """The modules to shard one by one, in order."""
        return [block for name in self.blocks.sharded for block in self.get_submodule(name).children()]

    def set_checkpointing(self, on: bool) -> None:
        """Recompute the checkpointed modules in the backward pass, or keep their activations."""
        for name in self.blocks.checkpointed:
            self.get_submodule(name).checkpointing = on  # pyright: ignore[reportArgumentType]
