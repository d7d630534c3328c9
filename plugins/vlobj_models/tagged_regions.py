"""Object tags and regions of a picture in one stack: MVPTR's visual encoder (arXiv 2201.12596; Oscar's picture side).

tags     g_s = LN(E[id_s] + P[s] + S)            s = 0..L-1: begin, pieces of tags, end, padding; E through a
                                                 linear map where the text encoder's table has another width
regions  r_j = W f_j + b, with `region_norm` LN  no position: where a region lies is in its numbers
stack    [g ; r] through the blocks, every position sees all valid ones
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from vlobj_models.transformer import Blocks, Norm, start
from vlobjectives import (
    Depth,
    Encoded,
    Encoder,
    Epsilon,
    FieldSpec,
    Heads,
    MaskSample,
    PartConfig,
    PartName,
    Ratio,
    RequestedOutputs,
    Spec,
    Spread,
    Tokens,
    Width,
    not_none,
)
from vlobjectives.functional.attention import attention_bias

WORDS = "word_embeddings.weight"
"""How the word tables of transformers' BERT and its kin are called; positions and norm stand beside it."""


class TaggedRegions(Encoder):
    """Transformer over object tags and the features of detected regions, as MVPTR's encoder of pictures.

    Tokens of tags [B,L] with Vectors of regions [B,R,W] beside them -> tokens [B,R,D], the regions alone.

    A fusion is fed the regions and nothing else; cls [B,1,D] is the output at the begin token, extra["tags"] [B,L,D]
    are those of the whole tag sequence, begin and end included, 0 at padding. ids are `draw.ids` under a mask, which
    works on the tags. `layers[n]` and `maps["block{n}"]` count tags first, then regions.
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(PartConfig):
        width: Width = Field(description="D (published: 768)")
        depth: Depth = Field(description="layers (published: 6)")
        heads: Heads = Field(description="attention heads; they divide the width (published: 12)")
        mlp_ratio: Ratio = Field(4.0, description="hidden width of a block's MLP over the width")
        norm: Norm = Field("post", description="where LayerNorms stand: after each sub-layer (published) or before")
        dropout: float = Field(
            0.0, ge=0, lt=1, description="on attention weights, embeddings and each sub-layer's output (published: 0.1)"
        )
        text: PartName = Field("text", description="the text encoder whose table of tokens the tags share")
        share: Literal["words", "all"] = Field(
            "words",
            description="words: the table of tokens alone; all: positions "
            "and norm of the embedding too (published), where the text encoder is "
            "transformers' BERT or its kin",
        )
        region_norm: bool = Field(
            False, description="a LayerNorm after the regions' map (published: off in pre-training)"
        )
        init_std: Spread = Field(
            0.02, gt=0, description="linear weights start from N(0, init_std): 0.02 at width 768, about 1/sqrt(width)"
        )
        norm_eps: Epsilon = Field(1e-12, description="of the LayerNorms")

        def tiny(self) -> "TaggedRegions.Config":
            return self.model_copy(update={"width": 32, "depth": 1, "heads": 2})

    def __init__(self, config: "TaggedRegions.Config", fields: Mapping[str, FieldSpec], text: Spec):
        super().__init__(config, fields)
        width, kinds = config.width, [spec.kind for spec in fields.values()]
        if sorted(kinds) != ["tokens", "vectors"]:
            raise self.cannot(
                f"it reads one field of tags (tokens) and one of regions (vectors), not "
                f"{', '.join(f'{name} ({spec.kind})' for name, spec in fields.items()) or 'none'}",
                "fields: [tags, regions]",
            )
        tags = next(spec for spec in fields.values() if spec.kind == "tokens")
        self.regions, regions = next(one for one in fields.items() if one[1].kind == "vectors")
        if width % config.heads:
            raise self.cannot(f"{config.heads} heads do not divide the width {width}")
        if text.embedding is None:
            raise self.cannot(f"its tags share the table of tokens of '{config.text}', which has none")
        if config.share == "all" and not (text.embedding.endswith(WORDS) and text.width == width):
            raise self.cannot(
                f"positions and norm of '{config.text}' are not called as BERT's are, or are not {width} wide",
                "share: words",
            )
        length = tags.shape[0]
        if config.share == "all" and text.length < length:
            raise self.cannot(
                f"the {text.length} positions of '{config.text}' do not hold {length} pieces of tags",
                "share: words, or a longer text",
            )
        self.tables = f"{config.text}.{text.embedding}"
        self.words = nn.Embedding(max(spec.vocabulary for spec in text.fields.values()), text.width)
        self.transform = nn.Linear(text.width, width) if text.width != width else nn.Identity()
        self.positions = nn.Embedding(length, width)
        self.segment = nn.Parameter(torch.empty(width).normal_(std=config.init_std))
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.region = nn.Linear(regions.shape[1], width)
        self.region_norm = nn.LayerNorm(width, eps=config.norm_eps) if config.region_norm else nn.Identity()
        self.drop = nn.Dropout(config.dropout)
        self.stack = Blocks(config)
        start(self, config.init_std)
        self.spec = Spec(
            width,
            length=regions.shape[0],
            fields=dict(fields),
            extra={"tags": (length, width)},
            beside=self.regions,
            embedding="words.weight",
            can=frozenset({"mask", "layers", "maps", "stack"}),
        )

    def ties(self) -> dict[str, str]:
        found = {"words.weight": self.tables}
        if self.config.share == "all":
            stem = self.tables.removesuffix(WORDS)
            found |= {
                "positions.weight": f"{stem}position_embeddings.weight",
                "norm.weight": f"{stem}LayerNorm.weight",
                "norm.bias": f"{stem}LayerNorm.bias",
            }
        return found

    def forward(self, x: Tokens, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        ids = x.ids if draw is None else not_none(draw.ids, "`ids` in the draw of tags")
        regions = x.beside[self.regions]
        count = ids.shape[1]
        tags = self.norm(self.transform(self.words(ids)) + self.positions.weight[:count] + self.segment)
        h = torch.cat([self.drop(tags), self.drop(self.region_norm(self.region(regions.values)))], 1)
        states, maps = self.stack(h, attention_bias(torch.cat([x.valid, regions.valid], 1), h.dtype), want.maps)
        tags, tokens = states[-1][:, :count], states[-1][:, count:]
        return Encoded(
            tokens,
            regions.valid,
            cls=tags[:, :1],
            draw=draw,
            extra={"tags": torch.where(x.valid[..., None], tags, 0.0)},
            layers={number: states[number] for number in want.layers},
            maps={f"block{number}": seen for number, seen in enumerate(maps)} if want.maps else {},
        )
