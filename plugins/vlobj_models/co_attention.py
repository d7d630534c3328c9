"""METER's co-attention: two streams that look at each other in every layer (arXiv 2111.02387; GLSCL's fusion).

block(h | z)    h1 = LN(h + MHA(h, h));  h2 = LN(h1 + MHA(h1, z));  LN(h2 + W2 gelu(W1 h2))
layer l         x(l) = text block(x(l-1) | y(l-1)),  y(l) = image block(y(l-1) | x(l-1)),  both of layer l-1
pooled          tanh(Wt x[0]) and tanh(Wv mean_f y[f]) side by side, text first
looks: text     y(l) = y(0) for every l and pooled = tanh(Wt x[0]): ALBEF's fusion (arXiv 2107.07651)
"""

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobj_models.transformer import Attention
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


class CoAttention(Fusion):
    """Two-stream fusion: self-attention and cross-attention to the other modality in every layer, as METER's.

    image [R,N,D] with F class tokens, text [R,T,D] -> Fused of both at `width`, pooled [R, 2*width] (text first;
    [R, width] where the text alone looks).

    A stream whose Spec counts class tokens is class tokens, then positions. Positions that are not valid are looked
    at by nobody. `layers[l]` holds the whole stream after layer l; `maps["cross{l}"]` [R,heads,N',M'] what the stream
    looked at in the other one, `maps["cross"]` that of the last layer (text: [R,heads,T,F+N]).
    """

    paper = "METER, arXiv 2111.02387"

    class Config(PartConfig):
        image: PartName = Field("vision", description="the part that gives the picture stream")
        text: PartName = Field("text", description="the part that gives the text stream")
        width: Width = Field(description="D of both streams (published: 768)")
        depth: Depth = Field(description="layers (published: 6)")
        heads: Heads = Field(description="attention heads; they divide the width (published: 12)")
        mlp_ratio: Ratio = Field(4.0, description="hidden width of a block's MLP over the width")
        dropout: float = Field(
            0.0, ge=0, lt=1, description="on attention weights and on each sub-layer's output (published: 0.1)"
        )
        looks: Literal["both", "text"] = Field(
            "both",
            description="which streams look at the other one: both, or the "
            "text alone, the picture staying as its encoder left it (ALBEF)",
        )
        transform: bool = Field(
            False,
            description="a linear map on each stream first; made in any case where a "
            "stream has another width. METER's lies in the encoders (`out`), where ITC reads it",
        )
        init_std: Spread = Field(
            0.02, gt=0, description="linear weights start from N(0, init_std): 0.02 at width 768, about 1/sqrt(width)"
        )
        norm_eps: Epsilon = Field(1e-12, description="of the LayerNorms")

        def tiny(self) -> "CoAttention.Config":
            return self.model_copy(update={"width": 32, "depth": 1, "heads": 2})

    def __init__(self, config: "CoAttention.Config", image: Spec, text: Spec):
        super().__init__(config, image, text)
        width = config.width
        if width % config.heads:
            raise self.cannot(f"{config.heads} heads do not divide the width {width}")
        self.classes = {"image": image.classes > 0, "text": text.classes > 0}
        self.image_transform, self.text_transform = (
            nn.Linear(spec.width, width) if config.transform or spec.width != width else nn.Identity()
            for spec in (image, text)
        )
        self.types = nn.Embedding(2, width)
        both = config.looks == "both"
        self.image_blocks, self.text_blocks = (
            nn.ModuleList(CoAttentionBlock(config) for _ in range(config.depth if there else 0))
            for there in (both, True)
        )
        self.image_pooler, self.text_pooler = nn.Linear(width, width) if both else None, nn.Linear(width, width)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Embedding):
                nn.init.normal_(layer.weight, std=config.init_std)
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)
        self.spec = Spec(
            width=width,
            pooled=(1 + both) * width,
            length=text.length,
            grid=image.grid,
            patch_size=image.patch_size,
            frames=image.frames,
            classes=image.classes,
            fields={**image.fields, **text.fields},
            can=frozenset({"layers", "maps"}),
        )

    def forward(self, image: Encoded, text: Encoded, want: RequestedOutputs) -> Fused:
        y, seen_y = self._stream(image, "image")
        x, seen_x = self._stream(text, "text")
        y = self.image_transform(y) + self.types.weight[IMAGE_TYPE]
        x = self.text_transform(x) + self.types.weight[TEXT_TYPE]
        layers: dict[str, dict[int, Tensor]] = {"image": {}, "text": {}}
        maps: dict[str, dict[str, Tensor]] = {"image": {}, "text": {}}
        for number, text_block in enumerate(self.text_blocks):
            before, map_y = y, None
            if self.image_blocks:
                y, map_y = self.image_blocks[number](y, x, seen_y, seen_x, want.maps)
            x, map_x = text_block(x, before, seen_x, seen_y, want.maps)
            for of, stream, seen in (("image", y, map_y), ("text", x, map_x)):
                if number in want.layers:
                    layers[of][number] = stream
                if seen is not None:
                    maps[of][f"cross{number}"] = maps[of]["cross"] = seen
        image = replace(self._given(image, y, "image"), layers=layers["image"], maps=maps["image"])
        text = replace(self._given(text, x, "text"), layers=layers["text"], maps=maps["text"])
        pooled = [self._pooled(text, "text"), *([self._pooled(image, "image")] if self.image_blocks else [])]
        return Fused(image, text, torch.cat(pooled, -1))

    def _stream(self, part: Encoded, of: str) -> tuple[Tensor, Tensor]:
        """The sequence [R, classes + N, D] of an encoder and the bias that hides what is not valid in it."""
        if not self.classes[of]:
            return part.tokens, attention_bias(part.valid, part.tokens.dtype)
        cls = not_none(part.cls, "class token")
        valid = torch.cat([part.valid.new_ones(cls.shape[:2]), part.valid], 1)
        return torch.cat([cls, part.tokens], 1), attention_bias(valid, part.tokens.dtype)

    def _given(self, part: Encoded, stream: Tensor, of: str) -> Encoded:
        """The fused stream in the form that its encoder gave it in."""
        count = not_none(part.cls, "class token").shape[1] if self.classes[of] else 0
        cls = None if part.cls is None else stream[:, : count or 1]
        return replace(part, tokens=stream[:, count:], cls=cls, pooled=None, extra={})

    def _pooled(self, part: Encoded, of: str) -> Tensor:
        if part.cls is not None:
            first = part.cls.mean(1)
        else:
            seen = part.valid[..., None]
            first = torch.where(seen, part.tokens, 0.0).sum(1) / seen.sum(1).clamp_min(1)
        return torch.tanh(getattr(self, f"{of}_pooler")(first))


class CoAttentionBlock(nn.Module):
    """Self-attention, attention to the other stream, MLP; each with a residual and a LayerNorm after it."""

    def __init__(self, config: CoAttention.Config):
        super().__init__()
        width, inner = config.width, int(config.width * config.mlp_ratio)
        self.own, self.cross = Attention(config), Attention(config)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=config.norm_eps) for _ in range(3))
        self.drop = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, z: Tensor, seen_h: Tensor, seen_z: Tensor, maps: bool) -> tuple[Tensor, Tensor | None]:
        """h [R,N,D] that looks at z [R,M,D]; biases [R,1,1,N] and [R,1,1,M]. Returns h and the map over z."""
        h = self.norm1(h + self.drop(self.own(h, h, seen_h)[0]))
        looked, seen = self.cross(h, z, seen_z, maps)
        h = self.norm2(h + self.drop(looked))
        return self.norm3(h + self.drop(self.fc2(F.gelu(self.fc1(h))))), seen
