"""What of a picture is shown, and how: decided in whole pixels, done once.

Every geometric transform only moves a window over the picture's own pixels and may mirror it; the window is resampled a
single time, as the predictor does it. So boxes and masks stay exact, whatever the transforms are and however many.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam3model.data.records import Thing
from sam3model.data.segments import Rle, coco, to_rle
from sam3model.ops.masks import mask_to_box
from sam3model.ops.resize import normalise, resize

PADDING = 128
"""Grey level of what lies beyond the picture: nothing, after normalisation."""


@dataclass(frozen=True, slots=True)
class View:
    """A window (x0, y0, x1, y1) in pixels of a picture of `size` (width, height); beyond the picture it is grey.

    boxes (n, 4) xyxy pixels of the things that will be asked for. mirrored: left and right are swapped after all.
    keep: a thing of which a smaller share is in the window is not asked for. colour: factors of brightness, contrast
    and saturation. located: a phrase says where things are, so that no part may be cut off.
    """

    size: tuple[int, int]
    window: tuple[int, int, int, int]
    boxes: NDArray[np.float64]
    mirrored: bool = False
    keep: float = 0.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    located: bool = False

    @classmethod
    def whole(cls, size: tuple[int, int], boxes: NDArray[np.float64], located: bool = False) -> "View":
        """The picture as it is."""
        return cls(size, (0, 0, *size), boxes, located=located)

    @property
    def width(self) -> int:
        """Of the window, in pixels."""
        return self.window[2] - self.window[0]

    @property
    def height(self) -> int:
        """Of the window, in pixels."""
        return self.window[3] - self.window[1]

    def pixels(self, picture: Tensor, side: int) -> Tensor:
        """The window of a picture (3, H, W) uint8 as the model's input (3, side, side) float32."""
        shown = resize(_cut(picture, self.window, PADDING), side, side)
        if self.colour != (1.0, 1.0, 1.0):
            shown = self._recoloured(shown)
        return normalise(shown.flip(-1) if self.mirrored else shown)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The window of a mask (H, W), at the picture's own resolution."""
        shown = _cut(torch.from_numpy(mask.view(np.uint8)), self.window, 0).numpy().astype(bool)
        return shown[:, ::-1] if self.mirrored else shown

    def box(self, box: tuple[float, float, float, float]) -> NDArray[np.float32]:
        """A box (x0, y0, x1, y1) in the picture's pixels as (4,) cxcywh of the window, normalised, clipped to it."""
        left, top, right, bottom = self.window
        x0, x1 = (min(max(x, left), right) - left for x in (box[0], box[2]))
        y0, y1 = (min(max(y, top), bottom) - top for y in (box[1], box[3]))
        x0, x1 = (self.width - x1, self.width - x0) if self.mirrored else (x0, x1)
        w, h = self.width, self.height
        return np.array([(x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h], np.float32)

    def shares(self) -> NDArray[np.float64]:
        """Share of every box that is in the window, (n,)."""
        low = np.maximum(self.boxes[:, :2], self.window[:2])
        high = np.minimum(self.boxes[:, 2:], self.window[2:])
        whole = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1)
        return (high - low).clip(min=0).prod(1) / np.maximum(whole, 1e-9)

    def _recoloured(self, shown: Tensor) -> Tensor:
        """Brightness, contrast about the mean grey, saturation about each pixel's grey; padding keeps its grey."""
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
        share = resize(inside, *shown.shape[-2:]).float() / 255
        return (PADDING + share * (values - PADDING)).round().to(torch.uint8)


@dataclass(frozen=True, slots=True)
class Shown:
    """A thing in a view: share of it that is seen, box (4,) normalised cxcywh, mask (side, side) bool without a pixel
    where the outline is unknown or not wanted.
    """

    share: float
    box: NDArray[np.float32]
    mask: NDArray[np.bool_]


def show(thing: Thing, view: View, side: int, *, outlined: bool) -> Shown:
    """A thing as it looks in a view. Where its outline is known, its box is the box of what is seen of the outline."""
    nothing = np.zeros((side, side), bool)
    rle = None if thing.segmentation is None else to_rle(thing.segmentation, view.size)
    area = 0 if rle is None else int(coco.area(rle))
    if rle is None or not area:
        x0, y0, x1, y1 = thing.box
        box = view.box(thing.box)
        seen = float(box[2] * box[3]) * view.width * view.height
        return Shown(min(1.0, seen / ((x1 - x0) * (y1 - y0))), box, nothing)
    x, y, w, h = coco.toBbox(rle).tolist()
    left, top, right, bottom = view.window
    if not outlined and left <= x and top <= y and x + w <= right and y + h <= bottom:
        return Shown(1.0, view.box((x, y, x + w, y + h)), nothing)
    return _show_mask(rle, area, view, side, outlined)


def shrink(masks: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Masks (n, H, W) at (n, side, side): a cell is in if at least half of it is covered."""
    if not len(masks):
        return np.zeros((0, side, side), bool)
    pixels = torch.from_numpy(np.ascontiguousarray(masks))[:, None].float()
    return (F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)[:, 0] >= 0.5).numpy()


def _show_mask(rle: Rle, area: int, view: View, side: int, outlined: bool) -> Shown:
    seen = view.mask(coco.decode(rle).view(bool))
    x0, y0, x1, y1 = mask_to_box(seen)
    size = np.array([view.width, view.height] * 2)
    box = (np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]) / size).astype(np.float32)
    return Shown(seen.sum() / area, box, shrink(seen[None], side)[0] if outlined else np.zeros((side, side), bool))


def _cut(values: Tensor, window: tuple[int, int, int, int], fill: int) -> Tensor:
    """The window of (…, H, W), which may reach beyond it."""
    height, width = values.shape[-2:]
    x0, y0, x1, y1 = window
    inside = values[..., max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    beyond = (max(-x0, 0), max(x1 - width, 0), max(-y0, 0), max(y1 - height, 0))
    return F.pad(inside, beyond, value=fill) if any(beyond) else inside
