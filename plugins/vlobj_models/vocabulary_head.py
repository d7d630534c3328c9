"""From features to a score for each entry of a vocabulary: the head of masked and of causal language modelling."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import FieldName, FieldSpec, Head, PartConfig, PartName, Spec, Spread, Width, not_none

NORM_EPS = 1e-12


class VocabularyHead(Head):
    """Classification head over a vocabulary, as BERT's head for masked language modelling.

    x [..., D] -> logits [..., V]: Linear, exact GELU, LayerNorm(1e-12), a row for each entry, a bias [V].

    As BERT's, METER's (arXiv 2111.02387) and GLSCL's; `layers: matrix` is the rows alone, without a bias, as CoCa's
    (arXiv 2205.01917, open_clip) behind a decoder that ends in a norm. `field` names the field that is scored: of
    several in one table of ids entry 0 is the first id that the field owns (`FieldSpec.ids`); labels that no encoder
    reads have one entry each. Tied, the rows are those of `of`'s token table, all of which `decoder.weight` holds; the
    others' ids get no logit.
    """

    class Config(PartConfig):
        of: PartName = Field("text", description="the part whose vocabulary (and, tied, whose token table) this is")
        layers: Literal["bert", "matrix"] = Field(
            "bert", description="what lies before the rows: BERT's transform, or nothing and no bias (CoCa)"
        )
        tied: bool = Field(False, description="share the weights of `of`'s token table")
        field: FieldName | None = Field(
            None,
            description="the field that is scored: one of tokens that `of` reads (default: its only one), or labels",
        )
        width: Width | None = Field(None, description="width of the features (default: `of`'s)")
        transform_width: Width | None = Field(
            None, description="width before the rows: tied, that of the token table (default: `of`'s width)"
        )
        init_std: Spread | None = Field(
            None, gt=0, description="linear weights start from N(0, init_std) (default: 0.02, of a matrix D^-1/2)"
        )

        def tiny(self) -> "VocabularyHead.Config":
            return self.model_copy(update={"width": self.width and 32, "transform_width": self.transform_width and 32})

    def __init__(self, config: "VocabularyHead.Config", of: Spec, field: FieldSpec | None = None):
        super().__init__(config, of)
        tokens = {name: field for name, field in of.fields.items() if field.kind == "tokens"}
        if config.field is None and len(tokens) != 1:
            raise self.cannot(
                f"'{config.of}' reads {len(tokens)} fields of tokens ({', '.join(tokens)})",
                "say which is scored: `field`",
            )
        labels = field is not None and field.kind == "labels" and not config.tied
        if config.field is not None and config.field not in tokens and not labels:
            raise self.cannot(
                f"'{config.of}' reads no field of tokens '{config.field}'",
                f"it reads {', '.join(tokens)}" if tokens else "",
            )
        if config.tied and of.embedding is None:
            raise self.cannot(f"'{config.of}' has no token table to be tied to", "tied: false")
        scored = field if labels else tokens.get(config.field or next(iter(tokens)))
        scored = not_none(scored, f"field '{config.field}'")
        self.first, count = scored.ids or (0, scored.vocabulary)
        self.table = f"{config.of}.{of.embedding}" if config.tied else None
        plain, width = config.layers == "matrix", config.width or of.width
        self.width = width
        if plain and config.transform_width:
            raise self.cannot("a matrix has no transform", "leave out `transform_width`")
        inner = width if plain else config.transform_width or of.width
        self.dense = None if plain else nn.Linear(width, inner)
        self.norm = None if plain else nn.LayerNorm(inner, eps=NORM_EPS)
        rows = max(one.vocabulary for one in tokens.values()) if config.tied else count
        self.decoder, self.count = nn.Linear(inner, rows, bias=False), count
        self.bias = None if plain else nn.Parameter(torch.zeros(count))
        std = config.init_std or (inner**-0.5 if plain else 0.02)
        nn.init.normal_(self.decoder.weight, std=std)
        if self.dense is not None:
            nn.init.normal_(self.dense.weight, std=std)
            nn.init.zeros_(self.dense.bias)
        self.spec = Spec(width=count, fields={config.field or next(iter(tokens)): scored})

    def ties(self) -> dict[str, str]:
        return {"decoder.weight": self.table} if self.table else {}

    def forward(self, x: Tensor) -> Tensor:
        if self.dense is not None and self.norm is not None:
            x = self.norm(F.gelu(self.dense(x)))
        weight = self.decoder.weight
        if weight.shape[0] != self.count:
            weight = weight[self.first : self.first + self.count]
        return F.linear(x, weight, self.bias)
