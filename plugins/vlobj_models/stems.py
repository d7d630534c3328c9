"""Stems: how pixels become patch vectors. One vector a patch, row by row from the top left.

All are built and called as timm's `PatchEmbed` is ([B,3,H,W] -> [B,n,width]), so that timm's VisionTransformer takes
them as its `embed_layer`. No row of a batch sees another and nothing keeps running statistics (GroupNorm in place of
BatchNorm): a pass gives the same alone, in a larger batch, on several processes and when it is recomputed.
"""

from math import gcd
from typing import Any

from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn


class _Stem(nn.Module):
    """A grid of patches; subclasses give `layers`, [B,3,H,W] -> [B,width,rows,columns]."""

    layers: nn.Sequential

    def __init__(self, img_size: tuple[int, int], patch_size: int):
        super().__init__()
        self.img_size, self.patch_size = tuple(img_size), (patch_size, patch_size)
        self.grid_size = (img_size[0] // patch_size, img_size[1] // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]

    def feat_ratio(self) -> int:
        return self.patch_size[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(2).transpose(1, 2)


class MlpStem(_Stem):
    """An MLP inside each patch: patch*patch*3 -> 2*width, exact GELU, -> width."""

    def __init__(self, img_size: tuple[int, int], patch_size: int, in_chans: int = 3, embed_dim: int = 768, **_: Any):
        super().__init__(img_size, patch_size)
        self.layers = nn.Sequential(
            nn.Conv2d(in_chans, 2 * embed_dim, patch_size, patch_size),
            nn.GELU(),
            nn.Conv2d(2 * embed_dim, embed_dim, 1),
        )


class ConvStem(_Stem):
    """log2(patch) convolutions 3x3 of stride 2, each with GroupNorm and ReLU, then 1x1; plus the patch as it is.

    Widths double up to `width`: 3 -> 32 -> 64 -> 128 for patches of 8 at width 128. The linear way past them carries
    what normalisation takes out: without it a small run learned shapes and stayed almost blind to colours. The vector
    of a patch sees some pixels of its neighbours: what is hidden from the model must be hidden in the pixels before.
    """

    def __init__(self, img_size: tuple[int, int], patch_size: int, in_chans: int = 3, embed_dim: int = 768, **_: Any):
        super().__init__(img_size, patch_size)
        self.past = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)
        layers: list[nn.Module] = []
        count = patch_size.bit_length() - 1
        for place in range(count):
            width = embed_dim // 2 ** (count - 1 - place)
            layers += [nn.Conv2d(in_chans, width, 3, 2, 1, bias=False), nn.GroupNorm(gcd(width, 8), width), nn.ReLU()]
            in_chans = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(in_chans, embed_dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.past(x).flatten(2).transpose(1, 2)


STEMS: dict[str, type[PatchEmbed | _Stem]] = {"linear": PatchEmbed, "mlp": MlpStem, "conv": ConvStem}
