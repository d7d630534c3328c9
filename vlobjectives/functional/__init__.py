"""Tensors in, tensors out: the arithmetic that several plug-ins share. No module, no config, no state.

Imports torch only. What evaluations measure with is in the module `statistics`. The arithmetic of one paper lies with
its plug-in.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlobjectives.functional import statistics
from vlobjectives.functional.all_gather import all_gather_with_grad
from vlobjectives.functional.attention import attention, attention_bias
from vlobjectives.functional.contrast import l2_normalize, symmetric_info_nce
from vlobjectives.functional.masking import (
    gather_tokens,
    indices_to_mask,
    keep_indices,
    mask_to_indices,
    num_kept,
    num_replaced,
    num_text_draws,
    sample_with_replacement,
)
from vlobjectives.functional.matching import matched_half, mine_negatives, positive_pairs
from vlobjectives.functional.noise import permutation, prng_key, random_bits, random_uniform
from vlobjectives.functional.pixels import fill_patches, normalize_patches, patchify, unpatchify
from vlobjectives.functional.statistics import (
    holm_bonferroni,
    mean_interval,
    paired_interval,
    paired_t_test,
    wilson_interval,
)
from vlobjectives.functional.tiles import argsort_by_tile, round_half_up, tile_indices, tile_means

__all__ = [
    "all_gather_with_grad",
    "argsort_by_tile",
    "attention",
    "attention_bias",
    "fill_patches",
    "gather_tokens",
    "holm_bonferroni",
    "indices_to_mask",
    "keep_indices",
    "l2_normalize",
    "mask_to_indices",
    "matched_half",
    "mean_interval",
    "mine_negatives",
    "normalize_patches",
    "num_kept",
    "num_replaced",
    "num_text_draws",
    "paired_interval",
    "paired_t_test",
    "patchify",
    "permutation",
    "positive_pairs",
    "prng_key",
    "random_bits",
    "random_uniform",
    "round_half_up",
    "sample_with_replacement",
    "statistics",
    "symmetric_info_nce",
    "tile_indices",
    "tile_means",
    "unpatchify",
    "wilson_interval",
]


if not TYPE_CHECKING:  # to a type checker a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        return import_module("vlobjectives.deprecated").attribute(__name__, name)
