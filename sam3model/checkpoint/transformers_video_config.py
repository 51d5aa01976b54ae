"""Convert interactive heads, tracker and video rules to and from transformers' `config.json` of `Sam3VideoModel`.

A value that changes what transformers computes is read, or refused by name if we compute something else. Left aside are
initial values and training-only settings, and `recondition_on_trk_masks`: corrections follow the official code, which
uses the mask of the detection.

transformers always rounds memory to bfloat16 and never selects frames by their scores, so a configuration of theirs is
read that way. Neither that, nor `click_window` and `retire_after`, can be written: they are in our header only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from sam3model.config import DetectorConfig, InteractiveConfig, Sam3Config, TrackerConfig, VideoConfig
from sam3model.errors import ConfigError

DECODER_FIELDS = {
    "heads": "num_attention_heads",
    "mlp": "mlp_dim",
    "attention_downsample": "attention_downsample_rate",
    "iou_depth": "iou_head_depth",
    "iou_hidden": "iou_head_hidden_dim",
    "stability_delta": "dynamic_multimask_stability_delta",
    "stability_threshold": "dynamic_multimask_stability_thresh",
}
TRACKER_FIELDS = {
    "memory_dim": "memory_encoder_output_channels",
    "memory_frames": "num_maskmem",
    "layers": "memory_attention_num_layers",
    "ffn": "memory_attention_feed_forward_hidden_size",
    "heads": "memory_attention_num_attention_heads",
    "dropout": "memory_attention_dropout",
    "fuser_layers": "memory_fuser_num_layers",
    "max_pointers": "max_object_pointers_in_encoder",
    "max_conditioning_frames": "max_cond_frame_num",
    "mask_scale": "sigmoid_scale_for_mem_enc",
    "mask_bias": "sigmoid_bias_for_mem_enc",
}
VIDEO_FIELDS = {
    "detection_score": "score_threshold_detection",
    "new_object_score": "new_det_thresh",
    "detection_nms": "det_nms_thresh",
    "match_iou": "assoc_iou_thresh",
    "track_match_iou": "trk_assoc_iou_thresh",
    "confident_score": "high_conf_thresh",
    "confident_iou": "high_iou_thresh",
    "recondition_every": "recondition_every_nth_frame",
    "hotstart_delay": "hotstart_delay",
    "hotstart_unmatched": "hotstart_unmatch_thresh",
    "hotstart_duplicate": "hotstart_dup_thresh",
    "suppress_unmatched_only_within_hotstart": "suppress_unmatched_only_within_hotstart",
    "keep_alive_initial": "init_trk_keep_alive",
    "keep_alive_max": "max_trk_keep_alive",
    "keep_alive_min": "min_trk_keep_alive",
    "empty_lowers_keep_alive": "decrease_trk_keep_alive_for_empty_masklets",
    "occlusion_iou": "suppress_overlapping_based_on_recent_occlusion_threshold",
    "hole_area": "fill_hole_area",
}
"""Our fields and transformers' keys that hold the same value; the defaults are the same, too."""
NO_LIMIT = 10000
"""transformers' number of objects that means no limit."""

MEMORY_FIXED = {
    "enable_occlusion_spatial_embedding": True,
    "enable_temporal_pos_encoding_for_object_pointers": True,
    "multimask_output_in_sam": True,
    "multimask_min_pt_num": 0,
    "multimask_max_pt_num": 1,
    "multimask_output_for_tracking": True,
    "memory_attention_downsample_rate": 1,
    "memory_attention_feed_forward_hidden_act": "relu",
    "mask_downsampler_kernel_size": 3,
    "mask_downsampler_stride": 2,
    "mask_downsampler_padding": 1,
    "mask_downsampler_total_stride": 16,
    "mask_downsampler_hidden_act": "gelu",
    "memory_fuser_kernel_size": 7,
    "memory_fuser_padding": 3,
    "memory_fuser_hidden_act": "gelu",
}
DECODER_FIXED = {"num_multimask_outputs": 3, "num_hidden_layers": 2}
PROMPT_FIXED = {"num_point_embeddings": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-6}
"""The only values that we compute, which are also transformers' defaults."""
MEMORY_WIDTHS = (
    "memory_attention_hidden_size",
    "memory_encoder_hidden_size",
    "mask_downsampler_embed_dim",
    "memory_fuser_embed_dim",
)
"""Keys that must be `d_model`; transformers' default is 256."""


def read_interactive_config(tracker: Mapping[str, Any], detector: DetectorConfig) -> InteractiveConfig:
    """The interactive heads of transformers' tracker configuration, given the detector of the same weights.

    Raises:
        ConfigError: a value that this model does not support; the message names it.
    """
    prompt, decoder = tracker.get("prompt_encoder_config") or {}, tracker.get("mask_decoder_config") or {}
    _refuse_unsupported("prompt_encoder_config.", prompt, PROMPT_FIXED.items())
    _refuse_unsupported("mask_decoder_config.", decoder, DECODER_FIXED.items())
    for name, section in {"prompt_encoder_config": prompt, "mask_decoder_config": decoder}.items():
        _require(f"{name}.hidden_size", section.get("hidden_size", 256), detector.d_model)
    _require("prompt_encoder_config.patch_size", prompt.get("patch_size", 14), detector.vit.patch_size)
    if tracker.get("model_type") == "sam3_tracker":
        _require("prompt_encoder_config.image_size", prompt.get("image_size", 1008), detector.vit.image_size)
    else:  # transformers overwrites the one in prompt_encoder_config
        _require("image_size", tracker.get("image_size", 1008), detector.vit.image_size)
    values = _read(InteractiveConfig, decoder, DECODER_FIELDS)
    values["mask_channels"] = prompt.get("mask_input_channels", 16)
    if not decoder.get("dynamic_multimask_via_stability", True):
        values["stability_threshold"] = 0.0  # every mask is stable
    return InteractiveConfig(**values)


def read_tracker_config(tracker: Mapping[str, Any], detector: DetectorConfig) -> TrackerConfig:
    """The tracker of transformers' tracker configuration, given the detector of the same weights.

    Raises:
        ConfigError: a value that this model does not support; the message names it.
    """
    rope = tracker.get("rope_parameters") or {}
    _refuse_unsupported("", tracker, MEMORY_FIXED.items())
    _refuse_unsupported("rope_parameters.", rope, [("rope_type", "axial")])
    for key in MEMORY_WIDTHS:
        _require(key, tracker.get(key, 256), detector.d_model)
    _require("memory_fuser_intermediate_dim", tracker.get("memory_fuser_intermediate_dim", 1024), 4 * detector.d_model)
    theta = rope.get("rope_theta", tracker.get("memory_attention_rope_theta", 10000.0))
    return TrackerConfig(
        **_read(TrackerConfig, tracker, TRACKER_FIELDS),
        rope_theta=float(theta),
        memory_selection=False,
        bfloat16_memory=True,
    )


def read_video_config(values: Mapping[str, Any], detector: DetectorConfig) -> VideoConfig:
    """The video rules of transformers' `Sam3VideoConfig`, given its detector.

    Raises:
        ConfigError: a value that this model does not support; the message names it.
    """
    _require("low_res_mask_size", values.get("low_res_mask_size", 288), 4 * detector.vit.grid, where="")
    limit = values.get("max_num_objects", NO_LIMIT)
    return VideoConfig(**_read(VideoConfig, values, VIDEO_FIELDS), max_objects=None if limit == NO_LIMIT else limit)


def transformers_video_config(config: Sam3Config, detector: Mapping[str, Any]) -> dict[str, Any]:
    """The `config.json` of a `Sam3VideoModel` around the `config.json` of its detector.

    Raises:
        ConfigError: transformers cannot compute what this configuration does; the message names the field.
    """
    interactive, tracker, video = config.interactive, config.tracker, config.video or VideoConfig()
    if interactive is None or tracker is None:
        raise ConfigError("transformers has no model with a detector and clicks but no tracker: use another layout")
    _refuse_inexpressible(config.detector, interactive, tracker, video)
    return {
        "model_type": "sam3_video",
        "architectures": ["Sam3VideoModel"],
        "detector_config": dict(detector),
        "tracker_config": _tracker_config(config.detector, interactive, tracker, detector["vision_config"]),
        "low_res_mask_size": 4 * config.detector.vit.grid,
        "max_num_objects": NO_LIMIT if video.max_objects is None else video.max_objects,
        "recondition_on_trk_masks": False,
        **{key: getattr(video, field) for field, key in VIDEO_FIELDS.items()},
    }


def _tracker_config(
    detector: DetectorConfig, interactive: InteractiveConfig, tracker: TrackerConfig, vision: Mapping[str, Any]
) -> dict[str, Any]:
    shared = {"hidden_size": detector.d_model}
    image = {"image_size": detector.vit.image_size, "patch_size": detector.vit.patch_size}
    decoder = {key: getattr(interactive, field) for field, key in DECODER_FIELDS.items()}
    channels = {"mask_input_channels": interactive.mask_channels}
    return {
        "model_type": "sam3_tracker_video",
        "image_size": detector.vit.image_size,
        "vision_config": dict(vision),
        "prompt_encoder_config": {
            "model_type": "sam3_tracker_video_prompt_encoder", **shared, **image, **channels, **PROMPT_FIXED,
        },
        "mask_decoder_config": {
            "model_type": "sam3_tracker_video_mask_decoder", **shared, **decoder, **DECODER_FIXED,
            "dynamic_multimask_via_stability": True,
        },
        **MEMORY_FIXED,
        **dict.fromkeys(MEMORY_WIDTHS, detector.d_model),
        "memory_fuser_intermediate_dim": 4 * detector.d_model,
        "memory_attention_rope_feat_sizes": [detector.vit.grid, detector.vit.grid],
        "rope_parameters": {"rope_theta": tracker.rope_theta, "rope_type": "axial"},
        **{key: getattr(tracker, field) for field, key in TRACKER_FIELDS.items()},
    }  # fmt: skip


def _refuse_inexpressible(
    detector: DetectorConfig, interactive: InteractiveConfig, tracker: TrackerConfig, video: VideoConfig
) -> None:
    head = detector.neck.interactive
    wanted = [
        ("neck.interactive.dropped_levels", head and head.dropped_levels, 1),
        ("neck.scale_factors[:3]", detector.neck.scale_factors[:3], (4.0, 2.0, 1.0)),
        ("interactive.depth", interactive.depth, 2),
        ("tracker.memory_dim", tracker.memory_dim, 64),
        ("video.one_to_one_matching", video.one_to_one_matching, False),
        ("video.recondition_box_iou", video.recondition_box_iou, 0.0),
        ("video.shrink_ratio", video.shrink_ratio, 0.3),
        ("video.boundary_margin", video.boundary_margin, 0.0),
        ("video.confirmation_frames", video.confirmation_frames, 0),
    ]
    for name, found, supported in wanted:
        if found != supported:
            raise ConfigError(f"transformers supports only {name} = {supported}, not {found}: use another layout")
    if interactive.iou_depth < 2:
        raise ConfigError("transformers supports only interactive.iou_depth of at least 2: use another layout")
    patience = max(video.hotstart_unmatched, video.hotstart_duplicate)
    if 0 < video.hotstart_delay < patience:
        raise ConfigError(
            f"transformers supports only video.hotstart_unmatched and video.hotstart_duplicate up to "
            f"video.hotstart_delay ({video.hotstart_delay}), not {patience}: use another layout"
        )


def _read(cls: type, section: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """The fields of one of our classes, from the values of another's section or else our default."""
    defaults = {field.name: field.default for field in fields(cls)}
    return {name: section.get(key, defaults[name]) for name, key in keys.items()}


def _refuse_unsupported(where: str, section: Mapping[str, Any], fixed: Iterable[tuple[str, Any]]) -> None:
    for key, supported in fixed:
        _require(where + key, section.get(key, supported), supported)


def _require(name: str, found: Any, supported: Any, where: str = "tracker_config.") -> None:
    if found != supported:
        raise ConfigError(f"{where}{name} is {found!r}, but only {supported!r} is supported here")
