"""Reference numbers from a small `Sam3VideoModel` of transformers with random weights: writes
`transformers_video_small/`.

It needs torchvision, so it runs in an environment of its own:

    python -m venv oracle && oracle/bin/pip install torch torchvision transformers
    PYTHONPATH=. oracle/bin/python tests/goldens/make_transformers_video_goldens.py

On a CPU, transformers neither removes duplicate detections nor fills holes; the configuration switches both off.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Sam3TrackerVideoModel, Sam3VideoConfig, Sam3VideoModel, Sam3VideoProcessor
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import Sam3TrackerVideoInferenceSession
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

from tests.model.transformers_clip_weights import SALT, weight

FOLDER = Path(__file__).parent / "transformers_video_small"
FRAMES, SIDE, HEIGHT, WIDTH = 8, 112, 60, 80
D = 128
EPS = {"layer_norm_eps": 1e-5}
SHARED = {"hidden_size": D, "num_attention_heads": 4, **EPS}
VISION = {
    "model_type": "sam3_vision_model",
    "fpn_hidden_size": D,
    "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    "backbone_config": {
        "model_type": "sam3_vit_model",
        "hidden_size": 36,
        "intermediate_size": 72,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "image_size": SIDE,
        "patch_size": 14,
        "pretrain_image_size": 42,
        "window_size": 4,
        "global_attn_indexes": [0, 2],
        **EPS,
    },
    **EPS,
}
DETECTOR = {
    "vision_config": VISION,
    "text_config": {
        "model_type": "clip_text_model",
        "hidden_size": 24,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "max_position_embeddings": 16,
        "vocab_size": 128,
        "projection_dim": 20,
        "hidden_act": "gelu",
        **EPS,
    },
    "geometry_encoder_config": {**SHARED, "num_layers": 1, "intermediate_size": 64},
    "detr_encoder_config": {**SHARED, "num_layers": 2, "intermediate_size": 64},
    "detr_decoder_config": {**SHARED, "num_layers": 2, "intermediate_size": 64, "num_queries": 8},
    "mask_decoder_config": {**SHARED, "num_upsampling_stages": 3},
}
TRACKER = {
    "image_size": SIDE,
    "vision_config": VISION,
    "prompt_encoder_config": {"hidden_size": D, "image_size": SIDE},
    "mask_decoder_config": {"hidden_size": D, "mlp_dim": 64, "iou_head_hidden_dim": 48},
    "memory_attention_hidden_size": D,
    "memory_attention_feed_forward_hidden_size": 64,
    "memory_attention_num_layers": 2,
    "memory_encoder_hidden_size": D,
    "mask_downsampler_embed_dim": D,
    "memory_fuser_embed_dim": D,
    "memory_fuser_intermediate_dim": 4 * D,
}
RULES = {
    "low_res_mask_size": 32,
    "fill_hole_area": 0,
    "det_nms_thresh": 1.0,
    "hotstart_delay": 0,
    "hotstart_unmatch_thresh": 0,
    "hotstart_dup_thresh": 0,
    "recondition_every_nth_frame": 0,
}
DETECTION, NEW_OBJECT = 0.443, 0.99
"""Two detections of the first frame score above `DETECTION`, with a margin of 0.008. Both are new objects."""
IDS = [101, 7, 55, 102]
CLICKS = {0: ([[25.0, 35.0]], [1]), 1: ([[85.0, 80.0], [20.0, 20.0]], [1, 0])}
"""Points of two objects, xy in pixels of the model input, and their labels."""


@torch.no_grad()
def randomise(model: torch.nn.Module) -> None:
    """Weights by the rule of `tests/model/transformers_clip_weights.py`."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and "rotary_emb" not in name:
            tensor.copy_(weight(name, tuple(tensor.shape)))


def clip(seed: int) -> Tensor:
    """(F, 3, S, S) uint8: two discs that move over noise."""
    generator = torch.Generator().manual_seed(seed)
    background = torch.randint(60, 120, (3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    frames = []
    for t in range(FRAMES):
        frame = background.clone()
        frame[:, (x - 25 - 4 * t) ** 2 + (y - 35) ** 2 < 300] = torch.tensor([230, 40, 30], dtype=torch.uint8)[:, None]
        frame[:, (x - 85 + 3 * t) ** 2 + (y - 80) ** 2 < 400] = torch.tensor([30, 60, 220], dtype=torch.uint8)[:, None]
        frames.append(frame)
    return torch.stack(frames)


@torch.no_grad()
def follow(frames: Tensor) -> tuple[Sam3VideoModel, dict[str, Tensor]]:
    """The model, and what its processor shows of each frame."""
    rules = {**RULES, "score_threshold_detection": DETECTION, "new_det_thresh": NEW_OBJECT}
    model = Sam3VideoModel(Sam3VideoConfig(detector_config=DETECTOR, tracker_config=TRACKER, **rules)).eval()
    randomise(model)
    session = Sam3VideoInferenceSession(
        video=frames.float() / 127.5 - 1, video_height=HEIGHT, video_width=WIDTH, dtype=torch.float32
    )
    prompt = session.add_prompt("two discs")
    ids = torch.tensor([IDS + [0] * (16 - len(IDS))])
    session.prompt_input_ids[prompt], session.prompt_attention_masks[prompt] = ids, (ids != 0).long()
    tensors = {}
    for output in model.propagate_in_video_iterator(session, start_frame_idx=0):
        tensors |= record(session, output)
    return model, tensors


def record(session: Sam3VideoInferenceSession, output: Any) -> dict[str, Tensor]:
    """Of one frame: ids (N,), scores of detection and tracker (N,), boxes (N, 4), masks as bits of (N, H, W)."""
    processor = Sam3VideoProcessor.__new__(Sam3VideoProcessor)  # only resizes and compares: needs no image processor
    shown = processor.postprocess_outputs(session, output)
    ids, key = shown["object_ids"], f"{output.frame_idx}"
    tracker = [float(output.obj_id_to_tracker_score[i]) for i in ids.tolist()]
    print(key, ids.tolist(), shown["masks"].flatten(1).float().mean(1).tolist(), shown["scores"].tolist(), tracker)
    return {
        f"{key}.ids": ids,
        f"{key}.scores": shown["scores"].float(),
        f"{key}.tracker_scores": torch.tensor(tracker),
        f"{key}.boxes": shown["boxes"].float(),
        f"{key}.masks": torch.from_numpy(np.packbits(shown["masks"].numpy())),
    }


def click(model: Sam3VideoModel, frames: Tensor) -> dict[str, Tensor]:
    """The tracker alone, with clicks on two objects on the first frame."""
    tracker = Sam3TrackerVideoModel(model.config.tracker_config).eval()
    randomise_tracker(tracker)
    session = Sam3TrackerVideoInferenceSession(
        video=frames.float() / 127.5 - 1, video_height=HEIGHT, video_width=WIDTH, dtype=torch.float32
    )
    for object_id, (points, labels) in CLICKS.items():
        index = session.obj_id_to_idx(object_id)
        inputs = {"point_coords": torch.tensor([[points]]).float(), "point_labels": torch.tensor([[labels]])}
        session.add_point_inputs(index, 0, inputs)
        session.obj_with_new_inputs.append(object_id)
    tracker(inference_session=session, frame_idx=0)
    tensors = {}
    for output in tracker.propagate_in_video_iterator(session, start_frame_idx=0):
        masks, scores = output.pred_masks.squeeze(1), output.object_score_logits.flatten()
        print("clicks", output.frame_idx, (masks > 0).flatten(1).float().mean(1).tolist(), scores.tolist())
        tensors[f"clicks.{output.frame_idx}.masks"] = masks.half()
        tensors[f"clicks.{output.frame_idx}.scores"] = scores
    return tensors


@torch.no_grad()
def randomise_tracker(tracker: torch.nn.Module) -> None:
    """The weights that the tracker has inside the whole model."""
    for name, tensor in tracker.state_dict().items():
        if tensor.is_floating_point() and "rotary_emb" not in name:
            tensor.copy_(weight(name_in_video_model(name), tuple(tensor.shape)))


def name_in_video_model(name: str) -> str:
    """A parameter of `Sam3TrackerVideoModel` as it is called in `Sam3VideoModel`."""
    if name.startswith("vision_encoder.neck."):
        return name.replace("vision_encoder.neck.", "tracker_neck.")
    return f"detector_model.{name}" if name.startswith("vision_encoder.") else f"tracker_model.{name}"


if __name__ == "__main__":
    given = {"in.frames": clip(SALT), "in.ids": torch.tensor([IDS])}
    model, results = follow(given["in.frames"])
    model.config.save_pretrained(FOLDER)
    results |= click(model, given["in.frames"][:6])
    save_file(given | results, FOLDER / "outputs.safetensors")
