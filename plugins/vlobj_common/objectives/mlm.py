"""Masked language modelling, with the picture at hand or of texts alone."""

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import (
    Batch,
    Encoded,
    Fused,
    Input,
    InputName,
    MaskName,
    Objective,
    ObjectiveConfig,
    PartName,
    PartOf,
    Spec,
    Term,
    View,
    ViewError,
    encoded,
    fused,
    not_none,
)
from vlobjectives.functional import gather_tokens


class MLM(Objective):
    """Masked language modelling: cross-entropy of the masked tokens, given the other tokens and the clean picture.

        x = text tokens of fused(image, masked text) at the scored positions               [B,K,D] of [B,L,D]
        L = mean over scored words of CE(head(x), the word that stood there)               head(x) [B,K,V]

    The mean runs over all scored words of all rows, not over each row first. The head runs on the K scored positions
    alone (static K, surplus ones not counted), which gives the same loss as on all L. GLSCL (arXiv 2306.07096, its
    code) after METER. The chance level is ln V, or the entropy of the words where the reader counted them.
    `image: null` is BERT's, of texts alone, which FLAVA trains on its batches of texts: x are the tokens of
    encoded(masked text), and there is no fusion.
    """

    paper = "GLSCL, arXiv 2306.07096; METER, arXiv 2111.02387; FLAVA, arXiv 2112.04482"

    class Config(ObjectiveConfig):
        mask: MaskName | None = Field(description="takes the words; null: the mask that the text input has of its own")
        image: InputName | None = Field(
            "image", description="input that shows the picture; null: none, plain MLM of the text's own encoder"
        )
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName | None = Field(
            "fusion", description="part that lets picture and caption see each other; without a picture null"
        )
        head: PartName = Field("words", description="head that turns a token into logits over the vocabulary")

        @model_validator(mode="before")
        @classmethod
        def _without_picture(cls, options: Any) -> Any:
            alone = isinstance(options, dict) and options.get("image", "") is None
            return {"fusion": None} | options if alone else options

        @model_validator(mode="after")
        def _of_both(self) -> Self:
            if (self.image is None) != (self.fusion is None):
                raise ValueError("image and fusion go together: name both, or write image: null alone")
            return self

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        text = inputs[self.config.text].masked(self.config.mask)
        if text.mask is None:
            raise ViewError(f"input '{text.name}' has no mask of its own: name one under `mask`")
        if self.config.image is None or self.config.fusion is None:
            return {"masked": encoded(text)}
        return {"masked": fused(inputs[self.config.image], text, part=self.config.fusion)}

    def build(self, head: Spec) -> None:
        field = next((field for field in head.fields.values() if field.kind == "tokens"), None)
        self.first = field.ids[0] if field and field.ids else 0
        self.entropy = -sum(p * math.log(p) for p in field.share if p) if field and field.share else None

    def forward(self, masked: Fused | Encoded, head: nn.Module, batch: Batch) -> Mapping[str, Term]:
        text = _text(masked)
        draw = not_none(text.draw, "mask on the text")
        logits = head(gather_tokens(text.tokens, draw.index))
        words = gather_tokens(batch[self.config.text].ids, draw.index) - self.first
        words = words.masked_fill(~draw.index_ok, -100)
        total = F.cross_entropy(logits.flatten(0, 1), words.flatten(), ignore_index=-100, reduction="sum")
        chance = math.log(logits.shape[-1]) if self.entropy is None else self.entropy
        return {"words": Term(total, draw.index_ok.sum(), chance=chance)}

    def token_mask(self) -> str | None:
        return self.config.mask

    def predict_tokens(self, pairs: Fused, index: Tensor, part: PartOf) -> Tensor:
        if self.config.image is None:
            raise self.cannot(
                "it names words of texts alone, and is asked for those of pairs", "name an objective that reads both"
            )
        return part(self.config.head)(gather_tokens(pairs.text.tokens, index)).argmax(-1) + self.first

    def counts(self, masked: Fused | Encoded | None = None) -> Mapping[str, Tensor | int]:
        if masked is None:  # a mask that looks at views draws after their passes
            return {}
        return {"words": not_none(_text(masked).draw, "mask on the text").index_ok.sum()}


def _text(masked: Fused | Encoded) -> Encoded:
    return masked.text if isinstance(masked, Fused) else masked
