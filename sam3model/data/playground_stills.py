"""Training samples of single Playground scenes: clips of one frame, for clicks."""

from dataclasses import dataclass

import numpy as np
import torch

from sam3model.data.clip_sample import ClipSample
from sam3model.data.image_view import shrink
from sam3model.ops.resize import preprocess
from sam3model.playground import scene
from sam3model.playground.dice import Dice


@dataclass(frozen=True, slots=True)
class PlaygroundStills:
    """Sample `index` of a split: a scene resized to `size` squared, with up to `objects` of its objects.

    mask_stride: masks are (size / stride) squared.
    """

    split: str
    seed: int = 0
    size: int = 256
    objects: int = 6
    mask_stride: int = 2

    def __call__(self, index: int) -> ClipSample:
        """Render the scene of this index."""
        number = index + self.seed * 10**9
        shown = scene(self.split, number)
        chosen = Dice(self.split, number, "objects", self.objects).some(list(shown.objects), self.objects)
        masks = shrink(np.stack([one.mask for one in chosen]), self.size // self.mask_stride)
        return ClipSample(
            name=f"playground/{self.split}/{number}",
            frames=preprocess(shown.image, self.size).unsqueeze(0),
            masks=torch.from_numpy(masks).unsqueeze(0),
            annotated=torch.ones(1, len(chosen), dtype=torch.bool),
        )
