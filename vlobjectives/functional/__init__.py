"""Tensors in, tensors out: the arithmetic of the objectives. No module, no config, no state.

Imports torch only. What evaluations measure with is in the modules `alignment` and `statistics`.
"""

from vlobjectives.functional import alignment, statistics
from vlobjectives.functional.attention import attention, bias_of
from vlobjectives.functional.attentive import best_count, ranked, word_scores, worst_count
from vlobjectives.functional.completion import cosine_rows, l2_rows, unit_over
from vlobjectives.functional.concepts import set_logits, set_nll
from vlobjectives.functional.contrast import sym_nce, unit
from vlobjectives.functional.gather import gather
from vlobjectives.functional.grounding import grounding_score, similarities
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
    "alignment",
    "attention",
    "best_count",
    "bias_of",
    "bits",
    "by_tiles",
    "cosine_rows",
    "fill",
    "gather",
    "grounding_score",
    "half",
    "half_up",
    "holm",
    "indices",
    "keep_order",
    "kept",
    "key",
    "l2_rows",
    "mark",
    "mean_interval",
    "normalised",
    "order",
    "paired_interval",
    "paired_probability",
    "partners",
    "patchify",
    "ranked",
    "replaced",
    "right_pairs",
    "set_logits",
    "set_nll",
    "similarities",
    "statistics",
    "sym_nce",
    "take",
    "text_draws",
    "tile_means",
    "tile_numbers",
    "uniforms",
    "unit",
    "unit_over",
    "unpatchify",
    "wilson",
    "with_replacement",
    "word_scores",
    "worst_count",
]
