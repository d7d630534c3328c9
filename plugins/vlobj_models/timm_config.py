"""Options of the vision transformers of timm."""

from typing import Literal, Self

from pydantic import Field

from vlobj_models.timm_stems import _narrows
from vlobjectives import (
    Depth,
    Epsilon,
    Frames,
    Heads,
    Length,
    PartConfig,
    PathOrName,
    Ratio,
    Side,
    Spread,
    Width,
)


class TimmVisionConfig(PartConfig):
    name: str | None = Field(None, description="a timm model whose architecture this is; keys below change it")
    patch: Side | None = Field(None, description="pixels a side of a patch")
    width: Width | None = Field(None, description="D of the blocks")
    depth: Depth | None = Field(None, description="blocks; of a deeper checkpoint the last are not loaded")
    heads: Heads | None = Field(None, description="attention heads; they divide the width")
    mlp_ratio: Ratio | None = Field(None, description="hidden width of a block's MLP over D (timm: 4)")
    act: Literal["gelu", "quick_gelu"] | None = Field(None, description="of the MLPs (CLIP: quick_gelu)")
    pre_norm: bool | None = Field(None, description="a norm before the blocks and no patch bias, as CLIP has")
    norm_eps: Epsilon | None = Field(None, description="of the norms (timm: 1e-6, CLIP: 1e-5)")
    stem: Literal["linear", "mlp", "conv"] = Field(
        "linear", description="pixels to patches: linear, an MLP inside each patch, or 3x3 convolutions of stride 2"
    )
    slots: Length | None = Field(
        None,
        description="K learned tokens beside a picture's patches, the same for "
        "every picture, to be read by objectives alone",
    )
    temporal: bool | None = Field(None, description="a vector for each frame (default: where there are several)")
    frames: Frames | None = Field(
        None, description="rows of the temporal table (default: the field's frames; published: 8)"
    )
    out: Width | None = Field(None, description="a linear map to this width at the end (METER's transform)")
    init_std: Spread | None = Field(
        None,
        gt=0,
        description="linear weights start from N(0, init_std), about "
        "1/sqrt(width) from scratch (default: timm's start, 0.02)",
    )
    position_std: Spread | None = Field(
        None, gt=0, description="the patches' positions start from N(0, position_std) (default: timm's 0.02)"
    )
    temporal_std: Spread | None = Field(
        None,
        gt=0,
        description="the frames' vectors start from N(0, temporal_std) (default: 1/sqrt(width), published)",
    )
    mask_std: Spread = Field(1.0, description="the mask token starts from N(0, mask_std) (published: 1)")
    weights: PathOrName | None = Field(
        None,
        description="a timm pretrained name, or a file or folder "
        "(safetensors or state dict; timm's or CLIP's names) to start from",
    )

    def tiny(self) -> Self:
        narrow = {"width": 32, "heads": 2} if self.name is None or _narrows(self.name) else {}
        return self.model_copy(update={**narrow, "depth": 1, "weights": None, "out": self.out and 32})
