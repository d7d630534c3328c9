"""Toy parts: one of each kind, everything that a view may ask for, a few hundred numbers each, plain torch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives.contracts.batch import Tokens
from vlobjectives.contracts.config import PartConfig, PartName
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import Decoder, Encoder, Fusion, Head, Projection, Spec
from vlobjectives.contracts.passes import RequestedOutputs
from vlobjectives.contracts.values import Encoded, Fused, Joint, MaskSample
from vlobjectives.functional import gather_tokens, l2_normalize
from vlobjectives.functional.attention import attention, attention_bias
from vlobjectives.functional.pixels import patchify


class ToyConfig(PartConfig):
    width: int = Field(8, gt=0, description="D")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the stream after attention")


class ToyBlock(nn.Module):
    """h + attention(h, z), then h + tanh(W h)."""

    def __init__(self, config: ToyConfig):
        super().__init__()
        self.q, self.k, self.v, self.mix = (nn.Linear(config.width, config.width) for _ in range(4))
        self.drop = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, z: Tensor, valid: Tensor, maps: bool = False) -> tuple[Tensor, Tensor | None]:
        """h [B,N,D] that looks at the valid [B,M] of z [B,M,D]; the map [B,1,N,M] on request."""
        out, seen = attention(
            self.q(h)[:, None], self.k(z)[:, None], self.v(z)[:, None], attention_bias(valid, h.dtype), maps=maps
        )
        h = h + self.drop(out[:, 0])
        return h + torch.tanh(self.mix(h)), seen


def _asked(want: RequestedOutputs, layer: Tensor, seen: Tensor | None) -> dict[str, Any]:
    return {"layers": dict.fromkeys(want.layers, layer), "maps": {"block0": seen} if want.maps else {}}


class ToyVision(Encoder):
    """Patches through one block, a class token a frame; all fills."""

    class Config(ToyConfig):
        patch: int = Field(4, gt=0, description="pixels a side of a patch")

    def __init__(self, config: "ToyVision.Config", fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        *frames, channels, height, width = next(iter(fields.values())).shape
        rows, columns, self.frames = height // config.patch, width // config.patch, frames[0] if frames else 1
        self.grid = rows, columns
        self.embed = nn.Linear(channels * config.patch**2, config.width)
        self.places = nn.Parameter(torch.randn(self.frames * rows * columns, config.width))
        self.classes = nn.Parameter(torch.randn(self.frames, config.width))
        self.mask_token = nn.Parameter(torch.randn(config.width))
        self.block = ToyBlock(config)
        self.spec = Spec(
            config.width,
            length=len(self.places),
            grid=(rows, columns),
            patch_size=config.patch,
            frames=self.frames,
            classes=self.frames,
            fields=dict(fields),
            can=frozenset({"drop", "token", "pixels", "frames", "sizes", "layers", "maps", "stack"}),
        )

    def _places(self, x: Tensor) -> Tensor:
        """Positions [F*n,D] of pictures x, between those of the own grid where it is of another size."""
        rows, columns = x.shape[-2] // self.config.patch, x.shape[-1] // self.config.patch
        if (rows, columns) == self.grid:
            return self.places
        own = self.places.reshape(self.frames, *self.grid, -1).permute(0, 3, 1, 2)
        return F.interpolate(own, (rows, columns), mode="bilinear").permute(0, 2, 3, 1).flatten(0, 2)

    def forward(self, x: Tensor, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        patches = self.embed(patchify(x, self.config.patch))
        if draw is not None and draw.fill == "token":
            patches = torch.where(draw.hidden[..., None], self.mask_token, patches)
        patches = patches + self._places(x)
        if draw is not None and draw.fill == "drop" and draw.keep is not None:
            patches = gather_tokens(patches, draw.keep)
        h = torch.cat([self.classes.expand(x.shape[0], -1, -1), patches], 1)
        h, seen = self.block(h, h, torch.ones_like(h[..., 0], dtype=torch.bool), want.maps)
        cls, tokens = h[:, : self.frames], h[:, self.frames :]
        valid = torch.ones_like(tokens[..., 0], dtype=torch.bool)
        return Encoded(tokens, valid, cls=cls, draw=draw, **_asked(want, h, seen))


class ToyText(Encoder):
    """Tokens through one block; the first position is the class."""

    Config = ToyConfig

    def __init__(self, config: ToyConfig, fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        length = sum(spec.shape[0] for spec in fields.values())
        self.words = nn.Embedding(max(spec.vocabulary for spec in fields.values()), config.width)
        self.places = nn.Parameter(torch.randn(length, config.width))
        self.block = ToyBlock(config)
        self.spec = Spec(
            config.width,
            length=length,
            fields=dict(fields),
            embedding="words.weight",
            can=frozenset({"mask", "layers", "maps", "stack"}),
        )

    def forward(self, x: Tokens, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        h = self.words(x.ids if draw is None else draw.ids) + self.places
        h, seen = self.block(h, h, x.valid, want.maps)
        return Encoded(
            h, x.valid, cls=h[:, :1], draw=draw, segment=x.segment, special=x.special, **_asked(want, h, seen)
        )


class ToyFusion(Fusion):
    """Each stream looks once at the other; pooled is both classes side by side."""

    class Config(ToyConfig):
        image: PartName = Field("vision", description="the encoder of pictures")
        text: PartName = Field("text", description="the encoder of texts")

    def __init__(self, config: "ToyFusion.Config", image: Spec, text: Spec):
        super().__init__(config, image, text)
        self.image, self.text = ToyBlock(config), ToyBlock(config)
        self.image_in, self.text_in = (nn.Linear(spec.width, config.width) for spec in (image, text))
        self.frames = image.classes
        self.spec = Spec(
            config.width,
            pooled=2 * config.width,
            length=text.length,
            grid=image.grid,
            patch_size=image.patch_size,
            frames=image.frames,
            classes=image.classes,
            fields={**image.fields, **text.fields},
            can=frozenset({"layers", "maps"}),
        )

    def forward(self, image: Encoded, text: Encoded, want: RequestedOutputs) -> Fused:
        assert image.cls is not None, "ToyVision gives class tokens"
        y, x = self.image_in(torch.cat([image.cls, image.tokens], 1)), self.text_in(text.tokens)
        seen_y = torch.cat([image.valid.new_ones(image.cls.shape[:2]), image.valid], 1)
        (y, map_y), (x, map_x) = (self.image(y, x, text.valid, want.maps), self.text(x, y, seen_y, want.maps))
        pooled = torch.cat([x[:, 0], y[:, : self.frames].mean(1)], -1)
        return Fused(
            replace(image, tokens=y[:, self.frames :], cls=y[:, : self.frames], **_asked(want, y, map_y)),
            replace(text, tokens=x, cls=x[:, :1], **_asked(want, x, map_x)),
            torch.tanh(pooled),
        )


class ToyDecoder(Decoder):
    """The query's positions look at themselves and then at memory."""

    class Config(ToyConfig):
        query: PartName = Field("text", description="whose positions are decoded")
        memory: PartName = Field("vision", description="what they look at")

    def __init__(self, config: "ToyDecoder.Config", query: Spec, memory: Spec):
        super().__init__(config, query, memory)
        self.own, self.cross = ToyBlock(config), ToyBlock(config)
        self.query_in, self.memory_in = (nn.Linear(spec.width, config.width) for spec in (query, memory))
        self.spec = replace(query, width=config.width, can=frozenset({"layers"}))

    def forward(self, query: Encoded, memory: Encoded | None, want: RequestedOutputs) -> Encoded:
        h = self.query_in(query.tokens)
        h, _ = self.own(h, h, query.valid)
        if memory is not None:
            h, _ = self.cross(h, self.memory_in(memory.tokens), memory.valid)
        return replace(query, tokens=h, cls=h[:, :1], layers=dict.fromkeys(want.layers, h), maps={})


class ToyJoint(Projection):
    """The mean class token, projected to unit length; a learned temperature within bounds."""

    class Config(ToyConfig):
        image: PartName = Field("vision", description="the encoder of pictures")
        text: PartName = Field("text", description="the encoder of texts")

    def __init__(self, config: "ToyJoint.Config", image: Spec, text: Spec):
        super().__init__(config, image, text)
        self.image, self.text = nn.Linear(image.width, config.width), nn.Linear(text.width, config.width)
        self.temperature = nn.Parameter(torch.tensor(0.3))
        self.spec = Spec(config.width, pooled=config.width)

    def bounds(self) -> dict[str, tuple[float, float]]:
        return {"temperature": (0.01, 1.0)}

    def forward(self, x: Encoded, of: str, want: RequestedOutputs) -> Joint:
        layer = getattr(self, of)
        assert x.cls is not None, "the toys' encoders give class tokens"
        return Joint(
            l2_normalize(layer(x.cls.mean(1))),
            1 / self.temperature,
            l2_normalize(layer(x.tokens)) if want.tokens else None,
            x.valid if want.tokens else None,
        )


class ToyHead(Head):
    """Features to a score for each word, by the rows of the text encoder's own table."""

    class Config(PartConfig):
        of: PartName = Field("text", description="whose vocabulary this is")

    def __init__(self, config: "ToyHead.Config", of: Spec):
        super().__init__(config, of)
        field = next(iter(of.fields.values()))
        self.table = f"{config.of}.{of.embedding}"
        self.words = nn.Linear(of.width, field.vocabulary, bias=False)
        self.bias = nn.Parameter(torch.zeros(field.vocabulary))
        self.spec = Spec(field.vocabulary, fields=dict(of.fields))

    def ties(self) -> dict[str, str]:
        return {"words.weight": self.table}

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.words.weight, self.bias)
