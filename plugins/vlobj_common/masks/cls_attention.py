"""Patches hidden by how much the class token of an averaged encoder looks at them (A-CLIP)."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Batch,
    Encoded,
    Input,
    InputName,
    Length,
    Mask,
    MaskConfig,
    MaskSample,
    MaskTarget,
    Noise,
    View,
    encoded,
    not_none,
)
from vlobjectives.functional import argsort_by_tile, indices_to_mask, mask_to_indices, round_half_up


class ClsAttention(Mask):
    """Mask the tiles of patches that the class token attends to least (or most), as in A-CLIP.

    No caption is needed. Of the patches i of a frame

        score_i = mean over all layers and heads of  attention(class token -> i)     in the encoder's average

    tiles of tile x tile patches are ranked by their mean score, of equal ones the lower number first. With T tiles in a
    frame, `hide: least` keeps the first rnd(T (1 - ratio)) and hides the rest, `hide: most` hides the first
    rnd(T ratio); rnd rounds halves up, and one tile at least is hidden and one kept. So what `least` keeps at a ratio
    r, `most` hides at 1 - r. Published: 14 x 14 patches in 49 tiles, of which a ratio of 0.5 keeps 25. A grid that is
    not made of whole tiles is counted in patches, and its last tile may be cut. Nothing is random.

    Views: the clean picture by averaged weights (`run.ema.decay`), with attention maps. What is hidden is what is
    scored, `index` in ascending order. In clips each frame's class token chooses among its own patches. An encoder
    without class token is refused.
    """

    paper = "A-CLIP, arXiv 2212.08653"

    class Config(MaskConfig):
        ratio: float = Field(0.5, gt=0, lt=1, description="share of the tiles that is hidden (A-CLIP: 0.5)")
        tile: Length = Field(2, description="patches a side of a tile (A-CLIP: 2)")
        hide: Literal["least", "most"] = Field("least", description="the least attended tiles (A-CLIP), or the most")
        fill: Literal["drop", "token", "pixels"] = Field(
            "drop",
            description="drop: the encoder never sees them (A-CLIP); token: a learned vector in their place; "
            "pixels: the picture's mean colour",
        )
        image: InputName = Field("image", description="the picture whose encoder looks; the input that is masked")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"seen": encoded(inputs[self.config.image]).ema().with_maps()}

    def size(self, site: MaskTarget) -> int:
        return max(1, self._each(site) * site.frames)

    def hides(self, site: MaskTarget) -> tuple[int, int]:
        return (self._each(site) * site.frames,) * 2

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch, seen: Encoded) -> MaskSample:
        n = site.positions // site.frames
        order = argsort_by_tile(self.scores(seen, site), not_none(site.grid, "grid of patches"), self.config.tile)
        hides = self._each(site)
        gone = order[..., :hides] if self.config.hide == "most" else order[..., n - hides :]
        first = torch.arange(site.frames, device=order.device)[:, None] * n
        hidden = indices_to_mask((gone + first).flatten(1), site.positions)
        index, ok = mask_to_indices(hidden, self.size(site))
        keep = mask_to_indices(~hidden, site.positions - hides * site.frames)[0] if self.fill == "drop" else None
        return MaskSample(hidden, scored=hidden, index=index, index_ok=ok, keep=keep, fill=self.fill)

    def scores(self, seen: Encoded, site: MaskTarget) -> Tensor:
        """[B,F,n] of maps [B,heads,N',N'], which count the class tokens of all F frames first, then the patches."""
        if seen.cls is None:
            raise ValueError(f"the encoder of '{self.config.image}' has no class token whose attention could choose")
        if seen.tokens.shape[1] != site.positions:
            raise ValueError(
                f"it masks '{site.input}' and looks at '{self.config.image}', which has other positions: "
                f"image: {site.input}"
            )
        frames = site.frames
        maps = torch.stack(list(seen.maps.values())).mean((0, 2))
        looks = maps[:, :frames, frames : frames + site.positions].unflatten(2, (frames, -1))
        return looks.diagonal(dim1=1, dim2=2).mT

    def _each(self, site: MaskTarget) -> int:
        """How many patches of a frame are hidden."""
        tile, n = self.config.tile, site.positions // site.frames
        rows, columns = not_none(site.grid, "grid of patches")
        unit = tile * tile if rows % tile == columns % tile == 0 else 1
        count, ratio = n // unit, self.config.ratio
        hides = (
            round_half_up(count * ratio) if self.config.hide == "most" else count - round_half_up(count * (1 - ratio))
        )
        return unit * min(max(hides, 1), count - 1)
