"""Starting weights of a Hugging Face encoder, checked against the architecture that the recipe writes out."""

import json
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from vlobj_models.weights_files import finite, read, reason, shortened, tensors_only
from vlobj_models.weights_names import without_prefix
from vlobjectives import CannotBuild, hub_asked

ALWAYS = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
FILLED = {
    "vocab_size",
    "max_position_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "initializer_range",
    "use_cache",
}
FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
POSITIONS = ("position_embeddings", "wpe")


def bare(sort: type[PreTrainedModel]) -> dict[str, Any]:
    """The keyword that leaves out a pooler, of model classes that would have one."""
    return {"add_pooling_layer": False} if "add_pooling_layer" in signature(sort.__init__).parameters else {}


def first_position(module: PreTrainedModel) -> int:
    """0, or for RoBERTa's family padding_idx + 1: its position tables have a row for padding."""
    for name, part in module.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding) and part.padding_idx is not None:
            return part.padding_idx + 1
    return 0


@torch.no_grad()
def load(module: PreTrainedModel, weights: str, written: Mapping[str, Any]) -> list[str]:
    """Fills `module` from a hub id or a folder; lines that say what was done.

    Of longer tables of tokens and positions the first rows are taken. Raises CannotBuild where the configuration that
    came with the weights says otherwise than `written` (dropouts and start aside), where a table is too short for the
    reader, where tensors are missing or are no numbers, and where they could only be had by running a file.
    """
    lines: list[str] = []
    try:
        with tensors_only(), hub_asked():
            config = AutoConfig.from_pretrained(weights, trust_remote_code=False)
            wrong = _differences(module, config, written)
            if not wrong:
                source, missing, names = _source(module, config, weights, lines)
                wrong = shortened(missing, "is missing") or _fill(module, source, names, weights)
    except CannotBuild:
        raise
    except Exception as error:  # transformers, the hub's client and whoever reads the files raise their own
        raise CannotBuild(
            f"the weights '{weights}' could not be loaded: {reason(error)}",
            "give a folder in transformers' form, or fetch them while there is a network",
        ) from error
    if wrong:
        raise CannotBuild(
            f"'{weights}' does not fit the architecture: {'; '.join(wrong)}",
            "write what the weights were trained with, and read texts with their tokenizer",
        )
    return [f"{sum(1 for _ in module.parameters())} tensors from {weights}", *lines]


def _source(
    module: PreTrainedModel, config: Any, weights: str, lines: list[str]
) -> tuple[PreTrainedModel, list[str], dict[str, str]]:
    """A model that holds the weights, what it lacks, and where each of its tensors came from."""
    sort, state = type(module), None
    names: dict[str, str] = {}
    if Path(weights).is_dir():
        held, where = _held(Path(weights))
        embedding = next(name for name, own in module.named_parameters() if own is module.get_input_embeddings().weight)
        names, root = without_prefix(held, [name for name, _ in module.named_parameters()], [embedding], weights)
        if root not in ("", f"{module.base_model_prefix}."):
            lines.append(f"the names in {weights} without their prefix {root}")
        state = {name: held[key] for name, key in names.items()}
        names = {name: f"{key} ({where[key].name})" for name, key in names.items()}
    loaded = sort.from_pretrained(
        None if state else weights,
        config=config,
        output_loading_info=True,
        dtype=torch.float32,
        state_dict=state,
        **bare(sort),
    )
    source, report = cast(tuple[PreTrainedModel, dict[str, Any]], loaded)  # with the info: a pair, untyped there
    return source, sorted(report["missing_keys"]), names


def _held(folder: Path) -> tuple[dict[str, Tensor], dict[str, Path]]:
    """Every tensor of a folder's weights, and the file that it lies in."""
    first = next((folder / name for name in FILES if (folder / name).exists()), None)
    if first is None:
        raise CannotBuild(f"the folder {folder} holds no weights", f"it should hold one of {', '.join(FILES)}")
    if first.suffix == ".json":
        index = json.loads(first.read_text(encoding="utf-8"))
        paths = [folder / Path(name).name for name in dict.fromkeys(index["weight_map"].values())]
    else:
        paths = [first]
    held: dict[str, Tensor] = {}
    where: dict[str, Path] = {}
    for path in paths:
        tensors = read(path)
        held |= tensors
        where |= dict.fromkeys(tensors, path)
    return held, where


def _differences(module: PreTrainedModel, config: Any, written: Mapping[str, Any]) -> list[str]:
    keys = [
        key
        for key in dict.fromkeys([*ALWAYS, *written])
        if key not in FILLED and "drop" not in key and hasattr(config, key)
    ]
    own = module.config
    if first_position(module):
        keys.append("pad_token_id")  # its positions count from there
    return [
        f"{key} is {getattr(config, key)}, not {getattr(own, key, None)}"
        for key in dict.fromkeys(keys)
        if getattr(config, key) != getattr(own, key, None)
    ]


def _fill(module: PreTrainedModel, source: PreTrainedModel, names: Mapping[str, str], weights: str) -> list[str]:
    """Copies parameters and gives what could not be; copies nothing if there is any such."""
    theirs, long = dict(source.named_parameters()), {id(module.get_input_embeddings().weight)}
    long |= {
        id(part.weight)
        for name, part in module.named_modules()
        if name.endswith(POSITIONS) and isinstance(part, nn.Embedding)
    }
    wrong: list[str] = []
    copies: dict[str, Tensor] = {}
    if first_position(source) != first_position(module):
        wrong.append(
            f"its positions count from {first_position(source)} (its padding id), here from {first_position(module)}"
        )
    for name, own in module.named_parameters():
        value: Tensor = theirs[name]
        if id(own) in long and value.shape[1:] == own.shape[1:]:
            if value.shape[0] < own.shape[0]:
                wrong.append(f"{name} has {value.shape[0]} rows, fewer than the {own.shape[0]} that the fields need")
            value = value[: own.shape[0]]
        elif value.shape != own.shape:
            wrong.append(f"{name} is {list(value.shape)}, built {list(own.shape)}")
        copies[name] = value
    if not wrong:
        finite(copies, names, weights)
        for name, own in module.named_parameters():
            own.copy_(copies[name])
    return wrong
