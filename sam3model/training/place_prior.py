"""Initial weights with which clicks act where they are, and memory where it was, before anything is learned.

From the usual random weights, a small model needs many thousand steps to find out that a click and the image cell
below it have similar position codes; until then it predicts the same masks for every prompt. With equal projections of
queries and keys, the attention of similar codes is high from the start, if the codes are not drowned by other contents.
In the memory attention, positions are rotations: equal biases of queries and keys look at the same place in earlier
frames.
"""

import torch
from torch import nn

from sam3model.build import Sam3Model
from sam3model.interactive.heads import InteractiveHeads
from sam3model.layers.projected_attention import ProjectedAttention
from sam3model.tracker.tracker_model import Tracker

SHARPNESS = 6.0
"""Attention score, before the softmax, of two equal position codes."""
MARK = 4.0
"""How much more than usual a cell takes from what it attends to."""
LABEL = 1.5
"""Scale of what says that a point is inside: it must be louder than where the point is, to mean the same everywhere."""
CONTENT = 0.3
"""Scale of contents beside position codes, whose entries are sines."""

NEARBY = 12.0
"""Attention score, before the softmax, of a cell with itself in an earlier frame; three cells away it is half."""
SHARP_PAIRS = 4
"""Pairs of rotated channels for each axis that tell neighbouring cells apart: those of the highest frequencies."""


@torch.no_grad()
def prefer_earlier_place(tracker: Tracker, scale: float) -> None:
    """Change the initial weights of a new tracker: a cell looks at its own place in earlier frames.

    scale: standard deviation of the embeddings that the mask heads have learned to read.
    """
    attention = tracker.memory_attention
    for layer in attention.layers:
        cross = layer.get_submodule("cross_attn_image")
        if isinstance(cross, ProjectedAttention):
            _look_straight_back(cross)
            cross.out_proj.weight.mul_(MARK * scale)
    attention.norm.weight.fill_(scale)
    tracker.memory_encoder.pix_feat_proj.weight.div_(scale)  # else the mask would be lost beside the image


def _look_straight_back(attention: ProjectedAttention) -> None:
    """Equal biases in the channels that rotate fastest: the first of the columns' half and of the rows' half."""
    width = attention.q_proj.weight.shape[0] // attention.heads
    pairs = min(SHARP_PAIRS, width // 4)
    value = (NEARBY * width**0.5 / (4 * pairs)) ** 0.5
    for projection in (attention.q_proj, attention.k_proj):
        bias = projection.bias.view(attention.heads, 2, -1)
        bias.zero_()
        bias[:, :, : 2 * pairs] = value


@torch.no_grad()
def prefer_same_place(model: Sam3Model) -> None:
    """Change the initial weights of new interactive heads, and of their level of the neck."""
    heads = model.interactive
    if heads is None:
        return
    _quieten_neck(model)
    _quieten_tokens(heads)
    for layer in heads.mask_decoder.transformer.layers:
        for name in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token"):
            _tie(layer.get_submodule(name))
        layer.get_submodule("cross_attn_image_to_token.out_proj").get_parameter("weight").mul_(MARK)
        for name in ("norm1", "norm2", "norm3", "norm4"):
            layer.get_submodule(name).get_parameter("weight").fill_(CONTENT)
    _tie(heads.mask_decoder.transformer.final_attn_token_to_image)


def _quieten_neck(model: Sam3Model) -> None:
    """Scale the level that codes are added to, to about `CONTENT`."""
    level = model.detector.vision.neck.get_submodule("interactive")[2]  # pyright: ignore[reportIndexIssue]
    for parameter in level.conv_3x3.parameters():
        parameter.mul_(0.5 * CONTENT)


def _quieten_tokens(heads: InteractiveHeads) -> None:
    prompts = heads.prompt_encoder
    for table in (*prompts.point_embeddings, prompts.not_a_point_embed):
        table.get_parameter("weight").mul_(LABEL)
    prompts.no_mask_embed.weight.mul_(0.1 * CONTENT)


def _tie(attention: nn.Module) -> None:
    """Equal projections of queries and keys, without biases, with a score of `SHARPNESS` for equal codes."""
    if not isinstance(attention, ProjectedAttention):
        return
    inner, dim = attention.q_proj.weight.shape
    width = inner // attention.heads
    variance = SHARPNESS / (width**0.5 * dim / 2)  # codes of `dim` sines and cosines have a squared norm of dim / 2
    attention.q_proj.weight.normal_(std=variance**0.5)
    attention.k_proj.weight.copy_(attention.q_proj.weight)
    for projection in (attention.q_proj, attention.k_proj):
        if projection.bias is not None:
            projection.bias.zero_()
