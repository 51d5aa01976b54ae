"""The interactive heads against the official numbers."""

import pytest
import torch
from torch import Tensor

from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures
from sam3model.interactive.mask_decoder import DecodedMasks
from tests.model.video_goldens import INTERACTIVE, arrays, detector_config, fill, record

SET = "interactive_small"


@pytest.fixture(scope="module")
def heads() -> InteractiveHeads:
    module = InteractiveHeads(detector_config(), INTERACTIVE)
    fill(module, "interactive.", SET)
    return module


@pytest.fixture(scope="module")
def features() -> ObjectFeatures:
    numbers = arrays(SET)
    return ObjectFeatures(numbers["feat.s2"], numbers["feat.s0"], numbers["feat.s1"])


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def close(found: Tensor, key: str, atol: float) -> None:
    torch.testing.assert_close(found, arrays(SET)[key], atol=atol, rtol=0)


def test_points_boxes_and_masks_are_encoded(heads: InteractiveHeads) -> None:
    numbers, encoder = arrays(SET), heads.prompt_encoder
    points, labels = numbers["pe.point_coords"], numbers["pe.point_labels"]
    corners = numbers["pe.boxes_xyxy"].unflatten(-1, (2, 2))
    corner_labels = torch.tensor([[2, 3]]).expand(4, -1)
    close(encoder.dense_position(), "pe.dense_pe", 1e-4)
    close(encoder.encode_points(points, labels), "pe.points.sparse", 1e-4)
    close(encoder.encode_points(corners, corner_labels, pad=False), "pe.boxes.sparse", 1e-4)
    both = torch.cat((points, corners), 1), torch.cat((labels, corner_labels), 1)
    close(encoder.encode_points(*both, pad=False), "pe.points_boxes.sparse", 1e-4)
    close(encoder.encode_mask(None, 1), "pe.nomask.dense_row0", 1e-4)
    close(encoder.encode_mask(numbers["pe.mask_logits"], 4), "pe.mask.dense", 1e-4)


@pytest.mark.parametrize("case", ["nomask", "mask"])
def test_masks_are_decoded(heads: InteractiveHeads, features: ObjectFeatures, case: str) -> None:
    decoded = decode(heads, features, case)
    close(decoded.masks, f"dec.{case}.all_masks", 5e-3)
    close(decoded.ious, f"dec.{case}.all_ious", 1e-4)
    close(decoded.tokens, f"dec.{case}.mask_tokens", 1e-4)
    close(decoded.object_scores, f"dec.{case}.object_score_logits", 1e-4)


@pytest.mark.parametrize("case", ["nomask", "mask"])
def test_an_unstable_single_mask_is_replaced(heads: InteractiveHeads, features: ObjectFeatures, case: str) -> None:
    decoded = decode(heads, features, case)
    close(heads.mask_decoder.stability(decoded.masks[:, 0]), f"dec.{case}.stability_token0", 1e-6)
    masks, ious = heads.mask_decoder.single_mask(decoded)
    close(masks, f"dec.{case}.single.masks", 5e-3)
    close(ious, f"dec.{case}.single.ious", 1e-4)
    fired = [not torch.equal(mask[0], all_[0]) for mask, all_ in zip(masks, decoded.masks, strict=True)]
    assert fired == record(SET)[f"dec.{case}.fallback_fired"]


def test_several_objects_share_one_image(heads: InteractiveHeads, features: ObjectFeatures) -> None:
    numbers = arrays(SET)
    decoded = heads.mask_decoder(
        heads.without_memory(features.embedding[:1]),
        heads.prompt_encoder.dense_position(),
        numbers["pe.points.sparse"][:3],
        heads.prompt_encoder.encode_mask(None, 3),
        (features.fine[:1], features.middle[:1]),
    )
    close(decoded.masks[:, 1:], "dec.repeat.masks", 5e-3)
    close(decoded.ious[:, 1:], "dec.repeat.ious", 1e-4)
    close(decoded.tokens[:, 1:], "dec.repeat.tokens", 1e-4)
    close(decoded.object_scores, "dec.repeat.object_score_logits", 1e-4)


def decode(heads: InteractiveHeads, features: ObjectFeatures, case: str) -> DecodedMasks:
    numbers, encoder = arrays(SET), heads.prompt_encoder
    return heads.mask_decoder(
        heads.without_memory(features.embedding),
        encoder.dense_position(),
        numbers["pe.points.sparse"],
        encoder.encode_mask(numbers["pe.mask_logits"] if case == "mask" else None, 4),
        (features.fine, features.middle),
    )
