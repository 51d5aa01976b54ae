"""DETR decoder: queries refine their boxes layer by layer; a presence token predicts whether the phrase matches."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam3model.config import DetectorConfig
from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.init import xavier_
from sam3model.layers.linear import Linear
from sam3model.layers.mlp import MLP
from sam3model.ops.boxes import inverse_sigmoid
from sam3model.ops.position import PositionEmbeddingSine
from sam3model.structures import PromptTokens

PRESENCE = 1  # number of presence tokens, in front of the queries


@dataclass(frozen=True, slots=True)
class DecoderOutput:
    """Output of one layer for P prompts; in training, the second half of the Q queries are one-to-many queries.

    queries (P, Q, D) after the norm; references (P, Q, 4) input boxes of the layer; boxes (P, Q, 4) refined boxes;
    presence (P,) logit. Boxes are normalised cxcywh in float32.
    """

    queries: Tensor
    references: Tensor
    boxes: Tensor
    presence: Tensor


class DecoderLayer(nn.Module):
    """Self-attention, attention to prompt and image, and ReLU MLP, each post-norm and residual."""

    def __init__(self, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(dim, heads, dropout)
        self.norm2 = nn.LayerNorm(dim)
        self.ca_text = MultiheadAttention(dim, heads, dropout)
        self.catext_norm = nn.LayerNorm(dim)
        self.cross_attn = MultiheadAttention(dim, heads, dropout)
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = Linear(dim, ffn)
        self.linear2 = Linear(ffn, dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self,
        x: Tensor,
        position: Tensor,
        prompt: PromptTokens,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        attending: int,
    ) -> Tensor:
        """x, position (P, K, D); image key, value (P, H*W, D); bias (P, heads, K, H*W); returns (P, K, D).

        x, position and bias may have one row for all prompts. `attending`: as for `_attend_self`.
        """
        x = self.norm2(self._attend_self(x, position, attending)).expand(len(value), -1, -1)
        text = self.ca_text(x + position, prompt.tokens, prompt.tokens, key_padding_mask=prompt.mask)
        x = self.catext_norm(x + self.dropout(text))
        x = self.norm1(x + self.dropout(self.cross_attn(x + position, key, value, bias=bias)))
        hidden = self.dropout(F.relu(self.linear1(x), inplace=True))
        return self.norm3(x + self.dropout(self.linear2(hidden)))

    def _attend_self(self, x: Tensor, position: Tensor, attending: int) -> Tensor:
        """Self-attention of the first `attending` tokens; the one-to-many queries after them are left out."""
        active = x[:, :attending]
        key = active + position[:, :attending]
        active = active + self.dropout(self.self_attn(key, key, active))
        return active if attending == x.shape[1] else torch.cat((active, x[:, attending:]), dim=1)


class Decoder(nn.Module):
    """Official `TransformerDecoder` with box refinement, log box position bias, presence token and DAC queries.

    `checkpointing` recomputes the layers in the backward pass to save memory.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        dim, heads, queries = config.d_model, config.heads, config.decoder.queries
        self.one_to_many = config.decoder.one_to_many
        self.sine = PositionEmbeddingSine(dim)
        self.layers = nn.ModuleList(
            DecoderLayer(dim, heads, config.decoder.ffn, config.dropout) for _ in range(config.decoder.layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.query_embed = nn.Embedding(queries, dim)
        self.reference_points = nn.Embedding(queries, 4)
        self.ref_point_head = MLP(2 * dim, dim, dim)
        self.bbox_embed = MLP(dim, dim, dim, 4)
        self.boxRPB_embed_x = MLP(2, dim, heads)
        self.boxRPB_embed_y = MLP(2, dim, heads)
        self.presence_token = nn.Embedding(1, dim)
        self.presence_token_head = MLP(dim, dim, dim, 1)
        self.presence_token_out_norm = nn.LayerNorm(dim)
        self.checkpointing = False
        xavier_(self)
        self._initialise_boxes()

    def forward(self, memory: Tensor, position: Tensor, prompt: PromptTokens) -> tuple[DecoderOutput, ...]:
        """Image memory (P, H*W, D), its position encoding (1, D, H, W) and prompt tokens -> one output per layer."""
        height, width = position.shape[-2:]
        key = memory + position.flatten(2).transpose(1, 2).to(memory.dtype)  # (P, H*W, D)
        attending = PRESENCE + self.query_embed.num_embeddings
        x, anchor = self._start()  # one row for all prompts, until the first layer attends to the prompt
        reference = anchor
        outputs = []
        for layer in self.layers:
            query_position = F.pad(self.query_position(reference), (0, 0, PRESENCE, 0))  # (P, 1+Q, D)
            bias = self.box_bias(reference, height, width)  # (P, heads, 1+Q, H*W)
            arguments = (x, query_position, prompt, key, memory, bias, attending)
            recompute = self.checkpointing and self.training
            x = checkpoint(layer, *arguments, use_reentrant=False) if recompute else layer(*arguments)
            queries = self.norm(x[:, PRESENCE:])
            delta = self.bbox_embed(queries).float()
            boxes = _refine(anchor, delta)
            outputs.append(DecoderOutput(queries, reference.expand_as(boxes), boxes, self._presence(x[:, 0])))
            # Same value as `boxes`, other gradient: the next layer's boxes are refined from it, so their loss reaches
            # this layer's box head, while the position encoding and bias of the next layer are detached.
            anchor = _refine(reference, delta)
            reference = anchor.detach()
        return tuple(outputs)

    def query_position(self, reference: Tensor) -> Tensor:
        """Position encoding of queries from their boxes, (P, Q, 4) -> (P, Q, D)."""
        return self.ref_point_head(self.sine.encode_queries(reference).to(self.query_embed.weight.dtype))

    def box_bias(self, reference: Tensor, height: int, width: int) -> Tensor:
        """Attention bias from the offsets of all cells to the box edges: (P, Q, 4) -> (P, heads, 1+Q, height*width).

        The row of the presence token, the first, is zero. The bias is computed in float32 in any precision, and rounded
        once to that of the weights in inference.
        """
        centre, half = reference[..., :2], reference[..., 2:] / 2
        edges = torch.stack((centre - half, centre + half), dim=-1)  # (P, Q, xy, low/high)
        columns = self.boxRPB_embed_x.in_float32(_log_offsets(edges[..., 0, :], width))  # (P, Q, W, heads)
        rows = self.boxRPB_embed_y.in_float32(_log_offsets(edges[..., 1, :], height))  # (P, Q, H, heads)
        rows, columns = (F.pad(part.permute(0, 3, 1, 2).contiguous(), (0, 0, PRESENCE, 0)) for part in (rows, columns))
        return _sums(rows, columns, self.query_embed.weight.dtype).flatten(3)

    def _start(self) -> tuple[Tensor, Tensor]:
        """Presence token and queries (1, 1+Q, D), and initial boxes (1, Q, 4); in training, queries are doubled."""
        copies = 2 if self.training and self.one_to_many else 1
        tokens = torch.cat((self.presence_token.weight, *[self.query_embed.weight] * copies))
        boxes = self.reference_points.weight.float().sigmoid().repeat(copies, 1)
        return tokens.unsqueeze(0), boxes.unsqueeze(0)

    @torch.no_grad()
    def _initialise_boxes(self) -> None:
        """Initial boxes all over the image, about a quarter of it in size, and not refined at first."""
        centres, sizes = self.reference_points.weight[:, :2], self.reference_points.weight[:, 2:]
        centres.uniform_(0.05, 0.95).logit_()
        sizes.normal_(mean=-1.0, std=0.5)
        for parameter in self.bbox_embed.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def _presence(self, token: Tensor) -> Tensor:
        return self.presence_token_head(self.presence_token_out_norm(token)).squeeze(-1).float()  # (P,)


def _refine(boxes: Tensor, delta: Tensor) -> Tensor:
    return (inverse_sigmoid(boxes) + delta).sigmoid()


def _sums(rows: Tensor, columns: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows (P, heads, K, H) and columns (P, heads, K, W) float32 -> all sums (P, heads, K, H, W).

    On a CPU in lower precision they are rounded prompt by prompt: together they would take twice the result's memory.
    """
    if dtype == rows.dtype or rows.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return rows.unsqueeze(-1) + columns.unsqueeze(-2)
    sums = rows.new_empty(*rows.shape, columns.shape[-1], dtype=dtype)
    for out, row, column in zip(sums, rows, columns, strict=True):
        torch.add(row.unsqueeze(-1), column.unsqueeze(-2), out=out)
    return sums


def _log_offsets(edges: Tensor, cells: int) -> Tensor:
    """Signed log distances of cells to both edges, (P, Q, 2) -> (P, Q, cells, 2); cell i is at i / cells."""
    at = torch.arange(cells, device=edges.device, dtype=edges.dtype) / cells
    offset = 8 * (at.unsqueeze(-1) - edges.unsqueeze(-2)).contiguous()
    return offset.sign() * (offset.abs() + 1).log2() / 3
