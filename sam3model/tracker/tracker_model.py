"""The tracker's weights and its stages: pure functions of features and memory (official `Sam3TrackerBase`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.blocks import ModelBlocks, ModelWithBlocks
from sam3model.config import DetectorConfig, TrackerConfig
from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures, ObjectPrompt, embedding_side
from sam3model.interactive.mask_decoder import DecodedMasks
from sam3model.interactive.prompt_encoder import resize_mask
from sam3model.layers.convolution import Conv2d
from sam3model.layers.mask_fusion import MASK_STRIDE
from sam3model.layers.mlp import MLP
from sam3model.ops.position import PositionEmbeddingSine
from sam3model.tracker.memory_attention import MemoryAttention
from sam3model.tracker.memory_bank import ObjectOutput, concatenate
from sam3model.tracker.memory_encoder import MemoryEncoder

NO_OBJECT = -1024.0
"""Mask logit of an object that is not visible (official `NO_OBJ_SCORE`)."""

OBJECTS_AT_ONCE = 32
"""Objects in one pass: limits the memory that many objects need at large sizes."""

CERTAIN = 10.0
"""Object score and mask logit of a mask given by a user."""


@dataclass(frozen=True, slots=True)
class MemoryTokens:
    """What the memory attention reads for N objects.

    memory (N, K, M): whole maps, then pointers. position (1, K, M): their codes. rotated: number of tokens in maps.
    """

    memory: Tensor
    position: Tensor
    rotated: int


class Tracker(ModelWithBlocks):
    """Weights of the tracker. The mask heads that it shares with clicks are an argument of its stages."""

    blocks = ModelBlocks(sharded=("memory_attention.layers",), compiled=("memory_attention", "memory_encoder"))

    def __init__(self, detector: DetectorConfig, config: TrackerConfig) -> None:
        super().__init__()
        dim, memory_dim = detector.d_model, config.memory_dim
        self.config = config
        self.grid = embedding_side(detector)
        self.image_size = detector.vit.image_size
        self.memory_encoder = MemoryEncoder(dim, memory_dim, config.fuser_layers, config.memory_mask_stride)
        self.memory_attention = MemoryAttention(dim, config)
        self.mask_downsample = Conv2d(1, 1, 4, stride=4)
        self.obj_ptr_proj = MLP(dim, dim, dim, dim)
        self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim)
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(config.memory_frames, 1, 1, memory_dim))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, dim))  # in the released weights, but not used
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, dim))
        self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, memory_dim))
        for table in (self.maskmem_tpos_enc, self.no_mem_pos_enc, self.no_obj_ptr, self.no_obj_embed_spatial):
            nn.init.trunc_normal_(table, std=0.02)
        self._feature_code = PositionEmbeddingSine(dim)
        self._memory_code = PositionEmbeddingSine(memory_dim)

    @property
    def mask_side(self) -> int:
        """Side of the masks that are prompts, in pixels."""
        return MASK_STRIDE * self.grid

    @property
    def memory_mask_side(self) -> int:
        """Side of the masks that are written to memory, in pixels."""
        return self.config.memory_mask_stride * self.grid

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the model input."""
        return self.image_size, self.image_size

    def predict(
        self,
        heads: InteractiveHeads,
        embedding: Tensor,
        features: ObjectFeatures,
        prompt: ObjectPrompt,
        candidates: bool,
    ) -> ObjectOutput:
        """Masks of N objects from embeddings (N or 1, D, g, g) that include their memory.

        candidates: choose the best of three masks, for prompts that are ambiguous.
        """
        return self.choose(heads, heads.decode(embedding, features, prompt), candidates)

    def choose(self, heads: InteractiveHeads, decoded: DecodedMasks, candidates: bool) -> ObjectOutput:
        """One mask for each of N objects: the best of three, or the single mask."""
        visible = decoded.object_scores > 0  # (N, 1)
        if candidates:
            ious = decoded.ious[:, 1:]
            best = ious.argmax(-1) + 1
            rows = torch.arange(len(best), device=best.device)
            masks, token = decoded.masks[rows, best].unsqueeze(1), decoded.tokens[rows, best]
        else:
            masks, ious = heads.mask_decoder.single_mask(decoded)
            token = decoded.tokens[:, 0]
        masks = torch.where(visible[:, :, None, None], masks.float(), NO_OBJECT)
        return ObjectOutput(masks, ious, self._pointer(token, visible), decoded.object_scores)

    def accept_mask(self, heads: InteractiveHeads, features: ObjectFeatures, masks: Tensor) -> ObjectOutput:
        """A given mask as the output of N objects, (N, 1, side, side) with values in 0..1.

        Its pointer comes from the mask heads on features without memory.
        """
        if len(masks) > OBJECTS_AT_ONCE:
            return concatenate([self.accept_mask(heads, features, some) for some in masks.split(OBJECTS_AT_ONCE)])
        logits = 2 * CERTAIN * masks.float() - CERTAIN
        side = self.mask_side // (self.image_size // self.grid) * 4
        small = self.mask_downsample(masks.to(self.no_obj_ptr.dtype))
        prompt = ObjectPrompt.blank(len(masks), masks.device, small)
        output = self.predict(heads, features.embedding, features, prompt, candidates=False)
        visible = (masks > 0).flatten(1).any(1, keepdim=True)
        return ObjectOutput(
            masks=resize_mask(logits, side),
            ious=torch.ones(len(masks), 1, device=masks.device),
            pointers=self._gate(output.pointers, visible),
            scores=torch.where(visible, CERTAIN, -CERTAIN).float(),
        )

    def write_memory(self, embedding: Tensor, logits: Tensor, scores: Tensor, binary: bool) -> Tensor:
        """Memory maps of N objects, (N, M, g, g).

        Args:
            embedding: (1 or N, D, g, g) without memory.
            logits: masks (N, 1, h, w) of any size.
            scores: (N, 1) object scores; at 0 or below, the map is marked as without object.
            binary: masks that come from a user are binarised; tracked ones stay soft.
        """
        if len(logits) > OBJECTS_AT_ONCE:
            rows = zip(logits.split(OBJECTS_AT_ONCE), scores.split(OBJECTS_AT_ONCE), strict=True)
            return torch.cat([self.write_memory(embedding, some, score, binary) for some, score in rows])
        soft = (logits > 0).float() if binary else logits.float().sigmoid()
        masks = soft * self.config.mask_scale + self.config.mask_bias
        side = self.memory_mask_side
        if masks.shape[-2:] != (side, side):
            masks = resize_mask(masks, side)
        memory = self.memory_encoder(embedding, masks.to(embedding.dtype))
        absent = (scores <= 0).to(memory.dtype)[:, :, None, None]
        memory = memory + absent * self.no_obj_embed_spatial[:, :, None, None]
        return memory.bfloat16().to(memory.dtype) if self.config.bfloat16_memory else memory

    def join_memory(
        self, maps: Sequence[tuple[Tensor, int]], pointers: Sequence[tuple[Tensor, int]], span: int
    ) -> MemoryTokens:
        """Tokens of N objects.

        Args:
            maps: memory maps (N, M, g, g), each with its row of the temporal code.
            pointers: object pointers (N, D), each with its offset.
            span: offset that has position 1.
        """
        grid = maps[0][0].shape[-2:]
        code = self._memory_code.map(*grid, device=maps[0][0].device).flatten(2).transpose(1, 2)  # (1, g*g, M)
        memory = [one.flatten(2).transpose(1, 2) for one, _ in maps]
        position = [code.to(one.dtype) + self.maskmem_tpos_enc[row] for one, row in maps]
        if pointers:
            stacked = torch.stack([pointer for pointer, _ in pointers], dim=1)  # (N, P, D)
            width = self.config.memory_dim
            memory.append(stacked.unflatten(-1, (-1, width)).flatten(1, 2))
            offsets = torch.tensor([offset for _, offset in pointers], device=stacked.device)
            codes = self.obj_ptr_tpos_proj(_sine(offsets / max(span, 1), stacked.shape[-1]).to(stacked.dtype))
            position.append(codes.repeat_interleave(stacked.shape[-1] // width, dim=0).unsqueeze(0))
        return MemoryTokens(torch.cat(memory, 1), torch.cat(position, 1), len(maps) * grid.numel())

    def read_memory(self, embedding: Tensor, tokens: MemoryTokens) -> Tensor:
        """Embedding (1, D, g, g) of a frame -> (N, D, g, g), conditioned on the memory of each object."""
        code = self._feature_code.map(*embedding.shape[-2:], device=embedding.device).to(embedding.dtype)
        return self.memory_attention(embedding, code, tokens.memory, tokens.position, tokens.rotated)

    def _pointer(self, token: Tensor, visible: Tensor) -> Tensor:
        return self._gate(self.obj_ptr_proj(token), visible)

    def _gate(self, pointers: Tensor, visible: Tensor) -> Tensor:
        return torch.where(visible, pointers, self.no_obj_ptr)


def _sine(positions: Tensor, dim: int, temperature: float = 10000.0) -> Tensor:
    """Sine code of positions (P,) -> (P, dim): sines, then cosines (official `get_1d_sine_pe`)."""
    index = torch.arange(dim // 2, device=positions.device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / (dim // 2)
    angles = positions.float().unsqueeze(-1) / temperature**exponent
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def upsample_mask(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of (N, 1, h, w) to (height, width), in float32."""
    if logits.shape[-2:] == size:
        return logits.float()
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
