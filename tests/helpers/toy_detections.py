"""Toy pairs with tags, regions and concepts beside them, and MVPTR's two models on them."""

import torch

from vlobjectives import FieldSpec, Sample, TokenEncoding
from vlobjectives.functional import noise
from vlobjectives.testing import Toy
from vlobjectives.testing.toy_data import SPECIAL, VOCABULARY, ToyPairs

TAGS, REGIONS, WIDTH, CONCEPTS = 6, 5, 7, 11


class ToyDetections(ToyPairs):
    """Further columns: `tags` (pieces, none to four), `regions` (none to five) of the picture; `concepts` (none to
    three labels) of the caption. With `words: (0, 0)` there is none of anything."""

    def __init__(self, config):
        super().__init__(config)
        self.columns |= {
            "tags": FieldSpec("tokens", (TAGS,), VOCABULARY, special=SPECIAL),
            "regions": FieldSpec("vectors", (REGIONS, WIDTH)),
            "concepts": FieldSpec("labels", (3,), CONCEPTS),
        }

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample:
        plain = super().sample(split, number, epoch, seed)
        dice = noise.random_uniform(
            noise.prng_key("detections", seed), torch.tensor([plain.same]), REGIONS * WIDTH + TAGS
        )[0]
        of_caption = noise.random_uniform(noise.prng_key("concepts", seed), torch.tensor([number]), 4)[0].tolist()
        full = self.config.words[1] > 0
        numbers, regions = dice[:TAGS].tolist(), dice[TAGS:].reshape(REGIONS, WIDTH)
        pieces = [int(x * (VOCABULARY - len(SPECIAL))) + len(SPECIAL) for x in numbers[2 : 1 + int(numbers[0] * TAGS)]]
        more = {
            "tags": TokenEncoding(pieces if full else [], []),
            "regions": regions[: int(numbers[1] * (REGIONS + 1)) if full else 0],
            "concepts": sorted({int(x * CONCEPTS) for x in of_caption[1 : 1 + int(of_caption[0] * 4 * full)]}),
        }
        return Sample(dict(plain.values) | more, plain.same, plain.key)


def toy(form: str = "regions", **more) -> Toy:
    """A toy whose pictures are tags and regions, or patches with slots beside them; texts are two fields."""
    parts = {
        "regions": {"type": "tagged_regions", "width": 8, "depth": 1, "heads": 2, "init_std": 0.3},
        "patches": {"type": "timm_vision", "patch": 4, "width": 8, "depth": 1, "heads": 2, "slots": 3, "init_std": 0.3},
    }
    model = {
        "vision": parts[form],
        "fusion": {"type": "merged_attention", "width": 8, "depth": 2, "heads": 2, "classes": False, "init_std": 0.3},
        "concepts": {
            "type": "vocabulary_head",
            "of": "vision",
            "init_std": 0.3,
            **({} if form == "regions" else {"field": "concepts"}),
        },
    }
    inputs = (
        {} if form == "patches" else {"image": {"fields": ["tags", "regions"], "part": "vision", "mask": "noisy_words"}}
    )
    whole = Toy(
        model=model,
        inputs=inputs,
        data={"type": "toy_detections", "pictures": 40},
        components={"source:toy_detections": ToyDetections},
        pairings={"mined": {"type": "hard_negatives", "choose": "argmax", "sides": "half"}},
    )
    return whole.changed(**more)
