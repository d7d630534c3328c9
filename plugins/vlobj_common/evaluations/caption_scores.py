"""BLEU-4 and CIDEr-D of captions beside reference captions: counts a picture, scores of a whole set, intervals.

Words are runs of letters and digits in lower case, an apostrophe inside them included; punctuation is none. In writing
that sets no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) every letter with its marks is one, as
scores of Chinese captions count characters: whole words would need a dictionary, and a caption would be one word.
"""

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

ORDERS = 4
SIGMA = 6.0
RESAMPLES = 1000
MARKS = "\N{COMBINING GRAVE ACCENT}"
"""The first of all marks."""
_WORD = re.compile(r"[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W_]+)*")
UNSPACED = (
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af\u0e00-\u0eff\u1780-\u17d3\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"
)
"""Letters of writing without blanks between words, as a class of a pattern."""


def words(text: str) -> list[str]:
    """A caption's words, each letter written in one way."""
    text = unicodedata.normalize("NFC", text.lower())
    return (_WORD if max(text, default="") < MARKS else _any_word()).findall(text)


@cache
def _any_word() -> re.Pattern[str]:
    """What `_WORD` finds, in any writing: marks (vowel signs, tones, accents) are none of Python's letters and belong
    to the letter before them."""
    marks = "".join(
        sign
        for sign in map(chr, range(ord(MARKS), sys.maxunicode + 1))
        if unicodedata.category(sign) in ("Mn", "Mc")
        and not unicodedata.name(sign, "").startswith("VARIATION SELECTOR")
    )
    run = f"(?:(?![{UNSPACED}])[^\\W_][{marks}]*)+"
    return re.compile(f"[{UNSPACED}](?<=[^\\W_])[{marks}]*|{run}(?:['\N{RIGHT SINGLE QUOTATION MARK}]{run})*")


def ngrams(of: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n words stands there."""
    return Counter(zip(*(of[start:] for start in range(n))))


def bleu_counts(caption: str, references: Sequence[str]) -> list[float]:
    """What a picture adds to BLEU: for n = 1..4 the n-grams that references have too (each at most as often as the
    reference that has most of it), for n = 1..4 the n-grams, the length, and the nearest reference's (of two the
    shorter): 10 numbers."""
    own, others = words(caption), [words(reference) for reference in references]
    found, all_ = [], []
    for n in range(1, ORDERS + 1):
        mine, most = ngrams(own, n), Counter[tuple[str, ...]]()
        for other in others:
            most |= ngrams(other, n)
        found.append(float((mine & most).total()))
        all_.append(float(mine.total()))
    nearest = min((len(other) for other in others), key=lambda length: (abs(length - len(own)), length))
    return [*found, *all_, float(len(own)), float(nearest)]


def bleu(counts: Tensor) -> Tensor:
    """BLEU-4 of sums of `bleu_counts`, [...] of [..., 10].

        BLEU = exp(min(0, 1 - r / c)) (p_1 p_2 p_3 p_4)^(1/4)       p_n matched over all n-grams, of the whole set

    c is the captions' length, r that of the nearest references. Not smoothed: 0 where one p_n is 0. Papineni et al.,
    ACL 2002.
    """
    matched, every = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    length, nearest = counts[..., -2], counts[..., -1]
    precision = torch.where(every > 0, matched / every.clamp_min(1), 0.0).log().mean(-1).exp()
    return precision * torch.exp((1 - nearest / length.clamp_min(1)).clamp_max(0)) * (length > 0)


class Cider:
    """CIDEr-D (Vedantam, Zitnick and Parikh, CVPR 2015) over the pictures whose references are given.

        g_n(s)[w] = count of w in s * log(N / pictures with a reference that has w)          n-grams w, N pictures
        CIDEr-D = 10 mean_n mean_r exp(-(|c| - |r|)^2 / (2 6^2)) min(g_n(c), g_n(r)) g_n(r) / (|g_n(c)| |g_n(r)|)

    An n-gram of no reference counts as one of a single picture. Of one picture all weights are 0, and so is its score.
    """

    def __init__(self, references: Sequence[Sequence[str]]):
        self.references = [[words(reference) for reference in row] for row in references]
        self.pictures: Counter[tuple[str, ...]] = Counter()
        for row in self.references:
            self.pictures.update({w for other in row for n in range(1, ORDERS + 1) for w in ngrams(other, n)})
        self.total = math.log(max(len(references), 1))
        self._vectors = [[self._vector(other) for other in row] for row in self.references]

    def _vector(self, of: Sequence[str]) -> list[dict[tuple[str, ...], float]]:
        return [
            {w: count * (self.total - math.log(max(1, self.pictures[w]))) for w, count in ngrams(of, n).items()}
            for n in range(1, ORDERS + 1)
        ]

    def __call__(self, caption: str, picture: int) -> float:
        """The score of a caption beside the references of a picture."""
        own = words(caption)
        mine, found = self._vector(own), 0.0
        for other, theirs in zip(self.references[picture], self._vectors[picture]):
            near = math.exp(-((len(own) - len(other)) ** 2) / (2 * SIGMA**2))
            found += near * sum(_alike(a, b) for a, b in zip(mine, theirs)) / ORDERS
        return 10 * found / max(len(self.references[picture]), 1)


def _alike(a: dict[tuple[str, ...], float], b: dict[tuple[str, ...], float]) -> float:
    """The cosine of two vectors, of the first no more than the second has."""
    product = sum(min(value, b[w]) * b[w] for w, value in a.items() if w in b)
    norm = math.sqrt(sum(value**2 for value in a.values()) * sum(value**2 for value in b.values()))
    return product / norm if norm else 0.0


def bootstrap(counts: Tensor, score: Callable[[Tensor], Tensor], seed: int) -> tuple[float, float]:
    """The 95 % interval of score(sum of rows) over sets of as many rows, drawn with replacement: counts [n,...]."""
    generator = torch.Generator().manual_seed(seed)
    n = len(counts)
    drawn = torch.randint(n, (RESAMPLES, n), generator=generator)
    times = torch.zeros(RESAMPLES, n, dtype=counts.dtype).scatter_add_(
        1, drawn, torch.ones(1, dtype=counts.dtype).expand(RESAMPLES, n)
    )
    low, high = torch.quantile(score(times @ counts), torch.tensor([0.025, 0.975], dtype=counts.dtype)).tolist()
    return low, high
