"""Still images as training clips: the image moves smoothly, and its masks with it."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sam3model.data.affine_motion import AffineMotion, warp_image, warp_masks
from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage
from sam3model.data.clip_sample import ClipSample
from sam3model.data.epochs import epoch_position
from sam3model.data.faults import Faults
from sam3model.data.image_files import read_image
from sam3model.data.image_view import resize_masks, shrink
from sam3model.data.segmentations import coco, to_rle
from sam3model.errors import DataError
from sam3model.ops.resize import normalise, resize, to_rgb
from sam3model.playground import scene

_TRIES = 100
_SHARP = 1.5
"""Image pixels per pixel of a frame before the motion, so that enlarged parts stay sharp."""

NO_MASKS = "no object of the image has a mask that can be used"


@dataclass(frozen=True, slots=True, eq=False)
class StillImage:
    """An image (3, H, W) uint8 with the masks (N, H, W) bool of its objects."""

    name: str
    image: Tensor
    masks: np.ndarray


class StillImages(Protocol):
    """Images with masks, by number; every number is valid."""

    def name(self, number: int) -> str:
        """Name of an image."""
        ...

    def __call__(self, number: int, rng: np.random.Generator, objects: int) -> StillImage:
        """An image with at most `objects` of its objects, drawn at random. Raises `DataError`, a short reason."""
        ...


@dataclass(frozen=True, slots=True)
class SceneStills:
    """Scenes of a split of Playground."""

    split: str
    seed: int = 0

    def name(self, number: int) -> str:
        """Name of a scene."""
        return f"playground/{self.split}/{number + self.seed * 10**9}"

    def __call__(self, number: int, rng: np.random.Generator, objects: int) -> StillImage:
        """Render a scene."""
        shown = scene(self.split, number + self.seed * 10**9)
        kept = sorted(rng.permutation(len(shown.objects))[:objects].tolist())
        masks = np.stack([shown.objects[k].mask for k in kept])
        return StillImage(self.name(number), to_rgb(shown.image), masks)


@dataclass(frozen=True, slots=True)
class DatasetStills:
    """Images of an annotated data set (COCO, SA-Co), every epoch in another order; without `shuffle`, in its own."""

    data: AnnotatedDataset
    seed: int = 0
    shuffle: bool = True

    def name(self, number: int) -> str:
        """Name of an image."""
        return self._image(number).name

    def __call__(self, number: int, rng: np.random.Generator, objects: int) -> StillImage:
        """Read an image and its masks. Raises `DataError`, a short reason."""
        found = self._image(number)
        known = [one for phrase in found.phrases for one in phrase.annotations]
        codes = [to_rle(one.segmentation, found.size) for one in known if one.segmentation is not None]
        kept = sorted(rng.permutation(len(codes))[:objects].tolist())
        masks = [coco.decode(codes[k]).view(bool) for k in kept]
        masks = [mask for mask in masks if mask.any()]
        if not masks:
            raise DataError(NO_MASKS)
        return StillImage(found.name, read_image(found.path, found.size), np.stack(masks))

    def _image(self, number: int) -> AnnotatedImage:
        count = len(self.data)
        return self.data.images[epoch_position(self.seed, number, count) if self.shuffle else number % count]


@dataclass(frozen=True, slots=True)
class MovingStills:
    """Sample `index`: a still image that moves, as `frames` frames, size x size, with up to `objects` objects.

    Objects are drawn from those that are visible on the first frame; they may leave later. An image that cannot be read
    or shows no object is counted in `faults` and replaced by another one.

    mask_stride: masks are (size / stride) squared..

    Raises (when called):
        DataError: 100 images in a row cannot be used.
    """

    stills: StillImages
    seed: int = 0
    size: int = 256
    frames: int = 8
    objects: int = 3
    mask_stride: int = 1
    motion: AffineMotion = field(default_factory=AffineMotion)
    faults: Faults = field(default_factory=Faults)

    def __call__(self, index: int) -> ClipSample:
        """Read the image of this index and move it."""
        number = index
        for attempt in range(_TRIES):
            rng = np.random.default_rng((self.seed % 2**63, index, attempt))
            try:
                return self._moved(self.stills(number, rng, 4 * self.objects), rng)
            except DataError as error:
                self.faults.note(str(error), self.stills.name(number))
                number = int(rng.integers(1 << 31))
        raise DataError(f"{_TRIES} images in a row cannot be used: run `python -m train check`{self.faults.usual()}")

    def _moved(self, still: StillImage, rng: np.random.Generator) -> ClipSample:
        height, width = still.image.shape[1:]
        grids = self.motion.grids(self.frames, self.size, width / height, rng)
        masks = resize_masks(still.masks, round(self.size * _SHARP))
        image = resize(still.image, *(2 * [round(self.size * _SHARP)]))
        visible = np.flatnonzero(self._masks(masks, grids[0]).any((1, 2)))
        if not len(visible):
            raise DataError(NO_MASKS)
        masks = masks[sorted(rng.permutation(visible)[: self.objects].tolist())]
        frames = torch.stack([normalise(warp_image(image, grid)) for grid in grids])
        found = torch.from_numpy(np.stack([self._masks(masks, grid) for grid in grids]))
        return ClipSample(still.name, frames, found, torch.ones(found.shape[:2], dtype=torch.bool))

    def _masks(self, masks: Tensor, grid: Tensor) -> np.ndarray:
        """Masks (N, S', S') of a frame."""
        return shrink(warp_masks(masks, grid).numpy(), self.size // self.mask_stride)
