"""Blocks of patches hidden: rectangles in place of single patches."""

import math

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.masks.patch_mask import PatchMask
from vlobjectives import Length, MaskTarget, Noise, not_none

BLOCKS = 16
"""Blocks drawn a frame. Those that are not needed are not used."""


class BlockPatches(PatchMask):
    """Mask rectangular blocks of patches, one after the other, until the ratio is reached, as in BEiT.

    A block covers s patches, uniform from `least` to the share, in the shape of a picture of aspect r (height / width),
    log-uniform from `aspect` to 1 / aspect: round(sqrt(s r)) rows and round(sqrt(s / r)) columns, anywhere on the grid;
    blocks may lie over each other. As published (BEiT, arXiv 2106.08254, algorithm 1: 40 % of 196, least 16, aspect
    0.3), but that there the count is a lower bound, while here the last block is cut (its upper rows are hidden) so
    that all pictures of a batch hide equally many, and that the size of a block does not depend on those before it.
    Patches that all blocks left, if the share is still not met, follow one by one.
    """

    paper = "BEiT, arXiv 2106.08254"

    class Config(PatchMask.Config):
        least: Length = Field(16, description="patches of a block at least, if the share is that large (BEiT: 16)")
        aspect: float = Field(0.3, gt=0, le=1, description="the flattest block, its height over its width (BEiT: 0.3)")

    def size(self, site: MaskTarget) -> int:
        if site.grid is None:
            raise self.cannot(f"the positions of input '{site.input}' lie on no grid", "use random_patches")
        return super().size(site)

    def _order(self, noise: Noise, site: MaskTarget) -> Tensor:
        n = site.positions // site.frames
        frames = [self._when(noise, site, frame).argsort(dim=1) + frame * n for frame in range(site.frames)]
        order = torch.stack(frames, dim=1)
        return order.flip(2) if self.fill == "drop" else order  # whoever drops hides the end of the order

    def _when(self, noise: Noise, site: MaskTarget, frame: int) -> Tensor:
        """[B,n] int64, when a patch is met: number of the block x n + place, then the rest in random order."""
        rows, columns = not_none(site.grid, "grid of patches")
        n, share = rows * columns, max(1, self._count(site) // site.frames)
        how = noise(f"blocks of {self._name(frame)}", BLOCKS, 4).to(torch.float64)
        size, shape, down, right = how.unbind(2)
        size = min(self.config.least, share) + size * max(0, share - self.config.least)
        aspect = torch.exp(math.log(self.config.aspect) * (1 - 2 * shape))
        height = (size * aspect).sqrt().round().clamp(1, rows)
        width = (size / aspect).sqrt().round().clamp(1, columns)
        top, left = (down * (rows - height + 1)).floor(), (right * (columns - width + 1)).floor()
        place = torch.arange(n, device=how.device)
        row, column = place // columns, place % columns
        met = (
            (row >= top[..., None])
            & (row < (top + height)[..., None])
            & (column >= left[..., None])
            & (column < (left + width)[..., None])
        )
        number = torch.arange(BLOCKS, device=how.device)[:, None]
        rest = (BLOCKS * n + noise.order(self._name(frame), n).argsort(dim=1))[:, None]
        return torch.cat([torch.where(met, number * n + place, rest), rest], dim=1).amin(1)
