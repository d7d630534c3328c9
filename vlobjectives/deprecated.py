"""Names of earlier releases that go on to work: of Python, and of keys and values of recipes.

A name that was public works for one minor release more under its old name, with a warning or a note that says the new
one. Whoever renames something adds a line to a table here, and takes out the lines of the release before last.
"""

import warnings
from pkgutil import resolve_name
from typing import Any, NamedTuple

Keys = tuple[str | int, ...]


class Renamed(NamedTuple):
    """The new name of something, and the release in which the old one ends."""

    new: str
    ends: str


NAMES: dict[str, Renamed] = {
    "vlobjectives.Bad": Renamed("vlobjectives.UnusableSample", "0.3"),
    "vlobjectives.Draw": Renamed("vlobjectives.MaskSample", "0.3"),
    "vlobjectives.Held": Renamed("vlobjectives.EvaluationContext", "0.3"),
    "vlobjectives.Past": Renamed("vlobjectives.KeyValueCache", "0.3"),
    "vlobjectives.Pieces": Renamed("vlobjectives.TokenEncoding", "0.3"),
    "vlobjectives.Reading": Renamed("vlobjectives.RequestedOutputs", "0.3"),
    "vlobjectives.Site": Renamed("vlobjectives.MaskTarget", "0.3"),
    "vlobjectives.Twin": Renamed("vlobjectives.ContrastPair", "0.3"),
    "vlobjectives.Want": Renamed("vlobjectives.RequestedOutputs", "0.3"),
    "vlobjectives.Writing": Renamed("vlobjectives.GenerationSpec", "0.3"),
    "vlobjectives.contracts.hooks.Tracker": Renamed("vlobjectives.Tracker", "0.3"),
    "vlobjectives.errors.MeansError": Renamed("vlobjectives.errors.ResourceError", "0.3"),
    "vlobjectives.errors.NumbersError": Renamed("vlobjectives.errors.NonFiniteError", "0.3"),
    "vlobjectives.testing.Broken": Renamed("vlobjectives.testing.CheckFailed", "0.3"),
    "vlobjectives.testing.Law": Renamed("vlobjectives.testing.Check", "0.3"),
    **{
        f"vlobjectives.testing.{kind}_laws": Renamed(f"vlobjectives.testing.{kind}_checks", "0.3")
        for kind in ("mask", "objective", "pairing", "part")
    },
    **{
        f"vlobjectives.functional.{name}": Renamed(f"{home}.{name}", "0.3")
        for home, names in {
            "vlobj_glscl.completion_losses": ("cosine_rows", "l2_rows"),
            "vlobj_mvptr.concept_loss": ("set_logits", "set_nll"),
            "vlobj_mvptr.phrase_scores": ("grounding_score", "similarities"),
            "vlobj_sycoca.patch_ranking": ("best_count", "ranked", "word_scores", "worst_count"),
        }.items()
        for name in names
    },
    **{
        f"vlobjectives.functional.{old}": Renamed(f"vlobjectives.functional.{new}", "0.3")
        for old, new in {
            "bias_of": "attention_bias",
            "bits": "random_bits",
            "by_tiles": "argsort_by_tile",
            "fill": "fill_patches",
            "gather": "all_gather_with_grad",
            "half": "matched_half",
            "half_up": "round_half_up",
            "holm": "holm_bonferroni",
            "indices": "mask_to_indices",
            "keep_order": "keep_indices",
            "kept": "num_kept",
            "key": "prng_key",
            "mark": "indices_to_mask",
            "normalised": "normalize_patches",
            "order": "permutation",
            "paired_probability": "paired_t_test",
            "partners": "mine_negatives",
            "replaced": "num_replaced",
            "right_pairs": "positive_pairs",
            "sym_nce": "symmetric_info_nce",
            "take": "gather_tokens",
            "text_draws": "num_text_draws",
            "tile_numbers": "tile_indices",
            "uniforms": "random_uniform",
            "unit": "l2_normalize",
            "wilson": "wilson_interval",
            "with_replacement": "sample_with_replacement",
        }.items()
    },
    "vlobjectives.functional.alignment": Renamed("vlobj_glscl.align_bench", "0.3"),
    "vlobjectives.functional.unit_over": Renamed("vlobj_glscl.completion_losses.l2_normalize_over", "0.3"),
}
"""Dotted Python name -> its new one. The module of the old name calls `attribute` in its `__getattr__`."""

KEYS: dict[str, Renamed] = {
    "plan.authors": Renamed("plan.published", "0.3"),
}
"""Dotted key path of a recipe -> its new one. `*` is any one key, and as many of them stand in the new path."""

VALUES: dict[tuple[str, str], Renamed] = {}
"""Dotted key path of a recipe (with `*` as above) and an old value of it -> the new value."""


def attribute(module: str, name: str) -> Any:
    """What an old public name of a module means now, with a DeprecationWarning where it is used.

    Args:
        module: The module that is asked, its `__name__`; its own `__getattr__` must be the caller.
        name: The attribute that the module does not have.

    Raises:
        AttributeError: No table knows the name.
    """
    renamed = NAMES.get(f"{module}.{name}")
    if renamed is None:
        raise AttributeError(f"module '{module}' has no attribute '{name}'")
    what = f"{module}.{name} is now {renamed.new}; the old name ends in {renamed.ends}"
    warnings.warn(what, DeprecationWarning, stacklevel=3)
    return resolve_name(renamed.new)


def key(path: Keys) -> tuple[Keys, str] | None:
    """The new path of an old key, and the release in which the old one ends; None where it is not old."""
    for old, renamed in KEYS.items():
        if _matches(path, old):
            kept = iter(part for part, word in zip(path, old.split(".")) if word == "*")
            return tuple(next(kept) if word == "*" else word for word in renamed.new.split(".")), renamed.ends
    return None


def value(path: Keys, held: object) -> Renamed | None:
    """The new value of the key at `path` where it holds an old one."""
    return next((renamed for (old, was), renamed in VALUES.items() if held == was and _matches(path, old)), None)


def _matches(path: Keys, pattern: str) -> bool:
    words = pattern.split(".")
    return len(path) == len(words) and all(word in ("*", part) for part, word in zip(path, words))
