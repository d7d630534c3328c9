"""What masks of patches have in common: a share of each frame hidden, in an order that each mask draws its own way."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from vlobjectives import Batch, Mask, MaskConfig, MaskSample, MaskTarget, Noise, Vectors
from vlobjectives.functional import indices_to_mask, mask_to_indices, num_kept, num_replaced


class PatchMask(Mask):
    """Hide a share of the patches of each frame: by `drop` the last ones of an order, else the first ones."""

    class Config(MaskConfig):
        ratio: float = Field(gt=0, lt=1, description="share of the patches that is hidden (GLSCL: drop 0.8, token 0.3)")
        fill: Literal["drop", "token", "pixels"] = Field(
            description="drop: the encoder never sees them; token: a learned vector in place of the patch embedding, "
            "before positions are added; pixels: the picture's mean colour, which works with every encoder"
        )

    def size(self, site: MaskTarget) -> int:
        return max(1, self._count(site))

    def hides(self, site: MaskTarget) -> tuple[int, int]:
        return self._count(site), self._count(site)

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch) -> MaskSample:
        order = self._order(noise, site)
        hides = self._count(site) // site.frames
        keep, gone = None, order[:, :, :hides]
        if self.fill == "drop":
            keep, gone = order.tensor_split([order.shape[2] - hides], dim=2)
            keep = keep.flatten(1)
        hidden = scored = indices_to_mask(gone.flatten(1), site.positions)
        if isinstance(x := batch.values.get(site.input), Vectors):  # of which a sample has fewer than there is room for
            scored = hidden & x.valid
        index, ok = mask_to_indices(scored, self.size(site))
        return MaskSample(hidden, scored=scored, index=index, index_ok=ok, keep=keep, fill=self.fill)

    def _count(self, site: MaskTarget) -> int:
        n = site.positions // site.frames
        hidden = n - num_kept(n, self.config.ratio) if self.fill == "drop" else num_replaced(n, self.config.ratio)
        return hidden * site.frames

    def _order(self, noise: Noise, site: MaskTarget) -> Tensor:
        """[B,F,n] int64: the positions of each frame in the order that decides, counted through the frames."""
        raise NotImplementedError

    def _name(self, frame: int) -> str:
        return f"patches of frame {frame}"
