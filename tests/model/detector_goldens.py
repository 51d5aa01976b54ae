"""Read the reference files of the detector, in which prompts are sequence-first."""

from functools import cache

import torch
from torch import Tensor

from sam3model.detector.model import Sam3ImageModel
from sam3model.structures import GeometryPrompt, ImageFeatures
from tests.model.weight_rule import fill, golden, small_config

torch.set_num_threads(1)  # tensors are too small for more threads


@cache
def small_model() -> Sam3ImageModel:
    """The reduced model with weights drawn by rule, in evaluation mode. It is cached: do not modify it."""
    with torch.inference_mode(False):
        model = Sam3ImageModel(small_config())
        fill(model)
    return model


@cache
def small_features() -> ImageFeatures:
    """Both photos of the reference, encoded."""
    with torch.no_grad():
        return small_model().encode_image(golden()["image.pixels"])


def geometry_prompt(tensors: dict[str, Tensor], case: str, prompts: int) -> GeometryPrompt | None:
    """The `in.*` tensors of a case as a batch-first prompt; None if there are none."""
    given = {k.removeprefix(f"{case}.in."): v for k, v in tensors.items() if k.startswith(f"{case}.in.")}
    if not given:
        return None
    none = torch.zeros(0, prompts)
    return GeometryPrompt(
        boxes=given.get("boxes", torch.zeros(0, prompts, 4)).transpose(0, 1),
        box_labels=given.get("box_labels", none.long()).T,
        box_mask=given.get("box_mask", none.T).bool(),
        points=given.get("points", torch.zeros(0, prompts, 2)).transpose(0, 1),
        point_labels=given.get("point_labels", none.long()).T,
        point_mask=given.get("point_mask", none.T).bool(),
        masks=given["masks"][0] if "masks" in given else None,
    )


def select_images(features: ImageFeatures, index: list[int]) -> ImageFeatures:
    """Features of some of the images."""
    return ImageFeatures(tuple(level[index] for level in features.levels), features.positions)
