"""What is remembered of each frame, for the objects of one group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sam3model.structures import map_tensors


@dataclass(frozen=True, slots=True)
class ObjectOutput:
    """Output of the mask heads for N objects on one frame.

    masks (N, 1, h, w): low-resolution logits, `NO_OBJECT` everywhere if the object is not visible.
    ious (N, C): predicted IoU of each candidate. pointers (N, D). scores (N, 1): logits, above 0 if visible.
    """

    masks: Tensor
    ious: Tensor
    pointers: Tensor
    scores: Tensor

    def rows(self, index: Tensor | slice) -> "ObjectOutput":
        """The output of some of the objects."""
        return map_tensors(self, lambda part: part[index])


def concatenate(outputs: Sequence[ObjectOutput]) -> ObjectOutput:
    """The objects of several outputs as one batch."""
    return ObjectOutput(
        torch.cat([one.masks for one in outputs]),
        torch.cat([one.ious for one in outputs]),
        torch.cat([one.pointers for one in outputs]),
        torch.cat([one.scores for one in outputs]),
    )


@dataclass(frozen=True, slots=True)
class FrameMemory:
    """Memory of one frame: the output, the encoded map, and how well the objects were seen.

    memory (N, M, g, g): None before it is written. seen: `seen_score` of a tracked frame; None after a prompt.
    """

    output: ObjectOutput
    memory: Tensor | None = None
    seen: float | None = None

    def rows(self, index: Tensor | slice) -> "FrameMemory":
        """The memory of some of the objects, and how well these were seen."""
        own = self.output.rows(index)
        memory = None if self.memory is None else self.memory[index]
        return FrameMemory(own, memory, None if self.seen is None else seen_score(own.scores, own.ious.max(-1).values))


class MemoryBank:
    """Memory by frame: `conditioning` frames carry prompts and are kept in the order of their prompts."""

    def __init__(self) -> None:
        self.conditioning: dict[int, FrameMemory] = {}
        self.others: dict[int, FrameMemory] = {}

    def get(self, frame: int) -> FrameMemory | None:
        """Memory of a frame of either kind."""
        return self.conditioning.get(frame) or self.others.get(frame)

    def condition(self, frame: int, memory: FrameMemory) -> None:
        """Store a prompted frame; a tracked output of the same frame is dropped."""
        self.conditioning[frame] = memory
        self.others.pop(frame, None)

    def demote(self, frame: int) -> None:
        """Turn a conditioning frame into an ordinary one."""
        memory = self.conditioning.pop(frame)
        self.others[frame] = replace(memory, seen=0.0 if memory.seen is None else memory.seen)

    def set_memory(self, frame: int, memory: Tensor) -> None:
        """Replace the encoded map of a frame."""
        frames = self.conditioning if frame in self.conditioning else self.others
        frames[frame] = replace(frames[frame], memory=memory)

    def seen(self) -> dict[int, float]:
        """How well the objects were seen on each tracked frame."""
        return {frame: -1.0 if one.seen is None else one.seen for frame, one in self.others.items()}

    def select(self, rows: Tensor) -> "MemoryBank":
        """A bank with some of the objects."""
        bank = MemoryBank()
        bank.conditioning = {frame: one.rows(rows) for frame, one in self.conditioning.items()}
        bank.others = {frame: one.rows(rows) for frame, one in self.others.items()}
        return bank

    def keep(self, conditioning: Iterable[int], others: Iterable[int], maps: Iterable[int]) -> None:
        """Forget all frames but these; of tracked frames not in `maps`, only the pointers stay."""
        kept_conditioning, kept, kept_maps = set(conditioning), set(others), set(maps)
        self.conditioning = {frame: one for frame, one in self.conditioning.items() if frame in kept_conditioning}
        self.others = {
            frame: one if frame in kept_maps else replace(one, memory=None)
            for frame, one in self.others.items()
            if frame in kept
        }


def seen_score(scores: Tensor, ious: Tensor) -> float:
    """How well objects were seen on a frame: 0..1, from logits (N, 1) and the best predicted IoUs (N,).

    Mean visibility times mean IoU: the shapes in the official code multiply every object with every other.
    """
    visible = torch.where(scores > 0, 2 * scores.float().sigmoid() - 1, torch.zeros_like(scores, dtype=torch.float32))
    return float(visible.mean() * ious.float().mean())
