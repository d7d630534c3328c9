"""Image-text contrast."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field
from torch import Tensor

from vlobjectives import Batch, Input, InputName, Joint, Objective, ObjectiveConfig, PartName, Term, View, joint
from vlobjectives.functional import symmetric_info_nce


class ITC(Objective):
    """Image-text contrast: symmetric InfoNCE between the pictures and the captions of a batch in the joint space.

        t = u(joint(text)),  v = u(joint(image))                     [N,E], the rows of all processes
        L = 1/2 SymNCE(t v', tau)
          = 1/2 mean_i [-log softmax_j(t_i v_j / tau) at j = i]  +  1/2 mean_i [-log softmax_j(t_j v_i / tau) at j = i]

    tau is the projection's (`Joint.scale` is 1/tau) and may be learned there. GLSCL (arXiv 2306.07096, its code), whose
    0.5 is inside the loss; the same function as CLIP's (arXiv 2103.00020). The chance level is ln N.
    """

    paper = "GLSCL, arXiv 2306.07096; CLIP, arXiv 2103.00020"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection to the joint space; the temperature is its own")
        positives: Literal["pair", "equal_captions", "same_picture"] = Field(
            "pair",
            description="who belongs together: row i with row i alone (published), also rows whose captions are equal "
            "token by token, or also rows of the same picture; several share the probability evenly",
        )

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def forward(
        self, image: Joint, text: Joint, batch: Batch, gather: Callable[[Tensor], Tensor]
    ) -> Mapping[str, Term]:
        t, v = gather(text.pooled), gather(image.pooled)
        rows = symmetric_info_nce(t, v, 1 / image.scale, positives=self.positives(batch, gather))
        n = rows.shape[0]
        return {"contrast": Term(0.5 * rows.sum(), n, chance=math.log(n))}

    def positives(self, batch: Batch, gather: Callable[[Tensor], Tensor]) -> Tensor | None:
        """[N,N] bool, which picture (column) is right for which caption (row); None: each its own alone."""
        if self.config.positives == "pair":
            return None
        key = batch.same[:, None] if self.config.positives == "same_picture" else batch[self.config.text].ids
        key = gather(key)
        return (key[:, None] == key[None, :]).all(-1)
