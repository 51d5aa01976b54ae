"""Vision trunk: a plain ViT with window and global attention (SAM 3, arXiv 2511.16719, appendix; official name `ViT`).

Tokens are sorted into window order once, before the first block. Window blocks then work on contiguous groups, global
blocks on the whole sequence with a rotary table in the same order, and no block copies its input.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam3model.config import ViTConfig
from sam3model.errors import InputError
from sam3model.layers.convolution import Conv2d
from sam3model.layers.drop_path import DropPath
from sam3model.layers.linear import Linear
from sam3model.layers.norm import LayerNorm
from sam3model.ops.attend import attend
from sam3model.ops.rope import rotary_table, rotate


class PatchEmbed(nn.Module):
    """Embed non-overlapping patches."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = Conv2d(3, width, patch_size, stride=patch_size, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H*p, W*p) -> (B, H, W, C)."""
        return self.proj(pixels).permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Rotary self-attention within groups of consecutive tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, grid: tuple[int, int], config: ViTConfig, is_global: bool) -> Tensor:
        """Tokens in window order (B, N, C) -> (B, N, C)."""
        qkv = self.qkv(x)  # (B, N, 3*C)
        head_dim = x.shape[-1] // self.heads
        table = rotary_table(grid, config.window, head_dim, config.rope_theta, is_global, device=qkv.device)
        group = x.shape[1] if is_global else config.window**2
        qkv = qkv.view(-1, group, 3, self.heads, head_dim)  # (B*groups, n, 3, heads, d)
        q, k = rotate(qkv[:, :, :2], table).permute(2, 0, 3, 1, 4)  # (B*groups, heads, n, d)
        v = qkv[:, :, 2].transpose(1, 2)
        out = attend(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class Mlp(nn.Module):
    """Two linear layers with an exact GELU in between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.fc2(self.fc1.gelu(x))


class Block(nn.Module):
    """Pre-norm transformer block with global or windowed attention."""

    def __init__(self, config: ViTConfig, index: int) -> None:
        super().__init__()
        self.config = config
        self.is_global = index in config.global_blocks
        self.norm1 = LayerNorm(config.width, config.layer_norm_eps)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = LayerNorm(config.width, config.layer_norm_eps)
        self.mlp = Mlp(config.width, round(config.width * config.mlp_ratio))
        self.drop_path = DropPath(config.drop_path * index / max(1, config.depth - 1))

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens in window order (B, N, C) -> (B, N, C)."""
        dtype = self.norm1.weight.dtype
        x = x + self.drop_path(self.attn(self.norm1(x).to(dtype), grid, self.config, self.is_global))
        return x + self.drop_path(self.mlp(self.norm2(x).to(dtype)))


class ViT(nn.Module):
    """The trunk, for images whose token grid is a multiple of the window.

    The residual stream and the norms are float32 in any precision of the weights (see docs/precision.md).
    `checkpointing` recomputes each block in the backward pass to save memory. The first row of the position table, for
    the class token of the pretrained encoder, is unused, as in the release.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.patch_embed = PatchEmbed(config.patch_size, config.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.pretrain_grid**2, config.width))
        self.ln_pre = LayerNorm(config.width, config.layer_norm_eps)
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.depth))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.apply(_initialise)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H*p, W*p) -> features (B, C, H, W) of the last global block.

        Raises:
            InputError: the token grid is not a multiple of the window.
        """
        grid = self._grid(pixels)
        x = self.patch_embed(pixels).float()  # (B, H, W, C)
        x = x + self._positions(grid)
        x = self.ln_pre(_to_windows(x, self.config.window))  # (B, H*W, C)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, grid, use_reentrant=False)
            else:
                x = block(x, grid)
        x = _from_windows(x.to(self.pos_embed.dtype), grid, self.config.window)
        return x.permute(0, 3, 1, 2)  # (B, C, H, W), channels last in memory

    def _grid(self, pixels: Tensor) -> tuple[int, int]:
        height, width = pixels.shape[-2:]
        step = self.config.patch_size * self.config.window
        if height % step or width % step:
            raise InputError(f"the model input is {width}x{height} pixels, but both sides must be multiples of {step}")
        return height // self.config.patch_size, width // self.config.patch_size

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """The position table tiled and cropped (not interpolated) to the token grid: (1, H, W, C)."""
        side = self.config.pretrain_grid
        table = self.pos_embed[:, 1:].unflatten(1, (side, side))
        repeats = [-(-size // side) for size in grid]
        return table.repeat(1, *repeats, 1)[:, : grid[0], : grid[1]]


def _to_windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B, H*W, C) in window order."""
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # (B, H/w, w, W/w, w, C)
    return x.transpose(2, 3).flatten(1, 4)


def _from_windows(x: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """The inverse of `_to_windows`: (B, H*W, C) -> (B, H, W, C)."""
    height, width = grid
    x = x.unflatten(1, (height // window, width // window, window, window))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
