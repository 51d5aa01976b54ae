"""The part of an image that a sample shows.

Geometric transforms only move a window over the image's own pixels and may mirror it; the window is resampled once, the
way the predictor does it. So boxes and masks stay exact under any number of transforms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam3model.data.annotations import Annotation
from sam3model.data.segmentations import coco, to_rle
from sam3model.ops.boxes import xyxy_to_cxcywh
from sam3model.ops.masks import mask_to_box
from sam3model.ops.resize import normalise, resize

PADDING = 128
"""Grey level beyond the image: zero after normalisation."""

Window = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ImageView:
    """A window (x0, y0, x1, y1) in pixels of an image of `size` (width, height); it is grey beyond the image.

    boxes (n, 4): xyxy in pixels, of the instances to query. mirrored: left and right are swapped at the end.
    min_visible: instances with a smaller fraction in the window are left out. colour: factors of brightness, contrast
    and saturation. keep_whole: a phrase mentions a position, so nothing may be cropped.
    """

    size: tuple[int, int]
    window: Window
    boxes: NDArray[np.float64]
    mirrored: bool = False
    min_visible: float = 0.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    keep_whole: bool = False

    @classmethod
    def whole(cls, size: tuple[int, int], boxes: NDArray[np.float64], keep_whole: bool = False) -> "ImageView":
        """The untransformed image."""
        return cls(size, (0, 0, *size), boxes, keep_whole=keep_whole)

    @property
    def width(self) -> int:
        """Width of the window in pixels."""
        return self.window[2] - self.window[0]

    @property
    def height(self) -> int:
        """Height of the window in pixels."""
        return self.window[3] - self.window[1]

    def pixels(self, image: Tensor, side: int) -> Tensor:
        """The window of an image (3, H, W) uint8 as the model's input (3, side, side) float32."""
        shown = resize(_cut(image, self.window, PADDING), side, side)
        if self.colour != (1.0, 1.0, 1.0):
            shown = self._recoloured(shown)
        return normalise(shown.flip(-1) if self.mirrored else shown)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The window of a mask (H, W), at the image's own resolution."""
        shown = _cut(torch.from_numpy(mask.view(np.uint8)), self.window, 0).numpy().astype(bool)
        return shown[:, ::-1] if self.mirrored else shown

    def box(self, box: tuple[float, float, float, float]) -> NDArray[np.float32]:
        """A box (x0, y0, x1, y1) in image pixels, clipped to the window: (4,) cxcywh, normalised by the window."""
        left, top, right, bottom = self.window
        x0, x1 = (min(max(x, left), right) - left for x in (box[0], box[2]))
        y0, y1 = (min(max(y, top), bottom) - top for y in (box[1], box[3]))
        x0, x1 = (self.width - x1, self.width - x0) if self.mirrored else (x0, x1)
        return self._normalised(x0, y0, x1, y1)

    def visible_fractions(self) -> NDArray[np.float64]:
        """Fraction of every box that lies in the window, (n,)."""
        low = np.maximum(self.boxes[:, :2], self.window[:2])
        high = np.minimum(self.boxes[:, 2:], self.window[2:])
        whole = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1)
        return (high - low).clip(min=0).prod(1) / np.maximum(whole, 1e-9)

    def instances(
        self, annotations: Sequence[Annotation], side: int, *, masked: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_]]:
        """Visible fractions (n,), boxes (n, 4) normalised cxcywh and masks (n, side, side) of annotated instances.

        A mask is empty if the segmentation is unknown, or not `masked`. A box is that of the visible segmentation, if
        there is one.
        """
        masks = np.zeros((len(annotations), side, side), bool)
        found = [self._instance(one, mask if masked else None) for one, mask in zip(annotations, masks, strict=True)]
        fractions = np.array([fraction for fraction, _ in found], np.float64)
        return fractions, np.array([box for _, box in found], np.float32).reshape(-1, 4), masks

    def _instance(self, annotation: Annotation, out: NDArray[np.bool_] | None) -> tuple[float, NDArray[np.float32]]:
        """Visible fraction and box; the mask is written to `out`, if given."""
        rle = None if annotation.segmentation is None else to_rle(annotation.segmentation, self.size)
        area = 0 if rle is None else int(coco.area(rle))
        if rle is None or not area:
            x0, y0, x1, y1 = annotation.box
            box = self.box(annotation.box)
            visible = float(box[2] * box[3]) * self.width * self.height
            return min(1.0, visible / ((x1 - x0) * (y1 - y0))), box
        x, y, w, h = coco.toBbox(rle).tolist()
        left, top, right, bottom = self.window
        if out is None and left <= x and top <= y and x + w <= right and y + h <= bottom:
            return 1.0, self.box((x, y, x + w, y + h))
        visible = self.mask(coco.decode(rle).view(bool))
        if out is not None:
            out[:] = shrink(visible[None], len(out))[0]
        return float(visible.sum() / area), self._normalised(*mask_to_box(visible))

    def _normalised(self, *corners: float) -> NDArray[np.float32]:
        """Corners in window pixels as (4,) normalised cxcywh."""
        box = xyxy_to_cxcywh(torch.tensor(corners, dtype=torch.float64)).numpy()
        return (box / ([self.width, self.height] * 2)).astype(np.float32)

    def _recoloured(self, shown: Tensor) -> Tensor:
        """Brightness, contrast about the mean grey, saturation about each pixel's grey; the padding keeps its grey."""
        brightness, contrast, saturation = self.colour
        values = shown.float() * brightness  # (3, side, side)
        weights = values.new_tensor([0.299, 0.587, 0.114])[:, None, None]
        mean = (values * weights).sum(0).mean()
        values = mean + contrast * (values - mean)
        grey = (values * weights).sum(0)
        values = (grey + saturation * (values - grey)).clamp(0, 255)
        x0, y0, x1, y1 = self.window
        if x0 >= 0 and y0 >= 0 and x1 <= self.size[0] and y1 <= self.size[1]:
            return values.round().to(torch.uint8)
        inside = _cut(torch.full((1, *self.size[::-1]), 255, dtype=torch.uint8), self.window, 0)
        coverage = resize(inside, *shown.shape[-2:]).float() / 255
        return (PADDING + coverage * (values - PADDING)).round().to(torch.uint8)


def resize_masks(masks: NDArray[np.bool_], side: int) -> Tensor:
    """Masks (n, H, W) as (n, side, side) float32, antialiased.

    One mask at a time: as floats, those of a large photograph would need a gigabyte.
    """
    found = torch.empty(len(masks), side, side)
    for mask, small in zip(masks, found, strict=True):
        pixels = torch.from_numpy(np.ascontiguousarray(mask))[None, None].float()
        small[:] = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)[0, 0]
    return found


def shrink(masks: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Resize masks (n, H, W) to (n, side, side); a cell is set if at least half of it is covered."""
    return (resize_masks(masks, side) >= 0.5).numpy()


def _cut(values: Tensor, window: Window, fill: int) -> Tensor:
    """The window of (…, H, W), filled where it reaches beyond."""
    height, width = values.shape[-2:]
    x0, y0, x1, y1 = window
    inside = values[..., max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    beyond = (max(-x0, 0), max(x1 - width, 0), max(-y0, 0), max(y1 - height, 0))
    return F.pad(inside, beyond, value=fill) if any(beyond) else inside
