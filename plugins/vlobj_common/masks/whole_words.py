"""Whole words of a text hidden: all pieces of a word, or none."""

import torch
from torch import Tensor

from vlobj_common.masks.text_mask import TextMask, budget, word_of
from vlobjectives import Noise, Tokens
from vlobjectives.functional import gather_tokens, indices_to_mask


class WholeWords(TextMask):
    """Mask random whole words, each with all of its pieces, as long as they fit into the ratio.

    Of a text of r pieces max(1, round(ratio r)) pieces may be hidden. A word that is longer than what is left of them
    is passed over, so that fewer are hidden at times, and none where every word is longer; as published (whole word
    masking of BERT, arXiv 1810.04805, its code since May 2019; arXiv 1906.08101). Where a word ends, the tokenizer
    says.
    """

    paper = "BERT, arXiv 1810.04805, its code; whole word masking, arXiv 1906.08101"

    def drawn(self, noise: Noise, tokens: Tokens) -> Tensor:
        word, length = word_of(tokens), tokens.ids.shape[1]
        pieces = torch.zeros_like(word).scatter_add(1, word, torch.ones_like(word))
        first = ~tokens.special & (word != word.roll(1, dims=1))  # begin stands before all
        order = noise.order("words", length)
        lengths, starts = gather_tokens(gather_tokens(pieces, word), order), gather_tokens(first, order)
        left, chosen = budget((~tokens.special).sum(1), self.config.ratio), []
        for place in range(length):
            fits = starts[:, place] & (lengths[:, place] <= left)
            left = left - lengths[:, place] * fits
            chosen.append(fits)
        firsts = indices_to_mask(order, length, torch.stack(chosen, dim=1))
        taken = torch.zeros_like(word).scatter_add(1, word, firsts.to(torch.int64))
        return (gather_tokens(taken, word) > 0) & ~tokens.special
