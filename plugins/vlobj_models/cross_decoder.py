"""Decoders that look at a second stream: CoCa's of captions (2205.01917), SyCoCa's of pixels (2401.02137)."""

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobj_models.blocks import NORM_EPS, Keys, PreNormBlock, causal_bias, joined, typed
from vlobjectives import (
    Decoder,
    Depth,
    Encoded,
    Heads,
    KeyValueCache,
    PartConfig,
    PartName,
    Ratio,
    RequestedOutputs,
    Spec,
    Width,
    not_none,
)
from vlobjectives.functional.attention import attention_bias
from vlobjectives.functional.masking import gather_tokens

PRESETS = {"light": {"width": 512, "depth": 4, "heads": 8}, "symmetric": {"width": 768, "depth": 12, "heads": 12}}


class CrossDecoder(Decoder):
    """Transformer decoder with cross-attention to a memory, for captions (CoCa) or for pixels (SyCoCa).

    query [B,N,Dq], memory [B,M,Dm] -> tokens [B,N,D], after a LayerNorm; class tokens go in neither side.

        layer   self block over the query's positions (`causal`: those before and itself), cross block over memory
        tokens  LN(x) after the last layer

    Positions that are not valid (padding, what `.visible(mask)` hides) are looked at by nobody: it is as if they were
    not there. Without memory the cross blocks are skipped: SyCoCa's pixel decoder is then plain masked image modelling.
    A query or memory of another width goes through a linear map first. `mlp_per_layer: 2` is open_clip's layer, an MLP
    in each block; 1 leaves out the self block's, which agrees with the sizes that CoCa's paper gives.

    Patches that a mask dropped come back only with `restore`: the grid [B,N,D] then holds what was kept in its places,
    a learned token in the others, and 2-d sine positions on all. `layers[l]` is the state after layer l; `maps` hold
    "self{l}" and "cross{l}".
    """

    paper = "CoCa, arXiv 2205.01917; SyCoCa, arXiv 2401.02137"

    class Config(PartConfig):
        query: PartName = Field(description="the part whose positions are decoded")
        memory: PartName | None = Field(description="the part that they look at; null: none, and no cross blocks")
        causal: bool = Field(False, description="positions see only what stands before them: for captions")
        preset: Literal["light", "symmetric"] = Field(
            "light",
            description="light: 4 layers of width 512, 8 heads; "
            "symmetric: 12 of 768, 12 heads, as CoCa-Base's text decoder",
        )
        width: Width | None = Field(None, description="D (default: the preset's)")
        depth: Depth | None = Field(None, description="layers (default: the preset's)")
        heads: Heads | None = Field(None, description="attention heads; they divide the width (default: the preset's)")
        mlp_ratio: Ratio = Field(4.0, description="hidden width of a block's MLP over D")
        mlp_per_layer: Literal[1, 2] = Field(
            2, description="2: self and cross block have an MLP each (open_clip); 1: the cross block alone"
        )
        restore: bool = Field(False, description="put patches that a mask dropped back as a learned token")

        def tiny(self) -> "CrossDecoder.Config":
            return self.model_copy(update={"width": 32, "depth": 1, "heads": 2})

    def __init__(self, config: "CrossDecoder.Config", query: Spec, memory: Spec | None = None):
        super().__init__(config, query, memory)
        width, depth, heads = (getattr(config, key) or preset for key, preset in PRESETS[config.preset].items())
        if width % heads:
            raise self.cannot(f"{heads} heads do not divide the width {width}")
        if config.causal and "causal" not in query.can:
            raise self.cannot(
                f"'{config.query}' is not causal: its tokens have seen the words that are to be named",
                f"model.{config.query}: type: causal_text, or causal: true",
            )
        if config.restore and query.grid is None:
            raise self.cannot(f"'{config.query}' has no patches to put back", "restore: false")
        self.query_in, self.memory_in = (
            nn.Linear(spec.width, width) if spec is not None and spec.width != width else nn.Identity()
            for spec in (query, memory)
        )
        both = config.mlp_per_layer == 2 or memory is None
        self.self_blocks = nn.ModuleList(PreNormBlock(width, heads, config.mlp_ratio, mlp=both) for _ in range(depth))
        self.cross_blocks = nn.ModuleList(
            PreNormBlock(width, heads, config.mlp_ratio, cross=True) for _ in range(0 if memory is None else depth)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mask_token = nn.Parameter(torch.empty(width)) if config.restore else None
        for block in (*typed(self.self_blocks), *typed(self.cross_blocks)):
            block.start(depth)
        for layer in (self.query_in, self.memory_in):
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
                nn.init.zeros_(layer.bias)
        if self.mask_token is not None:
            nn.init.normal_(self.mask_token, std=0.02)
        self.grid = query.grid
        self.spec = replace(
            query,
            width=width,
            pooled=0,
            classes=0,
            extra={},
            embedding=None,
            can=frozenset(
                {"layers", "maps"}
                | ({"causal", "continue"} if config.causal else set())
                | (set() if config.restore else {"sizes"})  # what is put back stands on the query's own grid
            ),
        )

    def forward(self, query: Encoded, memory: Encoded | None, want: RequestedOutputs) -> Encoded:
        h, draw = self.query_in(query.tokens), query.draw
        valid = query.valid
        if self.mask_token is not None and draw is not None and draw.keep is not None:
            h, draw = self._restored(h, draw.keep, draw.hidden), replace(draw, keep=None)
            valid = torch.ones_like(draw.hidden)
        keys = None if memory is None else self.keys(memory)
        own = attention_bias(valid, h.dtype)
        if self.config.causal:
            own = own + causal_bias(h.shape[1], h.shape[1], h)
        other = None if memory is None else attention_bias(memory.valid, h.dtype)
        layers, maps, crosses = {}, {}, typed(self.cross_blocks)
        for number, block in enumerate(typed(self.self_blocks)):
            h, maps[f"self{number}"] = block(h, block.keys(h), own, want.maps)
            if keys is not None:
                h, maps[f"cross{number}"] = crosses[number](h, keys[number], other, want.maps)
            elif self.config.mlp_per_layer == 1 and crosses:
                h = crosses[number].think(h)
            if number in want.layers:
                layers[number] = h
        return Encoded(
            self.norm(h),
            valid,
            draw=draw,
            segment=query.segment,
            special=query.special,
            layers=layers,
            maps=maps if want.maps else {},
        )

    def keys(self, memory: Encoded) -> list[Keys]:
        """Each cross block's keys and values of memory; they hang on no query position."""
        tokens = self.memory_in(memory.tokens)
        return [block.keys(tokens) for block in typed(self.cross_blocks)]

    def decode_step(
        self, query: Tensor, memory: Encoded | None, past: KeyValueCache | None
    ) -> tuple[Tensor, KeyValueCache]:
        if past is None:
            other = () if memory is None else (self.keys(memory), attention_bias(memory.valid, query.dtype))
            past = {"self": [None] * len(self.self_blocks), "cross": other}
        h, kept, crosses = self.query_in(query), [], typed(self.cross_blocks)
        for number, block in enumerate(typed(self.self_blocks)):
            keys = joined(past["self"][number], block.keys(h))
            h, _ = block(h, keys, causal_bias(h.shape[1], keys[0].shape[2], h))
            kept.append(keys)
            if past["cross"]:
                keys, bias = past["cross"]
                h, _ = crosses[number](h, keys[number], bias)
            elif self.config.mlp_per_layer == 1 and crosses:
                h = crosses[number].think(h)
        return self.norm(h), {"self": kept, "cross": past["cross"]}

    def _restored(self, kept: Tensor, keep: Tensor, hidden: Tensor) -> Tensor:
        """The whole grid [B,N,D] of kept patches [B,k,D]."""
        place = keep.argsort(dim=1).gather(1, ((~hidden).cumsum(1) - 1).clamp_min(0))
        token = not_none(self.mask_token, "mask token").to(kept.dtype)
        grid = torch.where(hidden[..., None], token, gather_tokens(kept, place))
        place = sine_positions(not_none(self.grid, "grid of patches"), kept.shape[-1], kept)
        return grid + place.repeat(hidden.shape[1] // len(place), 1)


def sine_positions(grid: tuple[int, int], width: int, like: Tensor) -> Tensor:
    """[rows*columns, width]: a quarter each of sin and cos of the row and of the column, at wavelengths from 2 pi to
    2 pi 10000 (MAE, arXiv 2111.06377); what the width has beyond a multiple of four is 0."""
    each = width // 4
    speed = 10000.0 ** (-torch.arange(each, device=like.device) / max(each, 1))
    rows, columns = (torch.arange(count, device=like.device) for count in grid)
    place = torch.stack([rows.repeat_interleave(grid[1]), columns.repeat(grid[0])], 1)
    angle = place[..., None] * speed
    found = torch.cat([angle.sin(), angle.cos()], -1).flatten(1)
    return nn.functional.pad(found, (0, width - found.shape[1])).to(like.dtype)
