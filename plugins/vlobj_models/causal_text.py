"""CoCa's text tower: causal, with a [CLS] of its own behind the last position (arXiv 2205.01917, open_clip's code)."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobj_models.blocks import PreNormBlock, causal_bias, joined, typed
from vlobjectives import (
    Depth,
    Encoded,
    Encoder,
    FieldSpec,
    Heads,
    KeyValueCache,
    MaskSample,
    PartConfig,
    Ratio,
    RequestedOutputs,
    Spec,
    Spread,
    Tokens,
    Width,
    not_none,
)
from vlobjectives.functional.attention import attention_bias


class CausalText(Encoder):
    """Causal text transformer with a [CLS] token behind the caption, as CoCa's text encoder.

    Tokens [B,L] -> tokens [B,L,D], the outputs of the words; cls [B,1,D], the output of [CLS]. No norm at the end.

        x = embedding(ids) + P[0..L-1],   x[L] = c + P[last]       [CLS] stands behind the padding too
        x through causal self blocks; padding is looked at by nobody
        cls = x[L],  tokens = x[0..L-1]

    A LayerNorm belongs to whoever reads: the projection to the joint space has one with `norm: [text]` (CoCa's
    LN_final), decoders take the tokens without. [CLS] always takes the table's last row, so that trimming padding
    changes nothing. It sees every word and itself (`correct`). `open_clip` is the rule that its published weights were
    trained with, off by one: the first position is always seen and position j+1 where id j is no padding, so that of a
    padded text [CLS] sees the first padding position and not itself. `layers[n]` and `maps["block{n}"]` run over the L
    words and then [CLS].
    """

    paper = "CoCa, arXiv 2205.01917"

    class Config(PartConfig):
        width: Width = Field(description="D (published base: 768)")
        depth: Depth = Field(description="blocks (published base: 12)")
        heads: Heads = Field(description="attention heads; they divide the width (published base: 12)")
        mlp_ratio: Ratio = Field(4.0, description="hidden width of a block's MLP over D")
        cls_mask: Literal["correct", "open_clip"] = Field(
            "correct",
            description="what [CLS] sees: all words and itself, or as in open_clip's published weights, off by one",
        )
        token_std: Spread = Field(0.02, gt=0, description="the token table starts from N(0, token_std) (open_clip)")
        position_std: Spread = Field(0.01, gt=0, description="positions and [CLS] start so (open_clip)")

        def tiny(self) -> "CausalText.Config":
            return self.model_copy(update={"width": 32, "depth": 1, "heads": 2})

    def __init__(self, config: "CausalText.Config", fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        if not fields or any(spec.kind != "tokens" for spec in fields.values()):
            raise self.cannot(f"causal_text reads fields of tokens, not {', '.join(fields) or 'none'}")
        if config.width % config.heads:
            raise self.cannot(f"{config.heads} heads do not divide the width {config.width}")
        length = sum(spec.shape[0] for spec in fields.values())
        self.words = nn.Embedding(max(spec.vocabulary for spec in fields.values()), config.width)
        self.positions = nn.Parameter(torch.empty(length + 1, config.width))
        self.cls = nn.Parameter(torch.empty(config.width))
        self.blocks = nn.ModuleList(
            PreNormBlock(config.width, config.heads, config.mlp_ratio) for _ in range(config.depth)
        )
        nn.init.normal_(self.words.weight, std=config.token_std)
        for table in (self.positions, self.cls):
            nn.init.normal_(table, std=config.position_std)
        for block in typed(self.blocks):
            block.start(config.depth)
        self.spec = Spec(
            width=config.width,
            length=length,
            fields=dict(fields),
            embedding="words.weight",
            can=frozenset({"mask", "causal", "continue", "layers", "maps", "stack"}),
        )

    def forward(self, x: Tokens, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        h = self.embed(x.ids if draw is None else not_none(draw.ids, "`ids` in the draw of a text"))
        last = (self.cls + self.positions[-1]).expand(len(h), 1, -1)
        h = torch.cat([h, last.to(h.dtype)], 1)
        bias = attention_bias(self._seen(x.valid), h.dtype) + causal_bias(h.shape[1], h.shape[1], h)
        layers, maps = {}, {}
        for number, block in enumerate(typed(self.blocks)):
            h, seen = block(h, block.keys(h), bias, want.maps)
            if number in want.layers:
                layers[number] = h
            if want.maps:
                maps[f"block{number}"] = seen
        return Encoded(
            h[:, :-1], x.valid, cls=h[:, -1:], draw=draw, segment=x.segment, special=x.special, layers=layers, maps=maps
        )

    def decode_step(self, ids: Tensor, past: KeyValueCache | None) -> tuple[Tensor, KeyValueCache]:
        """[CLS] stands behind all words, so that no word sees it: it is left out."""
        h, past = self.embed(ids, past[0][0].shape[2] if past else 0), past or [None] * len(self.blocks)
        kept = []
        for block, before in zip(typed(self.blocks), past):
            keys = joined(before, block.keys(h))
            h, _ = block(h, keys, causal_bias(h.shape[1], keys[0].shape[2], h))
            kept.append(keys)
        return h, kept

    def embed(self, ids: Tensor, first: int = 0) -> Tensor:
        """Words with their positions, [B,n,D] of ids [B,n] that stand at first, first+1, ..."""
        return self.words(ids) + self.positions[first : first + ids.shape[1]]

    def _seen(self, valid: Tensor) -> Tensor:
        """[B,L+1] bool, who is looked at, [CLS] last."""
        always = valid.new_ones(len(valid), 1)
        return torch.cat([valid, always] if self.config.cls_mask == "correct" else [always, valid], 1)
