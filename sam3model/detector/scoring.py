"""Scores: the match of each query with the prompt as a whole."""

import math

import torch
from torch import Tensor, nn

from sam3model.config import DetectorConfig
from sam3model.layers.mlp import MLP
from sam3model.ops.boxes import inverse_sigmoid

PRIOR = 0.05  # probability that a query matches, at initialisation
JOINT_CLAMP = 10.0


class DotProductScoring(nn.Module):
    """Official `DotProductScoring`: scaled dot product of projected queries with the projected mean prompt token."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        dim = config.d_model
        self.scale = 1 / math.sqrt(dim)
        self.clamp = config.scoring.clamp
        self.prompt_mlp = MLP(dim, config.scoring.hidden, dim, dropout=config.dropout, residual=True, out_norm=True)
        self.prompt_proj = nn.Linear(dim, dim)
        self.hs_proj = nn.Linear(dim, dim)
        self._init_prior()

    def pool(self, prompt: Tensor, mask: Tensor) -> Tensor:
        """One vector for a prompt: projected mean of its valid tokens, (P, K, D) -> (P, D)."""
        tokens = self.prompt_mlp(prompt)
        valid = (~mask).unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * valid).sum(1) / valid.sum(1).clamp(min=1)
        return self.prompt_proj(mean)

    def score(self, queries: Tensor, pooled: Tensor) -> Tensor:
        """queries (..., P, Q, D) against pooled prompts (P, D) -> logits (..., P, Q) float32, held in +-clamp."""
        logits = torch.matmul(self.hs_proj(queries), pooled.unsqueeze(-1)).squeeze(-1)
        return (logits.float() * self.scale).clamp(-self.clamp, self.clamp)

    def _init_prior(self) -> None:
        """Opposite biases give the product a negative part, the logit of PRIOR; small weights vary it little."""
        nn.init.xavier_uniform_(self.prompt_proj.weight, gain=0.5)
        nn.init.xavier_uniform_(self.hs_proj.weight, gain=0.5)
        size = math.sqrt(-math.log(PRIOR / (1 - PRIOR)) * self.scale)
        nn.init.constant_(self.prompt_proj.bias, size)
        nn.init.constant_(self.hs_proj.bias, -size)


def scores_of(logits: Tensor, presence: Tensor) -> Tensor:
    """How sure a query is of a thing: logits of match (P, Q) and of presence (P,) -> (P, Q) float32, in 0..1."""
    return logits.float().sigmoid() * presence.float().sigmoid().unsqueeze(-1)


def joint_logits(logits: Tensor, presence: Tensor) -> Tensor:
    """Match and presence in one logit: logits (P, Q), presence (P,) -> (P, Q), held in +-10.

    For what follows objects through a video, where one number must say whether a query is an object asked for.
    The inverse sigmoid's floor of 1e-3 already bounds the result to about +-6.9.
    """
    joint = logits.sigmoid() * presence.sigmoid().unsqueeze(-1)
    return inverse_sigmoid(joint).clamp(-JOINT_CLAMP, JOINT_CLAMP)
