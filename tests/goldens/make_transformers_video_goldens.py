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
from transformers import Sam3VideoConfig, Sam3VideoModel
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

from tests.model.weight_rule import draw_plain

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
    "detr_decoder_config": {**SHARED, "num_layers": 2, "intermediate_size": 64, "num_queries": 5},
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
UNIT_TABLES = ("embed.weight", "points.weight", "token.weight", "embedding.weight", "position_embeddings")
RESIDUAL_EXITS = ("o_proj.weight", "out_proj.weight", "fc2.weight", "box_head.layer3.weight", "linear2.weight")
SALT, DETECTION, NEW_OBJECT = 10, 0.341, 0.99
"""Two detections of the first frame score above `DETECTION`, with a margin of 0.016. Both are new objects."""
IDS = [101, 7, 55, 102]


@torch.no_grad()
def randomise(model: Sam3VideoModel, salt: int) -> None:
    """Weights by the rule of `tests/model/weight_rule.py` for transformers' names, so that they need no file."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and "rotary_emb" not in name:
            tensor.copy_(weight(name, tuple(tensor.shape), salt))


def weight(name: str, shape: tuple[int, ...], salt: int) -> Tensor:
    name = name.replace("prompt_encoder.shared_embedding.", "shared_image_embedding.")
    value = draw_plain(name, shape, salt)
    if name.endswith(UNIT_TABLES):
        return value * float(np.sqrt(shape[-1]))
    return value * 0.3 if name.endswith(RESIDUAL_EXITS) else value


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


def follow(model: Sam3VideoModel, frames: Tensor) -> list[Any]:
    session = Sam3VideoInferenceSession(
        video=frames.float() / 127.5 - 1, video_height=HEIGHT, video_width=WIDTH, dtype=torch.float32
    )
    prompt = session.add_prompt("two discs")
    ids = torch.tensor([IDS + [0] * (16 - len(IDS))])
    session.prompt_input_ids[prompt], session.prompt_attention_masks[prompt] = ids, (ids != 0).long()
    return list(model.propagate_in_video_iterator(session, start_frame_idx=0))


@torch.no_grad()
def make(seed: int, detection: float, new: float) -> tuple[Sam3VideoModel, list[Any]]:
    rules = {**RULES, "score_threshold_detection": detection, "new_det_thresh": new}
    model = Sam3VideoModel(Sam3VideoConfig(detector_config=DETECTOR, tracker_config=TRACKER, **rules)).eval()
    randomise(model, seed)
    return model, follow(model, clip(seed))


def record(outputs: list[Any]) -> dict[str, Tensor]:
    """Per frame: ids (N,), masks (N, 1, h, w) above zero, scores of detection and tracker (N,), suppressed ids."""
    tensors = {}
    for out in outputs:
        ids, key = list(out.object_ids), f"{out.frame_idx}"
        tensors[f"{key}.ids"] = torch.tensor(ids)
        tensors[f"{key}.suppressed"] = torch.tensor(sorted(out.suppressed_obj_ids or ()), dtype=torch.long)
        for name, values in {"score": out.obj_id_to_score, "tracker_score": out.obj_id_to_tracker_score}.items():
            tensors[f"{key}.{name}"] = torch.tensor([float(values.get(i, float("nan"))) for i in ids])
        tensors[f"{key}.masks"] = torch.stack([out.obj_id_to_mask[i] for i in ids]).cpu() > 0
    return tensors


if __name__ == "__main__":
    model, outputs = make(SALT, DETECTION, NEW_OBJECT)
    model.config.save_pretrained(FOLDER)
    given = {"in.frames": clip(SALT), "in.ids": torch.tensor([IDS])}
    save_file(given | record(outputs), FOLDER / "outputs.safetensors")
    for out in outputs:
        areas = [int((mask > 0).sum()) for mask in out.obj_id_to_mask.values()]
        print(out.frame_idx, out.object_ids, areas, out.obj_id_to_score, out.obj_id_to_tracker_score)
