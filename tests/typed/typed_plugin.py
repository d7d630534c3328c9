"""Plug-ins of every kind with types: `make lint` holds what mypy and pyright make of each `self.config`."""

from collections.abc import Iterable, Mapping
from typing import Any, assert_type

from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Batch,
    Encoded,
    Encoder,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    FieldSpec,
    Input,
    InputName,
    Joint,
    Mask,
    MaskConfig,
    MaskSample,
    MaskTarget,
    Noise,
    Objective,
    ObjectiveConfig,
    Pairing,
    PairingConfig,
    Pairs,
    PartConfig,
    Reader,
    ReaderConfig,
    RequestedOutputs,
    Sample,
    Score,
    Source,
    SourceConfig,
    Term,
    UnusableSample,
    View,
    hookimpl,
    joint,
)


class Contrast(Objective):
    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        temperature: float = Field(0.07, gt=0, description="divides the similarities")

    def views(self, inputs: Mapping[str, Input]) -> dict[str, View]:
        return {"image": joint(inputs[self.config.image])}

    def forward(self, image: Joint) -> Mapping[str, Term]:
        total = image.pooled.square().sum() / assert_type(self.config.temperature, float)
        return {"contrast": Term(total, len(image.pooled))}


class Warmer(Contrast):
    """A Config that derives its parent's, and a constructor that takes it."""

    class Config(Contrast.Config):
        epochs: int = Field(1, description="a key of its own")

    def __init__(self, config: Config):
        super().__init__(config)
        assert_type(config.epochs + self.config.epochs, int)
        assert_type(self.config.temperature, float)


class HalfConfig(MaskConfig):
    ratio: float = Field(0.5, description="share of the positions that are hidden")


class Half(Mask):
    Config = HalfConfig

    def size(self, site: MaskTarget) -> int:
        return int(site.positions * assert_type(self.config.ratio, float))

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch, **views: Any) -> MaskSample:
        raise self.cannot("it only shows its types")


class Next(Pairing):
    class Config(PairingConfig):
        offset: int = Field(1, description="rows between a pair's picture and its caption")

    def wrong(self, noise: Noise, batch: Batch, **views: Any) -> Pairs:
        rows = batch.number.argsort()
        other = rows.roll(assert_type(self.config.offset, int))
        return Pairs(rows, other, rows, batch.same[rows] != batch.same[other])


class Flat(Encoder):
    class Config(PartConfig):
        width: int = Field(8, description="of the tokens")

    def __init__(self, config: Config, fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        assert_type(self.config.width, int)

    def forward(self, x: Tensor, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        tokens = x.flatten(2)[..., : self.config.width]
        return Encoded(tokens, tokens.isfinite().all(-1), draw=draw)


class Word(Reader):
    class Config(ReaderConfig):
        lower: bool = Field(True, description="whether letters are made small")

    def fit(self, rows: Iterable[str]) -> None:
        assert_type(self.config.lower, bool)


class Constant(Source):
    class Config(SourceConfig):
        samples: int = Field(4, description="of every split")

    def size(self, split: str) -> int:
        return assert_type(self.config.samples, int)

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
        return Sample({}, same=number % self.config.samples)


class Nothing(Evaluation):
    class Config(EvaluationConfig):
        cases: int = Field(100, description="at most so many are counted")

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        return {"size": Score(min(held.size(), assert_type(self.config.cases, int)), None, 0, 0, 0, per_cent=False)}


@hookimpl
def vlobj_components() -> Mapping[str, type]:
    return {"objective:typed_contrast": Contrast}
