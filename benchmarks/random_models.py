"""Models with seeded random weights, made on their device: speed does not depend on the values of weights."""

from dataclasses import replace

import torch
from torch import nn

from sam3model.build import no_memory
from sam3model.config import DetectorConfig, sam3
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import DTYPES, INT8
from sam3model.layers.int8_layers import Int8Linear
from sam3model.quantise import quantise

RESIDUAL_EXITS = ("out_proj.weight", "attn.proj.weight", "fc2.weight", "linear2.weight", "c_proj.weight")
"""Layers whose output is added to a residual stream: smaller, so that activations keep their size at any depth."""

EMBEDDINGS = ("embed.weight", "embedding.weight", "pos_embed", "reference_points.weight")


def global_blocks(depth: int) -> tuple[int, ...]:
    """Every eighth block of a trunk and the last one have global attention."""
    return tuple(sorted({*range(7, depth, 8), depth - 1}))


def released_detector(image_size: int = 1008, depth: int = 32) -> DetectorConfig:
    """The sizes of the released image model, with another input or a shallower trunk."""
    config = sam3().detector
    vit = replace(config.vit, image_size=image_size, depth=depth, global_blocks=global_blocks(depth))
    return replace(config, vit=vit)


def random_image_model(config: DetectorConfig, dtype: str) -> Sam3ImageModel:
    """An image model on the CPU in a precision by its name, `int8` included; it never takes more memory."""
    with no_memory():
        model = Sam3ImageModel(config)
    model = model.to(torch.bfloat16 if dtype == INT8 else DTYPES[dtype])
    if dtype == INT8:
        quantise(model)
    model.to_empty(device="cpu")
    randomise(model, buffers=True)
    return model.eval()


@torch.no_grad()
def randomise(model: nn.Module, buffers: bool = False, seed: int = 0) -> None:
    """Draw every parameter on its device, also `buffers` if asked for; activations keep their size at any depth."""
    drawn = [*model.named_parameters(), *(model.named_buffers() if buffers else ())]
    for number, (name, tensor) in enumerate(drawn):
        generator = torch.Generator(tensor.device).manual_seed(seed + number)
        if not tensor.is_floating_point():
            tensor.random_(-127, 128, generator=generator)
            continue
        tensor.normal_(generator=generator)
        if tensor.ndim <= 1:
            tensor.mul_(0.1).add_(1.0 if name.endswith("weight") else 0.0)
        elif not name.endswith(EMBEDDINGS):
            tensor.mul_((0.3 if name.endswith(RESIDUAL_EXITS) else 1.0) / tensor[0].numel() ** 0.5)
    for name, layer in model.named_modules():
        if isinstance(layer, Int8Linear):
            gain = 0.3 if f"{name}.weight".endswith(RESIDUAL_EXITS) else 1.0
            layer.scale.fill_(gain / (73 * layer.values.shape[1] ** 0.5))  # the standard deviation of values is 73
