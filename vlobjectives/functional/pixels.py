"""Pictures as patches, and hiding patches in the picture itself.

Patches are numbered row by row from the top left, frame after frame. Pictures are [B,C,H,W], clips
[B,F,C,H,W].
"""

from torch import Tensor, where

PatchSize = int | tuple[int, int]
"""Pixels of a patch: a side, or height and width."""


def patch_sides(patch_size: PatchSize) -> tuple[int, int]:
    """Height and width of a patch in pixels."""
    return (patch_size, patch_size) if isinstance(patch_size, int) else patch_size


def fill_patches(pictures: Tensor, hidden: Tensor, patch_size: PatchSize, value: float | Tensor = 0.0) -> Tensor:
    """Replace whole patches of pictures by `value`; this works with every encoder.

    Args:
        pictures: [B,C,H,W] or [B,F,C,H,W], or spectrograms [B,H,W].
        hidden: [B,N] or [B,F*N] bool, with N = (H/height) (W/width) of a patch; True at patches that are replaced.
        patch_size: Pixels of a patch: a side, or height and width.
        value: What a hidden pixel gets. 0 is the mean of normalised pictures; a tensor must broadcast over the
            pictures.

    Returns:
        A new tensor of the shape of `pictures`.

    Raises:
        ValueError: H or W (pixels) is no multiple of the patch's.
    """
    if pictures.dim() == 3:
        return fill_patches(pictures[:, None], hidden, patch_size, value)[:, 0]
    rows, columns = _grid(pictures.shape[-2:], patch_size)
    height, width = patch_sides(patch_size)
    frames = pictures.shape[1:-3]
    spread = hidden.reshape(-1, *frames, 1, rows, 1, columns, 1)
    spread = spread.expand(*spread.shape[:-3], height, columns, width)
    return where(spread.reshape(-1, *frames, 1, *pictures.shape[-2:]), value, pictures)


def patchify(pictures: Tensor, patch_size: PatchSize) -> Tensor:
    """Cut pictures into patches of h x w pixels.

    A patch's values run over its rows, columns and channels, the channel fastest (as in MAE and SyCoCa).

    Args:
        pictures: [B,C,H,W] or [B,F,C,H,W].
        patch_size: Pixels of a patch: a side, or height and width.

    Returns:
        [B,N,h*w*C], or [B,F*N,h*w*C] of clips.

    Raises:
        ValueError: H or W is no multiple of the patch's.
    """
    rows, columns = _grid(pictures.shape[-2:], patch_size)
    height, width = patch_sides(patch_size)
    batch, channels = pictures.shape[0], pictures.shape[-3]
    x = pictures.reshape(batch, -1, channels, rows, height, columns, width)
    return x.permute(0, 1, 3, 5, 4, 6, 2).reshape(batch, -1, height * width * channels)


def unpatchify(patches: Tensor, patch_size: PatchSize, height: int, width: int, frames: int | None = None) -> Tensor:
    """Put patches together to pictures; the inverse of `patchify`.

    Args:
        patches: [B,N,h*w*C] or [B,F*N,h*w*C].
        patch_size: Pixels of a patch: a side, or height and width.
        height: The picture's height in pixels.
        width: The picture's width in pixels.
        frames: F, the frames of a clip; None for pictures.

    Returns:
        [B,C,height,width], or [B,frames,C,height,width] where `frames` is given.

    Raises:
        ValueError: The height or width is no multiple of the patch's.
    """
    rows, columns = _grid((height, width), patch_size)
    high, wide = patch_sides(patch_size)
    batch, channels = patches.shape[0], patches.shape[-1] // (high * wide)
    x = patches.reshape(batch, -1, rows, columns, high, wide, channels)
    x = x.permute(0, 1, 6, 2, 4, 3, 5)
    return x.reshape(batch, *(() if frames is None else (frames,)), channels, height, width)


def normalize_patches(patches: Tensor, eps: float = 1e-6) -> Tensor:
    """Normalise each patch by its own pixels: (v - mean v) / sqrt(var v + 1e-6).

    The variance divides by P - 1 (as MAE, arXiv 2111.06377). A patch of one colour becomes all zeros, one of a single
    number too.

    Args:
        patches: [..., P], P numbers a patch.
        eps: Added to the variance.

    Returns:
        The shape of `patches`.
    """
    variance = patches.var(-1, correction=min(1, patches.shape[-1] - 1), keepdim=True)
    return (patches - patches.mean(-1, keepdim=True)) / (variance + eps).sqrt()


def _grid(size: tuple[int, ...], patch_size: PatchSize) -> tuple[int, int]:
    (height, width), (high, wide) = size, patch_sides(patch_size)
    if height % high or width % wide:
        of = str(high) if high == wide else f"{high} x {wide}"
        raise ValueError(f"{height} x {width} pixels are not made of whole patches of {of}")
    return height // high, width // wide
