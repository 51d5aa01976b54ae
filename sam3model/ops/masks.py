"""Masks: COCO run-length encoding, boxes, overlaps, and full-size masks from logits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import DataError, InputError
from sam3model.ops.rle_reading import coco, encode_runs, read_rle_size, read_runs

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_PIXELS = 1 << 25
"""Number of pixels resized at once; limits the memory for masks of large images."""


def encode_rle(mask: NDArray[Any]) -> dict[str, Any]:
    """Binary mask (H, W) -> COCO compressed RLE, `{"size": [H, W], "counts": str}`; what is not zero is inside.

    The runs are found in the columns that contain the mask, which is several times as fast as `coco.encode` on frames.
    """
    height, width = mask.shape
    inside = mask if mask.dtype == bool else mask != 0
    columns = np.flatnonzero(inside.any(axis=0))
    if not len(columns):
        counts = [height * width]
    else:
        first, last = int(columns[0]), int(columns[-1]) + 1
        flat = inside[:, first:last].ravel(order="F")
        bounds = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        bounds = np.concatenate(([0] if flat[0] else [], bounds, [len(flat)] if flat[-1] else [])) + first * height
        counts = np.diff(bounds, prepend=0, append=height * width).astype(np.int64).tolist()
        counts = counts if counts[-1] else counts[:-1]
    rle = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def decode_rle(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """COCO RLE, compressed (str or bytes) or uncompressed (a list of runs) -> mask (H, W) bool.

    Raises:
        InputError: the RLE is damaged, too large or does not match its size.
    """
    try:
        width, height = read_rle_size(rle)
        runs = read_runs(rle.get("counts"), (width, height))
    except DataError as error:
        raise InputError(f"invalid run-length encoding of a mask: {error}") from error
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def check_rle(rle: Mapping[str, Any]) -> dict[str, Any]:
    """COCO RLE as `encode_rle` returns it, safe to pass to pycocotools. Raises `InputError` as `decode_rle`."""
    try:
        size = read_rle_size(rle)
        safe = encode_runs(read_runs(rle.get("counts"), size), size)
    except DataError as error:
        raise InputError(f"invalid run-length encoding of a mask: {error}") from error
    return {"size": [size[1], size[0]], "counts": safe["counts"].decode("ascii")}


def union_rles(rles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run lengths of the pixels that are in any of some masks of one size."""
    merged = coco.merge([check_rle(rle) for rle in rles])
    return {"size": list(merged["size"]), "counts": merged["counts"].decode("ascii")}


def mask_to_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Tight box x0, y0, x1, y1 (end exclusive) of a mask (H, W); zeros for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def deepest_pixel(mask: NDArray[np.bool_]) -> tuple[int, int, float]:
    """The pixel x, y of a mask (H, W) that is farthest from its border, and its distance; zeros for an empty mask.

    The edge of the image is a border too. Of several such pixels, the first by rows counts.
    """
    from scipy.ndimage import distance_transform_edt

    left, top, right, bottom = mask_to_box(mask)
    if left == right:
        return 0, 0, 0.0
    depth = np.asarray(distance_transform_edt(np.pad(mask[top:bottom, left:right], 1)))[1:-1, 1:-1]
    y, x = divmod(int(depth.argmax()), right - left)
    return left + x, top + y, float(depth[y, x])


def mask_iou(a: "Tensor", b: "Tensor") -> "Tensor":
    """IoU of every pair of masks a (n, H, W) and b (m, H, W): (n, m) float32; 0 for two empty masks."""
    a, b = a.flatten(1).float(), b.flatten(1).float()
    both = a @ b.T
    return both / (a.sum(1)[:, None] + b.sum(1) - both).clamp(min=1)


def masks_at_size(logits: "Tensor", size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask logits (n, h, w) -> masks (n, H, W) for an image of `size` (width, height).

    As the official processor: bilinear resize without antialiasing, then probability above one half.
    """
    import torch.nn.functional as F  # here, so that encoding masks does not load torch

    width, height = size
    masks = np.zeros((len(logits), height, width), dtype=bool)
    step = max(1, CHUNK_PIXELS // (height * width))
    for start in range(0, len(logits), step):
        part = logits[start : start + step].float().unsqueeze(1)
        resized = F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False)
        masks[start : start + step] = (resized.squeeze(1) > 0).cpu().numpy()
    return masks
