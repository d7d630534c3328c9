"""The painting loss against slow sums (spec/sycoca.md 2.3), its targets, and what it refuses."""

import pytest
import torch
from coca_numbers import close, coca
from handmade import batch, drawn, encoded, leaf, value
from torch import nn
from vlobj_sycoca.tgmim import TGMIM

from vlobjectives import CannotBuild, FieldSpec, Spec
from vlobjectives.functional import normalize_patches, patchify

FORMS = {
    "l2_norm": {},
    "l1_norm": {"distance": "l1"},
    "l2_raw": {"target": "pixels"},
    "l1_raw": {"target": "pixels", "distance": "l1"},
}


def tgmim(patch: int = 2, size: int = 8, width: int = 12, **config) -> TGMIM:
    objective = TGMIM(TGMIM.Config(mask="spoken", **config))
    grid = (size // patch, size // patch)
    objective.build(
        painted=Spec(
            width,
            length=grid[0] * grid[1],
            grid=grid,
            patch_size=patch,
            fields={"image": FieldSpec("picture", (3, size, size))},
        )
    )
    return objective.double()


def run(objective, tokens, hidden, pictures, surplus=0):
    return objective(painted=encoded(tokens, draw=drawn(hidden, surplus)), batch=batch(len(tokens), image=pictures))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["tgmim", "tgmim_wide"])
def test_golden(name, form):
    z = coca(name)
    objective = tgmim(int(z["in_patch"]), **FORMS[form])
    objective.pixels = nn.Identity()
    prediction = leaf(z["in_pred"])
    term = run(objective, prediction, z["in_hidden"], z["in_image"], surplus=1)["pixels"]
    close(term.total, z[f"out_{form}_total"])
    close(value(term), z[f"out_{form}"])
    assert term.count == z["out_count"]
    if form == "l2_norm":
        value(term).backward()
        close(prediction.grad, z["out_grad_pred_l2_norm"])
        wanted = patchify(z["in_image"], int(z["in_patch"]))
        close(wanted, z["out_target_raw"])
        close(normalize_patches(wanted), z["out_target_norm"])


def test_patches_may_be_oblong():
    """What is told of a patch of 4 x 2 pixels is its 24 numbers: told rightly they cost nothing."""
    objective = TGMIM(TGMIM.Config(mask="spoken", target="pixels"))
    picture = FieldSpec("picture", (3, 8, 8))
    objective.build(painted=Spec(24, length=8, grid=(2, 4), patch_size=(4, 2), fields={"image": picture}))
    assert objective.pixels.out_features == 24
    objective.pixels = nn.Identity()
    hidden = torch.tensor([[True] * 3 + [False] * 5] * 2)
    term = run(objective, patchify(pictures(), (4, 2)), hidden, pictures())["pixels"]
    assert term.total == 0 and term.count == 6 and term.chance > 0


def pictures(rows: int = 2) -> torch.Tensor:
    return torch.randn(rows, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_property_15_two_halves_by_their_counts_are_the_whole():
    objective, image = tgmim(), pictures(3)
    tokens, hidden = torch.randn(3, 16, 12).double(), torch.rand(3, 16) < torch.tensor([[0.2], [0.5], [0.9]])
    whole = run(objective, tokens, hidden, image)["pixels"]
    parts = [run(objective, tokens[rows], hidden[rows], image[rows])["pixels"] for rows in (slice(0, 1), slice(1, 3))]
    close(sum(part.total for part in parts) / sum(part.count for part in parts), value(whole))


def test_property_16_a_perfect_painting_costs_nothing_and_zeros_cost_chance():
    objective, image = tgmim(), pictures()
    objective.pixels = nn.Identity()
    hidden = torch.rand(2, 16) < 0.5
    wanted = normalize_patches(patchify(image, 2))
    assert run(objective, wanted, hidden, image)["pixels"].total == 0
    term = run(objective, torch.zeros_like(wanted), hidden, image)["pixels"]
    assert value(term).item() == pytest.approx(float(term.chance)) == pytest.approx(11 / 12, rel=1e-3)


def test_nothing_hidden_is_a_differentiable_zero():
    objective, tokens = tgmim(), torch.randn(2, 16, 12).double().requires_grad_()
    term = run(objective, tokens, torch.zeros(2, 16, dtype=torch.bool), pictures(), surplus=1)["pixels"]
    assert term.total == 0 and term.count == 0 and term.chance == 0
    term.total.backward()
    assert (tokens.grad == 0).all()


def test_property_18_targets_know_neither_brightness_nor_contrast():
    patches = torch.randn(2, 5, 48).double()
    found = normalize_patches(patches)
    assert found.mean(-1).abs().max() < 1e-12
    assert (found.var(-1) - 1).abs().max() < 1e-4 and (found.var(-1) < 1).all()
    assert (normalize_patches(patches * 3 + 5) - found).abs().max() < 1e-5
    assert (normalize_patches(torch.full((1, 1, 48), 0.7).double()).abs() < 1e-9).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(CannotBuild, match="decodes no patches"):
        TGMIM(TGMIM.Config(mask="spoken")).build(painted=Spec(8, length=6))
    kept = encoded(torch.randn(2, 8, 12).double(), draw=drawn(torch.rand(2, 16) < 0.5))
    with pytest.raises(CannotBuild, match="drops the very patches") as refused:
        tgmim()(painted=kept, batch=batch(2, image=pictures()))
    assert "fill: token" in refused.value.hint and "restore: true" in refused.value.hint
    with pytest.raises(ValueError, match="mask"):  # never a silent default
        TGMIM.Config()
