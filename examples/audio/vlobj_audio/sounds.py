"""Tones and rhythms with captions, made from nothing but a seed."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vlobjectives import FieldSpec, Sample, Samples, Seed, Source, SourceConfig
from vlobjectives.functional import prng_key

RATE = 8000
"""Samples a second."""
SECONDS = 0.5
"""Length of one event; a sound is two of them."""
PITCHES = {"deep": 200.0, "low": 320.0, "middle": 510.0, "high": 820.0, "bright": 1310.0, "shrill": 2100.0}
TIMBRES = ("pure", "buzzing", "noisy")
RHYTHMS = {"steady": 0.0, "slow": 4.0, "quick": 8.0, "fluttering": 16.0}
"""Pulses a second; 0 is none."""
EVENTS = len(PITCHES) * len(TIMBRES) * len(RHYTHMS)
COMBINATIONS = EVENTS * EVENTS
STRIDE = 1871
"""Coprime to COMBINATIONS, so that counting on in steps of it meets each of them once."""


class Sounds(Source):
    """Sounds of two events, each of a pitch, a timbre and a rhythm, with a caption that says so in order.

    Columns: `wave`, float32 [8000], one second; `caption`, as "a slow deep pure tone, then a steady high noisy one".
    Every number of a split is another combination while there are any; those of `val` and `test` are never trained.
    Loudness, phase and background noise are drawn anew in every epoch of training.
    """

    class Config(SourceConfig):
        seed: Seed = Field(0, description="of the world; another seed gives other splits")
        samples: Samples = Field(4000, description="sounds of the training split")
        held_out: Annotated[int, Field(ge=2, le=512)] = Field(256, description="sounds of val, and of test")
        noise: float = Field(0.05, ge=0, le=1, description="standard deviation of the background, the sound's being 1")

        def tiny(self, pixels: int) -> "Sounds.Config":
            return self.model_copy(update={"samples": 64, "held_out": 32})

    def __init__(self, config: Config):
        super().__init__(config)
        self.columns = {"wave": FieldSpec("raw"), "caption": FieldSpec("raw", of_caption=True)}

    def size(self, split: str) -> int:
        return {"train": self.config.samples, "val": self.config.held_out, "test": self.config.held_out}.get(split, 0)

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample:
        combination = self._combination(split, number)
        first, second = divmod(combination, EVENTS)
        drawn = (split, number, seed, epoch) if split == "train" else (split, number)
        random = np.random.default_rng(prng_key(self.config.seed, "sound", *drawn))
        wave = np.concatenate([_event(first, random), _event(second, random)])
        wave += random.normal(0, self.config.noise, len(wave))
        caption = f"a {_words(first)} tone, then a {_words(second)} one"
        return Sample({"wave": wave.astype(np.float32), "caption": caption}, combination, f"{split} {number}")

    def digest(self) -> str:
        return f"sounds 1 {self.config.model_dump_json()}"

    def _combination(self, split: str, number: int) -> int:
        """Held-out combinations come first in an order that hangs on the seed, and training goes through the rest."""
        held_out, start = self.config.held_out, prng_key(self.config.seed, "start") % COMBINATIONS
        place = {"val": number, "test": held_out + number}.get(
            split, 2 * held_out + number % (COMBINATIONS - 2 * held_out)
        )
        return (start + place * STRIDE) % COMBINATIONS


def _parts(event: int) -> tuple[str, str, str]:
    """Rhythm, pitch and timbre of an event."""
    rest, rhythm = divmod(event, len(RHYTHMS))
    pitch, timbre = divmod(rest, len(TIMBRES))
    return list(RHYTHMS)[rhythm], list(PITCHES)[pitch], TIMBRES[timbre]


def _words(event: int) -> str:
    return " ".join(_parts(event))


def _event(event: int, random: np.random.Generator) -> NDArray[np.float64]:
    """One event, float64 [4000], of about unit loudness."""
    rhythm, pitch, timbre = _parts(event)
    time = np.arange(int(RATE * SECONDS)) / RATE
    phase = 2 * np.pi * (PITCHES[pitch] * random.uniform(0.97, 1.03) * time + random.uniform())
    tone: NDArray[np.float64] = np.sin(phase)
    if timbre == "buzzing":  # odd harmonics, as of a reed
        tone = np.sin(phase) + np.sin(3 * phase) / 3 + np.sin(5 * phase) / 5
    if timbre == "noisy":
        tone = 0.5 * tone + np.cos(phase) * np.cumsum(random.normal(0, 1, len(time))) * 0.06
    pulses = RHYTHMS[rhythm]
    envelope = np.ones_like(time) if not pulses else np.sin(np.pi * pulses * time) ** 2 > 0.5
    return tone * envelope * random.uniform(0.7, 1.3)
