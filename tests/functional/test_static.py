"""Nothing fetches from the device: all runs under fake tensors and compiles without a break."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from vlobjectives import functional as f

B, N, K, D = 4, 6, 3, 5


def real() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(B, N, D, generator=g),
        "y": torch.randn(B, N, D, generator=g),
        "mask": torch.rand(B, N, generator=g) < 0.5,
        "uniform": torch.rand(B, generator=g),
        "same": torch.arange(B) // 2,
        "number": torch.arange(B) + 2**40,
        "pictures": torch.randn(B, 3, 8, 12, generator=g),
        "length": torch.arange(B) + 2,
    }


def contrast(x: Tensor, y: Tensor, mask: Tensor, **_: Tensor) -> Tensor:
    p, t = f.l2_normalize(x).flatten(0, 1), f.l2_normalize(y).flatten(0, 1)
    valid = mask.flatten()
    return f.symmetric_info_nce(p, t, 0.1, valid) + f.symmetric_info_nce(p, t, 0.1, positives=valid[:, None] & valid)


def masking(x: Tensor, mask: Tensor, length: Tensor, **_: Tensor) -> Tensor:
    index, ok = f.mask_to_indices(mask, K)
    draws, drawn = f.sample_with_replacement(x[..., 0].sigmoid(), f.num_text_draws(length, 0.4), 1, length - 1)
    kept = f.gather_tokens(x, f.keep_indices(x[..., 1], K))
    return (
        f.gather_tokens(x, index) * ok[..., None] * f.indices_to_mask(index, N, ok).sum()
        + f.indices_to_mask(draws, N, drawn).sum()
        + kept
    )


def matching(x: Tensor, uniform: Tensor, same: Tensor, **_: Tensor) -> Tensor:
    index, valid = f.mine_negatives(x[:, :B, 0], same)
    return index * valid + f.matched_half(uniform)


def noise(number: Tensor, **_: Tensor) -> Tensor:
    k = f.prng_key(0, "here", 3)
    return (
        f.random_uniform(k, number, N, dtype=torch.float64) + f.permutation(k, number, N) + f.random_bits(k, number, N)
    )


def pixels(pictures: Tensor, mask: Tensor, **_: Tensor) -> Tensor:
    return f.unpatchify(f.patchify(f.fill_patches(pictures, mask, 4), 4), 4, 8, 12)


def attending(x: Tensor, y: Tensor, mask: Tensor, **_: Tensor) -> Tensor:
    out, maps = f.attention(x[:, None], y[:, None], y[:, None], f.attention_bias(mask, x.dtype), maps=True)
    return f.attention(out, y[:, None], y[:, None])[0] + maps.sum()


def gathering(x: Tensor, **_: Tensor) -> Tensor:
    return f.all_gather_with_grad(f.l2_normalize(x))


# Not `noise`: a draw breaks the graph (tests/functional/test_noise.py).
COMPILED = [contrast, masking, matching, pixels, attending, gathering]


@pytest.mark.parametrize("work", [*COMPILED, noise], ids=lambda work: work.__name__)
def test_fake_tensors(work: Callable[..., Tensor]) -> None:
    expected = work(**real())
    with FakeTensorMode() as mode:
        fake = work(**{name: mode.from_tensor(x) for name, x in real().items()})
    assert fake.shape == expected.shape and fake.dtype == expected.dtype


@pytest.mark.parametrize("work", COMPILED, ids=lambda work: work.__name__)
def test_compiles_whole(work: Callable[..., Tensor]) -> None:
    compiled = torch.compile(work, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(**real()), work(**real()), rtol=0, atol=0)
