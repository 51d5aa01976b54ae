"""Recognising which of the three layouts a file has, which configuration it needs, and what may be left over."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sam3model.build import config_from_dict
from sam3model.checkpoint.files import TensorFile
from sam3model.checkpoint.tables import Entry, official_entries, transformers_entries
from sam3model.config import (
    DecoderConfig,
    DetectorConfig,
    FusionConfig,
    GeometryConfig,
    NeckConfig,
    ScoringConfig,
    SegmentationConfig,
    TextConfig,
    ViTConfig,
    sam3,
)
from sam3model.errors import CheckpointError, ConfigError


class Layout(StrEnum):
    """The three ways in which weights are stored."""

    NATIVE = "native"
    OFFICIAL = "official"
    TRANSFORMERS = "transformers"


OFFICIAL_ANCHOR = "backbone.vision_backbone.trunk.pos_embed"
TRANSFORMERS_ANCHOR = "vision_encoder.backbone.embeddings.position_embeddings"
NATIVE_ANCHOR = "vision.trunk.pos_embed"
TRACKER_NECK = "backbone.vision_backbone.sam2_convs."


@dataclass(frozen=True, slots=True)
class Recognised:
    """A file's layout, what stands before the layout's own names in it, and the configuration it needs."""

    layout: Layout
    prefix: str
    config: DetectorConfig


def recognise(file: TensorFile, config: DetectorConfig | None) -> Recognised:
    """Say which layout `file` has; `config` overrides the configuration found or assumed.

    Raises:
        CheckpointError: the names fit no layout, or the file's configuration cannot be read.
    """
    names = set(file)
    if NATIVE_ANCHOR in names:
        return Recognised(Layout.NATIVE, "", config or _stated_config(file))
    for prefix in ("", "detector_model."):
        if prefix + TRANSFORMERS_ANCHOR in names:
            return Recognised(Layout.TRANSFORMERS, prefix, config or _transformers_config(file, names))
    for prefix in ("detector.", "", "module.detector.", "module."):
        if prefix + OFFICIAL_ANCHOR in names:
            tracker = any(name.startswith(prefix + TRACKER_NECK) for name in names)
            stated = _stated_config(file) if "config" in file.metadata else sam3()
            return Recognised(Layout.OFFICIAL, prefix, config or _with_tracker_neck(stated, tracker))
    raise CheckpointError(f"{file.location} is no SAM 3 image model: none of its {len(names)} tensors has a known name")


def entries_of(layout: Layout, prefix: str, native: Iterable[str]) -> list[Entry]:
    """Where every native tensor lives in a file of that layout and prefix."""
    if layout is Layout.NATIVE:
        return [Entry(name, (name,), "copy") for name in native]
    if layout is Layout.OFFICIAL:
        return [_renamed(entry, "detector.", prefix) for entry in official_entries(native)]
    entries = transformers_entries(native)
    inside = ("tracker_neck.",)  # beside the detector in the video model's file, not in it
    return [entry if entry.foreign[0].startswith(inside) else _renamed(entry, "", prefix) for entry in entries]


def _renamed(entry: Entry, old: str, new: str) -> Entry:
    return Entry(entry.native, tuple(new + name.removeprefix(old) for name in entry.foreign), entry.transform)


def is_recomputed(name: str) -> bool:
    """Buffers that every build computes for itself: the official rotary tables and transformers' position ids."""
    return name.endswith(
        ("attn.freqs_cis", "rotary_emb.rope_embeddings_cos", "rotary_emb.rope_embeddings_sin", "position_ids")
    )


def is_tracker(name: str, recognised: Recognised) -> bool:
    """Tensors of the video tracker, which the image model does not use."""
    if name.startswith(("tracker.", "tracker_model.", "module.tracker.")):
        return True
    neck = ("tracker_neck.", recognised.prefix + TRACKER_NECK, "vision.neck.sam2_convs.")
    return not recognised.config.neck.tracker_neck and name.startswith(neck)


def _with_tracker_neck(config: DetectorConfig, tracker: bool) -> DetectorConfig:
    return replace(config, neck=replace(config.neck, tracker_neck=tracker))


def _stated_config(file: TensorFile) -> DetectorConfig:
    """Our own configuration, as a file that we wrote carries it."""
    text = file.metadata.get("config")
    if text is None:
        raise CheckpointError(
            f"{file.location} carries no configuration in its metadata: export it again with sam3agent"
        )
    try:
        return config_from_dict(json.loads(text))
    except (ValueError, ConfigError) as error:
        raise CheckpointError(f"the configuration inside {file.location} cannot be used: {error}") from error


def _transformers_config(file: TensorFile, names: set[str]) -> DetectorConfig:
    """Ours from the header of a file that we wrote, which can say more; else what transformers' `config.json` says."""
    tracker = any(name.startswith("tracker_neck.") for name in names)
    if "config" in file.metadata:
        return _with_tracker_neck(_stated_config(file), tracker)
    folder = file.location if file.location.is_dir() else file.location.parent
    path = folder / "config.json"
    if not path.is_file():
        return _with_tracker_neck(sam3(), tracker)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return _with_tracker_neck(_from_transformers(values.get("detector_config") or values), tracker)
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{path} is not a configuration of SAM 3 ({error!r}): take it from the model's folder"
        ) from error


def _from_transformers(values: Mapping[str, Any]) -> DetectorConfig:
    vision, text = values["vision_config"], values["text_config"]
    vit, geometry = vision["backbone_config"], values["geometry_encoder_config"]
    fusion, decoder, masks = values["detr_encoder_config"], values["detr_decoder_config"], values["mask_decoder_config"]
    rope = vit.get("rope_parameters") or vit
    return DetectorConfig(
        d_model=vision["fpn_hidden_size"],
        heads=decoder["num_attention_heads"],
        dropout=decoder["dropout"],
        vit=ViTConfig(
            image_size=vit["image_size"],
            patch_size=vit["patch_size"],
            pretrain_image_size=vit["pretrain_image_size"],
            width=vit["hidden_size"],
            depth=vit["num_hidden_layers"],
            heads=vit["num_attention_heads"],
            mlp_ratio=vit["intermediate_size"] / vit["hidden_size"],
            window=vit["window_size"],
            global_blocks=tuple(vit["global_attn_indexes"]),
            rope_theta=float(rope.get("rope_theta", 10000.0)),
        ),
        neck=NeckConfig(scale_factors=tuple(vision["scale_factors"])),
        text=TextConfig(
            width=text["hidden_size"],
            heads=text["num_attention_heads"],
            layers=text["num_hidden_layers"],
            mlp_ratio=text["intermediate_size"] / text["hidden_size"],
            context_length=text["max_position_embeddings"],
            vocabulary=text["vocab_size"],
            projection_dim=text["projection_dim"],
        ),
        geometry=GeometryConfig(geometry["num_layers"], geometry["intermediate_size"], geometry["roi_size"]),
        fusion=FusionConfig(fusion["num_layers"], fusion["intermediate_size"]),
        decoder=DecoderConfig(decoder["num_layers"], decoder["intermediate_size"], decoder["num_queries"]),
        scoring=ScoringConfig(hidden=decoder["intermediate_size"]),
        segmentation=SegmentationConfig(stages=masks["num_upsampling_stages"]),
    )


def transformers_config(config: DetectorConfig) -> dict[str, Any]:
    """The `config.json` that lets transformers build a `Sam3Model` of these sizes."""
    shared = {
        "hidden_size": config.d_model,
        "num_attention_heads": config.heads,
        "layer_norm_eps": 1e-5,
        "dropout": config.dropout,
    }
    return {
        "model_type": "sam3",
        "architectures": ["Sam3Model"],
        "vision_config": _vision_config(config),
        "text_config": _text_config(config.text),
        "geometry_encoder_config": shared
        | {
            "num_layers": config.geometry.layers,
            "intermediate_size": config.geometry.ffn,
            "roi_size": config.geometry.roi_size,
        },
        "detr_encoder_config": shared | {"num_layers": config.fusion.layers, "intermediate_size": config.fusion.ffn},
        "detr_decoder_config": shared
        | {
            "num_layers": config.decoder.layers,
            "intermediate_size": config.decoder.ffn,
            "num_queries": config.decoder.queries,
        },
        "mask_decoder_config": shared | {"dropout": 0.0, "num_upsampling_stages": config.segmentation.stages},
    }


def _vision_config(config: DetectorConfig) -> dict[str, Any]:
    vit, neck = config.vit, config.neck
    sizes = [round(vit.grid * scale) for scale in neck.scale_factors[: -neck.dropped_levels or None]]
    return {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": config.d_model,
        "scale_factors": list(neck.scale_factors),
        "backbone_feature_sizes": [[side, side] for side in sizes],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": vit.width,
            "intermediate_size": round(vit.width * vit.mlp_ratio),
            "num_hidden_layers": vit.depth,
            "num_attention_heads": vit.heads,
            "image_size": vit.image_size,
            "patch_size": vit.patch_size,
            "pretrain_image_size": vit.pretrain_image_size,
            "window_size": vit.window,
            "global_attn_indexes": list(vit.global_blocks),
            "layer_norm_eps": 1e-5,
            "rope_parameters": {"rope_theta": vit.rope_theta, "rope_type": "axial"},
        },
    }


def _text_config(text: TextConfig) -> dict[str, Any]:
    return {
        "model_type": "clip_text_model",
        "hidden_size": text.width,
        "intermediate_size": round(text.width * text.mlp_ratio),
        "hidden_act": "gelu",
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "max_position_embeddings": text.context_length,
        "vocab_size": text.vocabulary,
        "projection_dim": text.projection_dim,
    }
