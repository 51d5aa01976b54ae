"""Training samples from annotated clips: frames and objects chosen, resized, fixed by seed and number."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3model.data.clip_annotations import AnnotatedClip, ClipDataset, ClipRecord, FrameMasks, mask_pixels
from sam3model.data.clip_sample import ClipSample
from sam3model.data.epochs import epoch_position
from sam3model.data.faults import Faults
from sam3model.data.frame_choice import FrameChoice, bounced
from sam3model.data.image_view import ImageView, shrink
from sam3model.data.transforms import Transform
from sam3model.errors import DataError
from sam3model.ops.masks import mask_to_box

_TRIES = 100

TOO_SHORT = "fewer than 2 frames can be used"
NO_OBJECT = "no object is visible"


@dataclass(frozen=True, slots=True)
class AnnotatedClips:
    """Sample `index` of a data set of clips: `frames` frames, size x size, with up to `objects` objects.

    Every epoch has an order of its own; without `shuffle`, the order of the data set. Objects are drawn from those that
    are visible on the first frame of the sample. A broken frame is replaced by the next one; a clip with fewer frames
    than needed is shown forwards and backwards. A clip with fewer than 2 usable frames, or without a visible object,
    is counted in `faults` and replaced by another one.

    stride: minimum and maximum distance of frames, counted in annotated frames; shorter if the clip is short.
    reverse: fraction of samples that run backwards. between: count the distance in all frames, so that most frames of
    a sparsely annotated clip are not annotated. transforms: applied alike to all frames. mask_stride: masks are
    (size / stride) squared.

    Raises (when called):
        DataError: 100 clips in a row cannot be used.
    """

    data: ClipDataset
    seed: int = 0
    size: int = 256
    frames: int = 8
    objects: int = 3
    mask_stride: int = 1
    stride: tuple[int, int] = (1, 1)
    reverse: float = 0.0
    between: bool = False
    transforms: Sequence[Transform] = ()
    shuffle: bool = True
    faults: Faults = field(default_factory=Faults)

    def __call__(self, index: int) -> ClipSample:
        """Read the clip of this index and make its sample."""
        count = len(self.data)
        for attempt in range(_TRIES):
            position = epoch_position(self.seed, index, count) if self.shuffle else index % count
            record = self.data.clips[position if attempt == 0 else int(self._rng(index, attempt).integers(count))]
            try:
                return self.read(record, index)
            except DataError as error:
                self.faults.note(str(error), record.name)
        what = f"{self.data.name}: {_TRIES} clips in a row cannot be used"
        raise DataError(f"{what}: run `python -m train check`{self.faults.usual()}")

    def read(self, record: ClipRecord, index: int) -> ClipSample:
        """The sample with this index of one clip; raises `DataError`, a short reason, if the clip cannot be used."""
        clip = record.open()
        with closing(clip.frames):
            return self._sample(clip, self._rng(index))

    def _rng(self, index: int, attempt: int = 0) -> np.random.Generator:
        return np.random.default_rng((self.seed % 2**63, index, attempt))

    def _sample(self, clip: AnnotatedClip, rng: np.random.Generator) -> ClipSample:
        moments = range(clip.annotated[0], clip.annotated[-1] + 1) if self.between else clip.annotated
        choice = FrameChoice(self.frames, self.stride, self.reverse)
        start, step = choice.start(len(moments), rng)
        first = self._first(clip, moments, start, rng)
        step = choice.fitted(first.position, step, len(moments))
        shown = self._walk(clip, moments, first, step)
        return ClipSample(
            f"{clip.name}/{moments[first.position]}",
            torch.stack([one.pixels for one in shown]),
            torch.from_numpy(np.stack([one.masks for one in shown])),
            torch.from_numpy(np.stack([one.known for one in shown])),
        )

    def _walk(self, clip: AnnotatedClip, moments: Sequence[int], first: "_FirstFrame", step: int) -> list["_Frame"]:
        """The first frame and those after it, `step` apart, without broken ones."""
        shown = [first.frame]
        seen: dict[int, _Frame | None] = {first.position: first.frame}
        for k in range(1, 2 * len(moments) + self.frames):
            if len(shown) == self.frames:
                break
            position = bounced(first.position + k * step, len(moments))
            if position not in seen:
                seen[position] = self._frame(clip, moments[position], first)
            if frame := seen[position]:
                shown.append(frame)
        if len(shown) < self.frames or sum(frame is not None for frame in seen.values()) < min(2, self.frames):
            raise DataError(TOO_SHORT)
        return shown

    def _first(
        self, clip: AnnotatedClip, moments: Sequence[int], start: int, rng: np.random.Generator
    ) -> "_FirstFrame":
        """The first usable frame from a position on, around the end of the clip, that shows an object."""
        annotated, broken = set(clip.annotated), 0
        for k in range(len(moments)):
            position = (start + k) % len(moments)
            t = moments[position]
            if t not in annotated:
                continue
            try:
                shown = {name: mask_pixels(mask, clip.size) for name, mask in clip.masks(t).masks.items()}
                shown = {name: mask for name, mask in shown.items() if mask.any()}
                image = clip.frames.read(t) if shown else None
            except DataError as error:
                self.faults.note(str(error), f"{clip.name}/{t}")
                broken += 1
                continue
            if image is not None and (chosen := self._choose(clip, shown, rng)):
                view, names, masks = chosen
                frame = _Frame(view.pixels(image, self.size), masks, np.ones(len(names), bool))
                return _FirstFrame(position, view, names, frame)
        raise DataError(NO_OBJECT if broken < len(clip.annotated) else TOO_SHORT)

    def _choose(
        self, clip: AnnotatedClip, shown: dict[str, NDArray[np.bool_]], rng: np.random.Generator
    ) -> tuple[ImageView, tuple[str, ...], NDArray[np.bool_]] | None:
        """A view of the clip, and objects with their masks (N, S', S') that are visible in it; None if none is."""
        boxes = np.array([mask_to_box(mask) for mask in shown.values()], np.float64)
        view = ImageView.whole(clip.size, boxes)
        for transform in self.transforms:
            view = transform(view, rng)
        inside = [view.mask(mask) for mask in shown.values()]
        whole = [max(view.min_visible * mask.sum(), 1) for mask in shown.values()]
        masks = shrink(np.stack(inside), self.size // self.mask_stride)
        visible = [k for k, mask in enumerate(inside) if mask.sum() >= whole[k] and masks[k].any()]
        if not visible:
            return None
        kept = sorted(rng.permutation(visible)[: self.objects].tolist())
        return view, tuple(list(shown)[k] for k in kept), masks[kept]

    def _frame(self, clip: AnnotatedClip, t: int, first: "_FirstFrame") -> "_Frame | None":
        """A frame with the objects of the first one; None after a fault."""
        try:
            found = clip.masks(t) if t in clip.annotated else FrameMasks({}, frozenset(first.names))
            pixels = first.view.pixels(clip.frames.read(t), self.size)
        except DataError as error:
            return self.faults.note(str(error), f"{clip.name}/{t}")
        inside = [first.view.mask(mask_pixels(found.masks.get(name), clip.size)) for name in first.names]
        known = np.array([name not in found.unknown for name in first.names])
        return _Frame(pixels, shrink(np.stack(inside), self.size // self.mask_stride), known)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Pixels (3, S, S), masks (N, S', S') of the chosen objects, and whether each is annotated, (N,)."""

    pixels: Tensor
    masks: NDArray[np.bool_]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _FirstFrame:
    """The first frame of a sample: its position in the clip, how all frames are shown, and the chosen objects."""

    position: int
    view: ImageView
    names: tuple[str, ...]
    frame: _Frame
