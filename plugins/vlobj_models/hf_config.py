"""A written-out Hugging Face configuration: checked, filled from the fields, made tiny."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from vlobjectives import CannotBuild

MOST_LAYERS, MOST = 256, 2**24
TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
TINY_IF_KNOWN = {
    "intermediate_size": 64,
    "hidden_dim": 64,
    "n_inner": 64,
    "embedding_size": 32,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


def make(written: Mapping[str, Any], filled: Mapping[str, Any]) -> PreTrainedConfig:
    """The configuration that `written` describes, with `filled` where it says nothing.

    Raises CannotBuild on a model type or key that transformers does not know, with the nearest that it does.
    """
    rest = dict(written)
    kind = rest.pop("model_type", None)
    if kind is None:
        raise CannotBuild("`config` says no model_type", "model_type: roberta")
    if kind not in CONFIG_MAPPING:
        raise CannotBuild(f"transformers knows no model_type '{kind}'", _near(kind, CONFIG_MAPPING))
    known = keys(kind)
    for key in rest:
        if key not in known:
            raise CannotBuild(f"'{kind}' has no configuration key '{key}'", _near(key, known))
        most = MOST_LAYERS if "layer" in key else MOST
        if type(rest[key]) is int and rest[key] > most:
            raise CannotBuild(
                f"{key}: {rest[key]} is more than {most:,}, where `config` ends",
                "write the number that the architecture has",
            )
    try:
        return AutoConfig.for_model(kind, **{key: value for key, value in filled.items() if key in known} | rest)
    except Exception as error:  # each model type checks its own keys in its own way
        raise CannotBuild(
            f"transformers refuses the configuration of '{kind}': {' '.join(str(error).split())}",
            "correct what `config` says",
        ) from None


def keys(kind: str) -> set[str]:
    """Every key that a configuration of this model type takes, canonical and own names."""
    sort = CONFIG_MAPPING[kind]
    return set(sort().to_dict()) | set(sort.attribute_map) | set(sort.attribute_map.values())


def tiny(written: Mapping[str, Any]) -> dict[str, Any]:
    """The same model type with one block of width 32; canonical names replace the type's own."""
    kind = written.get("model_type", "")
    if kind not in CONFIG_MAPPING:
        return dict(written)
    own = CONFIG_MAPPING[kind].attribute_map
    known = keys(kind)
    small = dict(written)
    for name, value in TINY.items():
        small.pop(name, None)
        small[own.get(name, name)] = value
    small |= {key: value[:1] for key, value in small.items() if isinstance(value, list)}  # an entry a block
    return small | {key: value for key, value in TINY_IF_KNOWN.items() if key in written and key in known}


def _near(word: str, words: Iterable[str]) -> str:
    near = get_close_matches(word, list(words), n=3)
    return f"near it: {', '.join(near)}" if near else ""
