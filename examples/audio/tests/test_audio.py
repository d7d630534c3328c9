"""The components of the package pass the host's checks, and the spectrogram is what its formula says."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from vlobj_audio.log_mel import LogMel, mel_filters
from vlobj_audio.random_bands import RandomBands
from vlobj_audio.sounds import COMBINATIONS, Sounds
from vlobj_audio.spectrogram_transformer import SpectrogramTransformer

from vlobjectives.testing import Toy, checks_of
from vlobjectives.testing.parametrize import ComponentCheck

COMPONENTS: dict[str, type] = {
    "source:sounds": Sounds,
    "reader:log_mel": LogMel,
    "encoder:spectrogram_transformer": SpectrogramTransformer,
}
SOUNDS = {"samples": 48, "held_out": 16}
READ = Toy(
    data={"type": "toy/sounds", **SOUNDS},
    fields={
        "spectrogram": {"type": "toy/log_mel", "of": "wave"},
        "caption": {"type": "byte_pair", "size": 300, "length": 12},
    },
    components=COMPONENTS,
)
HEARD = READ.changed(
    inputs={"image": {"fields": ["spectrogram"], "part": "vision"}},
    model={"vision": {"type": "toy/spectrogram_transformer", "width": 16, "depth": 2, "heads": 2}},
)
GIVEN: dict[type, Toy | Mapping[str, Any]] = {
    Sounds: SOUNDS,
    LogMel: READ,
    SpectrogramTransformer: HEARD,
    RandomBands: {"ratio": 0.5},
}
CHECKS = {f"{cls.__name__}-{check}": check for cls, given in GIVEN.items() for check in checks_of(cls, given)}


@pytest.mark.parametrize("check", [pytest.param(one, id=key) for key, one in CHECKS.items()])
def test_checks(check: ComponentCheck) -> None:
    check()


def test_a_tone_lies_in_its_band() -> None:
    """A pure tone's energy is highest in the band whose triangle is highest there."""
    bands, size, rate, pitch = 32, 512, 8000, 1000.0
    reader = LogMel(LogMel.Config.model_validate({}))
    heard = reader.read(torch.sin(2 * math.pi * pitch * torch.arange(8000) / rate))
    assert heard.shape == (bands, 8000 // 160 + 1)
    nearest = mel_filters(bands, size, rate)[:, round(pitch / rate * size)].argmax()
    assert (heard[:, 2:-2].argmax(0) == nearest).all()


def test_splits_share_no_combination() -> None:
    source = Sounds(Sounds.Config.model_validate({"samples": COMBINATIONS - 512}))
    seen = [{source.sample(split, n, 0, 0).same for n in range(256)} for split in ("val", "test")]
    assert len(seen[0] | seen[1]) == 512
    trained = {source._combination("train", number) for number in range(source.config.samples)}
    assert len(trained) == source.config.samples and not trained & (seen[0] | seen[1])
