"""Patches of pictures and clips."""

from pathlib import Path

import pytest
import torch
from arrays import load

from vlobjectives.functional import fill_patches, patchify, unpatchify

COCA = Path(__file__).parents[1] / "golden" / "coca"


@pytest.mark.parametrize("name", ["patchify", "patchify_order"])
def test_golden(name: str) -> None:
    z = load(COCA / f"{name}.npz")
    patches = patchify(z["in_image"], int(z["in_patch"]))
    assert torch.equal(patches, z["out_patches"])


def test_patches_by_hand() -> None:
    """Row by row from the top left; within a patch rows, columns, and the channel fastest."""
    row, column, channel = torch.meshgrid(torch.arange(4), torch.arange(6), torch.arange(2), indexing="ij")
    picture = (100 * row + 10 * column + channel).permute(2, 0, 1)[None]
    patches = patchify(picture, 2)
    assert patches.shape == (1, 6, 8)
    assert patches[0, 0].tolist() == [0, 1, 10, 11, 100, 101, 110, 111]
    assert patches[0, 1, 0] == 20 and patches[0, 3, 0] == 200


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 5, 3, 8, 4)])
def test_unpatchify_undoes_patchify(shape: tuple[int, ...]) -> None:
    pictures = torch.randn(shape)
    frames = shape[1] if len(shape) == 5 else None
    patches = patchify(pictures, 4)
    assert patches.shape == (2, (frames or 1) * (shape[-2] // 4) * (shape[-1] // 4), 48)
    assert torch.equal(unpatchify(patches, 4, *shape[-2:], frames), pictures)


def test_patches_may_be_oblong() -> None:
    """Of 4 x 2 pixels: the same as cutting by hand; what is hidden is hidden, and what is cut is put together again."""
    clips = torch.randn(2, 5, 3, 8, 4)
    patches = patchify(clips, (4, 2))
    assert patches.shape == (2, 5 * 2 * 2, 4 * 2 * 3)
    assert torch.equal(patches[1, 4 + 1], clips[1, 1, :, :4, 2:].permute(1, 2, 0).flatten())
    assert torch.equal(unpatchify(patches, (4, 2), 8, 4, 5), clips)
    hidden = torch.rand(patches.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.5
    filled = fill_patches(clips, hidden, (4, 2), 7.0)
    assert torch.equal(patchify(filled, (4, 2)), torch.where(hidden[..., None], 7.0, patches))
    with pytest.raises(ValueError, match="8 x 4 pixels are not made of whole patches of 4 x 3"):
        patchify(clips, (4, 3))


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 5, 3, 8, 4)])
def test_fill_hides_exactly_the_hidden_patches(shape: tuple[int, ...]) -> None:
    pictures = torch.randn(shape)
    before = pictures.clone()
    patches = patchify(pictures, 4)
    hidden = torch.rand(patches.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.5
    filled = fill_patches(pictures, hidden, 4, 7.0)
    assert filled.shape == pictures.shape and torch.equal(pictures, before)
    assert torch.equal(patchify(filled, 4), torch.where(hidden[..., None], 7.0, patches))
    assert torch.equal(fill_patches(pictures, hidden, 4), torch.where(filled == 7.0, 0.0, pictures))


def test_fill_takes_a_tensor_and_keeps_the_type() -> None:
    colour = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16).reshape(3, 1, 1)
    filled = fill_patches(
        torch.zeros(1, 3, 4, 4, dtype=torch.bfloat16), torch.tensor([[True, False, False, False]]), 2, colour
    )
    assert filled.dtype == torch.bfloat16
    assert filled[0, :, 0, 0].tolist() == [1, 2, 3] and filled.sum() == 4 * 6


def test_pictures_of_broken_patches_are_refused() -> None:
    picture = torch.zeros(1, 3, 8, 10)
    for attempt in (
        lambda: patchify(picture, 4),
        lambda: fill_patches(picture, torch.zeros(1, 4, dtype=torch.bool), 4),
        lambda: unpatchify(torch.zeros(1, 4, 48), 4, 8, 10),
    ):
        with pytest.raises(ValueError, match="8 x 10 pixels are not made of whole patches of 4"):
            attempt()
