"""Random numbers as a pure function of what they are for.

A number here depends on a key (seed, stream, step: whatever the caller puts in), on the number of the sample
and on its place in the row, and on nothing else: no generator, no state, no device, no process. So two
processes draw what one would, and a resumed run draws what the unstopped one would have.

How: the key is 128 bits of BLAKE2b. The sample's number goes through a Feistel network of four rounds under
the key's four words, a permutation of 64 bits, so that two samples never share a row. Place j of the row is a
counter that is mixed, joined with the other half of the state, and mixed again. The mixer is a 32-bit one
with little bias, found by the hash-prospector search (github.com/skeeto/hash-prospector). All arithmetic is
exact in int64: a word is under 2^32 and a multiplier under 2^31 in magnitude, so a product stays inside 63
bits and sign.

Not for secrets. Under torch.compile a draw breaks the graph and is computed outside of it: a compiler would take a
key for an int of 64 bits, and a new key would recompile.
"""

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

_WORD = 0xFFFFFFFF
# The second multiplier is 0xD35A2D97 - 2^32, which is the same modulo 2^32 and keeps the product in range.
_FIRST, _SECOND = 0x21F0AAAD, 0xD35A2D97 - (1 << 32)
# 2^32 / golden ratio, odd: the counter walks over all words. As a signed number, for the same reason.
_STRIDE = 0x9E3779B9 - (1 << 32)


def prng_key(*parts: int | str) -> int:
    """Return 128 bits that stand for `parts`, the same in every process, on every machine and in every version.

    An example is `prng_key(seed, "dropped", step)`.

    Args:
        *parts: Ints and texts. The key differs whenever they differ in value, type, order or number.

    Returns:
        A whole number in [0, 2^128).

    Raises:
        TypeError: A part is of another type, bool included: True is not meant to be 1.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"vlobj noise")
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, int | str):
            raise TypeError(f"a part of a key is an int or a str, not {type(part).__name__}: {part!r}")
        text = str(part).encode()
        digest.update(f"{'i' if isinstance(part, int) else 's'}{len(text)}:".encode() + text)
    return int.from_bytes(digest.digest(), "little")


def random_bits(key: int, number: Tensor, n: int) -> Tensor:
    """Draw random whole numbers of 31 bits.

    Args:
        key: From `prng_key`.
        number: [B] int64, the samples' numbers, on any device.
        n: How many to draw for each sample; the first ones do not depend on n. For more bits join several.

    Returns:
        [B,n] int64 in [0, 2^31), on the device of `number`.
    """
    return _words(key, number, n) >> 1


def random_uniform(key: int, number: Tensor, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw uniform numbers in [0, 1), of 24 bits in float32 and of 53 bits in float64.

    Every value is a multiple of 2^-24 (2^-53) and exact, so equal on all devices. Of 5,000 float32 ones two are equal
    as often as not: for permutations there is `permutation`. The float64 ones are other numbers, not longer ones.

    Args:
        key: From `prng_key`.
        number: [B] int64, the samples' numbers, on any device.
        *shape: The axes behind B.
        dtype: float32 or float64.

    Returns:
        [B, *shape], on the device of `number`.

    Raises:
        ValueError: `dtype` is another type.
    """
    n = math.prod(shape)
    if dtype == torch.float32:
        x = (_words(key, number, n) >> 8).to(dtype) * 2.0**-24
    elif dtype == torch.float64:
        high, low = _pairs(key, number, n)
        x = ((high >> 5 << 26) | (low >> 6)).to(dtype) * 2.0**-53
    else:
        raise ValueError(f"uniforms are float32 or float64, not {dtype}")
    return x.reshape(number.shape[0], *shape)


def permutation(key: int, number: Tensor, n: int) -> Tensor:
    """Draw a permutation of 0..n-1 for each sample, by ranks of 63 bits.

    Args:
        key: From `prng_key`.
        number: [B] int64, the samples' numbers, on any device.
        n: The length of the permutations.

    Returns:
        [B,n] int64, on the device of `number`.
    """
    high, low = _pairs(key, number, n)
    # stable, so that even a tie (one in 2^63) is the same on all devices
    return (((high >> 1) << 32) | low).argsort(dim=-1, stable=True)


def _pairs(key: int, number: Tensor, n: int) -> tuple[Tensor, Tensor]:
    words = _words(key, number, 2 * n)
    return words[:, 0::2], words[:, 1::2]


def _words(key: int, number: Tensor, n: int) -> Tensor:
    """[B,n] words of 32 bits."""
    # The wrapper imports the compiler when it is called, which takes seconds where nothing is compiled.
    return (_words_uncompiled if torch.compiler.is_dynamo_compiling() else _words_plain)(key, number, n)


def _words_plain(key: int, number: Tensor, n: int) -> Tensor:
    left, right = number & _WORD, (number >> 32) & _WORD
    for place in range(4):
        left, right = right ^ _mix(left ^ ((key >> 32 * place) & _WORD)), left
    counter = torch.arange(1, n + 1, device=number.device) * _STRIDE
    return _mix(_mix((left[:, None] + counter) & _WORD) ^ right[:, None])


_words_uncompiled: Callable[[int, Tensor, int], Tensor] = _disable_dynamo(_words_plain)


def _mix(x: Tensor) -> Tensor:
    """A permutation of the words of 32 bits in which each bit of the input moves each bit of the output."""
    x = ((x ^ (x >> 16)) * _FIRST) & _WORD
    x = ((x ^ (x >> 15)) * _SECOND) & _WORD
    return x ^ (x >> 15)
