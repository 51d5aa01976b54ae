"""The interactive part of the model: one object per prompt, on an image that is encoded once."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam3model.config import DetectorConfig, InteractiveConfig
from sam3model.errors import ConfigError
from sam3model.interactive.mask_decoder import DecodedMasks, MaskDecoder
from sam3model.interactive.prompt_encoder import PADDING, PromptEncoder


@dataclass(frozen=True, slots=True)
class ObjectFeatures:
    """What the interactive heads and the tracker read of B images.

    embedding (B, D, g, g): coarsest level of the neck head, before any memory is added.
    fine (B, D/8, 4g, 4g) and middle (B, D/4, 2g, 2g): finer levels after the 1x1 convolutions of the mask decoder.
    """

    embedding: Tensor
    fine: Tensor
    middle: Tensor


@dataclass(frozen=True, slots=True)
class ObjectPrompt:
    """Prompts of N objects.

    points (N, K, 2) in pixels of the model input; labels (N, K): 1 inside, 0 outside, 2 and 3 the corners of a box, -1
    padding. mask (N, 1, h, w): logits of an earlier mask, or None.
    """

    points: Tensor
    labels: Tensor
    mask: Tensor | None = None

    @classmethod
    def blank(cls, count: int, device: torch.device, mask: Tensor | None = None) -> "ObjectPrompt":
        """No clicks: a single padding point for each of `count` objects, as the official code has it."""
        points = torch.zeros(count, 1, 2, device=device)
        return cls(points, torch.full((count, 1), PADDING, device=device), mask)


class InteractiveHeads(nn.Module):
    """Prompt encoder, mask decoder, and the embedding that stands for an empty memory (official `no_mem_embed`)."""

    def __init__(self, detector: DetectorConfig, config: InteractiveConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = embedding_side(detector)
        self.prompt_encoder = PromptEncoder(detector.d_model, detector.vit.image_size, self.grid, config.mask_channels)
        self.mask_decoder = MaskDecoder(detector.d_model, config)
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, detector.d_model))
        nn.init.trunc_normal_(self.no_mem_embed, std=0.02)

    @property
    def projections(self) -> tuple[nn.Conv2d, nn.Conv2d, None]:
        """What the levels of the neck head pass through, finest first."""
        return self.mask_decoder.conv_s0, self.mask_decoder.conv_s1, None

    def features(self, pyramid: tuple[Tensor, ...], projected: bool = False) -> ObjectFeatures:
        """From the levels of a neck head, finest first; `projected`: `projections` have been applied to them."""
        fine, middle, embedding = pyramid
        if not projected:
            fine, middle = self.mask_decoder.conv_s0(fine), self.mask_decoder.conv_s1(middle)
        return ObjectFeatures(embedding, fine, middle)

    def without_memory(self, embedding: Tensor) -> Tensor:
        """Embedding (B, D, g, g) of images that have no memory."""
        return embedding + self.no_mem_embed.view(1, -1, 1, 1)

    def decode(self, embedding: Tensor, features: ObjectFeatures, prompt: ObjectPrompt) -> DecodedMasks:
        """Masks of N prompted objects on embeddings (N or 1, D, g, g) that include their memory."""
        sparse = self.prompt_encoder.encode_points(prompt.points, prompt.labels)
        dense = self.prompt_encoder.encode_mask(prompt.mask, len(sparse))
        position = self.prompt_encoder.dense_position()
        return self.mask_decoder(embedding, position, sparse, dense, (features.fine, features.middle))


def embedding_side(detector: DetectorConfig) -> int:
    """Cells along one side of the coarsest level that the interactive head of the neck computes.

    Raises:
        ConfigError: the neck has no such head, or its levels are not three, each half of the one before.
    """
    if detector.neck.interactive is None:
        raise ConfigError("interactive heads need a neck head of that name: set detector.neck.interactive")
    scales = detector.neck.used("interactive")
    if len(scales) != 3 or scales[0] != 2 * scales[1] or scales[1] != 2 * scales[2]:
        raise ConfigError(f"interactive heads need three neck levels, each half of the one before, not {scales}")
    return int(detector.vit.grid * scales[-1])
