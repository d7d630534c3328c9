"""Spans of a text hidden: a few words in a row."""

import math

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.masks.text_mask import TextMask, budget, word_of
from vlobjectives import Length, Noise, Tokens
from vlobjectives.functional import indices_to_mask


class SpanTokens(TextMask):
    """Mask spans of whole words, exactly max(1, round(ratio r)) of a text's r word pieces, as in SpanBERT.

    A span begins with a word, the more likely the more pieces it has, and is l words long, P(l) ~ p (1 - p)^(l-1) for
    l = 1..longest: 3.8 words on average at 0.2 and 10. The last span is cut where the count is met. `bert` decides for
    a span and not for a piece. As published (SpanBERT, arXiv 1907.10529, section 3.1), but that there a span that would
    begin in an earlier one is drawn anew, while here it adds what it has beyond; and that as many spans are drawn as
    pieces are to be hidden at most, and if these meet too few, single words follow.
    """

    paper = "SpanBERT, arXiv 1907.10529"

    class Config(TextMask.Config):
        p: float = Field(0.2, gt=0, le=1, description="of the geometric distribution of lengths (SpanBERT: 0.2)")
        longest: Length = Field(10, description="words of a span at most (SpanBERT: 10)")

    def drawn(self, noise: Noise, tokens: Tokens) -> Tensor:
        count = budget((~tokens.special).sum(1), self.config.ratio)
        order = self._when(noise, tokens).argsort(dim=1, stable=True)
        place = torch.arange(order.shape[1], device=order.device)
        return indices_to_mask(order, order.shape[1], (place < count[:, None]).expand_as(order)) & ~tokens.special

    def dice(self, noise: Noise, tokens: Tokens) -> Tensor:
        length = tokens.ids.shape[1]
        most = self.most(length) + length
        return noise("how", most).gather(1, (self._when(noise, tokens) // length).clamp(max=most - 1))

    def _when(self, noise: Noise, tokens: Tokens) -> Tensor:
        """[B,L] int64, when a piece is met: number of the span x L + place. After all spans come the other words, each
        a span of its own, in random order; then begin, end and padding. No two pieces are met together."""
        word, length = word_of(tokens), tokens.ids.shape[1]
        spans = self.most(length)
        place, real = torch.arange(length, device=word.device), ~tokens.special
        uniform = noise("spans", spans, 2)
        # The n-th piece of a text stands at place n + 1, behind begin: real pieces have no gap between them.
        anchor = 1 + (uniform[..., 0].to(torch.float64) * real.sum(1, keepdim=True)).to(torch.int64)
        first = word.gather(1, anchor.clamp(max=length - 1))
        behind = first + self._lengths(uniform[..., 1])
        met = (word[:, None] >= first[..., None]) & (word[:, None] < behind[..., None]) & real[:, None]
        number = torch.arange(spans, device=word.device)[:, None]
        other = spans + noise.order("rest", length).argsort(dim=1).gather(1, word) + length * ~real
        rest = (other * length + place)[:, None]
        return torch.cat([torch.where(met, number * length + place, rest), rest], dim=1).amin(1)

    def _lengths(self, uniform: Tensor) -> Tensor:
        """Lengths of spans, int64: the geometric distribution, cut off above `longest`, by its inverse."""
        p, longest = self.config.p, self.config.longest
        if p == 1:
            return torch.ones_like(uniform, dtype=torch.int64)
        inside = 1 - (1 - p) ** longest
        drawn = torch.log1p(-uniform.to(torch.float64) * inside) / math.log1p(-p)
        return (drawn.to(torch.int64) + 1).clamp(1, longest)
