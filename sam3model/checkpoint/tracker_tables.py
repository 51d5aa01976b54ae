"""Tensor names of the interactive part and of the tracker in the official checkpoints and in transformers.

The native names have the part in front (`interactive.`, `tracker.`); the official names begin with `tracker.`; those of
transformers are the names inside `tracker_model`. See `name_tables` for the form of a table.
"""

import re
from collections.abc import Iterable

from sam3model.checkpoint.name_tables import Entry, expand, linear_pair, linear_pairs, swap_prefix
from sam3model.checkpoint.tensor_files import TensorFile

OFFICIAL_TRACKER = "tracker."
OFFICIAL_PREFIXES = (
    ("interactive.prompt_encoder.", "sam_prompt_encoder."),
    ("interactive.mask_decoder.", "sam_mask_decoder."),
    ("interactive.no_mem_embed", "no_mem_embed"),
    ("tracker.memory_encoder.", "maskmem_backbone."),
    ("tracker.memory_attention.", "transformer.encoder."),
    ("tracker.", ""),
)
OFFICIAL_INTERACTIVE = tuple(OFFICIAL_TRACKER + theirs for _, theirs in OFFICIAL_PREFIXES[:3])
OFFICIAL_31 = "tracker.model."
"""What the names of the tracker of SAM 3.1 begin with; it is another model."""

TRANSFORMERS_INTERACTIVE = ("prompt_encoder.", "mask_decoder.", "shared_image_embedding.", "no_memory_embedding")
"""What the names of the interactive part begin with inside transformers' `tracker_model`."""

_PLAIN_ANCHOR = "mask_decoder.obj_score_token.weight"


def canonical(file: TensorFile) -> TensorFile:
    """A file of transformers with the names of the released `Sam3VideoModel`; other files as they are.

    `save_pretrained` of transformers 5.24 repeats the prefix of the tracker. Files of `Sam3TrackerModel` and
    `Sam3TrackerVideoModel` may have that prefix before all names, or before none.
    """
    if _PLAIN_ANCHOR in file:
        return file.renamed(_from_plain)
    if any(name.startswith(_REPEATED) for name in file):
        return file.renamed(lambda name: name.removeprefix("tracker_model.") if name.startswith(_REPEATED) else name)
    return file


_REPEATED = tuple(f"tracker_model.{inner}." for inner in ("tracker_model", "tracker_neck", "detector_model"))


def _from_plain(name: str) -> str:
    parts = {"vision_encoder.neck.": "tracker_neck.", "vision_encoder.": "detector_model.vision_encoder."}
    for plain, released in parts.items():
        if name.startswith(plain):
            return released + name.removeprefix(plain)
    return f"tracker_model.{name}"


def official_tracker_entries(native: Iterable[str]) -> list[Entry]:
    """Entries of the tensors of both parts in the official layout."""
    return [Entry(name, (OFFICIAL_TRACKER + swap_prefix(name, OFFICIAL_PREFIXES),)) for name in native]


def transformers_tracker_entries(native: Iterable[str]) -> list[Entry]:
    """Entries of the tensors of both parts inside transformers' `tracker_model`."""
    native = list(native)
    depths = [int(found[1]) for name in native if (found := _IOU_LAYER.fullmatch(name))]
    return expand(native, [*_prompt_encoder(), *_mask_decoder(max(depths, default=0) + 1), *_tracker()])


_IOU_LAYER = re.compile(r"interactive\.mask_decoder\.iou_prediction_head\.layers\.(\d+)\.weight")


def _feed_forward(native: str, foreign: str, layers: int = 3) -> list[Entry]:
    middle = (linear_pair(f"{native}.layers.{i}", f"{foreign}.layers.{i - 1}") for i in range(1, layers - 1))
    return [
        *linear_pair(f"{native}.layers.0", f"{foreign}.proj_in"),
        *(entry for pair in middle for entry in pair),
        *linear_pair(f"{native}.layers.{layers - 1}", f"{foreign}.proj_out"),
    ]


def _projections(native: str, foreign: str) -> list[Entry]:
    parts = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "out_proj": "o_proj"}
    return linear_pairs(native, foreign, parts)


def _prompt_encoder() -> list[Entry]:
    ours, theirs = "interactive.prompt_encoder", "prompt_encoder"
    matrices = ("shared_image_embedding.positional_embedding", f"{theirs}.shared_embedding.positional_embedding")
    masks = {"0": "conv1", "1": "layer_norm1", "3": "conv2", "4": "layer_norm2", "6": "conv3"}
    return [
        Entry("interactive.no_mem_embed", ("no_memory_embedding",)),
        Entry(f"{ours}.pe_layer.positional_encoding_gaussian_matrix", matrices, "repeated"),
        Entry(f"{ours}.point_embeddings.*.weight", (f"{theirs}.point_embed.weight",), "row"),
        Entry(f"{ours}.not_a_point_embed.weight", (f"{theirs}.not_a_point_embed.weight",)),
        Entry(f"{ours}.no_mask_embed.weight", (f"{theirs}.no_mask_embed.weight",)),
        *linear_pairs(f"{ours}.mask_downscaling", f"{theirs}.mask_embed", masks),
    ]


def _mask_decoder(iou_depth: int) -> list[Entry]:
    ours, theirs = "interactive.mask_decoder", "mask_decoder"
    layers, their_layers = f"{ours}.transformer.layers.*", f"{theirs}.transformer.layers.*"
    tables = ("iou_token", "mask_tokens", "obj_score_token")
    upscaling = {"0": "upscale_conv1", "1": "upscale_layer_norm", "3": "upscale_conv2"}
    block = {f"norm{i}": f"layer_norm{i}" for i in (1, 2, 3, 4)} | {
        "mlp.lin1": "mlp.proj_in",
        "mlp.lin2": "mlp.proj_out",
    }
    attentions = ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
    final = "transformer.final_attn_token_to_image"
    return [
        *(Entry(f"{ours}.{name}.weight", (f"{theirs}.{name}.weight",)) for name in tables),
        *linear_pairs(layers, their_layers, block),
        *(entry for name in attentions for entry in _projections(f"{layers}.{name}", f"{their_layers}.{name}")),
        *_projections(f"{ours}.{final}", f"{theirs}.{final}"),
        *linear_pair(f"{ours}.transformer.norm_final_attn", f"{theirs}.transformer.layer_norm_final_attn"),
        *linear_pairs(f"{ours}.output_upscaling", theirs, upscaling),
        *linear_pairs(ours, theirs, {name: name for name in ("conv_s0", "conv_s1")}),
        *_feed_forward(f"{ours}.output_hypernetworks_mlps.*", f"{theirs}.output_hypernetworks_mlps.*"),
        *_feed_forward(f"{ours}.iou_prediction_head", f"{theirs}.iou_prediction_head", iou_depth),
        *_feed_forward(f"{ours}.pred_obj_score_head", f"{theirs}.pred_obj_score_head"),
    ]


def _tracker() -> list[Entry]:
    tensors = {
        "maskmem_tpos_enc": "memory_temporal_positional_encoding",
        "no_mem_pos_enc": "no_memory_positional_encoding",
        "no_obj_ptr": "no_object_pointer",
        "no_obj_embed_spatial": "occlusion_spatial_embedding_parameter",
    }
    modules = {
        "mask_downsample": "mask_downsample",
        "obj_ptr_tpos_proj": "temporal_positional_encoding_projection_layer",
    }
    return [
        *(Entry(f"tracker.{ours}", (theirs,)) for ours, theirs in tensors.items()),
        *(entry for ours, theirs in modules.items() for entry in linear_pair(f"tracker.{ours}", theirs)),
        *_feed_forward("tracker.obj_ptr_proj", "object_pointer_proj"),
        *_memory_attention(),
        *_memory_encoder(),
    ]


def _memory_attention() -> list[Entry]:
    ours, theirs = "tracker.memory_attention.layers.*", "memory_attention.layers.*"
    parts = {f"norm{i}": f"layer_norm{i}" for i in (1, 2, 3)} | {"linear1": "linear1", "linear2": "linear2"}
    return [
        *_projections(f"{ours}.self_attn", f"{theirs}.self_attn"),
        *_projections(f"{ours}.cross_attn_image", f"{theirs}.cross_attn_image"),
        *linear_pairs(ours, theirs, parts),
        *linear_pair("tracker.memory_attention.norm", "memory_attention.layer_norm"),
    ]


def _memory_encoder() -> list[Entry]:
    ours, theirs = "tracker.memory_encoder", "memory_encoder"
    block, their_block = f"{ours}.fuser.layers.*", f"{theirs}.memory_fuser.layers.*"
    parts = {
        "dwconv": "depthwise_conv", "norm": "layer_norm", "pwconv1": "pointwise_conv1", "pwconv2": "pointwise_conv2",
    }  # fmt: skip
    stages = {}
    for stage in range(4):
        stages[f"{3 * stage}"], stages[f"{3 * stage + 1}"] = f"layers.{stage}.conv", f"layers.{stage}.layer_norm"
    return [
        *linear_pairs(f"{ours}.mask_downsampler.encoder", f"{theirs}.mask_downsampler", stages | {"12": "final_conv"}),
        *linear_pair(f"{ours}.pix_feat_proj", f"{theirs}.feature_projection"),
        *linear_pair(f"{ours}.out_proj", f"{theirs}.projection"),
        Entry(f"{block}.gamma", (f"{their_block}.scale",)),
        *linear_pairs(block, their_block, parts),
    ]
