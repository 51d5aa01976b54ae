"""Playground scenes for clicks, and Playground clips; scene or clip `i` of a split is always the same."""

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evals.samples import ClickSample, DatasetSplit, MaskedClip, MaskletSample, Rle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam3model.playground import Clip, ClipFrame, PhraseQuery

SCENES = 200
CLIPS = 50
FRAMES = 24
MIN_VISIBLE = 0.5
"""Minimum visible fraction of an object on the frame on which it is prompted: nobody points at a sliver."""


class ClickScenes:
    """The first 200 scenes of a split with all their objects; generated on access."""

    def __init__(self, split: str) -> None:
        self._split = split

    def __len__(self) -> int:
        return SCENES

    def __getitem__(self, index: int) -> ClickSample:
        from PIL import Image

        from sam3model.ops.masks import encode_rle
        from sam3model.playground import scene

        drawn = scene(self._split, index)
        masks = tuple(encode_rle(item.mask) for item in drawn.objects)
        return ClickSample(f"{self._split}/{index}", partial(Image.fromarray, drawn.image), masks)


class MaskletClips:
    """The first 50 clips of a split, of 24 frames each; generated on access, and rendered when a frame is needed."""

    def __init__(self, split: str) -> None:
        self._split = split

    def __len__(self) -> int:
        return CLIPS

    def __getitem__(self, index: int) -> MaskletSample:
        from sam3model.playground import clip
        from sam3model.playground.clip_phrases import clip_phrases

        planned = clip(self._split, index, frames=FRAMES)
        return masklet_sample(f"{self._split}/{index}", planned, clip_phrases(planned))


def read_clicks(dataset: DatasetSplit) -> ClickScenes:
    """The first 200 scenes of the split."""
    return ClickScenes(dataset.split)


def read_clips(dataset: DatasetSplit) -> MaskletClips:
    """The first 50 clips of the split."""
    return MaskletClips(dataset.split)


def masklet_sample(key: str, planned: "Clip", queries: "list[PhraseQuery]") -> MaskletSample:
    """A clip as a sample. Objects of a phrase that no frame shows are no targets."""
    targets = {query.phrase: query.ids for query in queries}
    return MaskletSample(key, tuple(targets), cache(partial(_render, planned, tuple(targets.values()))))


def _render(planned: "Clip", targets: tuple[tuple[int, ...], ...]) -> MaskedClip:
    frames = [planned.frame(t) for t in range(planned.count)]
    objects = range(len(planned.objects))
    masks = tuple(tuple(_mask(frame.owners, one) for frame in frames) for one in objects)
    return MaskedClip(
        frames=tuple(frame.image for frame in frames),
        masks=masks,
        kinds=tuple(item.kind for item in planned.objects),
        starts=tuple(_start(frames, one) for one in objects),
        targets=tuple(tuple(one for one in ids if any(masks[one])) for ids in targets),
    )


def _mask(owners: "NDArray[Any]", one: int) -> Rle | None:
    from sam3model.ops.masks import encode_rle

    mask = owners == one + 1
    return encode_rle(mask) if mask.any() else None


def _start(frames: "list[ClipFrame]", one: int) -> int | None:
    """The first frame that shows half of an object, if another one follows."""
    shown = [frame.visible[one] >= MIN_VISIBLE and bool(np.any(frame.owners == one + 1)) for frame in frames[:-1]]
    return shown.index(True) if any(shown) else None
