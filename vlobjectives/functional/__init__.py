"""Tensors in, tensors out: the arithmetic that several plug-ins share. No module, no config, no state.

Imports torch only. What evaluations measure with is in the module `statistics`. The arithmetic of one paper lies with
its plug-in.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlobjectives.functional import statistics
from vlobjectives.functional.attention import attention, bias_of
from vlobjectives.functional.contrast import sym_nce, unit
from vlobjectives.functional.gather import gather
from vlobjectives.functional.masking import (
    indices,
    keep_order,
    kept,
    mark,
    replaced,
    take,
    text_draws,
    with_replacement,
)
from vlobjectives.functional.matching import half, partners, right_pairs
from vlobjectives.functional.noise import bits, key, order, uniforms
from vlobjectives.functional.pixels import fill, normalised, patchify, unpatchify
from vlobjectives.functional.statistics import holm, mean_interval, paired_interval, paired_probability, wilson
from vlobjectives.functional.tiles import by_tiles, half_up, tile_means, tile_numbers

__all__ = [
    "attention",
    "bias_of",
    "bits",
    "by_tiles",
    "fill",
    "gather",
    "half",
    "half_up",
    "holm",
    "indices",
    "keep_order",
    "kept",
    "key",
    "mark",
    "mean_interval",
    "normalised",
    "order",
    "paired_interval",
    "paired_probability",
    "partners",
    "patchify",
    "replaced",
    "right_pairs",
    "statistics",
    "sym_nce",
    "take",
    "text_draws",
    "tile_means",
    "tile_numbers",
    "uniforms",
    "unit",
    "unpatchify",
    "wilson",
    "with_replacement",
]


if not TYPE_CHECKING:  # to a type checker a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        return import_module("vlobjectives.deprecated").attribute(__name__, name)
