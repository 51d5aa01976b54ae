"""Convert a configuration to and from transformers' `config.json`, refusing what differs between the two.

transformers ignores `layer_norm_eps` outside the trunk and the text encoder, and so do we.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

from sam3model.checkpoint.transformers_video_config import (
    read_interactive_config,
    read_tracker_config,
    read_video_config,
    transformers_video_config,
)
from sam3model.config import (
    PARTS,
    DecoderConfig,
    DetectorConfig,
    FusionConfig,
    GeometryConfig,
    NeckConfig,
    Sam3Config,
    ScoringConfig,
    SegmentationConfig,
    TextConfig,
    ViTConfig,
)
from sam3model.errors import ConfigError

VIT_FIELDS = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "image_size": "image_size",
    "patch_size": "patch_size",
    "pretrain_image_size": "pretrain_image_size",
    "window": "window_size",
}
TEXT_FIELDS = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "context_length": "max_position_embeddings",
    "vocabulary": "vocab_size",
    "projection_dim": "projection_dim",
}
"""Our fields and transformers' keys that hold the same value."""
DETR_PARTS = ("geometry_encoder_config", "detr_encoder_config", "detr_decoder_config", "mask_decoder_config")


def read_transformers_config(text: str, parts: Collection[str] = PARTS) -> Sam3Config:
    """The configuration from the text of a `config.json` of transformers' `Sam3Model` or `Sam3VideoModel`.

    Parts that it does not describe are None, as are those that are not in `parts`: they are not even checked.

    Raises:
        ConfigError: a value that this model does not support; the message names it.
        ValueError, KeyError, TypeError, AttributeError: not a configuration of SAM 3.
    """
    values = json.loads(text)
    detector = _read_detector(values.get("detector_config") or values)
    tracker = values.get("tracker_config")
    if not tracker:
        return Sam3Config(detector)
    return Sam3Config(
        detector,
        read_interactive_config(tracker, detector) if "interactive" in parts else None,
        read_tracker_config(tracker, detector) if "tracker" in parts else None,
        read_video_config(values, detector) if "video" in parts else None,
    )


def read_config_beside(text: str, detector: DetectorConfig, parts: Collection[str]) -> Sam3Config:
    """From the `config.json` of transformers' `Sam3TrackerModel` or `Sam3TrackerVideoModel`, on a given detector.

    parts: those that the weights have. Raises as `read_transformers_config`, also if the image encoders differ.
    """
    values = json.loads(text)
    tracker = values.get("tracker_config") or values
    vit = _read_vit(tracker["vision_config"]["backbone_config"])
    for field in fields(vit):
        found, supported = getattr(vit, field.name), getattr(detector.vit, field.name)
        if found != supported and field.name != "drop_path":
            raise ConfigError(f"the image encoder has {field.name} {found!r}, that of the detector {supported!r}")
    neck = replace(detector.neck, interactive=detector.neck.interactive or detector.neck.detection)
    return Sam3Config(
        replace(detector, neck=neck),
        read_interactive_config(tracker, detector),
        read_tracker_config(tracker, detector) if "tracker" in parts else None,
        read_video_config(values, detector) if "tracker" in parts and "tracker_config" in values else None,
    )


def _read_vit(vit: Mapping[str, Any]) -> ViTConfig:
    rope = vit.get("rope_parameters") or vit
    return ViTConfig(
        **{field: vit[key] for field, key in VIT_FIELDS.items()},
        mlp_ratio=vit["intermediate_size"] / vit["hidden_size"],
        global_blocks=tuple(vit["global_attn_indexes"]),
        rope_theta=float(rope.get("rope_theta", 10000.0)),
        layer_norm_eps=vit.get("layer_norm_eps", 1e-6),
    )


def _read_detector(values: Mapping[str, Any]) -> DetectorConfig:
    vision, text_model = values["vision_config"], values["text_config"]
    geometry = values["geometry_encoder_config"]
    fusion, decoder, masks = values["detr_encoder_config"], values["detr_decoder_config"], values["mask_decoder_config"]
    _refuse_unsupported(values)
    return DetectorConfig(
        d_model=vision["fpn_hidden_size"],
        heads=decoder["num_attention_heads"],
        dropout=decoder["dropout"],
        vit=_read_vit(vision["backbone_config"]),
        neck=NeckConfig(scale_factors=tuple(vision["scale_factors"])),
        text=TextConfig(
            **{field: text_model[key] for field, key in TEXT_FIELDS.items()},
            mlp_ratio=text_model["intermediate_size"] / text_model["hidden_size"],
            layer_norm_eps=text_model.get("layer_norm_eps", 1e-5),
        ),
        geometry=GeometryConfig(geometry["num_layers"], geometry["intermediate_size"], geometry["roi_size"]),
        fusion=FusionConfig(fusion["num_layers"], fusion["intermediate_size"]),
        decoder=DecoderConfig(decoder["num_layers"], decoder["intermediate_size"], decoder["num_queries"]),
        scoring=ScoringConfig(hidden=decoder["intermediate_size"]),
        segmentation=SegmentationConfig(stages=masks["num_upsampling_stages"]),
    )


def _refuse_unsupported(values: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a value that changes transformers' outputs but has no counterpart here."""
    vision, text = values["vision_config"], values["text_config"]
    vit, decoder = vision["backbone_config"], values["detr_decoder_config"]
    rope = vit.get("rope_parameters") or {}
    wanted = [
        ("vision_config.backbone_config.hidden_act", vit.get("hidden_act", "gelu"), "gelu"),
        ("vision_config.backbone_config.rope_parameters.rope_type", rope.get("rope_type", "axial"), "axial"),
        ("text_config.hidden_act", text.get("hidden_act", "quick_gelu"), "gelu"),
    ]
    for part in DETR_PARTS:
        found, heads = values[part], decoder["num_attention_heads"]
        wanted.append((f"{part}.hidden_size", found["hidden_size"], vision["fpn_hidden_size"]))
        wanted.append((f"{part}.num_attention_heads", found["num_attention_heads"], heads))
        wanted.append((f"{part}.hidden_act", found.get("hidden_act", "relu"), "relu"))
    for name, found, supported in wanted:
        if found != supported:
            raise ConfigError(f"{name} is {found!r}, but only {supported!r} is supported here")


def transformers_config(config: Sam3Config) -> dict[str, Any]:
    """The `config.json` from which transformers builds a model that computes the same.

    It is a `Sam3Model` for a detector alone, and a `Sam3VideoModel` for all parts.

    Raises:
        ConfigError: transformers cannot compute what this configuration does; the message names the field.
    """
    detector = _detector_config(config.detector)
    return detector if config.interactive is None else transformers_video_config(config, detector)


def _detector_config(config: DetectorConfig) -> dict[str, Any]:
    _refuse_inexpressible(config)
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


def _refuse_inexpressible(config: DetectorConfig) -> None:
    wanted = [
        ("segmentation.groups", config.segmentation.groups, 8),
        ("scoring.clamp", config.scoring.clamp, 12.0),
        ("scoring.hidden", config.scoring.hidden, config.decoder.ffn),
        ("neck.detection.dropped_levels", config.neck.detection.dropped_levels, 1),
        ("text.layer_scale", config.text.layer_scale, None),
    ]
    for name, found, supported in wanted:
        if found != supported:
            raise ConfigError(f"transformers supports only {name} = {supported}, not {found}: use another layout")


def _vision_config(config: DetectorConfig) -> dict[str, Any]:
    vit, neck = config.vit, config.neck
    sizes = [round(vit.grid * scale) for scale in neck.used("detection")]
    return {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": config.d_model,
        "scale_factors": list(neck.scale_factors),
        "backbone_feature_sizes": [[side, side] for side in sizes],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            **{key: getattr(vit, field) for field, key in VIT_FIELDS.items()},
            "intermediate_size": round(vit.width * vit.mlp_ratio),
            "global_attn_indexes": list(vit.global_blocks),
            "layer_norm_eps": vit.layer_norm_eps,
            "rope_parameters": {"rope_theta": vit.rope_theta, "rope_type": "axial"},
        },
    }


def _text_config(text: TextConfig) -> dict[str, Any]:
    return {
        "model_type": "clip_text_model",
        **{key: getattr(text, field) for field, key in TEXT_FIELDS.items()},
        "intermediate_size": round(text.width * text.mlp_ratio),
        "hidden_act": "gelu",
        "layer_norm_eps": text.layer_norm_eps,
    }
