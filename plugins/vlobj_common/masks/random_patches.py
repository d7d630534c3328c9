"""Random patches of a picture hidden: dropped, or replaced by a learned token or by grey pixels."""

import torch
from torch import Tensor

from vlobj_common.masks.patch_mask import PatchMask
from vlobjectives import MaskTarget, Noise


class RandomPatches(PatchMask):
    """Mask a random share of the patches of every picture or frame, each frame by itself, without replacement.

    Of the n patches of a frame
      drop           keeps the first int(n (1 - ratio)) of a random order, in that order: 64 of 324 at 0.8
      token, pixels  hides the first int(n ratio): 97 of 324 at 0.3
    so the two roundings differ, as published (GLSCL, arXiv 2306.07096, its code; passes A and B). What is hidden is
    what is scored, `index` in ascending order. In clips every frame hides equally many, so that a drop leaves frames of
    one length. Of an input of vectors (regions, frames of sound) places are hidden, and those that hold none are not
    scored.
    """

    paper = "GLSCL, arXiv 2306.07096"

    def _order(self, noise: Noise, site: MaskTarget) -> Tensor:
        """[B,F,n] int64: the positions of each frame in random order, counted through the frames."""
        n = site.positions // site.frames
        frames = [noise.order(self._name(frame), n) + frame * n for frame in range(site.frames)]
        return torch.stack(frames, dim=1)


class RandomTubes(RandomPatches):
    """Mask the same random patches in every frame of a clip.

    Pictures in a mix with clips are masked as `random_patches` masks them; without clips `check` refuses this mask.

    Published for video (GLSCL, arXiv 2306.07096, its code): what moves little cannot be read off the next frame.
    """

    needs = frozenset({"frames"})

    def _name(self, frame: int) -> str:
        return super()._name(0)
