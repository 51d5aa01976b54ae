"""Weights of the small `Sam3VideoModel`, by a rule over transformers' names, so that they need no file."""

import numpy as np
from torch import Tensor

from tests.model.weight_rule import draw_plain

SALT = 52
UNIT_TABLES = ("embed.weight", "points.weight", "token.weight", "embedding.weight", "position_embeddings")
RESIDUAL_EXITS = ("o_proj.weight", "out_proj.weight", "fc2.weight", "box_head.layer3.weight", "linear2.weight")
MEMORY_SCALES = {
    ("memory_attention.", ".o_proj."): 10.0,
    ("memory_attention.", ".cross_attn_image.k_proj."): 6.0,
    ("memory_encoder.projection.",): 3.0,
    ("memory_encoder.mask_downsampler.final_conv.",): 4.0,
    ("mask_decoder.conv_s",): 0.3,
}
"""Without them, masks hardly depend on the memory, and all objects look the same."""


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of the model."""
    name = name.replace("prompt_encoder.shared_embedding.", "shared_image_embedding.")
    value = draw_plain(name, shape, SALT)
    if name.endswith(UNIT_TABLES):
        return value * float(np.sqrt(shape[-1]))
    if name.endswith(RESIDUAL_EXITS):
        value = value * 0.3
    for parts, scale in MEMORY_SCALES.items():
        if all(part in name for part in parts):
            value = value * scale
    return value
