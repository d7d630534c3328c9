"""Sigmoid contrast of captions with what each of them looks at in a picture."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobj_modern._own_rows import sigmoid_chance, sigmoid_losses
from vlobjectives import (
    Batch,
    Heads,
    Input,
    InputName,
    Joint,
    Objective,
    ObjectiveConfig,
    PartName,
    Spec,
    Term,
    View,
    joint,
    not_none,
)
from vlobjectives.functional import l2_normalize


class FLAIR(Objective):
    """Sigmoid contrast of K captions a picture with the picture as each caption looks at it, and with the whole.

        v_ij = u(MHA(query LN t_j, keys LN x_i, values LN x_i))     x_i [n,E] patches of picture i and a zero token
        conditioned  1/(NK) sum_ij -log sigmoid( z_ij (s v_ij . t_j + b) )     j over the N K captions of all
        global       1/(NK) sum_ij -log sigmoid( z_ij (s g_i . t_j + b) )      z_ij = 1 where j describes i, else -1
        L = 1/2 conditioned + 1/2 global

    t, g, x captions, pictures and patches in the joint space, s the projection's scale, b a learned bias. FLAIR (arXiv
    2412.03561), section 3: text-conditioned attention pooling, text-conditioned and multi-positive sigmoid loss. A
    process asks its own pictures about the captions of all; the published code asks for one caption of each other
    picture alone, here all K are. The chance level is that of answers "yes" at the rate of right pairs.
    """

    paper = "FLAIR, arXiv 2412.03561"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        texts: list[InputName] = Field(["text", "caption_2"], min_length=1, description="inputs that hold its captions")
        joint: PartName = Field("joint", description="projection to the joint space; the scale is its own")
        heads: Heads = Field(8, description="heads of the pooling (published: 8)")
        bias: float = Field(-10.0, description="where b starts (published: -10)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        texts = {f"text_{k}": joint(inputs[name], part=self.config.joint) for k, name in enumerate(self.config.texts)}
        return {"image": joint(inputs[self.config.image], part=self.config.joint).with_tokens(), **texts}

    def build(self, image: Spec) -> None:
        if image.width % self.config.heads:
            raise self.cannot(f"{self.config.heads} heads do not divide the joint space's width {image.width}")
        self.pool = nn.MultiheadAttention(image.width, self.config.heads, batch_first=True, add_zero_attn=True)
        self.norms = nn.ModuleList(nn.LayerNorm(image.width) for _ in range(3))
        self.bias = nn.Parameter(torch.tensor(self.config.bias))

    def forward(
        self, image: Joint, batch: Batch, gather: Callable[[Tensor], Tensor], **given: Any
    ) -> Mapping[str, Term]:
        captions = gather(torch.stack([given[f"text_{k}"].pooled for k in range(len(self.config.texts))], 1))
        texts, tokens, own = captions.flatten(0, 1), not_none(image.tokens, "tokens"), len(image.pooled)
        right = (batch.number[:, None] == gather(batch.number)).repeat_interleave(captions.shape[1], 1)
        query, key, value = (norm(x) for norm, x in zip(self.norms, (texts.expand(own, -1, -1), tokens, tokens)))
        looked = l2_normalize(self.pool(query, key, value, need_weights=False)[0])
        terms = {"conditioned": (looked * texts).sum(-1), "global": image.pooled @ texts.T}
        losses = {name: sigmoid_losses(image.scale * x + self.bias, right).sum() for name, x in terms.items()}
        count, chance = own * captions.shape[1], sigmoid_chance(len(captions))
        return {name: Term(loss, count, weight=0.5, chance=chance) for name, loss in losses.items()}
