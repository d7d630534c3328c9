"""Whether what stands below the blocks of a timm model looks beyond its patch."""

from functools import cache
from typing import TypeGuard

import timm
import torch
from torch import nn


@cache
def _narrows(name: str) -> bool:
    """Whether a timm model can be as narrow as one likes; ViTamin's width is that of the convolutions below it."""
    try:
        with torch.device("meta"):
            timm.create_model(name, embed_dim=32, num_heads=2, depth=1)
    except Exception:  # whatever timm asserts, also of no model at all, which is refused where it is built
        return False
    return True


def _pointwise(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """A convolution that is a linear map of each patch (or pixel) by itself."""
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == layer.stride
