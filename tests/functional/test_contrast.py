"""The properties of SymNCE, and of unit length."""

import math

import torch
from arrays import leaf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vlobjectives.functional import l2_normalize, symmetric_info_nce

SEED = st.integers(0, 10**6)
ROWS = st.integers(2, 9)
TAU = st.sampled_from([0.03, 0.07, 0.5, 1.0])
few = settings(max_examples=30)


def features(seed: int, rows: int, width: int = 5) -> tuple[Tensor, Tensor]:
    p, t = torch.randn(2, rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return p, t


def slow(p: Tensor, t: Tensor, tau: float, rows: list[int], positives: list[list[bool]]) -> list[float]:
    """The definition, with loops, over the given rows only."""
    values = []
    for i in rows:
        row = {j: float(p[i] @ t[j]) / tau for j in rows}
        column = {j: float(p[j] @ t[i]) / tau for j in rows}
        value = 0.0
        for logits, right in ((row, positives[i]), (column, [line[i] for line in positives])):
            total = math.log(sum(math.exp(x) for x in logits.values()))
            chosen = [j for j in rows if right[j] or j == i]
            value -= sum(logits[j] - total for j in chosen) / len(chosen)
        values.append(value)
    return values


@given(SEED, ROWS, TAU, st.data())
@few
def test_is_its_definition_on_the_valid_rows(seed: int, rows: int, tau: float, data: st.DataObject) -> None:
    p, t = map(l2_normalize, features(seed, rows))
    valid = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    positives = data.draw(st.lists(st.lists(st.booleans(), min_size=rows, max_size=rows), min_size=rows, max_size=rows))
    expected = torch.zeros(rows, dtype=torch.float64)
    chosen = [i for i in range(rows) if valid[i]]
    expected[chosen] = torch.tensor(slow(p, t, tau, chosen, positives), dtype=torch.float64)
    value = symmetric_info_nce(p, t, tau, torch.tensor(valid), torch.tensor(positives))
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)


@given(SEED, TAU)
@few
def test_one_row_is_exactly_nothing(seed: int, tau: float) -> None:
    for dtype in (torch.float32, torch.float64):
        p, t = (leaf(x.to(dtype)) for x in features(seed, 1))
        value = symmetric_info_nce(l2_normalize(p), l2_normalize(t), tau)
        value.sum().backward()
        assert value.tolist() == [0.0]
        assert not p.grad.any() and not t.grad.any()


@given(SEED, ROWS, TAU)
@few
def test_equal_rows_cost_twice_log_n(seed: int, rows: int, tau: float) -> None:
    p, t = (l2_normalize(x[:1]).expand(rows, -1) for x in features(seed, rows))
    expected = torch.full((rows,), 2 * math.log(rows), dtype=torch.float64)
    torch.testing.assert_close(symmetric_info_nce(p, t, tau), expected, rtol=0, atol=1e-12)
    # and where all targets are right for all predictions, a row's mean log-probability is that of a guess
    all_right = torch.ones(rows, rows, dtype=torch.bool)
    torch.testing.assert_close(symmetric_info_nce(p, t, tau, positives=all_right), expected, rtol=0, atol=1e-12)


@given(SEED, ROWS, TAU)
@few
def test_bounds(seed: int, rows: int, tau: float) -> None:
    p, t = map(l2_normalize, features(seed, rows))
    worst = symmetric_info_nce(p, -p, tau).mean()
    for value in (symmetric_info_nce(p, t, tau).mean(), worst):
        assert 0 <= value <= 2 * (2 / tau + math.log(rows))


@given(SEED, ROWS, TAU, st.randoms())
@few
def test_permuting_rows_permutes_values(seed: int, rows: int, tau: float, random) -> None:
    p, t = map(l2_normalize, features(seed, rows))
    order = list(range(rows))
    random.shuffle(order)
    torch.testing.assert_close(
        symmetric_info_nce(p[order], t[order], tau), symmetric_info_nce(p, t, tau)[order], rtol=0, atol=1e-11
    )


@given(SEED, ROWS, TAU)
@few
def test_sides_may_be_exchanged(seed: int, rows: int, tau: float) -> None:
    p, t = map(l2_normalize, features(seed, rows))
    positives = torch.rand(rows, rows, generator=torch.Generator().manual_seed(seed)) < 0.3
    one, other = (
        symmetric_info_nce(p, t, tau, positives=positives),
        symmetric_info_nce(t, p, tau, positives=positives.T),
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@given(SEED, ROWS, TAU, st.floats(1e-3, 1e3))
@few
def test_length_of_a_row_does_not_matter(seed: int, rows: int, tau: float, factor: float) -> None:
    p, t = features(seed, rows)
    longer = p.clone()
    longer[seed % rows] *= factor
    longer = leaf(longer)
    value = symmetric_info_nce(l2_normalize(longer), l2_normalize(t), tau)
    torch.testing.assert_close(value, symmetric_info_nce(l2_normalize(p), l2_normalize(t), tau), rtol=0, atol=1e-11)
    value.sum().backward()
    along = (longer.grad * longer.detach()).sum(-1)
    torch.testing.assert_close(along, torch.zeros(rows, dtype=torch.float64), rtol=0, atol=1e-10)


@given(SEED, ROWS, TAU, st.sampled_from([0.0, 1e30, float("nan"), float("inf")]))
@few
def test_invalid_rows_change_nothing(seed: int, rows: int, tau: float, rubbish: float) -> None:
    p, t = map(l2_normalize, features(seed, 2 * rows))
    valid = torch.arange(2 * rows) % 2 == 0
    few_p, few_t = leaf(p[valid]), leaf(t[valid])
    expected = symmetric_info_nce(few_p, few_t, tau)
    expected.sum().backward()
    p, t = (leaf(torch.where(valid[:, None], x, rubbish)) for x in (p, t))
    value = symmetric_info_nce(p, t, tau, valid)
    value.sum().backward()
    assert torch.equal(value[~valid], torch.zeros(rows, dtype=torch.float64))
    torch.testing.assert_close(value[valid], expected, rtol=0, atol=1e-12)
    for x, wanted in ((p, few_p), (t, few_t)):
        assert not x.grad[~valid].any()
        torch.testing.assert_close(x.grad[valid], wanted.grad, rtol=0, atol=1e-11)


def test_nothing_valid_is_zero_with_zero_gradient() -> None:
    p, t = map(leaf, features(0, 4))
    value = symmetric_info_nce(p, t, 0.03, torch.zeros(4, dtype=torch.bool))
    value.sum().backward()
    assert not value.any() and not p.grad.any() and not t.grad.any()


def test_equal_captions_share_the_probability() -> None:
    """Two pictures of one caption: with positives each at best gets a half, which costs log 2 twice."""
    p = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2]]
    positives = torch.zeros(4, 4, dtype=torch.bool)
    positives[:2, :2] = True
    value = symmetric_info_nce(p, p, 0.01, positives=positives)
    torch.testing.assert_close(value, torch.tensor([2 * math.log(2)] * 2 + [0.0] * 2, dtype=torch.float64))
    x = leaf(p)
    symmetric_info_nce(x, p, 0.01, positives=positives).sum().backward()
    assert x.grad.abs().max() < 1e-12
    # Pushed apart they are as soon as one of them drifts, and only without positives.
    drifted = p + torch.tensor([0, 0, 0, 0.01], dtype=torch.float64) * torch.tensor([[1], [-1], [0], [0]])
    for given_positives, pushed in ((positives, False), (None, True)):
        x = leaf(p)
        symmetric_info_nce(x, drifted, 0.01, positives=given_positives).sum().backward()
        assert bool(x.grad[0, 3].abs() > 0.1) == pushed


def test_leading_axes_are_separate_problems() -> None:
    p, t = l2_normalize(torch.randn(2, 3, 5, 4, dtype=torch.float64))
    valid = torch.tensor([True, True, False, True, True])
    whole = symmetric_info_nce(p, t, 0.1, valid)
    for frame in range(3):
        torch.testing.assert_close(whole[frame], symmetric_info_nce(p[frame], t[frame], 0.1, valid), rtol=0, atol=1e-12)


def test_small_losses_keep_their_digits_in_float32() -> None:
    """Rows that agree: logsumexp minus the diagonal, of numbers near 33, would be off by 2e-6."""
    p = l2_normalize(torch.eye(8) + 0.2 * torch.rand(8, 8, generator=torch.Generator().manual_seed(0)))
    exact = symmetric_info_nce(p.double(), p.double(), 0.03)
    assert exact.max() < 1e-5
    assert (symmetric_info_nce(p, p, 0.03) - exact).abs().max() < 3e-7


@given(SEED)
@few
def test_unit(seed: int) -> None:
    x, _ = features(seed, 6)
    torch.testing.assert_close(l2_normalize(x).norm(dim=-1), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(
        l2_normalize(x, dim=0).norm(dim=0), torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-14
    )


def test_unit_of_zero_is_zero_with_a_finite_gradient() -> None:
    x = leaf(torch.tensor([[0.0, 0.0], [3e-9, 4e-9]], dtype=torch.float64))
    value = l2_normalize(x)
    value.sum().backward()
    torch.testing.assert_close(value.detach(), torch.tensor([[0, 0], [0.3, 0.4]], dtype=torch.float64))
    assert x.grad.isfinite().all()
