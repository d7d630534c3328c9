"""At the edges of what they take (rows that are zero, equal or opposite, masks of nothing, one row, all padding) the
functions give finite numbers, and finite gradients to all that they are given."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vlobjectives import functional as f

NO_GRADIENT = {
    "alignment": "a module, in the table by its functions",
    "best_count": "numbers of positions",
    "bits": "whole numbers",
    "by_tiles": "positions",
    "half": "which rows",
    "half_up": "a number",
    "indices": "positions",
    "keep_order": "positions",
    "kept": "a number",
    "key": "a number",
    "mark": "which positions",
    "order": "positions",
    "partners": "rows",
    "ranked": "positions",
    "replaced": "a number",
    "right_pairs": "which rows",
    "statistics": "a module of plain floats",
    "text_draws": "numbers",
    "tile_numbers": "numbers",
    "uniforms": "no input with a gradient",
    "with_replacement": "positions",
    "worst_count": "a number",
    "holm": "plain floats",
    "mean_interval": "plain floats",
    "paired_interval": "plain floats",
    "paired_probability": "plain floats",
    "wilson": "plain floats",
}


class Edge:
    """Draws tensors of edges: each row zero, one direction, its opposite, or any; each mask of none, all, or some."""

    def __init__(self, seed: int, kind: str, mask: str, dtype: torch.dtype):
        self.generator = torch.Generator().manual_seed(seed)
        self.kind, self.mask, self.dtype = kind, mask, dtype
        self.made: list[Tensor] = []

    def rows(self, *shape: int, unit: bool = False) -> Tensor:
        x = torch.randn(shape, generator=self.generator, dtype=self.dtype)
        one = torch.randn(shape[-1], generator=self.generator, dtype=self.dtype).expand(shape)
        sign = torch.where(torch.rand((*shape[:-1], 1), generator=self.generator) < 0.5, -1.0, 1.0).to(self.dtype)
        x = (
            {"zero": x * 0, "equal": one, "opposite": one * sign, "any": x, "mixed": torch.where(sign > 0, x * 0, one)}[
                self.kind
            ]
            .clone()
            .requires_grad_()
        )
        self.made.append(x)
        return f.unit(x) if unit else x

    def where(self, *shape: int) -> Tensor:
        x = torch.rand(shape, generator=self.generator)
        return x < {"none": 0.0, "all": 1.1, "some": 0.5}[self.mask]

    def below(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self.generator)


def of_attention(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for maps in (False, True):
        q, k, v = (e.rows(2, 2, m, d) for m in (n, n + 1, n + 1))
        out, weights = f.attention(q, k, v, f.bias_of(e.where(2, n + 1), e.dtype), maps=maps)
        yield out
        if weights is not None:
            yield weights


def of_sym_nce(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    tau = torch.tensor(0.03, dtype=e.dtype, requires_grad=True)
    e.made.append(tau)
    for valid in (None, e.where(n)):
        for positives in (None, e.where(n, n)):
            yield f.sym_nce(e.rows(n, d, unit=True), e.rows(n, d, unit=True), tau, valid, positives)


def of_grounding(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for rule in ("pick", "max", "mean"):
        alike = f.similarities(e.rows(n, 3, d), e.rows(n, 4, d))
        yield alike
        yield f.grounding_score(alike, e.where(n, 3), e.where(n, 4), 3, rule, torch.rand(n, 3, generator=e.generator))


def of_cosines(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    one, other = e.rows(n, d, unit=True), e.rows(n, d, unit=True)
    yield from (f.cosine_rows(one, x) for x in (one, -one, other))


def of_words(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for mean in (False, True):
        yield f.word_scores(e.rows(2, n, d), e.rows(2, n, d), e.where(2, n), mean)


def of_concepts(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for most in (1, min(2, d)):
        logits = f.set_logits(e.rows(n, 2, d) * 50)
        yield f.set_nll(logits, e.below(d, n, most), e.where(n, most))


def of_pictures(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    pictures = e.rows(n, d, 4, 4)
    for side in (1, 2):
        patches = f.patchify(pictures, side)
        yield patches
        yield f.normalised(patches)
        yield f.unpatchify(patches, side, 4, 4)
        yield f.fill(pictures, e.where(n, 16 // side**2), side)


def of_alignment(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    maps = e.rows(n, d).abs()
    yield f.alignment.score(torch.ones(n, d, dtype=e.dtype), maps)
    whole, each = f.alignment.maps_of(e.rows(2, n + 2, 1 + d * d), (d, d))
    yield whole
    yield f.alignment.join_words(["a"] * n, each)[1]
    yield f.alignment.phrase_map(["a"] * n, each, "nothing of it")
    yield f.alignment.resize_mask(e.rows(n, d), (3, 3))


CASES: dict[str, Callable[[Edge, int, int], Iterator[Tensor]]] = {
    "attention": of_attention,
    "bias_of": of_attention,
    "sym_nce": of_sym_nce,
    "unit": lambda e, n, d: [f.unit(e.rows(n, d)), f.unit(e.rows(n, d), 0)],
    "unit_over": lambda e, n, d: [f.unit_over(e.rows(2, n, d), axis) for axis in ("feature", "frame")],
    "cosine_rows": of_cosines,
    "l2_rows": lambda e, n, d: [f.l2_rows(e.rows(n, d, unit=True), e.rows(n, d, unit=True))],
    "similarities": of_grounding,
    "grounding_score": of_grounding,
    "word_scores": of_words,
    "set_logits": of_concepts,
    "set_nll": of_concepts,
    "normalised": of_pictures,
    "patchify": of_pictures,
    "unpatchify": of_pictures,
    "fill": of_pictures,
    "alignment.score": of_alignment,
    "tile_means": lambda e, n, d: [f.tile_means(e.rows(n, 6), (2, 3), 2)],
    "take": lambda e, n, d: [f.take(e.rows(2, n, d), e.below(n, 2, 3))],
    "gather": lambda e, n, d: [f.gather(e.rows(n, d))],
}


def test_every_function_is_here_or_has_no_gradient():
    assert {name.split(".")[0] for name in CASES} | set(NO_GRADIENT) == set(f.__all__)


@pytest.mark.parametrize("name", CASES)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 4),
    d=st.integers(1, 5),
    kind=st.sampled_from(["zero", "equal", "opposite", "any", "mixed"]),
    mask=st.sampled_from(["none", "all", "some"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@example(seed=0, n=2, d=3, kind="opposite", mask="none", dtype=torch.float32)
@example(seed=0, n=1, d=1, kind="zero", mask="none", dtype=torch.float32)
@settings(max_examples=25)
def test_values_and_gradients_are_finite(name, seed, n, d, kind, mask, dtype):
    edge = Edge(seed, kind, mask, dtype)
    values = list(CASES[name](edge, n, d))
    assert all(value.isfinite().all() for value in values)
    sum(value.sum() for value in values).backward()
    for made in edge.made:
        assert made.grad is None or made.grad.isfinite().all()


def test_opposite_rows_cost_the_most_and_hardly_move_what_is_less_than_opposite():
    for seed in range(50):
        x = f.unit(torch.randn(64, generator=torch.Generator().manual_seed(seed)))
        assert 15 < f.cosine_rows(x, -x) <= -math.log(1e-7) + 1e-5
    near = f.unit(torch.tensor([[1.0, 0.01]], dtype=torch.float64))
    other = torch.tensor([[-1.0, 0.0]], dtype=torch.float64)
    assert f.cosine_rows(near, other).item() == -math.log(0.5 * (near * other).sum().item() + 0.5)
