"""Rotary codes of the memory attention in their two forms."""

import torch

from sam3model.ops import rope
from sam3model.ops.rope import axial_angles, grid_table, rotary_table, rotate, rotate_heads


def test_both_forms_of_the_table_rotate_alike() -> None:
    x = torch.rand(2, 1, 2 * 6 + 3, 8, generator=torch.Generator().manual_seed(0))
    table = grid_table(2, 3, 8, 1e4, torch.device("cpu"))
    angles = axial_angles(2, 3, 8)
    cosine = angles.cos().repeat_interleave(2, dim=-1)
    sine = torch.stack((-angles.sin(), angles.sin()), dim=-1).flatten(-2)
    real = torch.stack((cosine, sine))  # as on accelerators
    assert table.is_complex()
    torch.testing.assert_close(rotate_heads(x, real, 12), rotate_heads(x, table, 12))


def test_tokens_after_the_maps_are_not_rotated() -> None:
    x = torch.rand(1, 1, 8, 8)
    turned = rotate_heads(x, grid_table(2, 3, 8, 1e4, torch.device("cpu")), 6)
    assert torch.equal(turned[:, :, 6:], x[:, :, 6:])
    assert not torch.equal(turned[:, :, 1:6], x[:, :, 1:6])


def test_tokens_are_rotated_in_parts_as_all_at_once(monkeypatch) -> None:
    monkeypatch.setattr(rope, "CACHED", 5 * 2 * 3 * 8)  # five tokens, which do not divide sixteen
    table = rotary_table((4, 4), 4, 8, 1e4, False, torch.device("cpu"))
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(2, 16, 3, 3, 8).to(dtype)[:, :, :2]
        whole = rotate(x, table)
        with torch.no_grad():
            parts = rotate(x, table)
        assert torch.equal(parts, whole) and parts.dtype == dtype
