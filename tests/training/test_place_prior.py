"""A new model reacts where it is clicked, before anything is learned."""

import pytest
import torch
from torch import Tensor

from sam3model.build import Sam3Model, build
from sam3model.interactive.heads import ObjectPrompt
from sam3model.training.place_prior import prefer_same_place

CLICKS = torch.tensor([[x, y] for y in (48.0, 128.0, 208.0) for x in (48.0, 128.0, 208.0)])
NEAR, FAR = 8, 24
"""Distances from the click in cells of the mask, which has 64 along each side."""


def reaction(model: Sam3Model) -> Tensor:
    """How much masks (9, 64, 64) of the clicks differ from their mean."""
    torch.manual_seed(1)
    vision, heads = model.detector.vision, model.interactive
    assert heads is not None
    levels = vision.neck(vision.trunk(torch.randn(1, 3, 256, 256)), "interactive", heads.projections)
    features = heads.features(levels, projected=True)
    prompt = ObjectPrompt(CLICKS[:, None], torch.ones(len(CLICKS), 1, dtype=torch.long))
    masks = heads.decode(heads.without_memory(features.embedding), features, prompt).masks[:, 1]
    return (masks - masks.mean(0)).abs()


def contrast(model: Sam3Model) -> float:
    """Reaction near the click over that far from it."""
    cells = torch.arange(64) * 4 + 2
    where = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), dim=-1)
    distance = (where[None] - CLICKS[:, None, None]).norm(dim=-1) / 4
    found = reaction(model)
    return (found[distance < NEAR].mean() / found[distance > FAR].mean()).item()


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
def test_masks_change_most_where_the_click_is(seed):
    torch.manual_seed(seed)
    model = build("sam3_tiny", parts=("detector", "interactive")).eval()
    before = contrast(model)
    prefer_same_place(model)
    after = contrast(model)
    assert before < 1.1
    assert after > 1.25
