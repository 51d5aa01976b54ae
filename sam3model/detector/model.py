"""The image model: an image is encoded once and prompted any number of times."""

from collections import defaultdict
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sam3model.backbone import VisionBackbone
from sam3model.blocks import ModelBlocks, ModelWithBlocks
from sam3model.config import DetectorConfig
from sam3model.detector.decoder import Decoder, DecoderOutput
from sam3model.detector.fusion import FusionEncoder
from sam3model.detector.geometry import GeometryEncoder
from sam3model.detector.scoring import DotProductScoring
from sam3model.detector.segmentation_head import SegmentationHead
from sam3model.structures import (
    Detections,
    GeometryPrompt,
    ImageFeatures,
    PromptTokens,
    QueryOutputs,
    TextTokens,
)
from sam3model.text import VETextEncoder


@dataclass(frozen=True, slots=True)
class Grounding:
    """Scores and boxes of P prompts, and what their masks are made from.

    memory (P, H*W, D): image tokens that have attended to the prompt.
    prompt (P, K, D): text and geometry tokens; prompt_mask (P, K): their padding.
    queries (P, Q, D): normalised output of the last decoder layer. boxes (P, Q, 4): normalised cxcywh.
    logits (P, Q): without presence. presence (P,): logit that the phrase is in the image.
    """

    memory: Tensor
    prompt: Tensor
    prompt_mask: Tensor
    queries: Tensor
    logits: Tensor
    boxes: Tensor
    presence: Tensor


class Sam3ImageModel(ModelWithBlocks):
    """SAM 3 for images (arXiv 2511.16719; official `Sam3Image`)."""

    blocks = ModelBlocks(
        sharded=("vision.trunk.blocks", "text.encoder.transformer.resblocks", "fusion.layers", "decoder.layers"),
        checkpointed=("vision.trunk", "fusion", "decoder"),
        compiled=("vision", "text", "fusion", "decoder", "segmentation.pixel_decoder"),
    )

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = VisionBackbone(config)
        self.text = VETextEncoder(config.text, config.d_model)
        self.geometry = GeometryEncoder(config)
        self.fusion = FusionEncoder(config)
        self.decoder = Decoder(config)
        self.scoring = DotProductScoring(config)
        self.segmentation = SegmentationHead(config)

    def encode_image(self, pixels: Tensor, *, keep_trunk: bool = False) -> ImageFeatures:
        """Normalised images (B, 3, S, S) -> feature pyramid; `keep_trunk` keeps what `vision.pyramid` needs."""
        return self.vision(pixels, keep_trunk=keep_trunk)

    def prepare_masks(self, features: ImageFeatures) -> ImageFeatures:
        """Compute once what the masks of all prompts share. Drops the finer levels, which nothing else reads."""
        if features.laterals is not None:
            return features
        laterals = self.segmentation.pixel_decoder.laterals(features.levels[:-1])
        return replace(features, levels=features.levels[-1:], positions=features.positions[-1:], laterals=laterals)

    def encode_text(self, ids: Tensor) -> TextTokens:
        """Token ids (P, T) int64, 0 = padding -> text tokens."""
        return self.text(ids)

    def encode_geometry(
        self, prompt: GeometryPrompt | None, features: ImageFeatures, image_index: Tensor
    ) -> PromptTokens:
        """Boxes and points of P prompts on the images `image_index` (P,) -> tokens; None: only the class token."""
        return self.geometry(prompt, features, image_index)

    def fuse_and_decode(
        self, features: ImageFeatures, text: TextTokens, geometry: PromptTokens, image_index: Tensor
    ) -> Grounding:
        """Find P prompts (text and geometry tokens) in the images `image_index` (P,): everything but the masks."""
        prompt = join_tokens(text, geometry)
        memory = self.fusion(features, prompt, image_index)
        last = self.decoder(memory, features.positions[-1], prompt)[-1]
        count = self.config.decoder.queries  # in training, the one-to-many queries follow
        logits = self.scoring.score(last.queries, self.scoring.pool(prompt.tokens, prompt.mask))
        return Grounding(
            memory=memory,
            prompt=prompt.tokens,
            prompt_mask=prompt.mask,
            queries=last.queries[:, :count],
            logits=logits[:, :count],
            boxes=last.boxes[:, :count],
            presence=last.presence,
        )

    def decode_masks(
        self, grounding: Grounding, features: ImageFeatures, image_index: Tensor, select: Tensor | None = None
    ) -> Tensor:
        """Mask logits at the finest level: all (P, Q, H, W), or (K, H, W) for `select` (K, 2) rows of (prompt, query).

        The pixel decoder runs once for each prompt in `select`.
        """
        prompt = PromptTokens(grounding.prompt, grounding.prompt_mask)
        if select is None:
            pixels = self.segmentation.pixels(grounding.memory, prompt, features, image_index)
            return self.segmentation.masks(grounding.queries, pixels)
        features = self.prepare_masks(features)
        height, width = (*features.levels, *(features.laterals or ()))[-1].shape[-2:]
        masks = grounding.memory.new_empty(len(select), height, width)
        rows_of = defaultdict[int, list[int]](list)
        for row, number in enumerate(select[:, 0].tolist()):  # one wait for the device, however many prompts there are
            rows_of[number].append(row)
        for number, own in rows_of.items():
            rows = torch.tensor(own, device=select.device)
            pixels = self._pixels(grounding.memory, prompt, features, image_index, slice(number, number + 1))
            queries = grounding.queries[number].index_select(0, select[rows, 1]).unsqueeze(0)  # (1, K_p, D)
            masks[rows] = self.segmentation.masks(queries, pixels)[0].to(masks.dtype)
        return masks

    def forward(
        self,
        pixels: Tensor,
        ids: Tensor,
        prompt: GeometryPrompt | None,
        image_index: Tensor,
        mask_prompts: Tensor | None = None,
    ) -> Detections:
        """Images (B, 3, S, S), token ids (P, T), geometry of P prompts, image of each prompt (P,) -> detections.

        mask_prompts (P,) bool: prompts that get masks, all by default. Masks and semantic maps then have one row per
        selected prompt, in order; if none is selected, they are None.
        """
        return self.detect(self.encode_image(pixels), self.encode_text(ids), prompt, image_index, mask_prompts)

    def detect(
        self,
        features: ImageFeatures,
        text: TextTokens,
        prompt: GeometryPrompt | None,
        image_index: Tensor,
        mask_prompts: Tensor | None = None,
    ) -> Detections:
        """`forward` on encoded inputs. In training mode, returns earlier layers and one-to-many queries as well."""
        tokens = join_tokens(text, self.encode_geometry(prompt, features, image_index))
        memory = self.fusion(features, tokens, image_index)
        layers = self.decoder(memory, features.positions[-1], tokens)
        pooled = self.scoring.pool(tokens.tokens, tokens.mask)
        *aux, (main, one_to_many) = [self._score(layer, pooled) for layer in (layers if self.training else layers[-1:])]
        count, queries = self.config.decoder.queries, layers[-1].queries
        rows = None if mask_prompts is None else mask_prompts.nonzero().squeeze(-1)
        semantic = None
        if rows is None or len(rows):
            pixels = self._pixels(memory, tokens, features, image_index, rows)
            masks, semantic = self.segmentation.masks_and_semantic(queries if rows is None else queries[rows], pixels)
            main = replace(main, masks=masks[:, :count])
            one_to_many = one_to_many and replace(one_to_many, masks=masks[:, count:])
        return Detections(
            main=replace(main, mask_rows=rows),
            presence=layers[-1].presence,
            queries=queries[:, :count],
            semantic=semantic,
            one_to_many=one_to_many and replace(one_to_many, mask_rows=rows),
            aux=tuple(first for first, _ in aux),
            aux_one_to_many=tuple(second for _, second in aux if second),
            aux_presence=tuple(layer.presence for layer in layers[:-1]) if self.training else (),
        )

    def _score(self, layer: DecoderOutput, pooled: Tensor) -> tuple[QueryOutputs, QueryOutputs | None]:
        """Scored outputs of one layer: the ordinary queries and, in training, the one-to-many queries."""
        logits = self.scoring.score(layer.queries, pooled)
        count = self.config.decoder.queries
        first = QueryOutputs(logits[:, :count], layer.boxes[:, :count])
        if logits.shape[1] == count:
            return first, None
        return first, QueryOutputs(logits[:, count:], layer.boxes[:, count:])

    def _pixels(
        self,
        memory: Tensor,
        prompt: PromptTokens,
        features: ImageFeatures,
        image_index: Tensor,
        rows: Tensor | slice | None,
    ) -> Tensor:
        """Pixel decoder output (P', D, H, W) of the prompts `rows` (P',); None: of all."""
        if rows is not None:
            memory, prompt = memory[rows], PromptTokens(prompt.tokens[rows], prompt.mask[rows])
            image_index = image_index[rows]
        return self.segmentation.pixels(memory, prompt, features, image_index)


def join_tokens(text: TextTokens, geometry: PromptTokens) -> PromptTokens:
    """Text tokens, then geometry tokens, of the same prompts."""
    return PromptTokens(torch.cat((text.tokens, geometry.tokens), dim=1), torch.cat((text.mask, geometry.mask), dim=1))
