"""Contrast with captions that are wrong in one thing."""

import math
from collections.abc import Callable, Mapping

import torch
from pydantic import Field
from torch import Tensor

from vlobj_modern._own_rows import cross_entropy
from vlobjectives import Batch, Input, InputName, Joint, Objective, ObjectiveConfig, PartName, Term, View, joint


class NegCLIP(Objective):
    """Contrast in which each picture also tells its caption from the wrong captions of all pictures.

        L = 1/2 mean_i [-log softmax_j(u_i . c_j / tau) at j = i]     c [2N,E]: the N captions v, then N wrong ones
          + 1/2 mean_j [-log softmax_i(u_i . v_j / tau) at i = j]     no wrong caption has a picture of its own

    u, v [N,E] pictures and captions in the joint space, tau the projection's. NegCLIP (arXiv 2210.01936), section 4:
    the wrong captions are negatives of the pictures' direction alone. Its other half, batches that hold pictures
    which are alike, is the source's: `scenes` keeps contrast pairs side by side. The chance level is ln N + 1/2 ln 2.
    """

    paper = "NegCLIP, arXiv 2210.01936"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        wrong: InputName = Field("wrong_caption", description="input that holds the wrong caption")
        joint: PartName = Field("joint", description="projection to the joint space; tau is its own")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        of = {"image": self.config.image, "text": self.config.text, "wrong": self.config.wrong}
        return {key: joint(inputs[name], part=self.config.joint) for key, name in of.items()}

    def forward(
        self, image: Joint, text: Joint, wrong: Joint, batch: Batch, gather: Callable[[Tensor], Tensor]
    ) -> Mapping[str, Term]:
        pictures, captions, wrongs = gather(image.pooled), gather(text.pooled), gather(wrong.pooled)
        right, n = batch.number[:, None] == gather(batch.number), len(captions)
        among = torch.cat([right, torch.zeros_like(right)], 1)
        of_picture = cross_entropy(image.scale * image.pooled @ torch.cat([captions, wrongs]).T, among)
        of_caption = cross_entropy(text.scale * text.pooled @ pictures.T, right)
        loss = 0.5 * (of_picture + of_caption).sum()
        return {"contrast": Term(loss, len(right), chance=math.log(n) + 0.5 * math.log(2))}
