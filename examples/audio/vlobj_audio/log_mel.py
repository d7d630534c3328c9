"""Waves to log-mel spectrograms."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import FieldSpec, Reader, ReaderConfig
from vlobjectives.errors import DataError

FLOOR = 1e-5
"""Energy below which nothing is heard."""
LEARNED_FROM = 512
"""Sounds whose mean and deviation are taken."""


class LogMel(Reader):
    """Log-mel spectrogram: the logarithm of the energies of mel bands, window by window.

        s[b,t] = log(floor + sum_f M[b,f] |STFT(wave)[f,t]|^2),    mel(f) = 2595 log10(1 + f / 700)

    A wave [n] -> [bands,windows]; M are triangles of equal width on the mel scale (HTK's). Learns each band's mean and
    standard deviation from the first training sounds; the host normalizes by them (`FieldSpec.mean`, `std`).
    """

    class Config(ReaderConfig):
        rate: int = Field(8000, gt=0, description="samples a second of the waves")
        bands: int = Field(32, ge=4, le=256, description="mel bands")
        windows: int = Field(48, ge=4, le=4096, description="windows that are kept; what is shorter is filled up")
        size: int = Field(512, ge=32, description="samples of a window")
        step: int = Field(160, ge=1, description="samples from window to window")

    def __init__(self, config: Config):
        super().__init__(config)
        self.mean, self.std = [0.0] * config.bands, [1.0] * config.bands
        self.filters = mel_filters(config.bands, config.size, config.rate)

    @property
    def spec(self) -> FieldSpec:
        shape = (self.config.bands, self.config.windows)
        return FieldSpec("spectrogram", shape, mean=tuple(self.mean), std=tuple(self.std))

    def fit(self, rows: Iterable[Any]) -> None:
        heard = torch.cat([self.read(wave) for wave in islice(rows, LEARNED_FROM)], 1)
        self.mean, self.std = heard.mean(1).tolist(), heard.std(1).clamp_min(FLOOR).tolist()

    def read(self, value: Any) -> Tensor:
        if not isinstance(value, Tensor | np.ndarray) or value.ndim != 1 or len(value) < self.config.size:
            shape = list(value.shape) if isinstance(value, Tensor | np.ndarray) else type(value).__name__
            raise DataError(
                f"a sound has one axis and {self.config.size} samples or more, and this is {shape}",
                "give the samples of one channel, as a tensor or an array",
            )
        wave = torch.as_tensor(value, dtype=torch.float32)
        window = torch.hann_window(self.config.size)
        spectrum = torch.stft(wave, self.config.size, self.config.step, window=window, return_complex=True)
        return (self.filters @ spectrum.abs().square() + FLOOR).log()

    def state(self) -> Mapping[str, Any]:
        return {"mean": self.mean, "std": self.std}

    def load(self, state: Mapping[str, Any]) -> None:
        self.mean, self.std = list(state["mean"]), list(state["std"])


def mel_filters(bands: int, size: int, rate: int) -> Tensor:
    """Triangular filters [bands, size // 2 + 1] from 0 to half the rate."""
    top = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700, dtype=torch.float64))
    edges = 700 * (10 ** (torch.linspace(0, 1, bands + 2, dtype=torch.float64) * top / 2595) - 1)
    frequencies = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return torch.minimum(rise, fall).clamp_min(0).float()
