"""Weakly supervised phrase grounding."""

from collections.abc import Callable, Mapping
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from vlobj_mvptr.phrase_scores import grounding_score, similarities
from vlobjectives import (
    Amount,
    Batch,
    Encoded,
    Fused,
    FusedView,
    Input,
    InputName,
    Layer,
    Length,
    Noise,
    Objective,
    ObjectiveConfig,
    PairingName,
    Pairs,
    PartName,
    Spec,
    Term,
    fused,
    not_none,
)
from vlobjectives.functional import positive_pairs


class WPG(Objective):
    """Weakly supervised phrase grounding: a hinge loss on how similar a caption's phrases and a picture's regions are.

        C^ij = u(a_i) u(b_j)'                  a_i [m,D] phrases of caption i, b_j [q,D] regions of picture j, fused
        s(i,j) = mean over phrases p of what rule takes of C^ij_p: the nearest region (max), the mean of the k nearest
                 (mean), or one of these at random (pick, published; k = 3)
        L = mean_i max(0, s(negative of i) + margin - s(i,i))                   over captions that have phrases

    pairwise (published): the negative is s(i, j), j another picture at random (published: of the same process; here of
    all, or of the `group`), both sides from their own matched pass. reencoded: s of a wrong pair of `negatives` that
    went through the fusion together. Under pairwise the positive shares one fused sequence and the negative does not,
    so its loss can fall without any grounding: judge by boxes (evaluation `grounding`) or by reencoded negatives.
    Regions are all positions that the picture's stream has, phrases the positions of a field of the text input, masked
    ones too. Fewer than k regions are all taken; a caption without phrases or partner, a picture without regions is not
    counted. MVPTR (arXiv 2201.12596, its code; `max` is a line switched off there). The chance level is the margin.
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(ObjectiveConfig):
        mode: Literal["pairwise", "reencoded"] = Field(
            "pairwise",
            description="where negatives come from: each side's "
            "own matched pass (published), or wrong pairs fused together",
        )
        negatives: PairingName | None = Field(None, description="pairing that finds the wrong pairs of `reencoded`")
        rule: Literal["pick", "max", "mean"] = Field(
            "mean",
            description="what a phrase takes of its k nearest regions (published: pick, whose expectation is mean)",
        )
        positives: Literal["same_picture", "equal_captions"] = Field(
            "same_picture",
            description="pairwise: whose pictures are no negatives of a caption: equal ones, or also "
            "those of equal captions; with reencoded the pairing says it",
        )
        k: Length = Field(3, description="nearest regions (published: 3)")
        margin: Amount = Field(0.2, description="by which the own picture is to be ahead (published: 0.2)")
        phrases: str = Field("phrases", description="the field of the text input that holds the phrases")
        layer: Layer | None = Field(None, description="the fusion's layer that is read (published: the last)")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds caption and phrases")
        fusion: PartName = Field("fusion", description="part that lets picture and text see each other")

        @model_validator(mode="after")
        def _mode(self) -> Self:
            if (self.mode == "reencoded") != (self.negatives is not None):
                raise ValueError("mode reencoded needs `negatives`, a pairing; pairwise takes none")
            if self.negatives is not None and "positives" in self.model_fields_set:
                raise ValueError(
                    "`positives` is of pairwise; of reencoded negatives the pairing says it: "
                    f"pairings.{self.negatives}: positives: {self.positives}"
                )
            return self

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, FusedView]:
        image, text, config = inputs[self.config.image], inputs[self.config.text], self.config
        views = {"matched": fused(image, text, part=config.fusion)}
        if config.negatives is not None:
            views["wrong"] = fused(image, text, config.negatives, part=config.fusion)
        return views if config.layer is None else {name: view.layer(config.layer) for name, view in views.items()}

    def build(self, text: Spec) -> None:
        tokens = [name for name, field in text.fields.items() if field.kind == "tokens"]
        if self.config.phrases not in tokens:
            raise self.cannot(
                f"input '{self.config.text}' has no field '{self.config.phrases}'",
                f"inputs.{self.config.text}.fields: [{', '.join([*tokens, self.config.phrases])}]",
            )
        self.segment = tokens.index(self.config.phrases)

    def forward(
        self, matched: Fused, batch: Batch, noise: Noise, gather: Callable[[Tensor], Tensor], wrong: Fused | None = None
    ) -> Mapping[str, Term]:
        phrase, phrases = self.phrase(matched), self.tokens(matched.text)
        regions, there = self.tokens(matched.image), matched.image.valid
        own = self.score(phrases, phrase, regions, there, noise, "matched")
        if wrong is None:
            image, scored = self._partners(matched, batch, noise, gather)
            other = self.score(phrases, phrase, gather(regions)[image], gather(there)[image], noise, "wrong")
        else:
            scored, own = self._opposed(matched, wrong), own[_pairs(wrong).anchor]
            other = self.score(
                self.tokens(wrong.text), self.phrase(wrong), self.tokens(wrong.image), wrong.image.valid, noise, "wrong"
            )
        hinge = torch.where(scored, (other + self.config.margin - own).clamp_min(0), 0.0)
        return {"grounding": Term(hinge.sum(), scored.sum(), chance=self.config.margin)}

    def counts(
        self,
        batch: Batch,
        noise: Noise,
        gather: Callable[[Tensor], Tensor],
        matched: Fused | None = None,
        wrong: Fused | None = None,
    ) -> Mapping[str, Tensor | int]:
        if matched is None or (wrong is None and self.config.negatives is not None):
            return {}  # a pairing that looks at views chooses after their passes
        scored = self._partners(matched, batch, noise, gather)[1] if wrong is None else self._opposed(matched, wrong)
        return {"grounding": scored.sum()}

    def phrase_field(self) -> str:
        return self.config.phrases

    def phrase_pairs(self, inputs: Mapping[str, Input]) -> FusedView:
        return self.views(inputs)["matched"]

    def phrase_positions(self, pairs: Fused) -> Tensor:
        return self.phrase(pairs)

    def phrase_similarities(self, pairs: Fused) -> Tensor:
        return similarities(self.tokens(pairs.text), self.tokens(pairs.image))

    def phrase(self, x: Fused) -> Tensor:
        """[R,L] bool, where phrases stand."""
        segment = not_none(x.text.segment, "segment of a text's positions")
        return (segment == self.segment) & ~not_none(x.text.special, "special positions of a text")

    def score(
        self, phrases: Tensor, phrase: Tensor, regions: Tensor, region: Tensor, noise: Noise, name: str
    ) -> Tensor:
        """s [R] of texts [R,L,D] at phrase [R,L] and pictures [R,N,D] at region [R,N]; a sample's rows draw apart."""
        rule, uniform = self.config.rule, None
        if rule == "pick":
            each = phrase.shape[0] // noise.number.shape[0]
            uniform = noise(name, each, phrase.shape[1]).flatten(0, 1)
        return grounding_score(similarities(phrases, regions), phrase, region, self.config.k, rule, uniform)

    def tokens(self, x: Encoded) -> Tensor:
        """A layer's stream has class tokens in front of the positions."""
        return x.tokens if self.config.layer is None else x.layers[self.config.layer][:, -x.tokens.shape[1] :]

    def _partners(
        self, matched: Fused, batch: Batch, noise: Noise, gather: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Another picture for each caption, [B] rows of what is gathered, and which captions are counted, [B] bool."""
        everybody = gather(batch.same)
        if self.config.positives == "equal_captions":
            ids = batch[self.config.text].ids
            other = ~positive_pairs(batch.same, ids, (everybody, gather(ids)))
        else:
            other = ~batch.same[:, None].eq(everybody)
        lot = noise.between("wrong picture", gather(batch.number))
        image, there = lot.masked_fill(~other, -1.0).argmax(1), matched.image.valid.any(1)
        return image, other.any(1) & self.phrase(matched).any(1) & there & gather(there)[image]

    def _opposed(self, matched: Fused, wrong: Fused) -> Tensor:
        """Which wrong pairs are counted, [R] bool: both sides have phrases and regions."""
        whole = self.phrase(matched).any(1) & matched.image.valid.any(1)
        pairs = _pairs(wrong)
        return pairs.valid & whole[pairs.anchor] & self.phrase(wrong).any(1) & wrong.image.valid.any(1)


def _pairs(wrong: Fused) -> Pairs:
    return not_none(wrong.pairs, "wrong pairs in the view")
