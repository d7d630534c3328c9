"""Square tiles of a grid of patches, chosen as wholes: scores of tiles, and an order of patches tile by tile."""

import torch
from torch import Tensor
from torch.nn import functional as F


def round_half_up(x: float) -> int:
    """Round a number of 0 or more to the nearest whole number, halves up.

    What rounding left a hair below a half (50 x 0.29) counts as one.

    Args:
        x: The number.

    Returns:
        The whole number.
    """
    return int(x + 0.5 + 1e-9)


def tile_indices(grid: tuple[int, int], tile: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the number of each patch's tile.

    Patches and tiles are both counted row by row. Tiles begin at the upper left patch and are cut at the rim.

    Args:
        grid: (rows, columns) of patches.
        tile: Patches a side of a tile.
        device: Where the result lies.

    Returns:
        [n] int64, n = rows * columns.
    """
    rows, columns = (torch.arange(side, device=device) // tile for side in grid)
    return (rows[:, None] * -(-grid[1] // tile) + columns).flatten()


def tile_means(score: Tensor, grid: tuple[int, int], tile: int) -> Tensor:
    """Return the mean score of each tile's patches.

    Args:
        score: [..., n], a score for each patch.
        grid: (rows, columns) of patches, n in all.
        tile: Patches a side of a tile.

    Returns:
        [..., T], T tiles row by row.
    """
    planes = score.reshape(-1, 1, *grid)
    return F.avg_pool2d(planes, tile, ceil_mode=True).reshape(*score.shape[:-1], -1)


def argsort_by_tile(score: Tensor, grid: tuple[int, int], tile: int) -> Tensor:
    """Return the patches by falling mean score of their tiles.

    A tile's patches stand one after the other; of equal scores the lower number comes first.

    Args:
        score: [..., n], a score for each patch.
        grid: (rows, columns) of patches, n in all.
        tile: Patches a side of a tile.

    Returns:
        [..., n] int64, numbers of patches.
    """
    falling = (-tile_means(score, grid, tile)).argsort(dim=-1, stable=True)
    place = falling.argsort(dim=-1, stable=True)
    return place[..., tile_indices(grid, tile, score.device)].argsort(dim=-1, stable=True)
