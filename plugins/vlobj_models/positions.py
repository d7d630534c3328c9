"""Learned positions of a grid of patches, for pictures of another size than the tower's own."""

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int]


def positions_on(table: Tensor, own: Grid, grid: Grid, prefix: int = 0) -> Tensor:
    """A table of positions resampled for another grid: bicubic and antialiased, as timm's models of any size do it.

    Args:
        table: [1,prefix+n,D], positions of class tokens and registers in front, then those of the own grid.
        own: Rows and columns of the own grid, n in all.
        grid: Rows and columns that are wanted; the own ones give the table as it is.

    Returns:
        [1,prefix+rows*columns,D] in the table's precision, computed in float32 or wider under autocast too; the
        gradient reaches the table.
    """
    if grid == own:
        return table
    picture = table[:, prefix:].to(torch.promote_types(table.dtype, torch.float32))
    picture = picture.reshape(1, *own, -1).permute(0, 3, 1, 2)
    with torch.autocast(table.device.type, enabled=False):
        picture = F.interpolate(picture, grid, mode="bicubic", antialias=True)
    return torch.cat([table[:, :prefix], picture.flatten(2).transpose(1, 2).to(table.dtype)], 1)
