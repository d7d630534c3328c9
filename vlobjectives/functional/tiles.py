"""Square tiles of a grid of patches, chosen as wholes: scores of tiles, and an order of patches tile by tile."""

import torch
from torch import Tensor
from torch.nn import functional as F


def round_half_up(x: float) -> int:
    """x rounded to the nearest whole number, halves up; what rounding left a hair below one (50 x 0.29) counts."""
    return int(x + 0.5 + 1e-9)


def tile_indices(grid: tuple[int, int], tile: int, device: torch.device | str = "cpu") -> Tensor:
    """The number of each patch's tile, [n] int64, both counted row by row; tiles begin at the upper left patch and are
    cut at the rim."""
    rows, columns = (torch.arange(side, device=device) // tile for side in grid)
    return (rows[:, None] * -(-grid[1] // tile) + columns).flatten()


def tile_means(score: Tensor, grid: tuple[int, int], tile: int) -> Tensor:
    """The mean score of each tile's patches: [..., T] of score [..., n]."""
    planes = score.reshape(-1, 1, *grid)
    return F.avg_pool2d(planes, tile, ceil_mode=True).reshape(*score.shape[:-1], -1)


def argsort_by_tile(score: Tensor, grid: tuple[int, int], tile: int) -> Tensor:
    """Patches by falling mean score of their tiles, [..., n] int64 of score [..., n]: a tile's patches one after the
    other, of equal scores the lower number first."""
    falling = (-tile_means(score, grid, tile)).argsort(dim=-1, stable=True)
    place = falling.argsort(dim=-1, stable=True)
    return place[..., tile_indices(grid, tile, score.device)].argsort(dim=-1, stable=True)
