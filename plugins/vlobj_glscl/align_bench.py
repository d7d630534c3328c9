"""ALIGN-BENCH: how much of an attention map lies in the region that a phrase speaks of.

GLSCL (arXiv 2306.07096), as its published scripts compute it with antialiasing off. Maps are cross-attention
probabilities of a text stream onto a picture's patches, on a grid of rows x columns; regions are boxes in
pixels of the original picture, or masks of it.

    score(mask, map) = sum(mask * map) / sum(map)

Four numbers: the global map against all regions, word maps against each phrase's, with boxes and with pixel
masks. A map that knows nothing, a uniform one, gets the mean of the resized mask: print it beside the score.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

BLANK = "\u0120"
"""Begins a token that follows a blank, in byte-level byte-pair vocabularies."""

LARGEST = 0.9
"""The global masks skip regions whose box covers more than this share of the picture."""


def maps_of(attention: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The largest probability over the heads, begin token and ordinary tokens apart.

    attention [heads, 2+T, 1+rows*columns]: begin token first, end token last, the picture's class token
    first. Returns (global map [rows, columns] of the begin token, token maps [T, rows, columns]). Leaving out
    the class token is not made good by a new normalisation.
    """
    maps = attention[:, :, 1:].amax(dim=0).unflatten(-1, grid)
    return maps[0], maps[1:-1]


def join_words(tokens: Sequence[str], maps: Tensor) -> tuple[list[str], Tensor]:
    """Words of tokens, the map of a word being the sum of its tokens' maps.

    tokens  T strings without begin and end. The first opens a word; of the others "." and "," are left out,
            one that begins with the blank marker opens a word, any other is glued to the last word
    maps    [T, rows, columns]

    Returns (W words without markers, maps [W, rows, columns]). Raises ValueError where the lengths differ.
    """
    if len(tokens) != maps.shape[0]:
        raise ValueError(f"{len(tokens)} tokens have {maps.shape[0]} maps")
    words: list[str] = []
    sums: list[Tensor] = []
    for token, token_map in zip(tokens, maps, strict=True):
        if not words or token.startswith(BLANK):
            words.append(token.removeprefix(BLANK))
            sums.append(token_map)
        elif token not in (".", ","):
            words[-1] += token
            sums[-1] = sums[-1] + token_map
    return words, torch.stack(sums) if sums else maps


def find_phrase(words: Sequence[str], phrase: str) -> int:
    """Where the words of `phrase`, split at blanks, first stand in `words`; else 0, as published.

    The caption's words are compared in lower case, the phrase as it is given.
    """
    wanted = phrase.split()
    lowered = [word.lower() for word in words]
    starts = range(len(lowered) - len(wanted) + 1)
    return next((start for start in starts if lowered[start : start + len(wanted)] == wanted), 0)


def phrase_map(words: Sequence[str], maps: Tensor, phrase: str) -> Tensor:
    """The sum of the maps of a phrase's words, [rows, columns]; without a match the caption's first ones."""
    start = find_phrase(words, phrase)
    return maps[start : start + len(phrase.split())].sum(0)


def region_mask(
    boxes: Tensor, size: tuple[int, int], pixels: Tensor | None = None, largest: float | None = None
) -> Tensor:
    """The union of regions as a mask of the original picture, [height, width] float64 of zeros and ones.

    boxes    [R,4] x1, y1, x2, y2 in pixels: the rows int(y1):int(y2) and columns int(x1):int(x2)
    size     (height, width) of the original picture
    pixels   [R, height, width] bool, taken in the place of the boxes where given
    largest  regions whose box area is above this share of the picture are skipped; their pixels too
    """
    height, width = size
    mask = torch.zeros(height, width, dtype=torch.float64, device=boxes.device)
    for number, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if largest is not None and (x2 - x1) * (y2 - y1) > largest * width * height:
            continue
        if pixels is None:
            # A corner left of the picture would count from its right as the start of a slice.
            mask[max(int(y1), 0) : max(int(y2), 0), max(int(x1), 0) : max(int(x2), 0)] = 1
        else:
            mask = torch.maximum(mask, pixels[number].to(mask))
    return mask


def resize_mask(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """mask [height, width] on the grid of the maps, [rows, columns], whatever its aspect.

    Cubic convolution with a = -0.75, half-pixel centres and the border repeated, without antialiasing. Values
    are not clamped: some lie below 0 and above 1.
    """
    return F.interpolate(mask[None, None], grid, mode="bicubic", align_corners=False, antialias=False)[0, 0]


def score(mask: Tensor, map: Tensor) -> Tensor:
    """sum(mask * map) / sum(map), a 0-d tensor; mask and map [rows, columns]. 0 for a map of zeros."""
    total = map.sum()
    return torch.where(total == 0, 0.0, (mask * map).sum() / torch.where(total == 0, 1.0, total))


def global_score(map: Tensor, boxes: Tensor, size: tuple[int, int], pixels: Tensor | None = None) -> Tensor:
    """Score of the global map against all of a picture's regions but the largest; 0 where none is left.

    map [rows, columns]; the rest as in `region_mask`. The mean over pictures is the benchmark's number.
    """
    return score(resize_mask(region_mask(boxes, size, pixels, LARGEST), (map.shape[0], map.shape[1])), map)


def local_scores(
    words: Sequence[str],
    maps: Tensor,
    phrases: Sequence[str],
    owner: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    pixels: Tensor | None = None,
) -> Tensor:
    """Score of each phrase's map against its own regions, [P].

    words, maps  from `join_words`
    phrases      P phrases in lower case
    owner        [R] int64, the phrase that each region belongs to
    boxes, size, pixels  as in `region_mask`; large regions are not skipped here

    The mean over a picture's phrases, and then over pictures, is the benchmark's number.
    """
    scores = []
    for number, phrase in enumerate(phrases):
        mine = owner == number
        mask = region_mask(boxes[mine], size, None if pixels is None else pixels[mine])
        scores.append(score(resize_mask(mask, (maps.shape[1], maps.shape[2])), phrase_map(words, maps, phrase)))
    return torch.stack(scores) if scores else maps.new_zeros(0)
