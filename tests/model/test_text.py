from dataclasses import replace

import pytest
import torch

from sam3model.config import TextConfig
from sam3model.errors import InputError
from sam3model.text import Tokenizer, VETextEncoder, trim
from tests.model.weight_rule import assert_matches, fill, golden, small_config, small_record

TEXTS = small_record()["texts"]


@pytest.fixture(scope="module")
def encoder() -> VETextEncoder:
    config = small_config()
    return fill(VETextEncoder(config.text, config.d_model), "text.")


@pytest.fixture(scope="module")
def ids():
    return Tokenizer()(TEXTS, 32)


def test_every_stage_matches_the_reference(encoder, ids):
    seen = {}
    stages = {"embeds": encoder.encoder.token_embedding, "memory": encoder.encoder.ln_final}
    stages |= {f"block{i}": block for i, block in enumerate(encoder.encoder.transformer.resblocks)}
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name, module in stages.items()
    ]
    with torch.inference_mode():
        text = encoder(ids)
    for handle in handles:
        handle.remove()
    assert torch.equal(ids, golden()["text.ids"].long())
    assert torch.equal(text.mask, golden()["text.mask"].bool())
    assert_matches(seen.pop("embeds").transpose(0, 1), golden()["text.embeds"])
    assert_matches(text.tokens.transpose(0, 1), golden()["text.features"])
    for name, value in seen.items():
        assert_matches(value, golden()[f"text.{name}"])


def test_trimming_padding_does_not_change_tokens(encoder, ids):
    short = ids[[0, 1, 2, 4]]
    trimmed = trim(short, Tokenizer().end_id)
    assert trimmed.shape[1] < 16
    with torch.inference_mode():
        torch.testing.assert_close(
            encoder(trimmed).tokens, encoder(short).tokens[:, : trimmed.shape[1]], atol=1e-5, rtol=1e-5
        )


def test_too_many_tokens_are_refused(encoder):
    with pytest.raises(InputError, match="exceed the context length of 32"):
        encoder(torch.zeros(1, 33, dtype=torch.long))


def test_layer_scale_is_optional_and_scales_the_branches():
    config = TextConfig(width=32, heads=2, layers=2, vocabulary=64, context_length=8)
    ids = torch.randint(1, 64, (2, 8))
    plain = VETextEncoder(config, 16).eval()
    scaled = VETextEncoder(replace(config, layer_scale=1.0), 16).eval()
    missing = scaled.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing == [f"encoder.transformer.resblocks.{i}.ls_{j}.gamma" for i in range(2) for j in (1, 2)]
    with torch.inference_mode():
        assert torch.equal(plain(ids).tokens, scaled(ids).tokens)
        for block in scaled.encoder.transformer.resblocks:
            block.ls_1.gamma.zero_()
            block.ls_2.gamma.zero_()
        inner = scaled.encoder
        bare = inner.ln_final(inner.token_embedding(ids) + inner.positional_embedding)
        torch.testing.assert_close(scaled(ids).tokens, scaled.resizer(bare))
