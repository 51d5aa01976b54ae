"""Rounding errors of features, boxes and masks with bfloat16, float16 or int8 weights, compared with float32 weights.

    python -m benchmarks.precision --image-size 336

The weights are random, drawn so that activations keep their size at every depth (`tests/model/weight_rule.py`). An
error is the root mean square difference, divided by the standard deviation of the float32 values. The agreement of
masks is the mean IoU of a mask with that of float32 weights, over all queries whose mask is not empty. Times are of the
processor, since another program may be running.
"""

import argparse
import copy
import time
from dataclasses import replace

import torch
from torch import Tensor

from sam3model.build import no_memory
from sam3model.config import DetectorConfig, ViTConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import DTYPES, INT8
from sam3model.ops.masks import mask_iou
from sam3model.quantise import quantise
from tests.model.weight_rule import draw, official_name

SALT = 3


def make_model(image_size: int) -> Sam3ImageModel:
    """A model of the released size, for images of this size."""
    config = DetectorConfig(vit=ViTConfig(image_size=image_size))
    config = replace(config, neck=replace(config.neck, interactive=None))
    with no_memory():
        model = Sam3ImageModel(config)
    state = {name: draw(official_name(name), tuple(x.shape), SALT) for name, x in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    return model.eval()


@torch.inference_mode()
def outputs(model: Sam3ImageModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """Outputs of every stage, in float32, and the processor seconds that encoding took."""
    generator = torch.Generator().manual_seed(0)
    side = model.config.vit.image_size
    pixels = (torch.rand(1, 3, side, side, generator=generator) * 2 - 1).to(dtype)
    ids = torch.randint(1, 49000, (2, 32), generator=generator)
    ids[:, 6:] = 0
    index = torch.zeros(2, dtype=torch.long)
    start = time.process_time()
    features = model.encode_image(pixels, keep_trunk=True)
    seconds = time.process_time() - start
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


def in_precision(model: Sam3ImageModel, name: str) -> tuple[Sam3ImageModel, torch.dtype]:
    """A copy of a float32 model in this precision, and the type of its pixels."""
    dtype = torch.bfloat16 if name == INT8 else DTYPES[name]
    model = copy.deepcopy(model).to(dtype)
    return (quantise(model) if name == INT8 else model), dtype


def agreement(masks: Tensor, exact: Tensor) -> float:
    """Mean IoU of mask logits (..., h, w) > 0 with the exact ones, over those that are not empty."""
    pairs = zip(masks.flatten(0, -3) > 0, exact.flatten(0, -3) > 0, strict=True)
    ious = [mask_iou(one[None], other[None]).item() for one, other in pairs if other.any()]
    return sum(ious) / len(ious)


def megabytes(model: Sam3ImageModel) -> float:
    """Memory of the weights."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers())) / 1e6


def main() -> None:
    """Print one line per stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=336, help="a multiple of 336; 1008 as released")
    parser.add_argument("--dtypes", nargs="+", choices=["bfloat16", "float16", INT8], default=["bfloat16", INT8])
    arguments = parser.parse_args()
    model = make_model(arguments.image_size)
    exact = outputs(model, torch.float32)
    print(f"float32: {megabytes(model):.0f} MB of weights, encoded in {exact['seconds'].item():.1f} s")
    for name in arguments.dtypes:
        other, dtype = in_precision(model, name)
        rounded = outputs(other, dtype)
        print(f"{name}: {megabytes(other):.0f} MB of weights, encoded in {rounded['seconds'].item():.1f} s")
        for stage in (stage for stage in exact if stage != "seconds"):
            error = (rounded[stage] - exact[stage]).square().mean().sqrt() / exact[stage].std()
            print(f"  {stage:14} {error:.4f}")
        print(f"  masks agree with those of float32: IoU {agreement(rounded['masks'], exact['masks']):.4f}", flush=True)


if __name__ == "__main__":
    main()
