"""Toy pairs with phrases: every two words side by side are one, linked to both."""

from itertools import pairwise

import torch

from vlobjectives import FieldSpec, Sample, TokenEncoding
from vlobjectives.testing import Toy
from vlobjectives.testing.toy_data import LENGTH, SPECIAL, VOCABULARY, ToyPairs

PHRASES, COUNT = 4, 10


class ToyPhrases(ToyPairs):
    """Further columns: `phrases` (at most PHRASES beside a full caption, COUNT ids behind the words') and `links`."""

    def __init__(self, config):
        super().__init__(config)
        self.columns |= {
            "phrases": FieldSpec(
                "tokens", (PHRASES,), VOCABULARY + COUNT, ids=(VOCABULARY, COUNT), special=SPECIAL, of_caption=True
            ),
            "links": FieldSpec("vectors", (PHRASES + LENGTH - 2, LENGTH - 2), of_caption=True),
        }

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample:
        plain = super().sample(split, number, epoch, seed)
        words = [int(word[1:]) for word in plain.values["caption"].split()]
        ids = [VOCABULARY + (one + other) % COUNT for one, other in pairwise(words)]
        links = torch.zeros(len(ids), LENGTH - 2)
        for row in range(len(ids)):
            links[row, row : row + 2] = 1
        return Sample(dict(plain.values) | {"phrases": TokenEncoding(ids, []), "links": links}, plain.same, plain.key)


def toy(**more) -> Toy:
    """A toy whose texts are words and phrases."""
    return Toy(
        inputs={"text": {"fields": ["caption", "phrases"], "part": "text"}},
        data={"type": "toy_phrases"},
        components={"source:toy_phrases": ToyPhrases},
        **more,
    )
