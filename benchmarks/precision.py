"""Rounding errors of features, boxes and masks with bfloat16 or float16 weights, compared with float32 weights.

    python -m benchmarks.precision --image-size 336

The weights are random, drawn so that activations keep their size at every depth (`tests/model/weight_rule.py`). An
error is the root mean square difference, divided by the standard deviation of the float32 values.
"""

import argparse
import copy
import time
from dataclasses import replace

import torch
from torch import Tensor

from sam3model.config import DetectorConfig, ViTConfig
from sam3model.detector.model import Sam3ImageModel
from tests.model.weight_rule import draw, official_name

SALT = 3


def make_model(image_size: int) -> Sam3ImageModel:
    """A model of the released size, for images of this size."""
    config = DetectorConfig(vit=ViTConfig(image_size=image_size))
    config = replace(config, neck=replace(config.neck, interactive=None))
    with torch.device("meta"):
        model = Sam3ImageModel(config)
    state = {name: draw(official_name(name), tuple(x.shape), SALT) for name, x in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    return model.eval()


@torch.inference_mode()
def outputs(model: Sam3ImageModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """Outputs of every stage, in float32, and the seconds that encoding took."""
    generator = torch.Generator().manual_seed(0)
    side = model.config.vit.image_size
    pixels = (torch.rand(1, 3, side, side, generator=generator) * 2 - 1).to(dtype)
    ids = torch.randint(1, 49000, (2, 32), generator=generator)
    ids[:, 6:] = 0
    index = torch.zeros(2, dtype=torch.long)
    start = time.perf_counter()
    features = model.encode_image(pixels, keep_trunk=True)
    seconds = time.perf_counter() - start
    geometry = model.encode_geometry(None, features, index)
    grounding = model.fuse_and_decode(features, model.encode_text(ids), geometry, index)
    found = {
        "trunk": features.trunk,
        "finest level": features.levels[0],
        "image memory": grounding.memory,
        "queries": grounding.queries,
        "logits": grounding.logits,
        "boxes": grounding.boxes,
        "masks": model.decode_masks(grounding, features, index),
        "seconds": torch.tensor([seconds]),
    }
    return {name: value.float() for name, value in found.items() if value is not None}


def main() -> None:
    """Print one line per stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=336, help="a multiple of 336; 1008 as released")
    parser.add_argument("--dtype", choices=["bfloat16", "float16"], default="bfloat16")
    arguments = parser.parse_args()
    model = make_model(arguments.image_size)
    dtype = getattr(torch, arguments.dtype)
    exact = outputs(model, torch.float32)
    rounded = outputs(copy.deepcopy(model).to(dtype), dtype)
    for name in (name for name in exact if name != "seconds"):
        error = (rounded[name] - exact[name]).square().mean().sqrt() / exact[name].std()
        print(f"{name:14} {error:.4f}")
    print(f"encode: {exact['seconds'].item():.1f} s in float32, {rounded['seconds'].item():.1f} s in {arguments.dtype}")


if __name__ == "__main__":
    main()
