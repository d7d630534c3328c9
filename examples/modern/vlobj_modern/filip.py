"""Contrast of pictures and captions token by token."""

import math
from collections.abc import Callable, Mapping

import torch
from pydantic import Field
from torch import Tensor

from vlobj_modern._own_rows import cross_entropy
from vlobjectives import (
    Batch,
    Input,
    InputName,
    Joint,
    Objective,
    ObjectiveConfig,
    PartName,
    Term,
    View,
    joint,
    not_none,
)


class FILIP(Objective):
    """Token-wise contrast: a picture and a caption are as alike as their tokens' best partners are on average.

        s_image(i,j) = 1/n_i sum_k max_r v_ik . t_jr       v_ik the n_i patches of picture i, in the joint space
        s_text(i,j)  = 1/m_j sum_r max_k v_ik . t_jr       t_jr the m_j tokens of caption j, padding left out
        L = 1/2 mean_i [-log softmax_j(s_image(i,j) / tau) at j = i]
          + 1/2 mean_j [-log softmax_i(s_text(i,j) / tau) at i = j]

    FILIP (arXiv 2111.07783), section 3.1. tau is the projection's. A process compares its own
    patches with the words of all; the paper sends the most telling quarter of the tokens alone, here all of them are.
    The chance level is ln N.
    """

    paper = "FILIP, arXiv 2111.07783"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection of tokens to the joint space; tau is its own")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        both = {"image": inputs[self.config.image], "text": inputs[self.config.text]}
        return {name: joint(x, part=self.config.joint).with_tokens() for name, x in both.items()}

    def forward(
        self, image: Joint, text: Joint, batch: Batch, gather: Callable[[Tensor], Tensor]
    ) -> Mapping[str, Term]:
        words, said = gather(not_none(text.tokens, "tokens")), gather(not_none(text.valid, "valid"))[None, :]
        patches, seen = not_none(image.tokens, "tokens"), not_none(image.valid, "valid")[:, None]
        products = torch.einsum("ike,jre->ijkr", patches, words)  # own pictures, captions of all
        products = products.masked_fill(~(seen[..., None] & said[:, :, None]), -torch.inf)
        of_image, of_text = mean_over(products.amax(3), seen), mean_over(products.amax(2), said)
        own, numbers = batch.number[:, None], gather(batch.number)
        rows = cross_entropy(image.scale * of_image, own == numbers)
        columns = cross_entropy(gather(image.scale * of_text).T, numbers[:, None] == numbers)
        return {
            "image_to_text": Term(rows.sum(), len(rows), weight=0.5, chance=math.log(len(numbers))),
            "text_to_image": Term(columns.sum(), len(columns), weight=0.5, chance=math.log(len(numbers))),
        }


def mean_over(x: Tensor, valid: Tensor) -> Tensor:
    """The mean of x along its last axis where `valid`."""
    return torch.where(valid, x, 0.0).sum(-1) / valid.sum(-1)
