"""Preprocessing: any image becomes the model input, resized to a square in 8 bits and normalised to -1..1."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sam3model.errors import InputError
from sam3model.ops.rgb import convert_to_rgb

ImageLike = Image.Image | np.ndarray | Tensor

FLOAT_SLACK = 0.5
"""How far floats may leave 0..1, as resizing and sharpening make them; they are clamped."""


def preprocess(image: ImageLike, size: int, device: torch.device | None = None) -> Tensor:
    """Model input (3, size, size) float32 in -1..1; the aspect ratio is not kept, as in the release.

    image: anything that `to_rgb` accepts. device: where the input is needed, by default the CPU. The image moves there
    as bytes, which are a quarter of the floats.

    Raises:
        InputError: not an image.
    """
    return normalise(resize(to_rgb(image), size, size).to(device=device))


def image_size(image: ImageLike) -> tuple[int, int]:
    """Width and height: arrays are (H, W, channels), tensors (channels, H, W)."""
    if isinstance(image, Image.Image):
        return image.size
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    return int(width), int(height)


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear resize of an image (C, H, W) uint8 on the CPU -> (C, height, width) uint8.

    It uses fixed-point arithmetic and rounds to 8 bits between rows and columns.
    """
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image.unsqueeze(0), (height, width), mode="bilinear", antialias=True).squeeze(0)


def normalise(image: Tensor) -> Tensor:
    """8-bit values to float32 in -1..1 (mean 0.5, standard deviation 0.5), bit for bit as in the release."""
    return image.to(torch.float32).mul_(1 / 255).sub_(0.5).div_(0.5)


def quantise(image: Tensor) -> Tensor:
    """Floats in 0..1 to 8 bits as floor(255.999 x), as in the release; values outside are clamped."""
    image = image.to(torch.promote_types(image.dtype, torch.float32))  # in half precision 255.999 would be 256
    return (image.clamp(0, 1) * 255.999).to(torch.uint8)


def to_rgb(image: ImageLike) -> Tensor:
    """Convert an image to RGB, (3, H, W) uint8 on the CPU.

    image: a PIL image of any 8-bit mode, an array (H, W) or (H, W, C), or a tensor (C, H, W). C is 1, 3 or 4; alpha is
    dropped. Arrays and tensors contain bytes, or floats in 0..1.

    Raises:
        InputError: another shape or type, an empty image, or floats outside 0..1.
    """
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise InputError(
                f"an image of mode {image.mode} has more than 8 bits per channel: convert it to 8 bits first"
            )
        image = np.array(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if not isinstance(image, Tensor):
        raise InputError(f"an image must be a PIL image, an array or a tensor, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4) or 0 in image.shape:
        raise InputError(
            f"an image of shape {tuple(image.shape)} (channels first) must have 1, 3 or 4 channels and not be empty"
        )
    if image.is_floating_point():
        _check_floats(image)
        image = quantise(image)
    elif image.dtype != torch.uint8:
        raise InputError(f"an image must contain bytes or floats in 0..1, not {image.dtype}")
    return image[:3].expand(3, -1, -1).cpu()


def _check_floats(image: Tensor) -> None:
    """Raise `InputError` for floats that are clearly not in 0..1: clamped to white, they would be searched in vain."""
    low, high = (float(extreme) for extreme in image.aminmax())
    if not (low >= -FLOAT_SLACK and high <= 1 + FLOAT_SLACK):  # also if one is NaN
        hint = ": divide it by 255 or convert it to bytes" if high > 1 + FLOAT_SLACK else ""
        raise InputError(f"an image of floats must be in 0..1, but this one has {low:g} to {high:g}{hint}")


def on_white(image: ImageLike) -> ImageLike:
    """The same image with transparent parts on white, as image files are read; `to_rgb` and the release drop alpha.

    image: anything that `to_rgb` accepts; an image without alpha is returned as it is.
    """
    if isinstance(image, Image.Image):
        return convert_to_rgb(image) if image.has_transparency_data else image
    if not isinstance(image, np.ndarray | Tensor) or image.ndim != 3 or 0 in image.shape:
        return image  # `to_rgb` says what is wrong
    if image.shape[2 if isinstance(image, np.ndarray) else 0] != 4:
        return image
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8:
            return np.array(convert_to_rgb(Image.fromarray(np.ascontiguousarray(image))))
        return image[..., :3] * image[..., 3:] + (1 - image[..., 3:])
    if image.dtype == torch.uint8:
        return torch.from_numpy(on_white(image.permute(1, 2, 0).cpu().numpy())).permute(2, 0, 1)
    return image[:3] * image[3:] + (1 - image[3:])


def _from_array(array: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) array to a channels-first tensor, channels last in memory."""
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"an image must contain bytes or floats in 0..1, not {array.dtype}")
    if array.dtype.itemsize > 8 or not array.dtype.isnative:  # torch has no such floats; FITS files have them
        array = array.astype(np.float64)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise InputError(f"an array of shape {array.shape} is not an image: expected (H, W) or (H, W, C)")
    # PIL returns read-only arrays, which torch cannot wrap: they are copied.
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).permute(2, 0, 1)
