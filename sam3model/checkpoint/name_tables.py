"""Tensor names of each part in the three layouts: ours ("native"), the official checkpoints, and transformers.

Each part has a table without prefixes. Its entries name native tensors by a pattern (`*` stands for a number) and the
tensors that hold the same values elsewhere; if they are packed differently (query, key and value) or transposed, they
say how. Sources: the released key lists of SAM 3 and 3.1, and transformers' `Sam3Model` and `Sam3VideoModel` (5.24).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Transform = Literal["copy", "split3", "transpose", "drop_first_row", "row", "repeated"]
"""How the foreign tensors hold the values. row: the native tensor is one row, with the index in its name, of a table.
repeated: each foreign tensor holds all of them; others than the first may be missing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One native tensor, or a pattern of them, and its place in the other layout."""

    native: str
    foreign: tuple[str, ...]
    transform: Transform = "copy"


OFFICIAL_PREFIXES = (
    ("vision.trunk.", "backbone.vision_backbone.trunk."),
    ("text.", "backbone.language_backbone."),
    ("geometry.", "geometry_encoder."),
    ("fusion.", "transformer.encoder."),
    ("decoder.", "transformer.decoder."),
    ("scoring.", "dot_prod_scoring."),
    ("segmentation.", "segmentation_head."),
)
OFFICIAL_NECK = "backbone.vision_backbone."
OFFICIAL_HEADS = {"detection": "convs", "interactive": "sam2_convs"}
OFFICIAL_HEADS_31 = {"detection": "convs", "interactive": "interactive_convs", "propagation": "propagation_convs"}
"""Official names of the neck heads in SAM 3 and in SAM 3.1."""


def official_prefixes(native: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Native and official prefixes for a detector with these tensors: SAM 3.1 names its neck heads differently."""
    heads = OFFICIAL_HEADS_31 if any(name.startswith("vision.neck.propagation.") for name in native) else OFFICIAL_HEADS
    neck = ((f"vision.neck.{ours}.", f"{OFFICIAL_NECK}{theirs}.") for ours, theirs in heads.items())
    return (*OFFICIAL_PREFIXES, *neck)


def official_entries(native: Iterable[str]) -> list[Entry]:
    """Entries of the detector's tensors in the official layout, without prefix: same leaf names, other parents."""
    native = list(native)
    prefixes = official_prefixes(native)
    return [Entry(name, (swap_prefix(name, prefixes),)) for name in native]


def version_0_entries(native: Iterable[str]) -> list[Entry]:
    """Entries of the detector's tensors in our files without a format version, which have the official neck names."""
    neck = tuple((f"vision.neck.{ours}.", f"vision.neck.{theirs}.") for ours, theirs in OFFICIAL_HEADS.items())
    return [Entry(name, (swap_prefix(name, (*neck, ("", ""))),)) for name in native]


def swap_prefix(name: str, prefixes: Iterable[tuple[str, str]]) -> str:
    """A name with its first known prefix replaced; `prefixes` are pairs of old and new."""
    ours, theirs = next(pair for pair in prefixes if name.startswith(pair[0]))
    return theirs + name.removeprefix(ours)


def linear_pair(native: str, foreign: str) -> list[Entry]:
    """Entries of a module with a weight and a bias."""
    return [Entry(f"{native}.{leaf}", (f"{foreign}.{leaf}",)) for leaf in ("weight", "bias")]


def linear_pairs(native: str, foreign: str, parts: Mapping[str, str]) -> list[Entry]:
    """Entries of modules with a weight and a bias, from our names below `native` to theirs below `foreign`."""
    pairs = (linear_pair(f"{native}.{ours}", f"{foreign}.{theirs}") for ours, theirs in parts.items())
    return [entry for pair in pairs for entry in pair]


def _packed(native: str, foreign: str) -> list[Entry]:
    """A linear layer with query, key and value stacked; transformers has three layers."""
    return [
        Entry(f"{native}{leaf}", tuple(f"{foreign}.{part}_proj.{leaf}" for part in "qkv"), "split3")
        for leaf in ("weight", "bias")
    ]


def _attention(native: str, foreign: str, out: str = "o_proj") -> list[Entry]:
    return _packed(f"{native}.in_proj_", foreign) + linear_pair(f"{native}.out_proj", f"{foreign}.{out}")


def _mlp(native: str, foreign: str, layers: int) -> list[Entry]:
    return [entry for i in range(layers) for entry in linear_pair(f"{native}.layers.{i}", f"{foreign}.layer{i + 1}")]


def _trunk() -> list[Entry]:
    blocks, theirs = "vision.trunk.blocks.*", "vision_encoder.backbone.layers.*"
    embeddings = "vision_encoder.backbone.embeddings"
    return [
        Entry("vision.trunk.pos_embed", (f"{embeddings}.position_embeddings",), "drop_first_row"),
        Entry("vision.trunk.patch_embed.proj.weight", (f"{embeddings}.patch_embeddings.projection.weight",)),
        *linear_pair("vision.trunk.ln_pre", "vision_encoder.backbone.layer_norm"),
        *linear_pair(f"{blocks}.norm1", f"{theirs}.layer_norm1"),
        *linear_pair(f"{blocks}.norm2", f"{theirs}.layer_norm2"),
        *linear_pair(f"{blocks}.attn.proj", f"{theirs}.attention.o_proj"),
        *linear_pair(f"{blocks}.mlp.fc1", f"{theirs}.mlp.fc1"),
        *linear_pair(f"{blocks}.mlp.fc2", f"{theirs}.mlp.fc2"),
        *_packed(f"{blocks}.attn.qkv.", f"{theirs}.attention"),
    ]


def _neck(native: str, foreign: str) -> list[Entry]:
    parts = {
        "dconv_2x2_0": "scale_layers.0", "dconv_2x2_1": "scale_layers.2", "dconv_2x2": "scale_layers.0",
        "conv_1x1": "proj1", "conv_3x3": "proj2",
    }  # fmt: skip
    return [
        r
        for ours, theirs in parts.items()
        for r in linear_pair(f"{native}.*.{ours}", f"{foreign}.fpn_layers.*.{theirs}")
    ]


def _text() -> list[Entry]:
    block, theirs = "text.encoder.transformer.resblocks.*", "text_encoder.text_model.encoder.layers.*"
    return [
        Entry("text.encoder.token_embedding.weight", ("text_encoder.text_model.embeddings.token_embedding.weight",)),
        Entry("text.encoder.positional_embedding", ("text_encoder.text_model.embeddings.position_embedding.weight",)),
        Entry("text.encoder.text_projection", ("text_encoder.text_projection.weight",), "transpose"),
        *linear_pair("text.encoder.ln_final", "text_encoder.text_model.final_layer_norm"),
        *linear_pair("text.resizer", "text_projection"),
        *_attention(f"{block}.attn", f"{theirs}.self_attn", out="out_proj"),
        *linear_pair(f"{block}.ln_1", f"{theirs}.layer_norm1"),
        *linear_pair(f"{block}.ln_2", f"{theirs}.layer_norm2"),
        *linear_pair(f"{block}.mlp.c_fc", f"{theirs}.mlp.fc1"),
        *linear_pair(f"{block}.mlp.c_proj", f"{theirs}.mlp.fc2"),
    ]


def _encoder_layers(native: str, foreign: str) -> list[Entry]:
    return [
        *_attention(f"{native}.self_attn", f"{foreign}.self_attn"),
        *_attention(f"{native}.cross_attn_image", f"{foreign}.cross_attn"),
        *linear_pair(f"{native}.linear1", f"{foreign}.mlp.fc1"),
        *linear_pair(f"{native}.linear2", f"{foreign}.mlp.fc2"),
        *(entry for i in (1, 2, 3) for entry in linear_pair(f"{native}.norm{i}", f"{foreign}.layer_norm{i}")),
    ]


def _geometry() -> list[Entry]:
    tables = ("label_embed", "cls_embed")
    same = ("boxes_direct_project", "boxes_pool_project", "boxes_pos_enc_project", "final_proj")
    return [
        *(Entry(f"geometry.{name}.weight", (f"geometry_encoder.{name}.weight",)) for name in tables),
        *(entry for name in same for entry in linear_pair(f"geometry.{name}", f"geometry_encoder.{name}")),
        *linear_pair("geometry.img_pre_norm", "geometry_encoder.vision_layer_norm"),
        *linear_pair("geometry.norm", "geometry_encoder.prompt_layer_norm"),
        *linear_pair("geometry.encode_norm", "geometry_encoder.output_layer_norm"),
        *_encoder_layers("geometry.encode.*", "geometry_encoder.layers.*"),
    ]


def _decoder() -> list[Entry]:
    ours, theirs = "decoder.layers.*", "detr_decoder.layers.*"
    tables = ("query_embed", "reference_points", "presence_token")
    return [
        *(Entry(f"decoder.{name}.weight", (f"detr_decoder.{name}.weight",)) for name in tables),
        *_attention(f"{ours}.self_attn", f"{theirs}.self_attn"),
        *_attention(f"{ours}.ca_text", f"{theirs}.text_cross_attn"),
        *_attention(f"{ours}.cross_attn", f"{theirs}.vision_cross_attn"),
        *linear_pair(f"{ours}.norm2", f"{theirs}.self_attn_layer_norm"),
        *linear_pair(f"{ours}.catext_norm", f"{theirs}.text_cross_attn_layer_norm"),
        *linear_pair(f"{ours}.norm1", f"{theirs}.vision_cross_attn_layer_norm"),
        *linear_pair(f"{ours}.norm3", f"{theirs}.mlp_layer_norm"),
        *linear_pair(f"{ours}.linear1", f"{theirs}.mlp.fc1"),
        *linear_pair(f"{ours}.linear2", f"{theirs}.mlp.fc2"),
        *linear_pair("decoder.norm", "detr_decoder.output_layer_norm"),
        *linear_pair("decoder.presence_token_out_norm", "detr_decoder.presence_layer_norm"),
        *_mlp("decoder.bbox_embed", "detr_decoder.box_head", 3),
        *_mlp("decoder.presence_token_head", "detr_decoder.presence_head", 3),
        *_mlp("decoder.ref_point_head", "detr_decoder.ref_point_head", 2),
        *_mlp("decoder.boxRPB_embed_x", "detr_decoder.box_rpb_embed_x", 2),
        *_mlp("decoder.boxRPB_embed_y", "detr_decoder.box_rpb_embed_y", 2),
    ]


def _heads() -> list[Entry]:
    return [
        *_mlp("scoring.prompt_mlp", "dot_product_scoring.text_mlp", 2),
        *linear_pair("scoring.prompt_mlp.out_norm", "dot_product_scoring.text_mlp_out_norm"),
        *linear_pair("scoring.prompt_proj", "dot_product_scoring.text_proj"),
        *linear_pair("scoring.hs_proj", "dot_product_scoring.query_proj"),
        *linear_pair("segmentation.pixel_decoder.conv_layers.*", "mask_decoder.pixel_decoder.conv_layers.*"),
        *linear_pair("segmentation.pixel_decoder.norms.*", "mask_decoder.pixel_decoder.norms.*"),
        *linear_pair("segmentation.mask_predictor.mask_embed.layers.*", "mask_decoder.mask_embedder.layers.*"),
        *linear_pair("segmentation.instance_seg_head", "mask_decoder.instance_projection"),
        *linear_pair("segmentation.semantic_seg_head", "mask_decoder.semantic_projection"),
        *_attention("segmentation.cross_attend_prompt", "mask_decoder.prompt_cross_attn"),
        *linear_pair("segmentation.cross_attn_norm", "mask_decoder.prompt_cross_attn_norm"),
    ]


TRANSFORMERS_TABLE: tuple[Entry, ...] = tuple(
    _trunk()
    + _neck("vision.neck.detection", "vision_encoder.neck")
    + _neck("vision.neck.interactive", "tracker_neck")
    + _text()
    + _geometry()
    + _encoder_layers("fusion.layers.*", "detr_encoder.layers.*")
    + _decoder()
    + _heads()
)

EXTRA_PREFIX = "sam3model_extra."
"""Prefix of tensors that transformers has no place for (point projections, the unused class row of the position table):
they are saved too, so that a round trip loses nothing."""


def transformers_entries(native: Iterable[str]) -> list[Entry]:
    """Entries of the detector's tensors in transformers' `Sam3Model`; unknown ones go under `EXTRA_PREFIX`."""
    return expand(native, TRANSFORMERS_TABLE)


def expand(native: Iterable[str], table: Iterable[Entry]) -> list[Entry]:
    """The entry of each native tensor by a table of patterns; unknown ones go under `EXTRA_PREFIX`."""
    compiled = [(re.compile(re.escape(entry.native).replace(r"\*", r"(\d+)")), entry) for entry in table]
    return [_match(name, compiled) for name in native]


def _match(name: str, compiled: list[tuple[re.Pattern[str], Entry]]) -> Entry:
    for pattern, entry in compiled:
        if found := pattern.fullmatch(name):
            foreign = tuple(found.expand(theirs.replace("*", r"\1")) for theirs in entry.foreign)
            return Entry(name, foreign, entry.transform)
    return Entry(name, (EXTRA_PREFIX + name,))


def class_row_name(native: str) -> str:
    """Where the class row of a position table is saved in transformers' layout; `native` has no part in front."""
    return f"{EXTRA_PREFIX}{native}.class_row"


def row_of(native: str) -> int:
    """The row that a native tensor is in a table with the transform "row": the last number in its name."""
    return int(re.findall(r"\d+", native)[-1])
