"""Reference numbers from a small `Sam3Model` of transformers with random weights: writes `transformers_small/` and
`transformers_small_outputs.safetensors`.

It needs torchvision, so it runs in an environment of its own:

    python -m venv oracle && oracle/bin/pip install torch torchvision transformers
    oracle/bin/python tests/goldens/make_transformers_goldens.py

With a folder as argument, it instead loads weights written by `save_transformers` and prints the missing and unexpected
tensors.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Sam3Config, Sam3Model

FOLDER = Path(__file__).parent / "transformers_small"
OUTPUTS = FOLDER.with_name("transformers_small_outputs.safetensors")
EPS = {"layer_norm_eps": 1e-5}
"""As in the release; transformers' own default for the trunk is 1e-6."""
SHARED = {"hidden_size": 24, "num_attention_heads": 3, **EPS}
CONFIG = {
    "vision_config": {
        "fpn_hidden_size": 24,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 36,
            "intermediate_size": 100,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "image_size": 112,
            "patch_size": 14,
            "pretrain_image_size": 42,
            "window_size": 4,
            "global_attn_indexes": [0, 2],
            **EPS,
        },
        **EPS,
    },
    "text_config": {
        "model_type": "clip_text_model",
        "hidden_size": 24,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "max_position_embeddings": 16,
        "vocab_size": 128,
        "projection_dim": 20,
        "hidden_act": "gelu",
        **EPS,
    },
    "geometry_encoder_config": {**SHARED, "num_layers": 2, "intermediate_size": 40},
    "detr_encoder_config": {**SHARED, "num_layers": 2, "intermediate_size": 56},
    "detr_decoder_config": {**SHARED, "num_layers": 3, "intermediate_size": 72, "num_queries": 14},
    "mask_decoder_config": {**SHARED, "num_upsampling_stages": 3},
}

RESIDUAL_EXITS = ("o_proj.weight", "out_proj.weight", "fc2.weight", "box_head.layer3.weight")


def randomise(model: Sam3Model) -> None:
    """Random weights that keep activations near one at every depth, so that every mistake changes the outputs."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim < 2:
            noise = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif "embed" not in name.rsplit(".", 2)[-2] and not name.endswith(("position_embeddings", "token.weight")):
            noise = noise / parameter[0].numel() ** 0.5 * (0.3 if name.endswith(RESIDUAL_EXITS) else 1.0)
        parameter.data.copy_(noise)


def prompts() -> dict[str, Tensor]:
    """Two images with a text each, and three boxes each; two boxes of the second image are padding."""
    generator = torch.Generator().manual_seed(6)
    ids = torch.randint(1, 128, (2, 16), generator=generator)
    ids[0, 9:], ids[1, 4:] = 0, 0
    centres = 0.2 + 0.6 * torch.rand(2, 3, 2, generator=generator)
    sides = 0.1 + 0.4 * torch.rand(2, 3, 2, generator=generator)
    return {
        "pixels": torch.randint(0, 256, (2, 3, 112, 112), generator=generator, dtype=torch.uint8),
        "ids": ids,
        "boxes": torch.cat((centres, sides), dim=-1),
        "box_labels": torch.tensor([[1, 0, 1], [0, -10, -10]]),  # positive, negative, padding
    }


@torch.no_grad()
def make() -> None:
    model = Sam3Model(Sam3Config(**CONFIG)).eval()
    randomise(model)
    model.save_pretrained(FOLDER)
    given = prompts()
    text = {
        "pixel_values": given["pixels"] / 127.5 - 1,
        "input_ids": given["ids"],
        "attention_mask": (given["ids"] != 0).long(),
    }
    boxes = {"input_boxes": given["boxes"], "input_boxes_labels": given["box_labels"]}
    tensors = {f"in.{name}": tensor for name, tensor in given.items()}
    for case, inputs in {"text": text, "boxes": text | boxes}.items():
        outputs = model(**inputs)
        for name in ("pred_logits", "pred_boxes", "pred_masks", "presence_logits", "semantic_seg"):
            tensors[f"{case}.{name}"] = outputs[name].contiguous()
            print(f"{case}.{name}: {tuple(outputs[name].shape)}, deviation {outputs[name].std():.3f}")
    save_file(tensors, OUTPUTS)
    for path in (*FOLDER.iterdir(), OUTPUTS):
        path.chmod(0o644)


def check(folder: str) -> None:
    _, info = Sam3Model.from_pretrained(folder, output_loading_info=True)
    for what, names in info.items():
        print(f"{what}: {sorted(names) if names else 'none'}")


if __name__ == "__main__":
    check(sys.argv[1]) if len(sys.argv) > 1 else make()
