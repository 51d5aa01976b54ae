"""The pixel decoder splits the convolution of a sum in two; the result must be that of the release."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.detector.segmentation_head import PixelDecoder
from tests.model.detector_goldens import select_images, small_features, small_model
from tests.model.weight_rule import golden


def plainly(decoder: PixelDecoder, coarse: Tensor, finer: tuple[Tensor, ...]) -> Tensor:
    """As in the paper: upsample, add, convolve, norm, ReLU."""
    x = coarse
    for level, conv, norm in zip(reversed(finer), decoder.conv_layers, decoder.norms, strict=False):
        x = F.relu(norm(conv(level + F.interpolate(x, size=level.shape[-2:], mode="nearest"))))
    return x


@pytest.fixture
def decoder() -> PixelDecoder:
    torch.manual_seed(0)
    return PixelDecoder(16, stages=3, groups=4)


def maps(images: int, prompts: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    finer = tuple(torch.randn(images, 16, 5 * side, 3 * side, requires_grad=True) for side in (4, 2))
    return torch.randn(prompts, 16, 5, 3, requires_grad=True), finer


@pytest.mark.parametrize("images", [1, 3])
def test_values_and_gradients_equal_the_plain_implementation(decoder: PixelDecoder, images: int) -> None:
    coarse, finer = maps(images, prompts=3)
    ours, theirs = decoder(coarse, decoder.laterals(finer)), plainly(decoder, coarse, finer)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    with torch.no_grad():  # keeps the order in memory that the convolutions give
        torch.testing.assert_close(decoder(coarse, decoder.laterals(finer)), theirs, atol=1e-5, rtol=0)
    inputs = (coarse, *finer, *(p for name, p in decoder.named_parameters() if ".2." not in name))
    weights = torch.randn_like(theirs)
    gradients = (torch.autograd.grad((out * weights).sum(), inputs) for out in (ours, theirs))
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_prepared_features_give_the_same_masks_and_keep_one_level() -> None:
    model, features, index = small_model(), select_images(small_features(), [0]), torch.tensor([0, 0])
    prepared = model.prepare_masks(features)
    assert len(prepared.levels) == len(prepared.positions) == 1 and model.prepare_masks(prepared) is prepared
    text, geometry = model.encode_text(golden()["text.ids"][:2]), model.encode_geometry(None, features, index)
    grounding = model.fuse_and_decode(features, text, geometry, index)
    select = torch.tensor([[1, 4], [0, 2], [1, 0]])
    every = model.decode_masks(grounding, features, index)[select[:, 0], select[:, 1]]
    for some in (features, prepared):
        torch.testing.assert_close(model.decode_masks(grounding, some, index, select), every, atol=1e-5, rtol=1e-5)
