"""Masked concept recovering."""

import math
from collections.abc import Mapping

from pydantic import Field
from torch import Tensor, nn

from vlobj_mvptr.concept_loss import set_logits, set_nll
from vlobjectives import (
    Batch,
    Encoded,
    EncodedView,
    FieldName,
    FieldSpec,
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
    not_none,
)
from vlobjectives.functional import gather_tokens


class MCR(Objective):
    """Masked concept recovering: predict the concepts that were hidden from the picture's encoder, without the text.

        L = mean_i  - 1/|T_i| sum_{c in T_i} log softmax(z_i)_c        z_i [V] logits, T_i concepts to be named

    One row is, without `targets`, a piece of a tag that the input's mask took: z = head(output at its place), T the
    piece that stood there, so that this is cross-entropy; the mean runs over all such places of all rows (MVPTR, arXiv
    2201.12596, its code). With `targets`, a picture: z = logsumexp_k head(x_k) - ln K over its K learned slots, T the
    concepts of the caption, which the picture's encoder never reads; the mean runs over pictures that have some (ours,
    where there are no tags). A softmax in both: a concept that a caption leaves out may be in the picture all the same.
    Only the picture's encoder is read, so no gradient reaches text or fusion, but for a table that is shared. The
    chance level is ln V, or the entropy of the concepts where the reader counted them.
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        mask: MaskName | None = Field(None, description="takes pieces of the tags; null: the input's own mask")
        source: str = Field(
            "tags", description="which of the picture encoder's further outputs names concepts: tags, or slots"
        )
        targets: FieldName | None = Field(
            None, description="field of labels that the slots name; null: the pieces that the mask took"
        )
        head: PartName = Field("concepts", description="head that turns an output into logits over concepts")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image = inputs[self.config.image].masked(self.config.mask)
        if self.config.targets is None and image.mask is None:
            raise ViewError(f"input '{image.name}' has no mask of its own: name one under `mask`, or `targets`")
        return {"picture": encoded(image)}

    def build(self, picture: Spec, head: Spec, targets: FieldSpec | None = None) -> None:
        if targets is not None and targets.kind != "labels":
            raise self.cannot(
                f"'{self.config.targets}' is a field of {targets.kind}, and targets are labels",
                "add under fields: concepts: {type: counted, of: caption}, and targets: concepts",
            )
        if self.config.source not in picture.extra:
            raise self.cannot(
                f"the encoder of '{self.config.image}' gives no '{self.config.source}'",
                (
                    f"source: {next(iter(picture.extra))}"
                    if picture.extra
                    else "give it slots (slots: 8), or take an encoder of tags (tagged_regions)"
                ),
            )
        field = next(iter(head.fields.values()))
        self.first = field.ids[0] if field.ids else 0
        self.entropy = -sum(p * math.log(p) for p in field.share if p) if field.share else None

    def concept_view(self, inputs: Mapping[str, Input], mask: str | None) -> EncodedView:
        mask = mask or self.config.mask
        if mask is None and self.config.targets is None:
            raise self.cannot(
                "the objective names no mask of its own", "name the one of the picture's input: mask=NAME"
            )
        return encoded(inputs[self.config.image].masked(mask))

    def named_concepts(self, picture: Encoded, batch: Batch, part: PartOf) -> tuple[Tensor, Tensor, Tensor]:
        return self.named(picture, part(self.config.head), batch)

    def frequent_concept(self, part: PartOf) -> int | None:
        share = next(iter(part(self.config.head).spec.fields.values())).share
        return max(range(len(share)), key=share.__getitem__) - self.first if share else None

    def forward(self, picture: Encoded, head: nn.Module, batch: Batch) -> Mapping[str, Term]:
        logits, ids, valid = self.named(picture, head, batch)
        chance = math.log(logits.shape[-1]) if self.entropy is None else self.entropy
        return {"concepts": Term(set_nll(logits, ids, valid).sum(), valid.any(-1).sum(), chance=chance)}

    def named(self, picture: Encoded, head: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [R,V] of the rows, and the concepts [R,M] to be named with which of them count."""
        x = picture.extra[self.config.source]
        if self.config.targets is not None:
            labels = batch[self.config.targets]
            return set_logits(head(x)), labels.ids - self.first, labels.valid
        draw = not_none(picture.draw, "mask whose concepts are named")
        index, ok = draw.index, draw.index_ok
        ids = gather_tokens(batch[self.config.image].ids, index) - self.first
        return head(gather_tokens(x, index)).flatten(0, 1), ids.flatten()[:, None], ok.flatten()[:, None]

    def counts(self, batch: Batch, picture: Encoded | None = None) -> Mapping[str, Tensor | int]:
        if self.config.targets is not None:
            return {"concepts": batch[self.config.targets].valid.any(-1).sum()}
        if picture is None:  # a mask that looks at views draws after their passes
            return {}
        return {"concepts": not_none(picture.draw, "mask whose concepts are named").index_ok.sum()}
