"""Masks of frequency bands."""

from typing import Literal

import torch
from pydantic import Field

from vlobjectives import Batch, Mask, MaskConfig, MaskSample, MaskTarget, Noise
from vlobjectives.functional import indices_to_mask, mask_to_indices


class RandomBands(Mask):
    """Hide whole bands: random rows of the grid of patches, over the whole length of the sound.

    Frequency masking as in SpecAugment (arXiv 1904.08779), by rows of patches and never fewer than one. What is hidden
    is what is scored.
    """

    paper = "SpecAugment, arXiv 1904.08779"

    class Config(MaskConfig):
        ratio: float = Field(0.5, gt=0, lt=1, description="share of the rows that is hidden")
        fill: Literal["drop", "token"] = Field(
            "drop", description="drop: the encoder never sees them; token: a learned vector in place of the patch"
        )

    def hides(self, site: MaskTarget) -> tuple[int, int]:
        return self.size(site), self.size(site)

    def size(self, site: MaskTarget) -> int:
        rows, columns = self._grid(site)
        return self._rows(rows) * columns * site.frames

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch) -> MaskSample:
        rows, columns = self._grid(site)
        order = noise.order("bands", rows)  # [B,rows]
        hidden = indices_to_mask(self._positions(order[:, : self._rows(rows)], columns, site), site.positions)
        index, ok = mask_to_indices(hidden, self.size(site))
        keep = self._positions(order[:, self._rows(rows) :].sort().values, columns, site)
        return MaskSample(hidden, hidden, index, ok, keep if self.fill == "drop" else None, fill=self.fill)

    def _positions(self, chosen: torch.Tensor, columns: int, site: MaskTarget) -> torch.Tensor:
        """The positions of rows [B,r] of the grid, [B, frames r columns], frame after frame."""
        places = (chosen[:, :, None] * columns + torch.arange(columns, device=chosen.device)).flatten(1)
        frames = torch.arange(site.frames, device=chosen.device) * (site.positions // site.frames)
        return (places[:, None] + frames[:, None]).flatten(1)

    def _rows(self, rows: int) -> int:
        return min(rows - 1, max(1, round(rows * self.config.ratio)))

    def _grid(self, site: MaskTarget) -> tuple[int, int]:
        """Rows and columns of patches; what has no grid (vectors) is one column."""
        return site.grid or (site.positions // site.frames, 1)
