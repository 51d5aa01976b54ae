"""The image model: encode a picture once, ask it with many prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sam3model.backbone import VisionBackbone
from sam3model.config import DetectorConfig
from sam3model.detector.decoder import Decoder, DecoderOutput
from sam3model.detector.fusion import FusionEncoder
from sam3model.detector.geometry import GeometryEncoder
from sam3model.detector.scoring import DotProductScoring
from sam3model.detector.segmentation_head import SegmentationHead
from sam3model.structures import (
    Correction,
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
    """What the decoder says of P prompts, before any mask is made.

    memory (P, H*W, D) image tokens that have seen the prompt.
    prompt (P, K, D) text and geometry tokens with padding prompt_mask (P, K).
    queries (P, Q, D) normed output of the last layer; logits (P, Q) without presence; presence (P,) logit;
    boxes (P, Q, 4) normalised cxcywh.
    one_to_many, one_to_many_queries: the second half of the queries, in training.
    aux, aux_one_to_many, aux_presence: the earlier layers in order, in training.
    """

    memory: Tensor
    prompt: Tensor
    prompt_mask: Tensor
    queries: Tensor
    logits: Tensor
    boxes: Tensor
    presence: Tensor
    one_to_many: QueryOutputs | None = None
    one_to_many_queries: Tensor | None = None
    aux: tuple[QueryOutputs, ...] = ()
    aux_one_to_many: tuple[QueryOutputs, ...] = ()
    aux_presence: tuple[Tensor, ...] = ()


class Sam3ImageModel(nn.Module):
    """SAM 3 for pictures (arXiv 2511.16719; official `Sam3Image`)."""

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
        """Do once what the masks of all prompts share; the finer levels, which nothing else reads, are let go."""
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
        """Boxes and points of P prompts on the pictures that `image_index` (P,) names; None: the class token alone."""
        return self.geometry(prompt, features, image_index)

    def fuse_and_decode(
        self, features: ImageFeatures, text: TextTokens, geometry: PromptTokens, image_index: Tensor
    ) -> Grounding:
        """Everything but masks: P prompts (text, then geometry) over the pictures that `image_index` (P,) names."""
        prompt = PromptTokens(
            torch.cat((text.tokens, geometry.tokens), dim=1), torch.cat((text.mask, geometry.mask), dim=1)
        )
        memory = self.fusion(features, prompt, image_index)
        layers = self.decoder(memory, features.positions[-1], prompt)
        pooled = self.scoring.pool(prompt.tokens, prompt.mask)
        *aux, main = [self._split(layer, pooled) for layer in (layers if self.training else layers[-1:])]
        number = main[0].logits.shape[1]
        last = layers[-1]
        return Grounding(
            memory=memory,
            prompt=prompt.tokens,
            prompt_mask=prompt.mask,
            queries=last.queries[:, :number],
            logits=main[0].logits,
            boxes=main[0].boxes,
            presence=last.presence,
            one_to_many=main[1],
            one_to_many_queries=last.queries[:, number:] if main[1] else None,
            aux=tuple(first for first, _ in aux),
            aux_one_to_many=tuple(second for _, second in aux if second),
            aux_presence=tuple(layer.presence for layer in layers[:-1]) if self.training else (),
        )

    def decode_masks(
        self, grounding: Grounding, features: ImageFeatures, image_index: Tensor, select: Tensor | None = None
    ) -> Tensor:
        """Mask logits at the finest level: all (P, Q, H, W), or (K, H, W) for `select` (K, 2) rows of (prompt, query).

        The pixel decoder runs for the prompts that `select` names and for no other.
        """
        if select is None:
            pixels = self._pixels(grounding, features, image_index)
            return self.segmentation.masks(grounding.queries, pixels)
        features = self.prepare_masks(features)
        height, width = (*features.levels, *(features.laterals or ()))[-1].shape[-2:]
        masks = grounding.memory.new_empty(len(select), height, width)
        for prompt in select[:, 0].unique():
            rows = (select[:, 0] == prompt).nonzero().squeeze(-1)
            pixels = self._pixels(grounding, features, image_index, prompt.unsqueeze(0))
            queries = grounding.queries[prompt, select[rows, 1]].unsqueeze(0)  # (1, K_p, D)
            masks[rows] = self.segmentation.masks(queries, pixels)[0].to(masks.dtype)
        return masks

    def forward(
        self,
        pixels: Tensor,
        ids: Tensor,
        prompt: GeometryPrompt | None,
        image_index: Tensor,
        mask_prompts: Tensor | None = None,
        corrections: Sequence[Correction] = (),
    ) -> Detections:
        """Pictures (B, 3, S, S), token ids (P, T), geometry of P prompts, picture of each prompt (P,) -> detections.

        In training mode the one-to-many queries and the earlier layers are there too. `mask_prompts` (P,) bool chooses
        the prompts that get masks: masks and semantic maps then have one row per chosen prompt, in order, instead of P
        rows; if none is chosen they are None. After each of the `corrections` the prompts are asked once more, of the
        same encoded pictures and phrases.
        """
        features = self.encode_image(pixels)
        text = self.encode_text(ids)
        chosen = None if mask_prompts is None else mask_prompts.nonzero().squeeze(-1)
        if corrections and (chosen is None or len(chosen)):
            features = self.prepare_masks(features)
        found = [self._detect(features, text, prompt, image_index, chosen)]
        for correct in corrections:
            prompt = correct(found[-1], prompt)
            found.append(self._detect(features, text, prompt, image_index, chosen))
        return replace(found[-1], before=tuple(found[:-1])) if corrections else found[0]

    def _detect(
        self,
        features: ImageFeatures,
        text: TextTokens,
        prompt: GeometryPrompt | None,
        image_index: Tensor,
        chosen: Tensor | None,
    ) -> Detections:
        """One pass of all prompts over encoded pictures; masks for the `chosen` ones (None: for all)."""
        geometry = self.encode_geometry(prompt, features, image_index)
        grounding = self.fuse_and_decode(features, text, geometry, image_index)
        masks, masks_one_to_many, semantic = self._all_masks(grounding, features, image_index, chosen)
        one_to_many = grounding.one_to_many
        if one_to_many is not None:
            one_to_many = QueryOutputs(one_to_many.logits, one_to_many.boxes, masks_one_to_many, chosen)
        return Detections(
            main=QueryOutputs(grounding.logits, grounding.boxes, masks, chosen),
            presence=grounding.presence,
            queries=grounding.queries,
            semantic=semantic,
            one_to_many=one_to_many,
            aux=grounding.aux,
            aux_one_to_many=grounding.aux_one_to_many,
            aux_presence=grounding.aux_presence,
        )

    def _split(self, layer: DecoderOutput, pooled: Tensor) -> tuple[QueryOutputs, QueryOutputs | None]:
        """Scored outputs of one layer: the ordinary queries and, in training, the one-to-many ones."""
        logits = self.scoring.score(layer.queries, pooled)
        number = self.config.decoder.queries
        first = QueryOutputs(logits[:, :number], layer.boxes[:, :number])
        if logits.shape[1] == number:
            return first, None
        return first, QueryOutputs(logits[:, number:], layer.boxes[:, number:])

    def _pixels(
        self, grounding: Grounding, features: ImageFeatures, image_index: Tensor, chosen: Tensor | None = None
    ) -> Tensor:
        """Pixel decoder output of all prompts, or of the `chosen` (P',) ones: (P', D, H, W)."""
        memory, prompt = grounding.memory, PromptTokens(grounding.prompt, grounding.prompt_mask)
        if chosen is not None:
            memory, prompt = memory[chosen], PromptTokens(prompt.tokens[chosen], prompt.mask[chosen])
            image_index = image_index[chosen]
        return self.segmentation.pixels(memory, prompt, features, image_index)

    def _all_masks(
        self, grounding: Grounding, features: ImageFeatures, image_index: Tensor, chosen: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Masks of ordinary and of one-to-many queries, and semantic maps, of all or of the `chosen` prompts."""
        if chosen is not None and len(chosen) == 0:
            return None, None, None
        pixels = self._pixels(grounding, features, image_index, chosen)
        queries, number = grounding.queries, grounding.queries.shape[1]
        if grounding.one_to_many_queries is not None:
            queries = torch.cat((queries, grounding.one_to_many_queries), dim=1)
        queries = queries if chosen is None else queries[chosen]
        masks, semantic = self.segmentation.masks_and_semantic(queries, pixels)
        one_to_many = None if grounding.one_to_many is None else masks[:, number:]
        return masks[:, :number], one_to_many, semantic
