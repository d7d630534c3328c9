"""An objective between a picture and a smaller one of the same sample, through one tower; toys with two sizes."""

import math

from vlobjectives import Objective, Term, encoded, joint
from vlobjectives.functional import l2_normalize, symmetric_info_nce


def two_sizes(**more):
    """Fields of a toy whose input `second` shows pictures of 8 pixels beside `image` of 16."""
    return {"data": {"second": 8}, "inputs": {"second": {"fields": ["second"], "part": "vision"}}, **more}


class Crops(Objective):
    """Contrast of both in the joint space, and of the mean patches of the larger one and the smaller one, masked."""

    def views(self, inputs):
        small = inputs["second"].masked("dropped")
        return {
            "image": joint(inputs["image"]),
            "second": joint(inputs["second"]),
            "patches": encoded(inputs["image"]),
            "some": encoded(small),
        }

    def build(self, patches, some):
        self.specs = {"patches": patches, "some": some}

    def forward(self, image, second, patches, some, batch, gather):
        means = [gather(l2_normalize(x.tokens.mean(1))) for x in (patches, some)]
        crops = symmetric_info_nce(gather(image.pooled), gather(second.pooled), 1 / image.scale)
        local, n = symmetric_info_nce(*means, 0.5), len(crops)
        return {name: Term(x.sum(), n, chance=2 * math.log(n)) for name, x in (("crops", crops), ("local", local))}
