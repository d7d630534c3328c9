"""Whether the library's random numbers are random, and whether they are what they were."""

import math

import pytest
import torch
from torch import Tensor

from vlobjectives.functional import permutation, prng_key, random_bits, random_uniform

KEYS = [prng_key(0, "dropped", 0), prng_key(0, "dropped", 1), prng_key(0, "replaced", 0), prng_key(1, "dropped", 0)]
NAMES = ["first", "next step", "other stream", "other seed"]
MANY = torch.arange(4096)


def chi_square(counts: Tensor) -> float:
    """How many standard deviations the chi-square statistic of equal shares lies above or below its mean."""
    expected = counts.sum() / counts.numel()
    freedom = counts.numel() - 1
    return (((counts - expected) ** 2 / expected).sum().item() - freedom) / math.sqrt(2 * freedom)


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's r of two samples, in standard deviations of independent ones."""
    return torch.corrcoef(torch.stack([a.double().flatten(), b.double().flatten()]))[0, 1].item() * math.sqrt(a.numel())


def plane(a: Tensor, b: Tensor) -> float:
    """chi_square of the pairs (a, b) of uniforms on 16 x 16 fields."""
    return chi_square(((a * 16).long() * 16 + (b * 16).long()).flatten().bincount(minlength=256).double())


# ---- what they are


def test_values_are_pinned() -> None:
    """A change here changes every run that was ever resumed or compared: do not mend it, undo it."""
    number = torch.tensor([0, 1, 2**40])
    k = prng_key(0, "dropped", 7)
    assert k == 141777846704829370758296871067723612160
    assert random_bits(k, number, 3).tolist() == [
        [698438302, 713968225, 2126702963],
        [1440226765, 1748275289, 2120903855],
        [88000258, 408013767, 1661249707],
    ]
    assert random_uniform(k, number[:1], 2).tolist() == [[0.32523566484451294, 0.33246731758117676]]
    assert random_uniform(k, number[:1], dtype=torch.float64).item() == 0.3252356747721684
    assert permutation(k, number, 6).tolist() == [[2, 0, 4, 3, 5, 1], [5, 2, 4, 3, 0, 1], [3, 0, 4, 1, 5, 2]]


def test_arithmetic_never_overflows() -> None:
    """The same hash in Python's own integers, which have no width, with unsigned constants."""
    word = 2**32 - 1

    def mix(x: int) -> int:
        x = (x ^ x >> 16) * 0x21F0AAAD & word
        x = (x ^ x >> 15) * 0xD35A2D97 & word
        return x ^ x >> 15

    def slow(key: int, number: int, place: int) -> int:
        left, right = number & word, number >> 32 & word
        for i in range(4):
            left, right = right ^ mix(left ^ (key >> 32 * i & word)), left
        return mix(mix(left + (place + 1) * 0x9E3779B9 & word) ^ right) >> 1

    numbers = [0, 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -1, 123456789012345678]
    for k in (0, 2**128 - 1, *KEYS):
        drawn = random_bits(k, torch.tensor(numbers), 5).tolist()
        assert drawn == [[slow(k, number, place) for place in range(5)] for number in numbers]


def test_key_tells_its_parts_apart() -> None:
    parts = [
        (),
        (1,),
        ("1",),
        (1, 1),
        (11,),
        ("1", 1),
        ("a", "b"),
        ("ab",),
        ("a", "b", ""),
        (-1,),
        (0, "i1:1"),
        (0, 1),
    ]
    assert len({prng_key(*each) for each in parts}) == len(parts)
    assert all(0 <= prng_key(*each) < 2**128 for each in parts)
    for wrong in (True, 1.0, None):
        with pytest.raises(TypeError, match="an int or a str"):
            prng_key(wrong)


def test_a_row_depends_on_its_own_number_only() -> None:
    number = torch.tensor([5, 3, 5, 900])
    for draw in (random_bits, random_uniform, permutation):
        rows = draw(KEYS[0], number, 7)
        assert torch.equal(rows[0], rows[2])
        assert torch.equal(rows[1:2], draw(KEYS[0], torch.tensor([3]), 7))
    assert torch.equal(random_bits(KEYS[0], number, 7)[:, :4], random_bits(KEYS[0], number, 4))
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(
            random_uniform(KEYS[0], number, 7, dtype=dtype)[:, :4], random_uniform(KEYS[0], number, 4, dtype=dtype)
        )


def test_shapes_and_types() -> None:
    number = torch.arange(3)
    assert random_uniform(KEYS[0], number).shape == (3,)
    assert random_uniform(KEYS[0], number, 2, 4).shape == (3, 2, 4)
    assert torch.equal(random_uniform(KEYS[0], number, 2, 4).flatten(1), random_uniform(KEYS[0], number, 8))
    assert random_uniform(KEYS[0], number, 0).shape == (3, 0)
    assert random_uniform(KEYS[0], number).dtype == torch.float32
    assert random_uniform(KEYS[0], number, dtype=torch.float64).dtype == torch.float64
    assert random_bits(KEYS[0], number, 4).dtype == permutation(KEYS[0], number, 4).dtype == torch.int64
    with pytest.raises(ValueError, match=r"float32 or float64, not torch\.bfloat16"):
        random_uniform(KEYS[0], number, dtype=torch.bfloat16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_same_on_a_gpu() -> None:
    for k in KEYS:
        for draw in (random_bits, random_uniform, permutation):
            assert torch.equal(draw(k, MANY.cuda(), 33).cpu(), draw(k, MANY, 33))
        wide = random_uniform(k, MANY.cuda(), 33, dtype=torch.float64).cpu()
        assert torch.equal(wide, random_uniform(k, MANY, 33, dtype=torch.float64))


# ---- whether they are random: fixed keys, so a statistic is the same in every run


@pytest.mark.parametrize("k", KEYS, ids=NAMES)
def test_bits_are_fair_and_independent(k: int) -> None:
    x = random_bits(k, MANY, 64)
    assert x.min() >= 0 and x.max() < 2**31
    ones = torch.stack([(x >> place & 1).double().flatten() for place in range(31)])
    size = x.numel()
    assert ((ones.mean(1) - 0.5).abs() * 2 * math.sqrt(size)).max() < 4.5
    between = torch.corrcoef(ones) - torch.eye(31)
    assert between.abs().max() * math.sqrt(size) < 4.5
    assert abs(chi_square((x >> 23).flatten().bincount(minlength=256).double())) < 4.5
    assert abs(chi_square((x & 255).flatten().bincount(minlength=256).double())) < 4.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", KEYS, ids=NAMES)
def test_uniforms_are_uniform(k: int, dtype: torch.dtype) -> None:
    x = random_uniform(k, MANY, 64, dtype=dtype)
    assert x.min() >= 0 and x.max() < 1
    steps = x.double() * 2.0 ** (24 if dtype == torch.float32 else 53)
    assert torch.equal(steps, steps.floor())
    low = (steps.long() & 255).flatten()
    assert abs(chi_square(low.bincount(minlength=256).double())) < 4.5
    ranked = x.double().flatten().sort().values
    ideal = (torch.arange(len(ranked), dtype=torch.float64) + 0.5) / len(ranked)
    # Kolmogorov and Smirnov's statistic, one in a thousand
    assert (ranked - ideal).abs().max() * math.sqrt(len(ranked)) < 1.95
    # and each sample's own mean, and each place's
    assert ((x.mean(1) - 0.5).abs() * math.sqrt(12 * 64)).max() < 5
    assert ((x.mean(0) - 0.5).abs() * math.sqrt(12 * 4096)).max() < 4.5


@pytest.mark.parametrize("distance", [1, 2, 64, 1 << 32])
def test_neighbouring_samples_are_independent(distance: int) -> None:
    a, b = random_uniform(KEYS[0], MANY, 64), random_uniform(KEYS[0], MANY + distance, 64)
    assert abs(correlation(a, b)) < 4.5
    assert abs(plane(a, b)) < 4.5
    # nor is the row of one a shifted row of the other
    for shift in range(1, 8):
        assert abs(correlation(a[:, shift:], b[:, :-shift])) < 4.5


@pytest.mark.parametrize("other", KEYS[1:], ids=NAMES[1:])
def test_neighbouring_keys_are_independent(other: int) -> None:
    a, b = random_uniform(KEYS[0], MANY, 64), random_uniform(other, MANY, 64)
    assert abs(correlation(a, b)) < 4.5
    assert abs(plane(a, b)) < 4.5
    assert abs(correlation(a[1:], b[:-1])) < 4.5


def test_a_sample_over_the_steps_is_random() -> None:
    """What one sample sees in the course of a run, which is where a weak mixing of keys would show."""
    x = torch.cat([random_uniform(prng_key(0, "dropped", step), torch.tensor([17]), 16) for step in range(4096)])
    assert abs(chi_square((x * 256).long().flatten().bincount(minlength=256).double())) < 4.5
    assert abs(plane(x[1:], x[:-1])) < 4.5
    assert abs(correlation(x[1:], x[:-1])) < 4.5


def test_neighbouring_places_are_independent() -> None:
    x = random_uniform(KEYS[0], MANY, 64)
    for lag in (1, 2, 32):
        assert abs(correlation(x[:, lag:], x[:, :-lag])) < 4.5
        assert abs(plane(x[:, lag:], x[:, :-lag])) < 4.5


def test_one_bit_of_the_number_moves_half_of_the_bits() -> None:
    base = random_bits(KEYS[0], MANY, 4)
    for place in range(0, 63, 3):
        moved = base ^ random_bits(KEYS[0], MANY ^ (1 << place), 4)
        flips = torch.stack([(moved >> i & 1).double().mean() for i in range(31)])
        assert ((flips - 0.5).abs() * 2 * math.sqrt(moved.numel())).max() < 4.5


def test_collisions_are_those_of_chance() -> None:
    """2^18 numbers of 31 bits: n^2 / 2^32 = 16 pairs expected."""
    for k in KEYS:
        x = random_bits(k, MANY, 64).flatten()
        assert 4 <= x.numel() - x.unique().numel() <= 32


def test_no_two_samples_share_a_row() -> None:
    some = torch.arange(50_000)
    number = torch.cat([torch.arange(150_000), some << 32, (some << 20) + (1 << 50)]).unique()
    row = random_bits(KEYS[0], number, 2)
    assert ((row[:, 0] << 31) | row[:, 1]).unique().numel() == number.numel()


def test_orders_are_permutations_and_all_are_as_likely() -> None:
    number = torch.arange(48_000)
    drawn = permutation(KEYS[0], number, 4)
    assert torch.equal(drawn.sort(1).values, torch.arange(4).expand_as(drawn))
    found, counts = (drawn * torch.tensor([64, 16, 4, 1])).sum(1).unique(return_counts=True)
    assert found.numel() == 24
    assert abs(chi_square(counts.double())) < 4.5
    wide = permutation(KEYS[1], number[:8000], 16)
    for place in range(16):
        assert abs(chi_square(wide[:, place].bincount(minlength=16).double())) < 4.5


def test_long_orders_do_not_tie() -> None:
    """Ties keep the order of places: float32 ranks would add 18 standard deviations of ascents."""
    n = 1 << 20
    long = permutation(KEYS[2], torch.arange(1), n)[0]
    assert torch.equal(long.sort().values, torch.arange(n))
    assert abs(correlation(long, torch.arange(n))) < 4.5
    assert abs((long[1:] > long[:-1]).double().mean().item() - 0.5) < 4.5 / math.sqrt(12 * n)


# ---- where they are drawn


def test_compiled_code_draws_the_same_numbers_with_every_key() -> None:
    """A key is an int of 128 bits, of which a compiler that traced it would keep 64 from the second key on."""

    def work(key: int) -> tuple[Tensor, Tensor, Tensor]:
        return random_uniform(key, MANY[:5], 2, 7), permutation(key, MANY[:5], 6), random_bits(key, MANY[:5], 3)

    torch._dynamo.reset()
    compiled = torch.compile(work, backend="eager")
    for key in KEYS:
        for found, expected in zip(compiled(key), work(key), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
