"""Transformer blocks of one stream, with norms before or after each sub-layer."""

from typing import Literal, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives.functional.attention import attention

Norm = Literal["pre", "post"]


class AttentionOptions(Protocol):
    """What attention reads of a part's options."""

    @property
    def width(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def dropout(self) -> float: ...


class BlockOptions(AttentionOptions, Protocol):
    """What a stack of blocks reads of a part's options."""

    @property
    def depth(self) -> int: ...
    @property
    def mlp_ratio(self) -> float: ...
    @property
    def norm(self) -> Norm: ...
    @property
    def norm_eps(self) -> float: ...


class Blocks(nn.Module):
    """h [R,N,D] through `depth` blocks.

    post   h1 = LN(h + MHA(h));  LN(h1 + W2 gelu(W1 h1))                                   (BERT's, published)
    pre    h1 = h + MHA(LN(h));  h1 + W2 gelu(W1 LN(h1)),  and one LN after the last block
    """

    def __init__(self, config: BlockOptions):
        super().__init__()
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.depth))
        self.last = nn.LayerNorm(config.width, eps=config.norm_eps) if config.norm == "pre" else nn.Identity()

    def forward(self, h: Tensor, seen: Tensor, maps: bool = False) -> tuple[list[Tensor], list[Tensor | None]]:
        """seen [R,1,1,N] from `attention_bias`. The states after each block (the last one normed), and their maps."""
        states, found = [], []
        for block in self.blocks:
            h, looked = block(h, seen, maps)
            states.append(h)
            found.append(looked)
        states[-1] = self.last(states[-1])
        return states, found


class TransformerBlock(nn.Module):
    """Self-attention and MLP, each with a residual and a LayerNorm."""

    def __init__(self, config: BlockOptions):
        super().__init__()
        width, inner = config.width, int(config.width * config.mlp_ratio)
        self.pre = config.norm == "pre"
        self.own = Attention(config)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=config.norm_eps) for _ in range(2))
        self.drop = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, seen: Tensor, maps: bool) -> tuple[Tensor, Tensor | None]:
        x = self.norm1(h) if self.pre else h
        looked, found = self.own(x, x, seen, maps)
        if self.pre:
            h = h + self.drop(looked)
            return h + self.drop(self._mlp(self.norm2(h))), found
        h = self.norm1(h + self.drop(looked))
        return self.norm2(h + self.drop(self._mlp(h))), found

    def _mlp(self, h: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(h)))


class Attention(nn.Module):
    """Multi-head attention of h [R,N,D] to z [R,M,D] with an output projection."""

    def __init__(self, config: AttentionOptions):
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.query, self.key, self.value, self.out = (nn.Linear(config.width, config.width) for _ in range(4))

    def forward(self, h: Tensor, z: Tensor, seen: Tensor, maps: bool = False) -> tuple[Tensor, Tensor | None]:
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (self.query(h), self.key(z), self.value(z))
        )
        out, found = attention(q, k, v, seen, self.dropout if self.training else 0.0, maps)
        return self.out(out.transpose(1, 2).flatten(2)), found


def start(module: nn.Module, std: float) -> None:
    """Linear weights and tables from N(0, std), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Embedding):
            nn.init.normal_(layer.weight, std=std)
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
