"""Captioning: naming the next word from those before it and the picture."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import (
    Batch,
    Encoded,
    EncodedView,
    GenerationSpec,
    Input,
    InputName,
    MaskName,
    Objective,
    ObjectiveConfig,
    PartName,
    Spec,
    Term,
    View,
    decoded,
    encoded,
)


class IC(Objective):
    """Image captioning: cross-entropy of each caption token, given the tokens before it and the visible patches.

        ids a_0 = begin, words, end, padding                                                [B,L]
        x = tokens of decoded(text, picture)                                                [B,L,D], x_l saw a_0..a_l
        L = - sum_b sum_(l < L-1) [a_(b,l+1) is no padding] log softmax(head(x_(b,l)))[a_(b,l+1)] / M

    M counts the labels of the whole batch, so long captions weigh more (the papers' formula is a sum over words; all
    published code takes this mean). The last position predicts nothing; begin is never a label, end is. Padding is
    known by `valid` and not by id. With a mask, the decoder reads only the patches that it leaves (SyCoCa, arXiv
    2401.02137): of the clean pass, which costs no further one, or of a masked pass (`ic_image`). Without, all of them
    (CoCa, arXiv 2205.01917). The chance level is ln V, or the entropy of words and end where the reader counted the
    words.
    """

    paper = "CoCa, arXiv 2205.01917; SyCoCa, arXiv 2401.02137"

    class Config(ObjectiveConfig):
        mask: MaskName | None = Field(
            None,
            description="masks patches out of the decoder's attention (SyCoCa: the half least similar to the "
            "caption); null: it reads all of them (CoCa)",
        )
        ic_image: Literal["clean", "masked"] = Field(
            "clean",
            description="clean: the encoder sees the whole picture, "
            "the decoder what the mask leaves; masked: a pass of its own, in "
            "which the encoder does not see the rest either",
        )
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption; its encoder must be causal")
        decoder: PartName = Field("captioner", description="causal decoder that reads the picture")
        head: PartName = Field("words", description="head that turns a position into logits over the vocabulary")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        config, image, text = self.config, inputs[self.config.image], inputs[self.config.text]
        shown: Input | EncodedView = image
        if config.mask is not None:
            shown = encoded(image).visible(config.mask) if config.ic_image == "clean" else image.masked(config.mask)
        return {"written": decoded(text, shown, part=config.decoder)}

    def build(self, written: Spec, head: Spec) -> None:
        if "causal" not in written.can:
            raise self.cannot(
                f"the decoder '{self.config.decoder}' sees the words that it is to name",
                f"model.{self.config.decoder}: causal: true",
            )
        field = next((field for field in head.fields.values() if field.kind == "tokens"), None)
        self.first = field.ids[0] if field and field.ids else 0
        self.entropy = -sum(p * math.log(p) for p in field.share if p) if field and field.share else None

    def writes(self, inputs: Mapping[str, Input]) -> GenerationSpec | None:
        config = self.config
        image = inputs[config.image]
        return GenerationSpec(image.name, encoded(image), inputs[config.text], config.decoder, config.head, self.first)

    def forward(self, written: Encoded, head: nn.Module, batch: Batch) -> Mapping[str, Term]:
        logits = head(written.tokens[:, :-1])
        label, scored = self._labels(batch)
        label = (label - self.first).masked_fill(~scored, -100)
        total = F.cross_entropy(logits.flatten(0, 1), label.flatten(), ignore_index=-100, reduction="sum")
        count = scored.sum()
        chance = math.log(logits.shape[-1])
        if self.entropy is not None:
            end = (scored & batch[self.config.text].special[:, 1:]).sum() / count.clamp_min(1)
            chance = torch.special.entr(end) + torch.special.entr(1 - end) + (1 - end) * self.entropy
        return {"words": Term(total, count, chance=chance)}

    def counts(self, batch: Batch) -> Mapping[str, Tensor | int]:
        return {"words": self._labels(batch)[1].sum()}

    def _labels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The ids that positions 0..L-2 predict, and which of them are no padding: two [B,L-1]."""
        tokens = batch[self.config.text]
        return tokens.ids[:, 1:], tokens.valid[:, 1:]
