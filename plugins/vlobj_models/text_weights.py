"""Starting weights of a Hugging Face encoder, checked against the architecture that the recipe writes out."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedModel

from vlobjectives import CannotBuild

ALWAYS = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
FILLED = {"vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "initializer_range", "use_cache"}
FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
POSITIONS = ("position_embeddings", "wpe")


def bare(sort: type[PreTrainedModel]) -> dict[str, bool]:
    """The keyword that leaves out a pooler, of model classes that would have one."""
    return {"add_pooling_layer": False} if "add_pooling_layer" in signature(sort.__init__).parameters else {}


@torch.no_grad()
def load(module: PreTrainedModel, weights: str, written: Mapping[str, Any]) -> list[str]:
    """Fills `module` from a hub id or a folder; lines that say what was done.

    Of longer tables of tokens and positions the first rows are taken. Raises CannotBuild where the configuration that
    came with the weights says otherwise than `written` (dropouts and start aside), where a table is too short for the
    reader, and where tensors are missing.
    """
    try:
        config = AutoConfig.from_pretrained(weights)
        wrong = _differences(module, config, written)
        if not wrong:
            sort = type(module)
            source, report = sort.from_pretrained(weights, output_loading_info=True, dtype=torch.float32, **bare(sort))
            wrong = [f"{key} is missing" for key in sorted(report["missing_keys"])] or _fill(module, source)
    except (OSError, ValueError) as error:
        raise CannotBuild(f"the weights '{weights}' could not be loaded: {error}",
                          "give a folder in transformers' form, or fetch them while there is a network") from error
    if wrong:
        raise CannotBuild(f"'{weights}' does not fit the architecture: {'; '.join(wrong)}",
                          "write what the weights were trained with, and read texts with their tokenizer")
    return [f"{sum(1 for _ in module.parameters())} tensors from {weights}"]


def _differences(module: PreTrainedModel, config: Any, written: Mapping[str, Any]) -> list[str]:
    keys = [key for key in dict.fromkeys([*ALWAYS, *written])
            if key not in FILLED and "drop" not in key and hasattr(config, key)]
    if any(name.endswith(POSITIONS) and getattr(part, "padding_idx", None) is not None
           for name, part in module.named_modules()):
        keys.append("pad_token_id")  # its positions count from there
    own = module.config
    return [f"{key} is {getattr(config, key)}, not {getattr(own, key, None)}" for key in dict.fromkeys(keys)
            if getattr(config, key) != getattr(own, key, None)]


def _fill(module: PreTrainedModel, source: PreTrainedModel) -> list[str]:
    """Copies parameters and gives what could not be; copies nothing if there is any such."""
    theirs, long = dict(source.named_parameters()), {id(module.get_input_embeddings().weight)}
    long |= {id(part.weight) for name, part in module.named_modules()
             if name.endswith(POSITIONS) and isinstance(part, nn.Embedding)}
    wrong, copies = [], []
    for name, own in module.named_parameters():
        value = theirs[name]
        if id(own) in long and value.shape[1:] == own.shape[1:]:
            if value.shape[0] < own.shape[0]:
                wrong.append(f"{name} has {value.shape[0]} rows, fewer than the {own.shape[0]} that the fields need")
            value = value[:own.shape[0]]
        elif value.shape != own.shape:
            wrong.append(f"{name} is {list(value.shape)}, built {list(own.shape)}")
        copies.append((own, value))
    if not wrong:
        for own, value in copies:
            own.copy_(value)
    return wrong
