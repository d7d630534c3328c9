"""Words corrupted as BERT does, and with a word every phrase that would give it away."""

import math

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import Batch, FieldName, Mask, MaskConfig, MaskSample, MaskTarget, Noise, Tokens, Vectors, not_none
from vlobjectives.functional import mask_to_indices


class LinkedTokens(Mask):
    """Mask word pieces of a caption and the phrases that contain them, as in the code of MVPTR (arXiv 2201.12596).

    Each word piece is drawn by itself with probability `ratio`: u uniform, drawn if u < ratio, and then v = u / ratio
    says what stands there instead: the mask token (v < 0.8), a random piece (v < 0.9), itself. A phrase that `links`
    leads to a drawn piece becomes the mask token, without exception. Every other phrase is drawn with `ratio` too:
    80 % the mask token, 10 % a random phrase, 10 % itself. `scored` are the drawn pieces and never a phrase.

    A caption may lose no word. Of one that drew more than size() = n r + 6 sqrt(n r (1 - r)) of its n pieces, which is
    rarer than one in 10^6 at 0.15 and 8 pieces or more, the first are taken.
    """

    paper = "MVPTR, arXiv 2201.12596"
    fill = "bert"

    class Config(MaskConfig):
        ratio: float = Field(0.15, gt=0, le=1, description="probability of a piece, and of a phrase, to be drawn")
        special: bool = Field(False, description="a random piece may be a special id, as published")
        links: FieldName = Field("links", description="field of [phrases, pieces]: which pieces a phrase covers")

    def size(self, site: MaskTarget) -> int:
        n, ratio = self._pieces(site), self.config.ratio
        likely = math.ceil(n * ratio + 6 * math.sqrt(n * ratio * (1 - ratio)))
        return max(1, min(n - 1, likely))

    def hides(self, site: MaskTarget) -> tuple[int, int]:
        return 1, min(self.size(site) + site.positions - 2 - self._pieces(site), site.positions - 3)

    def _pieces(self, site: MaskTarget) -> int:
        """Word pieces that the first field has room for. Raises CannotBuild where the input is not such a sequence."""
        if "mask" not in site.special:
            raise self.cannot(f"input '{site.input}' has no mask token", "use a tokenizer that has one")
        if [field.kind for field in site.fields.values()] != ["tokens", "tokens"]:
            raise self.cannot(
                f"input '{site.input}' holds {', '.join(site.fields)}, not a caption and its phrases",
                f"inputs.{site.input}.fields: [caption, phrases]",
            )
        return next(iter(site.fields.values())).shape[0] - 2

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch) -> MaskSample:
        tokens: Tokens = batch[site.input]
        most = self.size(site)
        words, phrases = site.fields.values()
        word, phrase = (~tokens.special & (tokens.segment == segment) for segment in (0, 1))
        length, ratio = tokens.ids.shape[1], self.config.ratio
        how = noise("words", length) / ratio
        scored = word & (how < 1)
        scored = scored & (scored.cumsum(1) <= most)
        other = self._instead(how, site, tokens, self._words(noise, site, words.vocabulary))
        ids = torch.where(scored, other, tokens.ids)
        links = batch[self.config.links]
        if not isinstance(links, Vectors):
            raise self.cannot(
                f"'{self.config.links}' holds no links of phrases to pieces",
                "add under fields: links: "
                f"{{type: links, of: {list(site.fields)[1]}, with: {next(iter(site.fields))}}}",
            )
        given_away = phrase & self._linked(scored, word, links.values)
        how = noise("phrases", length) / ratio
        first, count = not_none(phrases.ids, "range of ids that phrases have")
        other = self._instead(how, site, tokens, first + noise.integers("other phrase", count, length))
        ids = torch.where(phrase & (how < 1), other, ids)
        ids = torch.where(given_away, site.special["mask"], ids)
        index, ok = mask_to_indices(scored, most)
        return MaskSample(ids != tokens.ids, scored, index, ok, ids=ids, fill=self.fill)

    def _linked(self, scored: Tensor, word: Tensor, links: Tensor) -> Tensor:
        """[B,L] bool, at the place of each phrase whether it covers a scored piece; links [B,M,pieces]."""
        scored = scored[:, 1 : 1 + links.shape[2]]
        covers = ((links != 0) & scored[:, None]).any(2)
        place = torch.arange(word.shape[1], device=word.device) - 1 - word.sum(1, keepdim=True)
        return covers.gather(1, place.clamp(0, covers.shape[1] - 1))

    def _instead(self, how: Tensor, site: MaskTarget, tokens: Tokens, random: Tensor) -> Tensor:
        """[B,L] int64, what a drawn position is replaced by."""
        return torch.where(how < 0.8, site.special["mask"], torch.where(how < 0.9, random, tokens.ids))

    def _words(self, noise: Noise, site: MaskTarget, vocabulary: int) -> Tensor:
        """[B,L] int64, uniform over the word pieces, special ones left out unless Config wants them."""
        special = (
            [] if self.config.special else sorted({number for number in site.special.values() if number < vocabulary})
        )
        ids = noise.integers("other word", vocabulary - len(special), site.positions)
        for taken in special:
            ids = ids + (ids >= taken)
        return ids
