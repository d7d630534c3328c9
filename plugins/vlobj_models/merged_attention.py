"""Merged attention: both streams as one sequence through one stack of blocks (METER's name for it; MVPTR, UNITER).

h(0) = [x_1 .. x_T ; c_1 .. c_F ; y_1 .. y_N]      text first, then the picture's class tokens and positions
h(l) = block(h(l-1))                               every position sees all valid ones of both
pooled = tanh(W h[0] + b)                          at the text's first position
"""

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobj_models.transformer import Blocks, Norm, start
from vlobjectives import (
    Depth,
    Encoded,
    Epsilon,
    Fused,
    Fusion,
    Heads,
    PartConfig,
    PartName,
    Ratio,
    RequestedOutputs,
    Spec,
    Spread,
    Width,
    not_none,
)
from vlobjectives.functional.attention import attention_bias

TEXT_TYPE, IMAGE_TYPE = 0, 1


class MergedAttention(Fusion):
    """Single-stream fusion: self-attention over picture and text tokens in one sequence, as METER's and MVPTR's.

    image [R,N,D] with F class tokens, text [R,T,D] -> Fused of both at `width`, pooled [R,width].

    Positions that are not valid are looked at by nobody. `layers[l]` holds a stream's part of the sequence after
    layer l, class tokens first. `maps["cross{l}"]` [R,heads,N',M'] is what the stream looked at in the other one, as
    shares of what it looked at there; `maps["cross"]` that of the last layer.
    """

    paper = "MVPTR, arXiv 2201.12596; METER, arXiv 2111.02387"

    class Config(PartConfig):
        image: PartName = Field("vision", description="the part that gives the picture stream")
        text: PartName = Field("text", description="the part that gives the text stream")
        width: Width = Field(description="D of the sequence (published: 768)")
        depth: Depth = Field(description="layers (published: 6)")
        heads: Heads = Field(description="attention heads; they divide the width (published: 12)")
        mlp_ratio: Ratio = Field(4.0, description="hidden width of a block's MLP over the width")
        norm: Norm = Field("post", description="where LayerNorms stand: after each sub-layer (published) or before")
        dropout: float = Field(
            0.0, ge=0, lt=1, description="on attention weights and on each sub-layer's output (published: 0.1)"
        )
        classes: bool = Field(
            True,
            description="whether the picture's class tokens join the sequence (MVPTR: false, "
            "its patches or regions alone)",
        )
        types: bool = Field(False, description="a learned vector for each stream, added first (MVPTR: false)")
        init_std: Spread = Field(
            0.02, gt=0, description="linear weights start from N(0, init_std): 0.02 at width 768, about 1/sqrt(width)"
        )
        norm_eps: Epsilon = Field(1e-12, description="of the LayerNorms")

        def tiny(self) -> "MergedAttention.Config":
            return self.model_copy(update={"width": 32, "depth": 1, "heads": 2})

    def __init__(self, config: "MergedAttention.Config", image: Spec, text: Spec):
        super().__init__(config, image, text)
        width = config.width
        if width % config.heads:
            raise self.cannot(f"{config.heads} heads do not divide the width {width}")
        self.text_classes, self.image_classes = text.classes > 0, image.classes > 0 and config.classes
        self.image_transform, self.text_transform = (
            nn.Linear(spec.width, width) if spec.width != width else nn.Identity() for spec in (image, text)
        )
        self.types = nn.Embedding(2, width) if config.types else None
        self.stack = Blocks(config)
        self.pooler = nn.Linear(width, width)
        start(self, config.init_std)
        self.spec = Spec(
            width=width,
            pooled=width,
            length=text.length,
            grid=image.grid,
            patch_size=image.patch_size,
            frames=image.frames,
            classes=image.classes if config.classes else 0,
            fields={**image.fields, **text.fields},
            can=frozenset({"layers", "maps"}),
        )

    def forward(self, image: Encoded, text: Encoded, want: RequestedOutputs) -> Fused:
        x, seen_x = _stream(text, self.text_classes)
        y, seen_y = _stream(image, self.image_classes)
        x, y = self.text_transform(x), self.image_transform(y)
        if self.types is not None:
            x, y = x + self.types.weight[TEXT_TYPE], y + self.types.weight[IMAGE_TYPE]
        states, maps = self.stack(
            torch.cat([x, y], 1), attention_bias(torch.cat([seen_x, seen_y], 1), x.dtype), want.maps
        )
        first = x.shape[1]
        layers = {number: states[number] for number in want.layers}
        streams = []
        for part, classes, own, other in (
            (image, self.image_classes, slice(first, None), slice(None, first)),
            (text, self.text_classes, slice(None, first), slice(first, None)),
        ):
            looked = {
                f"cross{number}": _shares(seen[:, :, own, other])
                for number, seen in enumerate(maps)
                if seen is not None
            }
            if looked:
                looked["cross"] = looked[f"cross{len(maps) - 1}"]
            stream = states[-1][:, own]
            # A text without class tokens has its class in the first position; a picture's that stayed behind has none.
            count = not_none(part.cls, "class token").shape[1] if classes else 0
            cls = stream[:, :count] if classes else stream[:, :1] if part is text else None
            streams.append(
                replace(
                    part,
                    tokens=stream[:, count:],
                    cls=cls,
                    pooled=None,
                    extra={},
                    maps=looked,
                    layers={number: state[:, own] for number, state in layers.items()},
                )
            )
        return Fused(streams[0], streams[1], torch.tanh(self.pooler(states[-1][:, 0])))


def _stream(part: Encoded, classes: bool) -> tuple[Tensor, Tensor]:
    """The sequence [R, classes + N, D] of an encoder, and which positions of it are valid."""
    if not classes:
        return part.tokens, part.valid
    cls = not_none(part.cls, "class token")
    return (torch.cat([cls, part.tokens], 1), torch.cat([part.valid.new_ones(cls.shape[:2]), part.valid], 1))


def _shares(seen: Tensor) -> Tensor:
    """Rows that sum to 1; even ones where there was nothing to look at (a picture without regions)."""
    total = seen.sum(-1, keepdim=True)
    return torch.where(total > 0, seen / total.clamp_min(torch.finfo(seen.dtype).tiny), 1 / seen.shape[-1])
