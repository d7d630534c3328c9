"""The joint space: published numbers (GLSCL, specification 2.1), what is projected, and its bounds."""

import math

import pytest
import torch
from small_inputs import ALL, PLAIN, agrees, golden
from vlobj_models.projection import JointProjection

from vlobjectives import CannotBuild, Encoded, Spec

VISION, TEXT = Spec(6, length=4, grid=(2, 2), classes=1, pooled=3), Spec(6, length=5)


def encoded(rows: int = 3, tokens: int = 4, frames: int = 1, seed: int = 0) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    valid = torch.arange(tokens) < torch.tensor([[tokens], [2], [1]])[:rows]
    return Encoded(
        torch.randn(rows, tokens, 6, generator=generator).double(),
        valid,
        cls=torch.randn(rows, frames, 6, generator=generator).double(),
        pooled=torch.randn(rows, 3, generator=generator).double(),
    )


def made(**config) -> JointProjection:
    torch.manual_seed(0)
    return JointProjection(JointProjection.Config(**{"width": 5, **config}), VISION, TEXT).double()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["itc_0", "itc_1"])
def test_published_numbers(name: str, dtype: torch.dtype):
    g = golden(name, dtype)
    width, temperature = g["in_text"].shape[1], float(g["in_temperature"])
    config = JointProjection.Config(width=g["out_text_proj"].shape[1], layers="mlp", temperature=temperature)
    part = JointProjection(config, Spec(width, classes=1, grid=(1, 1)), Spec(width)).to(dtype)
    names = {"fc1": "0", "ln": "1", "fc2": "3"}
    part.load_state_dict(
        {
            f"{of}.{place}.{kind}": g[f"w_{of}_{theirs}_{kind}"]
            for of in ("image", "text")
            for theirs, place in names.items()
            for kind in ("weight", "bias")
        },
        strict=False,
    )
    found = {}
    for of in ("image", "text"):
        agrees(getattr(part, of)(g[f"in_{of}"]), g[f"out_{of}_proj"])
        rows = g[f"in_{of}"][:, None]
        found[of] = part(Encoded(rows, torch.ones(rows.shape[:2], dtype=torch.bool), cls=rows), of, PLAIN)
    agrees(found["text"].pooled @ found["image"].pooled.T, g["out_sim"])
    assert found["text"].scale.item() == pytest.approx(1 / temperature, rel=1e-6)


@pytest.mark.parametrize("of", ["image", "text"])
def test_lengths_are_one_and_tokens_come_on_request(of: str):
    part, x = made(), encoded()
    plain, full = part(x, of, PLAIN), part(x, of, ALL)
    assert plain.tokens is None
    agrees(plain.pooled.norm(dim=-1), torch.ones(3).double())
    agrees(full.tokens.norm(dim=-1), torch.ones(3, 4).double())
    agrees(full.tokens[:, 2], part(Encoded(x.tokens, x.valid, cls=x.tokens[:, 2:3]), of, PLAIN).pooled)


def test_half_precision_comes_out_as_float32_of_unit_length():
    part = JointProjection(JointProjection.Config(width=5), VISION, TEXT)
    x = encoded().map(lambda value: value.float() if value.is_floating_point() else value)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = part(x, "image", PLAIN).pooled
    assert pooled.dtype == torch.float32
    assert (pooled.norm(dim=-1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e18])
def test_lengths_that_float32_cannot_square_do_no_harm(size: float):
    part = JointProjection(JointProjection.Config(width=5), VISION, TEXT)
    with torch.no_grad():
        part.image[0].weight.fill_(size)
        part.image[0].bias.zero_()
    x = encoded().map(lambda value: value.float() if value.is_floating_point() else value)
    pooled = part(x, "image", PLAIN).pooled
    pooled.sum().backward()
    assert pooled.isfinite().all() and all(p.grad.isfinite().all() for p in part.image.parameters())


def test_class_tokens_of_frames_are_averaged():
    part, x = made(), encoded(frames=3)
    one = Encoded(x.tokens, x.valid, cls=x.cls.mean(1, keepdim=True))
    agrees(part(x, "image", PLAIN).pooled, part(one, "image", PLAIN).pooled)


def test_mean_leaves_out_what_is_not_valid():
    part, x = made(pool={"image": "cls", "text": "mean"}), encoded()
    tokens = torch.where(x.valid[..., None], x.tokens, math.nan)
    found = part(Encoded(tokens, x.valid, cls=x.cls), "text", PLAIN).pooled
    means = torch.stack([row[ok].mean(0) for row, ok in zip(x.tokens, x.valid)])[:, None]
    agrees(found, made()(Encoded(x.tokens, x.valid, cls=means), "text", PLAIN).pooled)


def test_pooled_is_the_encoders_own():
    part = made(pool={"image": "pooled"})
    assert part.image[-1].in_features == 3
    x = encoded()
    expected = torch.nn.functional.normalize(part.image(x.pooled), dim=-1)
    agrees(part(x, "image", PLAIN).pooled, expected)


def test_norm_is_applied_to_the_named_streams_only():
    part, x = made(norm=("text",)), encoded()
    scaled = Encoded(x.tokens, x.valid, cls=7 * x.cls + 2)
    assert (part(x, "text", PLAIN).pooled - part(scaled, "text", PLAIN).pooled).abs().max() < 1e-4
    assert (part(x, "image", PLAIN).pooled - part(scaled, "image", PLAIN).pooled).abs().max() > 1e-2


@pytest.mark.parametrize("form, name", [("temperature", "temperature"), ("log_scale", "log_scale")])
def test_bounds_hold_the_scale(form: str, name: str):
    part = made(form=form, max_scale=100.0)
    assert part(encoded(), "image", PLAIN).scale.item() == pytest.approx(1 / 0.07)
    ((bounded, (low, high)),) = part.bounds().items()
    assert bounded == name
    with torch.no_grad():
        getattr(part, name).fill_(-9.0 if form == "temperature" else 9.0).clamp_(low, high)
    assert part(encoded(), "image", PLAIN).scale.item() == pytest.approx(100.0)


def test_scale_is_learned():
    part = made()
    (part(encoded(), "image", PLAIN).scale * 2).backward()
    assert part.temperature.grad.item() == pytest.approx(-2 / 0.07**2)


@pytest.mark.parametrize(
    "config, image, why",
    [
        ({}, Spec(6, length=4, grid=(2, 2)), "no class token"),
        ({"pool": "pooled"}, VISION, "'text' gives no pooled output"),
        ({"pool": "mean"}, Spec(6, pooled=6, classes=1), "gives no tokens"),
        ({"temperature": 0.005, "max_scale": 100.0}, VISION, "below its bound"),
    ],
)
def test_what_cannot_be_is_refused(config: dict, image: Spec, why: str):
    with pytest.raises(CannotBuild, match=why):
        JointProjection(JointProjection.Config(width=5, **config), image, TEXT)


def test_tiny_is_small():
    assert JointProjection.Config(width=512, layers="mlp", hidden=768).tiny().hidden == 32
