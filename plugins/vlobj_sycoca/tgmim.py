"""Text-guided masked image modelling: the hidden patches painted with the help of the caption."""

from collections.abc import Mapping
from math import prod
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from vlobjectives import (
    Batch,
    DecodedView,
    Encoded,
    Input,
    InputName,
    MaskName,
    MaskSample,
    Objective,
    ObjectiveConfig,
    PartName,
    Spec,
    Spread,
    Term,
    decoded,
    not_none,
)
from vlobjectives.functional import gather_tokens, normalize_patches, patchify
from vlobjectives.functional.pixels import patch_sides


class TGMIM(Objective):
    """Text-guided masked image modelling: reconstruct the masked patches from the visible ones and the caption.

        x = tokens of decoded(masked picture, text)                                            [B,N,D]
        p = W x + b at the hidden patches                                                      [B,K,P], P = patch^2 C
        v = their pixels in the picture after input normalisation, colours innermost, each patch less its mean and
            over its deviation (variance / (P-1) + 1e-6)
        L = sum over hidden patches of mean_P (p - v)^2 / max(1, hidden patches)

    What is seen does not count. Gradients reach the picture's encoder, the text's and the decoder. `memory: null` is
    plain masked image modelling, the same without the caption. Of the paper (SyCoCa, arXiv 2401.02137) it is known that
    pixels are rebuilt by a decoder with cross-attention to the caption, at weight 1; the rest is ours. The mask is not
    ours to choose silently: at random it hurt in the paper's ablation. The chance level is the loss of zeros.
    """

    paper = "SyCoCa, arXiv 2401.02137"

    class Config(ObjectiveConfig):
        mask: MaskName = Field(
            description="hides patches before the encoder (published: the half most similar to the caption)"
        )
        image: InputName = Field("image", description="input that shows the picture")
        memory: InputName | None = Field(
            "text", description="input that the reconstruction reads; null: none, plain MIM"
        )
        decoder: PartName = Field("painter", description="decoder that reads the masked picture's patches")
        target: Literal["pixels_normalised", "pixels"] = Field(
            "pixels_normalised", description="each patch by its own mean and deviation, or as the picture has it"
        )
        distance: Literal["l2", "l1"] = Field("l2", description="squared or absolute difference")
        init_std: Spread = Field(0.02, gt=0, description="spread of the map to pixels at the start")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, DecodedView]:
        config = self.config
        image = inputs[config.image].masked(config.mask)
        memory = inputs[config.memory] if config.memory else None
        return {"painted": decoded(image, memory, part=config.decoder)}

    def build(self, painted: Spec) -> None:
        pictures = [field for field in painted.fields.values() if field.kind == "picture"]
        if painted.grid is None or not pictures:
            raise self.cannot(f"the decoder '{self.config.decoder}' decodes no patches", "give it query: vision")
        self.patch = painted.patch_size
        self.pixels = nn.Linear(painted.width, prod(patch_sides(self.patch)) * pictures[0].shape[-3])
        nn.init.normal_(self.pixels.weight, std=self.config.init_std)
        nn.init.zeros_(self.pixels.bias)

    def forward(self, painted: Encoded, batch: Batch) -> Mapping[str, Term]:
        draw, wanted = _drawn(painted), patchify(batch[self.config.image], self.patch)
        if painted.tokens.shape[1] != wanted.shape[1]:
            raise self.cannot(
                "the mask drops the very patches that are to be painted",
                f"masks.{self.config.mask}: fill: token; or model.{self.config.decoder}: restore: true",
            )
        wanted = gather_tokens(wanted, draw.index)
        if self.config.target == "pixels_normalised":
            wanted = normalize_patches(wanted)
        count = draw.index_ok.sum()
        total = self._summed(self.pixels(gather_tokens(painted.tokens, draw.index)) - wanted, draw)
        return {"pixels": Term(total, count, chance=self._summed(wanted, draw) / count.clamp_min(1))}

    def reconstruction(self, inputs: Mapping[str, Input]) -> DecodedView:
        return self.views(inputs)["painted"]

    def reconstruction_error(self, decoded: Encoded, batch: Batch) -> Tensor:
        term = self(painted=decoded, batch=batch)["pixels"]
        return term.total / term.count

    def counts(self, painted: Encoded | None = None) -> Mapping[str, Tensor | int]:
        if painted is None:  # a mask that looks at views draws after their passes
            return {}
        return {"pixels": _drawn(painted).index_ok.sum()}

    def _summed(self, gap: Tensor, draw: MaskSample) -> Tensor:
        """The distance of each hidden patch, [B,K,P] -> summed over the patches that count."""
        each = (gap.square() if self.config.distance == "l2" else gap.abs()).mean(-1)
        return each.where(draw.index_ok, 0.0).sum()


def _drawn(x: Encoded) -> MaskSample:
    return not_none(x.draw, "mask whose patches are painted")
