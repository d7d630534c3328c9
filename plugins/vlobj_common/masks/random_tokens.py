"""Random words of a text hidden behind the mask token, or corrupted as BERT does."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from vlobj_common.masks.text_mask import TextMask, budget
from vlobjectives import Noise, Tokens
from vlobjectives.functional import gather_tokens, indices_to_mask, num_text_draws, sample_with_replacement


class RandomTokens(TextMask):
    """Mask random word pieces of a caption; begin, end and padding are never masked.

    Pieces are drawn one by one (`whole_words` draws words).

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

    class Config(TextMask.Config):
        draw: Literal["exact", "with_replacement", "of_padded"] = Field(
            "exact",
            description="how many and whence: exact: a share of the words, 1 at least; with_replacement: as published "
            "for completion; of_padded: as published for MLM, padding drawn too and then cancelled",
        )

    def most(self, length: int) -> int:
        ratio = self.config.ratio
        if self.config.draw == "with_replacement":
            return max(1, min(num_text_draws(length, ratio), length - 2))
        return max(1, round(ratio * (length if self.config.draw == "of_padded" else length - 2)))

    def drawn(self, noise: Noise, tokens: Tokens) -> Tensor:
        word, ratio, length = ~tokens.special, self.config.ratio, tokens.ids.shape[1]
        words = word.sum(1)
        if self.config.draw == "with_replacement":
            uniform = noise("words", max(1, num_text_draws(length, ratio)))
            index, ok = sample_with_replacement(uniform, num_text_draws(words + 2, ratio), 1, words + 1)
            return indices_to_mask(index, length, ok)
        order = noise.order("words", length)
        if self.config.draw == "of_padded":
            return indices_to_mask(order[:, : max(1, round(ratio * length))], length) & word
        count = budget(words, ratio)
        in_order = gather_tokens(word, order)
        return indices_to_mask(order, length, in_order & (in_order.cumsum(1) <= count[:, None]))
