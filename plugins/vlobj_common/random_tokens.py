"""Random words of a text hidden behind the mask token, or corrupted as BERT does."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import Batch, Draw, Mask, MaskConfig, Noise, Site, Tokens
from vlobjectives.functional import indices, mark, take, text_draws, with_replacement


class RandomTokens(Mask):
    """Draws words one by one (no whole words) and never begin, end or padding.

    Of a text of r words, l = r + 2 tokens, in a sequence of L
      exact             max(1, round(ratio r)) of the words without replacement
      with_replacement  int((l - 2) ratio) + 1 draws of a word, repeats allowed, so that fewer may be hidden and a ratio
                        of 0 still hides one; as published for completion (GLSCL, arXiv 2306.07096, its code)
      of_padded         max(1, round(ratio L)) of all L positions without replacement, of which those on begin, end and
                        padding are cancelled; what the published MLM does (8 of 50 at 0.15), so that a short caption
                        may lose no word at all
    A text without a word hides none. `scored` are the drawn words, `hidden` those whose id changed: `bert` leaves a
    tenth of the drawn words as they were and scores them nevertheless.
    """

    paper = "BERT, arXiv 1810.04805; GLSCL, arXiv 2306.07096"

    class Config(MaskConfig):
        ratio: float = Field(ge=0, le=1, description="share of the words drawn (GLSCL: MLM 0.15, completion 0.4)")
        fill: Literal["mask", "bert"] = Field(
            "mask", description="mask: always the mask token; bert: 80 % mask token, 10 % a random id, 10 % unchanged"
        )
        draw: Literal["exact", "with_replacement", "of_padded"] = Field(
            "exact",
            description="how many and whence: exact: a share of the words, 1 at least; with_replacement: as published "
            "for completion; of_padded: as published for MLM, padding drawn too and then cancelled",
        )

    def size(self, site: Site) -> int:
        if "mask" not in site.special:
            raise self.cannot(f"input '{site.input}' has no mask token", "use a tokenizer that has one")
        length, ratio = site.positions, self.config.ratio
        if self.config.draw == "with_replacement":
            return max(1, min(text_draws(length, ratio), length - 2))
        return max(1, round(ratio * (length if self.config.draw == "of_padded" else length - 2)))

    def draw(self, noise: Noise, site: Site, batch: Batch) -> Draw:
        tokens: Tokens = batch[site.input]
        scored = self._drawn(noise, tokens)
        ids = torch.where(scored, self._instead(noise, site, tokens), tokens.ids)
        index, ok = indices(scored, self.size(site))
        return Draw(ids != tokens.ids, scored, index, ok, ids=ids, fill=self.fill)

    def _drawn(self, noise: Noise, tokens: Tokens) -> Tensor:
        """[B,L] bool, the drawn words."""
        word, ratio, length = ~tokens.special, self.config.ratio, tokens.ids.shape[1]
        words = word.sum(1)
        if self.config.draw == "with_replacement":
            uniform = noise("words", max(1, text_draws(length, ratio)))
            index, ok = with_replacement(uniform, text_draws(words + 2, ratio), 1, words + 1)
            return mark(index, length, ok)
        order = noise.order("words", length)
        if self.config.draw == "of_padded":
            return mark(order[:, : max(1, round(ratio * length))], length) & word
        count = (words.to(torch.float64) * ratio).round().clamp_min(1)
        in_order = take(word, order)
        return mark(order, length, in_order & (in_order.cumsum(1) <= count[:, None]))

    def _instead(self, noise: Noise, site: Site, tokens: Tokens) -> Tensor:
        """[B,L] int64, what a drawn word is replaced by."""
        masked = torch.full_like(tokens.ids, site.special["mask"])
        if self.fill == "mask":
            return masked
        how = noise("how", tokens.ids.shape[1])
        return masked.where(how < 0.8, self._random(noise, site, tokens).where(how < 0.9, tokens.ids))

    def _random(self, noise: Noise, site: Site, tokens: Tokens) -> Tensor:
        """[B,L] int64, uniform over the ids that are not special."""
        special = sorted({id for id in site.special.values() if id < site.vocabulary})
        ids = noise.integers("instead", site.vocabulary - len(special), tokens.ids.shape[1])
        for taken in special:
            ids = ids + (ids >= taken)
        return ids
