"""Training samples from Playground clips: frames resized to the model's square, with the masks of some objects."""

from dataclasses import dataclass

import numpy as np
import torch

from sam3model.data.clip_sample import ClipSample
from sam3model.data.frame_choice import FrameChoice, bounced
from sam3model.data.image_view import shrink
from sam3model.data.playground_source import FULL
from sam3model.errors import DataError
from sam3model.ops.resize import preprocess
from sam3model.playground import Clip, ClipFrame, clip
from sam3model.playground.clip import COUNT
from sam3model.playground.dice import Dice
from sam3model.playground.scene import SIZES

MIN_VISIBLE = 0.3
"""Minimum visible fraction of an object on the first frame."""

_STARTS = 8
_CLIPS = 20


@dataclass(frozen=True, slots=True)
class PlaygroundClips:
    """Sample `index` of a split: `frames` frames of a clip, size x size, with up to `objects` objects.

    Objects are drawn from those that are visible on the first frame. A size below 256 shows a smaller clip at the same
    scale, with proportionally fewer objects. Fixed by seed and index.

    mask_stride: masks are (size / stride) squared. stride: minimum and maximum distance of the frames. reverse:
    fraction of samples that run backwards.
    """

    split: str
    seed: int = 0
    size: int = FULL
    frames: int = 8
    objects: int = 3
    mask_stride: int = 1
    stride: tuple[int, int] = (1, 3)
    reverse: float = 0.0

    def __call__(self, index: int) -> ClipSample:
        """Render the frames of this index."""
        number = index + self.seed * 10**9
        rng = np.random.default_rng(Dice(self.split, number, "clip sample").integer(0, 2**32 - 1))
        for attempt in range(_CLIPS):
            shown = self._clip(number + attempt * 10**8)
            if sample := self._sample(shown, rng):
                return sample
        raise DataError(f"{_CLIPS} Playground clips in a row show no object at {self.size} pixels: use larger frames")

    def _clip(self, number: int) -> Clip:
        if self.size >= FULL:
            return clip(self.split, number)
        scale = self.size / FULL
        width, height = Dice(self.split, number, "canvas").weighted(SIZES)
        count = (1, max(2, round(COUNT[1] * scale**2)))
        return clip(self.split, number, size=(round(width * scale), round(height * scale)), count=count)

    def _sample(self, shown: Clip, rng: np.random.Generator) -> ClipSample | None:
        choice = FrameChoice(min(self.frames, shown.count), self.stride, self.reverse)
        for _ in range(_STARTS):
            start, step = choice.start(shown.count, rng)
            first = shown.frame(start)
            if names := self._visible(first):
                break
        else:
            return None
        chosen = sorted(rng.permutation(names)[: self.objects].tolist())
        step = choice.fitted(start, step, shown.count)
        positions = [bounced(start + k * step, shown.count) for k in range(self.frames)]
        frames = [first if t == start else shown.frame(t) for t in positions]
        masks = np.stack([self._masks(frame, chosen) for frame in frames])
        return ClipSample(
            f"playground/{self.split}/{shown.name[1]}/{start}",
            torch.stack([preprocess(frame.image, self.size) for frame in frames]),
            torch.from_numpy(masks),
            torch.ones(masks.shape[:2], dtype=torch.bool),
        )

    def _visible(self, frame: ClipFrame) -> list[int]:
        """Ids of the objects that are visible enough, at the resolution of the masks too."""
        ids = [id for id, visible in enumerate(frame.visible) if visible >= MIN_VISIBLE]
        large = np.flatnonzero(self._masks(frame, ids).any((1, 2)))
        return [ids[k] for k in large]

    def _masks(self, frame: ClipFrame, ids: list[int]) -> np.ndarray:
        """Masks (N, S', S') of objects on a frame."""
        owned = frame.owners == np.array(ids, np.uint8)[:, None, None] + 1
        return shrink(owned, self.size // self.mask_stride)
