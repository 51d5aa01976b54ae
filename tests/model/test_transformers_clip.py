"""transformers' results over a small clip, from the same weights."""

from pathlib import Path

import torch

from sam3model.structures import PromptTokens
from tests.model.transformers_clip import clip_model, results


@torch.no_grad()
def test_the_first_detections_are_the_same(tmp_path: Path) -> None:
    model, expected = clip_model(tmp_path), results()
    features = model.detector.encode_image(expected["in.frames"][:1].float() / 127.5 - 1)
    ids = torch.zeros(1, 16, dtype=torch.long)
    ids[:, : expected["in.ids"].shape[1]] = expected["in.ids"]
    text = model.detector.encode_text(ids)
    none = PromptTokens(text.tokens[:, :0], text.mask[:, :0])  # transformers has no class token without boxes
    grounding = model.detector.fuse_and_decode(features, text, none, torch.zeros(1, dtype=torch.long))
    scores = (grounding.logits.sigmoid() * grounding.presence.sigmoid().unsqueeze(-1)).flatten()
    assert model.config.video is not None
    found = scores[scores > model.config.video.detection_score].sort(descending=True).values
    torch.testing.assert_close(found, expected["0.score"].sort(descending=True).values, atol=1e-4, rtol=0)
