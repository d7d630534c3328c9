"""A third party's modality in one file: sounds with captions, their spectrograms, and an encoder of these."""

import torch
from pydantic import Field
from torch import nn

from vlobjectives import (
    Encoded,
    Encoder,
    FieldSpec,
    PartConfig,
    Reader,
    ReaderConfig,
    Sample,
    Source,
    SourceConfig,
    Spec,
    Substitute,
    hookimpl,
)
from vlobjectives.errors import DataError

WINDOW, WINDOWS = 16, 12
NOTES = ("low", "middle", "high")


def tone(number: int, samples: int = WINDOW * 10) -> torch.Tensor:
    """A wave of one of three notes."""
    return torch.sin(torch.arange(samples) * (1 + number % len(NOTES)) * 0.4 + number)


class Sounds(Source):
    """Waves of several lengths with a caption each; column `wave` needs a reader."""

    class Config(SourceConfig):
        samples: int = Field(32, gt=0, description="of every split")

    def __init__(self, config):
        super().__init__(config)
        self.columns = {"wave": FieldSpec("raw"), "caption": FieldSpec("raw")}

    def size(self, split):
        return self.config.samples

    def sample(self, split, number, epoch, seed):
        wave = tone(number, WINDOW * (8 + number % 5))
        return Sample({"wave": wave, "caption": f"a {NOTES[number % len(NOTES)]} note"}, number, f"sound {number}")

    def digest(self):
        return f"toy sounds {self.config.samples}"


class Recorded(Sounds):
    """Sounds of a folder; only its small form needs none."""

    class Config(SourceConfig):
        folder: str = Field(description="where they lie")

        def tiny(self, pixels):
            return Substitute("toy_sounds", {"samples": 16})

    def __init__(self, config):
        raise DataError(f"there is no folder {config.folder}", "name another")


class Spectrogram(Reader):
    """A wave [T] -> the magnitudes of its windows, vectors [windows, WINDOW // 2 + 1]."""

    class Config(ReaderConfig):
        windows: int = Field(WINDOWS, gt=0, description="windows at most")

        def tiny(self):
            return Spectrogram.Config(windows=4)

    @property
    def spec(self):
        return FieldSpec("vectors", (self.config.windows, WINDOW // 2 + 1))

    def read(self, value):
        if not isinstance(value, torch.Tensor) or value.dim() != 1 or len(value) < WINDOW:
            raise DataError("a sound is a tensor of one axis", "give the samples of one channel")
        return torch.fft.rfft(value.unfold(0, WINDOW, WINDOW)).abs()


class Ears(Encoder):
    """Each window through one layer; a sound is the mean of its windows."""

    class Config(PartConfig):
        width: int = Field(8, gt=0, description="D")

    def __init__(self, config, fields):
        super().__init__(config, fields)
        length, width = next(iter(fields.values())).shape
        self.layer = nn.Linear(width, config.width)
        self.spec = Spec(config.width, pooled=config.width, length=length, fields=dict(fields))

    def forward(self, x, draw, want):
        tokens = torch.tanh(self.layer(x.values))
        seen = x.valid[..., None]
        pooled = torch.where(seen, tokens, 0).sum(1) / seen.sum(1).clamp_min(1)
        return Encoded(tokens, x.valid, pooled=pooled)


@hookimpl
def vlobj_components():
    return {
        "source:toy_sounds": Sounds,
        "source:recorded": Recorded,
        "reader:spectrogram": Spectrogram,
        "encoder:ears": Ears,
    }
