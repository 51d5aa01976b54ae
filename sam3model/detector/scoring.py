"""Scores: how well each query matches the prompt."""

import math

import torch
from torch import Tensor, nn

from sam3model.config import DetectorConfig
from sam3model.layers.mlp import MLP
from sam3model.ops.boxes import inverse_sigmoid

PRIOR = 0.05  # probability of a match at initialisation
JOINT_CLAMP = 10.0


class DotProductScoring(nn.Module):
    """Official `DotProductScoring`: scaled dot product of projected queries and the projected mean prompt token."""

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
        """Projected mean of the valid tokens of each prompt, (P, K, D) -> (P, D)."""
        tokens = self.prompt_mlp(prompt)
        valid = (~mask).unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * valid).sum(1) / valid.sum(1).clamp(min=1)
        return self.prompt_proj(mean)

    def score(self, queries: Tensor, pooled: Tensor) -> Tensor:
        """Queries (..., P, Q, D) and pooled prompts (P, D) -> logits (..., P, Q), clamped to +-clamp.

        The product is float32 in any precision of the weights.
        """
        logits = torch.matmul(self.hs_proj(queries).float(), pooled.float().unsqueeze(-1)).squeeze(-1)
        return (logits.float() * self.scale).clamp(-self.clamp, self.clamp)

    def _init_prior(self) -> None:
        """Opposite biases make the product start near the logit of PRIOR, small weights keep it there."""
        nn.init.xavier_uniform_(self.prompt_proj.weight, gain=0.5)
        nn.init.xavier_uniform_(self.hs_proj.weight, gain=0.5)
        size = math.sqrt(-math.log(PRIOR / (1 - PRIOR)) * self.scale)
        nn.init.constant_(self.prompt_proj.bias, size)
        nn.init.constant_(self.hs_proj.bias, -size)


def scores_of(logits: Tensor, presence: Tensor) -> Tensor:
    """Scores (P, Q) float32 in 0..1 from match logits (P, Q) and presence logits (P,)."""
    return logits.float().sigmoid() * presence.float().sigmoid().unsqueeze(-1)


def joint_logits(logits: Tensor, presence: Tensor) -> Tensor:
    """Logits (P, Q) of match and presence together, from match logits (P, Q) and presence logits (P,); in +-10.

    For video, which needs one logit per query. The inverse sigmoid already limits it to about +-6.9.
    """
    joint = logits.sigmoid() * presence.sigmoid().unsqueeze(-1)
    return inverse_sigmoid(joint).clamp(-JOINT_CLAMP, JOINT_CLAMP)
