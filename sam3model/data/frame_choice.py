"""Which frames of a clip a sample shows: a random start, a random distance, and some samples in reverse."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Chooses `frames` frames.

    stride: minimum and maximum distance of frames; shorter if the clip is short. reverse: fraction of samples that run
    backwards. A clip that is too short even at a distance of one is shown forwards and backwards.
    """

    frames: int = 8
    stride: tuple[int, int] = (1, 1)
    reverse: float = 0.0

    def start(self, count: int, rng: np.random.Generator) -> tuple[int, int]:
        """A first position in a clip of `count` frames, and a signed distance, which `fitted` may still shorten."""
        stride = int(rng.integers(self.stride[0], self.stride[1] + 1))
        position = int(rng.integers(max(1, count - stride * (self.frames - 1))))
        return (count - 1 - position, -stride) if rng.random() < self.reverse else (position, stride)

    def fitted(self, first: int, step: int, count: int) -> int:
        """The distance, shortened so that the frames after `first` fit into the clip if possible."""
        room = count - 1 - first if step > 0 else first
        return max(1, min(abs(step), room // max(1, self.frames - 1))) * (1 if step > 0 else -1)


def bounced(position: int, count: int) -> int:
    """A position that turns around at both ends of a clip.

    >>> [bounced(position, 3) for position in range(6)]
    [0, 1, 2, 1, 0, 1]
    """
    position %= max(1, 2 * (count - 1))
    return min(position, 2 * (count - 1) - position)
