"""Words of a kind (colours, shapes) in captions, and the guess of a word that looks at nothing."""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from vlobjectives import EvaluationContext, Noise, Sample, Tokens

ROWS = 64
"""Samples at once."""


def one_word(
    held: EvaluationContext,
    text: str,
    tokens: Tokens,
    samples: list[Sample],
    noise: Noise,
    name: str,
    pattern: re.Pattern,
) -> Tensor:
    """[B,L] bool, the pieces of one word of each caption that fits the pattern; none where no such word was read."""
    reader = held.readers[next(iter(held.spec(text).fields))]
    hidden = torch.zeros_like(tokens.special)
    room = (~tokens.special & (tokens.segment == 0)).sum(1).tolist()
    for row, (sample, lot) in enumerate(zip(samples, noise(name, 1)[:, 0].tolist())):
        caption = sample.values["caption"]
        pieces = reader.read(caption).spans[: room[row]]
        words = [
            place
            for match in pattern.finditer(caption)
            if (
                place := [1 + k for k, (first, end) in enumerate(pieces) if first < match.end() and end > match.start()]
            )
        ]
        if words:
            hidden[row, words[int(lot * len(words))]] = True
    return hidden


def unigram(truth: Tensor, shares: tuple[float, ...]) -> float:
    """How often the guess that looks at nothing is right; truth [n] int64 ids, shares of training by id or empty."""
    ids, counts = truth.unique(return_counts=True)
    frequent = counts if not shares else torch.tensor(shares, dtype=torch.float64)[ids.cpu()]
    return counts[frequent.argmax().item()].item() / truth.numel()


def pattern(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
