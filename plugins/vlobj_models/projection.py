"""The joint space, where a picture and a text are one unit vector each and their product says how well they match."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobjectives import (
    Amount,
    Encoded,
    Joint,
    PartConfig,
    PartName,
    Projection,
    RequestedOutputs,
    Spec,
    Temperature,
    Width,
    not_none,
)
from vlobjectives.functional.contrast import l2_normalize

Stream = Literal["image", "text"]
Pool = Literal["cls", "mean", "pooled"]
NORM_EPS = 1e-5


class JointProjection(Projection):
    """Projection of an encoder's output to unit vectors of the joint space, with a temperature.

    Encoded -> Joint(pooled [B,E] of unit length, scale = 1/temperature, and on request tokens [B,N,E], unit too).

        pooled = u(W pool(x))                       layers: linear
        pooled = u(W2 gelu(LN(W1 pool(x))))         layers: mlp, as published for GLSCL (arXiv 2306.07096)

    pool is the mean of the F class tokens (`cls`), the mean of the valid tokens (`mean`), or the encoder's own pooled
    output (`pooled`). Lengths are computed in float32 or wider.
    """

    class Config(PartConfig):
        width: Width = Field(description="E, the width of the joint space")
        image: PartName = Field("vision", description="the encoder of pictures")
        text: PartName = Field("text", description="the encoder of texts")
        layers: Literal["linear", "mlp"] = Field(
            "linear", description="one linear map, or Linear, LayerNorm, GELU, Linear (published)"
        )
        hidden: Width | None = Field(None, description="hidden width of `mlp` (default: the encoder's, published)")
        bias: bool = Field(True, description="whether the linear maps have a bias (CLIP, CoCa: false)")
        norm: tuple[Stream, ...] = Field((), description="streams to which a LayerNorm is applied first")
        pool: Pool | dict[Stream, Pool] = Field(
            "cls",
            description="what of the encoder is projected, for both streams or for each: {image: mean, text: cls}",
        )
        temperature: Temperature = Field(0.07, description="where the learned temperature starts")
        form: Literal["temperature", "log_scale"] = Field(
            "temperature",
            description="what is learned: the temperature "
            "itself (ALBEF, GLSCL) or ln(1/temperature), held at 0 or "
            "more (CLIP)",
        )
        max_scale: Amount | None = Field(None, gt=0, description="upper bound of 1/temperature (CLIP: 100)")
        min_temperature: Temperature = Field(1e-3, description="lower bound of the temperature")

        def tiny(self) -> "JointProjection.Config":
            return self.model_copy(update={"width": 32, "hidden": self.hidden and 32})

    def __init__(self, config: "JointProjection.Config", image: Spec, text: Spec):
        super().__init__(config, image, text)
        self.pools: dict[str, Pool] = {
            of: config.pool if isinstance(config.pool, str) else config.pool.get(of, "cls") for of in ("image", "text")
        }
        self.image, self.text = self._layers("image", image), self._layers("text", text)
        self.scale_bound = min(config.max_scale or math.inf, 1 / config.min_temperature)
        if 1 / config.temperature > self.scale_bound:
            raise self.cannot(
                f"temperature {config.temperature} is below its bound {1 / self.scale_bound:g}",
                "raise `temperature` or loosen `max_scale` or `min_temperature`",
            )
        if config.form == "log_scale" and config.temperature > 1:
            raise self.cannot(
                f"temperature {config.temperature} begins below the scale of 1 that log_scale is held at",
                "lower `temperature`, or form: temperature",
            )
        if config.form == "temperature":
            self.temperature = nn.Parameter(torch.tensor(config.temperature))
        else:
            self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self.spec = Spec(width=config.width, pooled=config.width)

    def _layers(self, of: Stream, spec: Spec) -> nn.Sequential:
        config, part = self.config, getattr(self.config, of)
        if self.pools[of] == "cls" and spec.classes == 0 and spec.grid is not None:
            raise self.cannot(f"'{part}' has no class token", f"pool: {{{of}: mean}}")
        if self.pools[of] == "pooled" and not spec.pooled:
            raise self.cannot(f"'{part}' gives no pooled output", f"pool: {{{of}: cls}}")
        if self.pools[of] == "mean" and not spec.length:
            raise self.cannot(f"'{part}' gives no tokens", f"pool: {{{of}: pooled}}")
        width = spec.pooled if self.pools[of] == "pooled" else spec.width
        layers: list[nn.Module] = [nn.LayerNorm(width, eps=NORM_EPS)] if of in config.norm else []
        if config.layers == "mlp":
            hidden = config.hidden or width
            layers += [nn.Linear(width, hidden, bias=config.bias), nn.LayerNorm(hidden, eps=NORM_EPS), nn.GELU()]
            width = hidden
        return nn.Sequential(*layers, nn.Linear(width, config.width, bias=config.bias))

    def bounds(self) -> dict[str, tuple[float, float]]:
        if self.config.form == "temperature":
            return {"temperature": (1 / self.scale_bound, math.inf)}
        return {"log_scale": (0.0, math.log(self.scale_bound))}

    def forward(self, x: Encoded, of: str, want: RequestedOutputs) -> Joint:
        layers = getattr(self, of)
        scale = 1 / self.temperature if self.config.form == "temperature" else self.log_scale.exp()
        return Joint(
            _unit(layers(_pool(x, self.pools[of]))),
            scale,
            _unit(layers(x.tokens)) if want.tokens else None,
            x.valid if want.tokens else None,
        )


def _pool(x: Encoded, how: Pool) -> Tensor:
    """[B,D] of an encoder's output."""
    if how == "cls":
        return not_none(x.cls, "class token to project").mean(1)
    if how == "pooled":
        return not_none(x.pooled, "pooled output to project")
    seen = x.valid[..., None]
    # where and not a product: what stands in a padded position, NaN even, must not matter
    return torch.where(seen, x.tokens, 0.0).sum(1) / seen.sum(1).clamp_min(1)


def _unit(x: Tensor) -> Tensor:
    return l2_normalize(x.float() if x.itemsize < 4 else x)
