"""Pre-norm transformer blocks as open_clip's CoCa has them (arXiv 2205.01917), for text towers and decoders.

    self block      x <- x + Att(LN1 x);                                  x <- x + W2 gelu(W1 LN2 x + b1) + b2
    cross block     x <- x + Att(query LN1 x, key and value LN_kv m);     then the same MLP step

gelu is the exact one, LayerNorms have eps 1e-5, the memory's norm is the block's own. A block computes keys and values
by themselves (`keys`), of one new position as well as of all, so that a decoder may keep those of the past.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives.functional.attention import HIDDEN, attention

NORM_EPS = 1e-5
Keys = tuple[Tensor, Tensor]


class PreNormAttention(nn.Module):
    """Multi-head attention of x [B,N,D] to keys and values [B,heads,M,D/heads], with an output map.

    context  width of what the keys and values are made of, D by default
    """

    def __init__(self, width: int, heads: int, context: int | None = None):
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.value = (nn.Linear(context or width, width) for _ in range(2))

    def keys(self, z: Tensor) -> Keys:
        return self._split(self.key(z)), self._split(self.value(z))

    def forward(self, x: Tensor, keys: Keys, bias: Tensor | None, maps: bool = False) -> tuple[Tensor, Tensor | None]:
        """bias is added to the scores, broadcastable to [B,heads,N,M]; the map [B,heads,N,M] on request."""
        out, seen = attention(self._split(self.query(x)), *keys, bias, maps=maps)
        return self.out(out.transpose(1, 2).flatten(2)), seen

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class PreNormBlock(nn.Module):
    """A self block, or with `cross` a cross block; without `mlp` its attention step alone."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, cross: bool = False, mlp: bool = True):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width, eps=NORM_EPS), PreNormAttention(width, heads)
        self.norm_kv = nn.LayerNorm(width, eps=NORM_EPS) if cross else None
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS) if mlp else None
        inner = int(width * mlp_ratio)
        self.fc1 = nn.Linear(width, inner) if mlp else None
        self.fc2 = nn.Linear(inner, width) if mlp else None

    def keys(self, z: Tensor) -> Keys:
        """Keys and values of positions z [B,M,D]: of the block's own input, or of a cross block's memory."""
        return self.attention.keys((self.norm1 if self.norm_kv is None else self.norm_kv)(z))

    def forward(self, x: Tensor, keys: Keys, bias: Tensor | None, maps: bool = False) -> tuple[Tensor, Tensor | None]:
        """x [B,N,D] after the block, and the map over the keys on request."""
        looked, seen = self.attention(self.norm1(x), keys, bias, maps)
        return self.think(x + looked), seen

    def think(self, x: Tensor) -> Tensor:
        """The MLP step."""
        if self.norm2 is None or self.fc1 is None or self.fc2 is None:
            return x
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    def start(self, layers: int) -> None:
        """First weights, scaled by width: D^-1/2 into attention, (2D)^-1/2 into the MLP, out of both D^-1/2 over
        the root of twice the tower's layers; biases 0 (open_clip)."""
        width = self.norm1.normalized_shape[0]
        out = width**-0.5 * (2 * layers) ** -0.5
        attend = self.attention
        stds = [(attend.query, width**-0.5), (attend.key, width**-0.5), (attend.value, width**-0.5), (attend.out, out)]
        if self.fc1 is not None and self.fc2 is not None:
            stds += [(self.fc1, (2 * width) ** -0.5), (self.fc2, out)]
        for layer, std in stds:
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)


def typed(blocks: nn.ModuleList) -> list[PreNormBlock]:
    """The blocks of a list, whose class torch's types do not carry."""
    return cast(list[PreNormBlock], list(blocks))


def causal_bias(rows: int, columns: int, like: Tensor) -> Tensor:
    """[rows, columns] to be added to scores: the last `rows` of `columns` positions see none that come after them."""
    place = torch.arange(columns, device=like.device)
    return torch.where(place[columns - rows :, None] < place, HIDDEN, 0.0).to(like.dtype)


def joined(before: Keys | None, new: Keys) -> Keys:
    """The keys and values of earlier positions (None: there are none) with those of new ones behind them."""
    return new if before is None else (torch.cat([before[0], new[0]], 2), torch.cat([before[1], new[1]], 2))
