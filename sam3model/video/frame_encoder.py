"""Encode frames once: features for the detector and, from the same trunk, for the tracker."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.detector.model import Sam3ImageModel
from sam3model.frames import FrameSource
from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures
from sam3model.structures import ImageFeatures

KEPT_FRAMES = 2
"""Encoded frames that are kept: a prompted frame is needed again when propagation starts."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """Features of one frame: of the detector, and of the tracker."""

    detector: ImageFeatures
    objects: ObjectFeatures


class FrameEncoder:
    """Reads and encodes the frames of a source, and keeps the last ones.

    preprocess: a frame (H, W, 3) uint8 -> model input (3, S, S). bfloat16: round the tracker's levels to bfloat16.
    """

    def __init__(
        self,
        detector: Sam3ImageModel,
        heads: InteractiveHeads,
        frames: FrameSource,
        preprocess: Callable[[NDArray[np.uint8]], Tensor],
        bfloat16: bool = False,
    ) -> None:
        self._detector, self._heads = detector, heads
        self._frames, self._preprocess = frames, preprocess
        self._bfloat16 = bfloat16
        self._kept: OrderedDict[int, EncodedFrame] = OrderedDict()

    def __call__(self, frame: int) -> EncodedFrame:
        """The features of a frame. Raises what the source raises if the frame cannot be read."""
        if frame not in self._kept:
            self._kept[frame] = self._encode(self._frames.frame(frame))
        self._kept.move_to_end(frame)
        while len(self._kept) > KEPT_FRAMES:
            self._kept.popitem(last=False)
        return self._kept[frame]

    def forget(self, frame: int) -> None:
        """Drop the features of a frame, whose number then stands for another one."""
        self._kept.pop(frame, None)

    def _encode(self, image: NDArray[np.uint8]) -> EncodedFrame:
        weight = self._heads.no_mem_embed
        pixels = self._preprocess(image).to(weight.device, weight.dtype).unsqueeze(0)
        features = self._detector.encode_image(pixels, keep_trunk=True)
        vision, heads = self._detector.vision, self._heads
        if self._bfloat16:
            levels = vision.pyramid(features, "interactive")
            objects = heads.features(tuple(level.bfloat16().to(level.dtype) for level in levels))
        else:
            objects = heads.features(vision.pyramid(features, "interactive", heads.projections), projected=True)
        return EncodedFrame(self._detector.prepare_masks(replace(features, trunk=None)), objects)
