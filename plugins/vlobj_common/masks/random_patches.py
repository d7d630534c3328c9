"""Random patches of a picture hidden: dropped, or replaced by a learned token or by grey pixels."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import Batch, Mask, MaskConfig, MaskSample, MaskTarget, Noise
from vlobjectives.functional import indices_to_mask, mask_to_indices, num_kept, num_replaced


class RandomPatches(Mask):
    """Mask a random share of the patches of every picture or frame, each frame by itself, without replacement.

    Of the n patches of a frame
      drop           keeps the first int(n (1 - ratio)) of a random order, in that order: 64 of 324 at 0.8
      token, pixels  hides the first int(n ratio): 97 of 324 at 0.3
    so the two roundings differ, as published (GLSCL, arXiv 2306.07096, its code; passes A and B). What is hidden is
    what is scored, `index` in ascending order. In clips every frame hides equally many, so that a drop leaves frames of
    one length.
    """

    paper = "GLSCL, arXiv 2306.07096"

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
        hidden = indices_to_mask(gone.flatten(1), site.positions)
        index, ok = mask_to_indices(hidden, self.size(site))
        return MaskSample(hidden, scored=hidden, index=index, index_ok=ok, keep=keep, fill=self.fill)

    def _count(self, site: MaskTarget) -> int:
        n = site.positions // site.frames
        hidden = n - num_kept(n, self.config.ratio) if self.fill == "drop" else num_replaced(n, self.config.ratio)
        return hidden * site.frames

    def _order(self, noise: Noise, site: MaskTarget) -> Tensor:
        """[B,F,n] int64: the positions of each frame in random order, counted through the frames."""
        n = site.positions // site.frames
        frames = [noise.order(self._name(frame), n) + frame * n for frame in range(site.frames)]
        return torch.stack(frames, dim=1)

    def _name(self, frame: int) -> str:
        return f"patches of frame {frame}"


class RandomTubes(RandomPatches):
    """Mask the same random patches in every frame of a clip.

    Pictures in a mix with clips are masked as `random_patches` masks them; without clips `check` refuses this mask.

    Published for video (GLSCL, arXiv 2306.07096, its code): what moves little cannot be read off the next frame.
    """

    needs = frozenset({"frames"})

    def _name(self, frame: int) -> str:
        return super()._name(0)
