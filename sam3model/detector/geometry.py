"""Geometry encoder: tokens from the boxes, points and (optionally) masks of a prompt and from the image."""

import torch
from torch import Tensor, nn

from sam3model.config import DetectorConfig
from sam3model.detector.mask_prompt import MaskPromptEncoder
from sam3model.errors import InputError
from sam3model.layers.convolution import Conv2d
from sam3model.layers.init import xavier_
from sam3model.layers.transformer import EncoderLayer
from sam3model.ops.boxes import cxcywh_to_xyxy
from sam3model.ops.position import PositionEmbeddingSine
from sam3model.ops.roi_align import roi_align, sample_points
from sam3model.structures import GeometryPrompt, ImageFeatures, PromptTokens


class GeometryEncoder(nn.Module):
    """Official `SequenceGeometryEncoder`: tokens for points, boxes and one class token, with padding last."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        dim, roi = config.d_model, config.geometry.roi_size
        self.roi_size = roi
        self.position = PositionEmbeddingSine(dim)
        self.label_embed = nn.Embedding(2, dim)
        self.cls_embed = nn.Embedding(1, dim)
        self.points_direct_project = nn.Linear(2, dim)
        self.points_pool_project = nn.Linear(dim, dim)
        self.points_pos_enc_project = nn.Linear(dim, dim)
        self.boxes_direct_project = nn.Linear(4, dim)
        self.boxes_pool_project = Conv2d(dim, dim, roi)
        self.boxes_pos_enc_project = nn.Linear(dim + 2, dim)
        self.final_proj = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.img_pre_norm = nn.LayerNorm(dim)
        self.encode = nn.ModuleList(
            EncoderLayer(dim, config.heads, config.geometry.ffn, config.dropout) for _ in range(config.geometry.layers)
        )
        self.encode_norm = nn.LayerNorm(dim)
        self.mask_encoder = MaskPromptEncoder(dim) if config.geometry.mask_encoder else None
        xavier_(self)

    def forward(self, prompt: GeometryPrompt | None, features: ImageFeatures, image_index: Tensor) -> PromptTokens:
        """Encode P prompts; None stands for P prompts without geometry, i.e. with the class token alone.

        Mask tokens come after the others; prompts with masks, but without boxes or points, have mask tokens alone.

        Raises:
            InputError: the prompt has masks, but the model has no mask encoder.
        """
        if prompt is None:
            return self._class_token(features, image_index)
        parts = []
        elements = prompt.boxes.shape[1] + prompt.points.shape[1]
        if elements or prompt.masks is None:
            embedded = self.embed(prompt, features, image_index)
            attended = self._attend(embedded.tokens, features, padding=embedded.mask, key_index=image_index)
            parts.append(PromptTokens(attended, embedded.mask))
        if prompt.masks is not None:
            parts.append(self._mask_tokens(prompt.masks, features, image_index))
        return parts[0] if len(parts) == 1 else _pack(parts)

    def embed(self, prompt: GeometryPrompt, features: ImageFeatures, image_index: Tensor) -> PromptTokens:
        """Tokens (P, N+1, D) of points, boxes and class token, and padding (P, N+1), before the layers."""
        dtype = self.cls_embed.weight.dtype
        image = self._normed_image(features, image_index)  # (P or 1, H, W, D)
        parts = []
        if prompt.points.shape[1]:
            parts.append(PromptTokens(self._embed_points(prompt, image, dtype), prompt.point_mask))
        if prompt.boxes.shape[1]:
            parts.append(PromptTokens(self._embed_boxes(prompt, image, dtype), prompt.box_mask))
        cls = self.cls_embed.weight.expand(len(image_index), 1, -1)
        sequence = _pack([*parts, PromptTokens(cls, _no_padding(cls))])
        return PromptTokens(self.norm(self.final_proj(sequence.tokens)), sequence.mask)

    def pool_boxes(self, boxes: Tensor, image: Tensor) -> Tensor:
        """RoI features (P, N, D, roi, roi) of normalised cxcywh boxes in normed image features (P or 1, H, W, D)."""
        height, width = image.shape[1:3]
        scale = boxes.new_tensor([width, height, width, height])
        return roi_align(image, cxcywh_to_xyxy(boxes) * scale, self.roi_size)

    def _embed_points(self, prompt: GeometryPrompt, image: Tensor, dtype: torch.dtype) -> Tensor:
        points = prompt.points.float()
        return (
            self.points_direct_project(points.to(dtype))
            + self.points_pool_project(sample_points(image, points))
            + self.points_pos_enc_project(self.position.encode_points(points).to(dtype))
            + self.label_embed(prompt.point_labels)
        )  # (P, Np, D)

    def _embed_boxes(self, prompt: GeometryPrompt, image: Tensor, dtype: torch.dtype) -> Tensor:
        boxes = prompt.boxes.float()
        regions = self.pool_boxes(boxes, image).flatten(0, 1)  # (P*Nb, D, roi, roi)
        return (
            self.boxes_direct_project(boxes.to(dtype))
            + self.boxes_pool_project(regions).view(*boxes.shape[:2], self.boxes_pool_project.out_channels)
            + self.boxes_pos_enc_project(self.position.encode_boxes(boxes).to(dtype))
            + self.label_embed(prompt.box_labels)
        )  # (P, Nb, D)

    def _class_token(self, features: ImageFeatures, image_index: Tensor) -> PromptTokens:
        """The class token depends on the image alone, so it is encoded once per image."""
        images = features.levels[-1].shape[0]
        token = self.norm(self.final_proj(self.cls_embed.weight)).expand(images, 1, -1)
        tokens = self._attend(token, features).index_select(0, image_index)  # (P, 1, D)
        return PromptTokens(tokens, _no_padding(tokens))

    def _attend(
        self,
        tokens: Tensor,
        features: ImageFeatures,
        *,
        padding: Tensor | None = None,
        key_index: Tensor | None = None,
    ) -> Tensor:
        """The transformer layers: tokens (P, N, D) attend to each other and to their image."""
        value = features.levels[-1].flatten(2).transpose(1, 2)  # (B, H*W, D)
        key = value + features.positions[-1].flatten(2).transpose(1, 2).to(value.dtype)
        for layer in self.encode:
            tokens = layer(tokens, key, value, padding=padding, memory_index=key_index)
        return self.encode_norm(tokens)

    def _mask_tokens(self, masks: Tensor, features: ImageFeatures, image_index: Tensor) -> PromptTokens:
        if self.mask_encoder is None:
            raise InputError("this model has no mask encoder: use boxes or points instead of masks")
        image = self._normed_image(features, image_index).permute(0, 3, 1, 2)
        tokens = self.mask_encoder(masks, image, features.positions[-1])
        return PromptTokens(tokens, _no_padding(tokens))

    def _normed_image(self, features: ImageFeatures, image_index: Tensor) -> Tensor:
        """Layer-normed image features of each prompt, (P, H, W, D); (1, H, W, D) if there is one image."""
        image = self.img_pre_norm(features.levels[-1].permute(0, 2, 3, 1))
        return image if image.shape[0] == 1 else image.index_select(0, image_index)


def _no_padding(tokens: Tensor) -> Tensor:
    return torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


def _pack(parts: list[PromptTokens]) -> PromptTokens:
    """Concatenate along the sequence and move padding to the end; the order stays otherwise."""
    tokens = torch.cat([part.tokens for part in parts], dim=1)
    mask = torch.cat([part.mask for part in parts], dim=1)
    order = mask.to(torch.uint8).argsort(dim=1, stable=True)
    return PromptTokens(tokens.gather(1, order.unsqueeze(-1).expand_as(tokens)), mask.gather(1, order))
