"""Patches hidden by how much the caption speaks of them."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vlobj_sycoca.patch_ranking import best_count, ranked, word_scores, worst_count
from vlobjectives import (
    Batch,
    Input,
    InputName,
    Joint,
    Length,
    Mask,
    MaskConfig,
    MaskSample,
    MaskTarget,
    Noise,
    PartName,
    View,
    joint,
    not_none,
)
from vlobjectives.functional import indices_to_mask, mask_to_indices, tile_indices, tile_means


class AttentivePatches(Mask):
    """Mask the patches of a picture that are most (or least) similar to the caption.

        u_i = unit joint vector of patch i,  w_j of word j (begin, end, [CLS] and padding left out)
        score_i = max_j <u_i, w_j>                                [B,N], of the clean picture and its own caption
        rank by falling score, of equal ones the lower number first
        hide: most    ranks 0 .. k-1,    k = round(r N)                       what TG-MIM reconstructs
        hide: least   ranks N-k .. N-1,  k = N - round((1 - r) N)             what IC does not read

    Halves are rounded up and at least one patch is hidden and one seen, so that ratios of `most` and `least` that add
    up to 1 hide complements for every N: IC keeps exactly what TG-MIM hides. Of clips each frame is ranked by itself. A
    caption without a word scores all patches 0. `select`:

        nearest   as above
        farthest  the ranks read from the other end, a control that should hurt
        random    scores are noise: give both masks one `stream`, and complements remain
        block     scores are means over tiles of `tile` x `tile` patches (after A-CLIP, arXiv 2212.08653)

    The score is computed without gradient and asks for two joint views, which ITC has in any case. Known of the paper
    (SyCoCa, arXiv 2401.02137): token-wise similarity, the largest over the caption's tokens, the highest half for
    TG-MIM, the lowest for IC. The rest is ours.
    """

    paper = "SyCoCa, arXiv 2401.02137"

    class Config(MaskConfig):
        ratio: float = Field(gt=0, lt=1, description="share of the patches that is hidden (published: 0.5 and 0.5)")
        hide: Literal["most", "least"] = Field(description="the patches most similar to the caption, or least")
        select: Literal["nearest", "farthest", "random", "block"] = Field(
            "nearest", description="how patches are ranked: by score, from the other end, at random, by tiles"
        )
        score: Literal["max", "mean", "class"] = Field(
            "max", description="similarity to the nearest word (published), to all on average, or to the whole caption"
        )
        tile: Length = Field(2, description="patches a side of a tile, for `block`")
        tie: Literal["index", "noise"] = Field(
            "index",
            description="of equal scores the lower number first, or a random one, "
            "which matters for captions without words",
        )
        fill: Literal["drop", "token", "pixels"] = Field(
            "token",
            description="drop: the encoder never sees them; token: a learned vector in place of the patch "
            "embedding; pixels: the picture's mean colour. Unused where tokens are only masked out of attention",
        )
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection in whose space patches and words are compared")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        if self.config.select == "random":
            return {}
        image, text = (joint(inputs[name], part=self.config.joint) for name in (self.config.image, self.config.text))
        whole = self.config.score == "class"
        return {"image": image.with_tokens(), "text": text if whole else text.with_tokens()}

    def size(self, site: MaskTarget) -> int:
        return site.frames * self._count(site)

    def hides(self, site: MaskTarget) -> tuple[int, int]:
        return self.size(site), self.size(site)

    def draw(
        self, noise: Noise, site: MaskTarget, batch: Batch, image: Joint | None = None, text: Joint | None = None
    ) -> MaskSample:
        score = noise("score", site.positions) if image is None or text is None else self._score(image, text, batch)
        each, count = site.positions // site.frames, self._count(site)
        if self.config.select == "block":
            grid = not_none(site.grid, "grid of patches")
            means = tile_means(score.reshape(-1, each), grid, self.config.tile)
            score = means[:, tile_indices(grid, self.config.tile, score.device)].reshape(score.shape)
        first = (self.config.hide == "most") != (self.config.select == "farthest")
        gone = []
        for frame, own in enumerate(score.split(each, 1)):
            lot = noise.order(f"ties of frame {frame}", each) if self.config.tie == "noise" else None
            order = ranked(own, lot)
            gone.append((order[:, :count] if first else order[:, each - count :]) + frame * each)
        hidden = indices_to_mask(torch.cat(gone, 1), site.positions)
        index, ok = mask_to_indices(hidden, self.size(site))
        keep = mask_to_indices(~hidden, site.positions - self.size(site))[0] if self.fill == "drop" else None
        return MaskSample(hidden, scored=hidden, index=index, index_ok=ok, keep=keep, fill=self.fill)

    def _count(self, site: MaskTarget) -> int:
        """Patches hidden of each frame."""
        count = best_count if self.config.hide == "most" else worst_count
        return count(site.positions // site.frames, self.config.ratio)

    def _score(self, image: Joint, text: Joint, batch: Batch) -> Tensor:
        """[B,N] of patches and words in the joint space."""
        patches = not_none(image.tokens, "patches in the joint space")
        if self.config.score == "class":
            whole = text.pooled[:, None]
            return word_scores(patches, whole, torch.ones_like(whole[..., 0], dtype=torch.bool))
        words, tokens = ~batch[self.config.text].special, not_none(text.tokens, "words in the joint space")
        return word_scores(patches, tokens, words, mean=self.config.score == "mean")
