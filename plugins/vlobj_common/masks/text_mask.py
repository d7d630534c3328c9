"""What masks of texts share: tokens that are drawn are hidden behind the mask token, or corrupted as BERT does."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import Batch, Mask, MaskConfig, MaskSample, MaskTarget, Noise, Tokens
from vlobjectives.functional import mask_to_indices


class TextMask(Mask):
    """Draws tokens (a subclass says which), never begin, end or padding, and replaces them.

    `scored` are the drawn tokens, `hidden` those whose id changed: `bert` leaves a tenth of the drawn ones as they
    were and scores them nevertheless.
    """

    class Config(MaskConfig):
        ratio: float = Field(ge=0, le=1, description="share of the words drawn (GLSCL: MLM 0.15, completion 0.4)")
        fill: Literal["mask", "bert"] = Field(
            "mask", description="mask: always the mask token; bert: 80 % mask token, 10 % a random id, 10 % unchanged"
        )

    def most(self, length: int) -> int:
        """K, the most tokens that are drawn of a sequence of `length`, begin and end counted; 1 at least."""
        return max(1, round(self.config.ratio * (length - 2)))

    def drawn(self, noise: Noise, tokens: Tokens) -> Tensor:
        """[B,L] bool, the drawn tokens."""
        raise NotImplementedError

    def dice(self, noise: Noise, tokens: Tokens) -> Tensor:
        """[B,L] uniforms that say how `bert` replaces a drawn token."""
        return noise("how", tokens.ids.shape[1])

    def size(self, site: MaskTarget) -> int:
        if "mask" not in site.special:
            raise self.cannot(f"input '{site.input}' has no mask token", "use a tokenizer that has one")
        return self.most(site.positions)

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch) -> MaskSample:
        tokens: Tokens = batch[site.input]
        scored = self.drawn(noise, tokens)
        ids = torch.where(scored, self._instead(noise, site, tokens), tokens.ids)
        index, ok = mask_to_indices(scored, self.size(site))
        return MaskSample(ids != tokens.ids, scored, index, ok, ids=ids, fill=self.fill)

    def _instead(self, noise: Noise, site: MaskTarget, tokens: Tokens) -> Tensor:
        """[B,L] int64, what a drawn token is replaced by."""
        masked = torch.full_like(tokens.ids, site.special["mask"])
        if self.fill == "mask":
            return masked
        dice = self.dice(noise, tokens)
        return masked.where(dice < 0.8, self._random(noise, site, tokens).where(dice < 0.9, tokens.ids))

    def _random(self, noise: Noise, site: MaskTarget, tokens: Tokens) -> Tensor:
        """[B,L] int64, uniform over the ids that are not special."""
        special = sorted({id for id in site.special.values() if id < site.vocabulary})
        ids = noise.integers("instead", site.vocabulary - len(special), tokens.ids.shape[1])
        for taken in special:
            ids = ids + (ids >= taken)
        return ids


def budget(tokens: Tensor, ratio: float) -> Tensor:
    """[B] int64, how many of `tokens` [B] are drawn: max(1, round(ratio tokens)), none of none."""
    count = (tokens.to(torch.float64) * ratio).round().clamp_min(1).to(torch.int64)
    return torch.where(tokens > 0, count, 0)


def word_of(tokens: Tokens) -> Tensor:
    """[B,L] int64, the number of each token's word, from 1; 0 at begin, end and padding."""
    if tokens.word is not None:
        return tokens.word
    return torch.where(tokens.special, 0, torch.arange(tokens.ids.shape[1], device=tokens.ids.device))
