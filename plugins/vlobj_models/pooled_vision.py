"""Pictures through a vision transformer with CoCa's attentional poolers on top (arXiv 2205.01917)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobj_models.blocks import NORM_EPS, PreNormAttention
from vlobj_models.timm_config import TimmVisionConfig
from vlobj_models.timm_vision import TimmVision
from vlobjectives import Encoded, FieldSpec, Heads, Length, MaskSample, RequestedOutputs, Width, not_none


class PooledVision(TimmVision):
    """Vision transformer of timm with attention poolers: learned queries that summarise the picture, as in CoCa.

    x [B,C,H,W] -> tokens [B,n,D], what n learned queries found in the picture; cls [B,1,D], what contrast reads.

        pool(x) = Att(query LN_q Q, key and value LN_k x)         Q [n,D] learned; no residual, no MLP
        single    y = LN(pool(x)) of `queries` queries; cls = y[0], tokens = y[1:]      (open_clip)
        cascade   tokens = LN(pool(x)), cls = LN(pool1(tokens)), pool1 of one query     (CoCa's paper)
        parallel  the same, but pool1 reads x too

    x are the transformer's outputs, class token first, before its last norm, which is left out. Without poolers it is
    `timm_vision`. Tokens are no patches: pictures of any size have as many, and no mask of patches works on them,
    hidden or masked out of attention.
    """

    paper = "CoCa, arXiv 2205.01917"

    class Config(TimmVisionConfig):
        pooling: Literal["single", "cascade", "parallel"] = Field(
            description="one pooler for both uses, or one for captions and one for contrast that reads it, or not"
        )
        queries: Annotated[Length, Field(ge=2)] = Field(
            256, description="n of the caption pooler (published: 256; open_clip's single: 256, 255 of them tokens)"
        )
        pooled_width: Width | None = Field(None, description="D of what comes out (default: the blocks')")
        pooler_heads: Heads = Field(8, description="heads of the poolers; they divide their width (open_clip: 8)")

        def tiny(self) -> Self:
            return super().tiny().model_copy(update={"pooled_width": self.pooled_width and 32, "pooler_heads": 2})

    def __init__(self, config: "PooledVision.Config", fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        inner, heads = self.module.embed_dim, config.pooler_heads
        width = config.pooled_width or inner
        if width % heads:
            raise self.cannot(f"{heads} pooler heads do not divide the width {width}")
        if config.out:
            raise self.cannot("poolers bring their own output map", "leave out `out`, or say pooled_width")
        if not self.module.has_class_token:
            raise self.cannot(f"'{config.name}' has no class token for the poolers to read")
        self.module.norm = nn.Identity()
        self.caption = Pooler(config.queries, width, heads, inner)
        self.contrast = (
            None
            if config.pooling == "single"
            else Pooler(1, width, heads, width if config.pooling == "cascade" else inner)
        )
        self.spec = replace(
            self.spec,
            width=width,
            length=config.queries - (config.pooling == "single"),
            grid=None,
            classes=1,
            extra={},
            can=self.spec.can - {"drop", "token", "pixels"},
        )

    def forward(self, x: Tensor, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        value = super().forward(x, draw, want)
        every = torch.cat([not_none(value.cls, "class token"), value.tokens], 1)
        tokens = self.caption(every)
        if self.contrast is None:
            cls, tokens = tokens[:, :1], tokens[:, 1:]
        else:
            cls = self.contrast(tokens if self.config.pooling == "cascade" else every)
        valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return replace(value, tokens=tokens, valid=valid, cls=cls, extra={})


class Pooler(nn.Module):
    """n learned queries of width D that look at x [B,N,context]: [B,n,D], a LayerNorm at the end."""

    def __init__(self, queries: int, width: int, heads: int, context: int):
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, width))
        self.norm_q, self.norm_k = nn.LayerNorm(width, eps=NORM_EPS), nn.LayerNorm(context, eps=NORM_EPS)
        self.attention = PreNormAttention(width, heads, context)
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.pooled(x))

    def pooled(self, x: Tensor) -> Tensor:
        """Before the norm."""
        query = self.norm_q(self.query).expand(len(x), -1, -1)
        return self.attention(query, self.attention.keys(self.norm_k(x)), None)[0]
