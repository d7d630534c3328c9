"""Starting weights of a vision transformer: read, brought to timm's names and to another grid, checked."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path
from typing import cast

import timm
import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from vlobj_models.weights_files import finite, read, reason, shortened, tensors_only
from vlobj_models.weights_names import hint_of, timm_names
from vlobjectives import CannotBuild, hub_asked, hub_missing

HUB = "hf-hub:"
NEITHER = "weights '{}' are neither a file or folder nor a timm model"
FILES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
TOPS = re.compile(r"(head|head_drop|fc_norm|attn_pool)\.|proj$")  # what stands on an encoder and is no part of it


@dataclass
class Found:
    """Starting weights under timm's names.

    source  a file, or a name that timm knows
    names   what the source calls a tensor, where that is known
    facts   what is known of the architecture beyond shapes
    root    the prefix that the names had
    """

    state: dict[str, Tensor]
    source: str
    names: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    root: str = ""


@torch.no_grad()
def load(module: VisionTransformer, weights: str) -> list[str]:
    """Fills `module` from a timm pretrained name, a file or a folder; gives lines that say what was done.

    Positions are interpolated to the module's grid (bicubic, rows of class token and registers kept, as METER does);
    blocks that the module does not have are left out. Raises CannotBuild with everything that does not agree.
    """
    found = _read(weights, module)
    state, lines = _fitted(module, found, weights)
    finite(state, found.names, found.source)
    for key, value in module.state_dict().items():
        value.copy_(state[key])
    return [f"{len(state)} tensors from {weights}", *lines]


@torch.no_grad()
def agreed(module: VisionTransformer, weights: str) -> None:
    """Raises CannotBuild where the architecture that a timm name stands for is another one than `module`: known without
    fetching anything. Files are looked at when they are loaded."""
    if not Path(weights).exists():
        with torch.device("meta"):
            source = _sketched(weights)
        if source is not None:
            _fitted(module, Found(dict(source.state_dict()), weights, facts=_facts(source)), weights)


def _fitted(module: VisionTransformer, found: Found, weights: str) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors for all of `module`, and lines on what was done to have them; CannotBuild where they do not fit."""
    state, own, lines = found.state, module.state_dict(), []
    if found.root not in ("", "visual."):
        lines.append(f"the names in {weights} without their prefix {found.root}")
    depth = len(module.blocks)
    deeper = {number for key in state if (number := _block(key)) >= depth}
    if deeper:
        lines.append(f"blocks {min(deeper)} to {max(deeper)} of {weights} are not built")
    state = {key: value for key, value in state.items() if not TOPS.match(key) and _block(key) < depth}
    if "pos_embed" in state and "pos_embed" in own:
        prefix = 0 if module.no_embed_class else module.num_prefix_tokens
        grid = tuple(module.patch_embed.grid_size)
        table = resampled(state["pos_embed"], grid, prefix)
        if table is not state["pos_embed"]:
            side = isqrt(state["pos_embed"].shape[1] - prefix)
            lines.append(f"positions interpolated from {side} x {side} to {grid[0]} x {grid[1]}")
        state["pos_embed"] = table
    built = _facts(module)
    facts = [key for key, value in found.facts.items() if value != built[key]]
    wrong = [f"{key} is {found.facts[key]}, written {built[key]}" for key in facts]
    wrong += shortened([key for key in own if key not in state], "is missing")
    wrong += shortened([key for key in state if key not in own], "is not known")
    sizes = [
        f"{key} is {_size(state[key])}, built {_size(own[key])}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    wrong += shortened(sizes)
    if wrong:
        raise CannotBuild(
            f"{weights} does not fit the architecture: {'; '.join(wrong)}",
            _quick(weights, facts) or hint_of(state, own),
        )
    return state, lines


def _block(key: str) -> int:
    """The number of the block that a tensor belongs to, -1 of one that belongs to none."""
    found = re.match(r"blocks\.(\d+)\.", key)
    return int(found[1]) if found else -1


def _quick(weights: str, facts: list[str]) -> str:
    """timm has CLIP's weights twice: with GELU, and as they were trained."""
    other = weights.replace("_clip_", "_clip_quickgelu_") if "_quickgelu" not in weights else ""
    known = facts == ["act"] and timm.is_model(other) and timm.get_pretrained_cfg(other) is not None
    return f"weights: {other}" if known else ""


def unfetched(weights: str) -> str:
    """Why a timm pretrained name cannot be loaded, "" where it can or where `weights` lies on this disk."""
    if Path(weights).exists():
        return ""
    if weights.startswith(HUB):
        return hub_missing(weights.removeprefix(HUB), FILES)
    if not timm.is_model(weights):
        return NEITHER.format(weights)
    try:
        known = timm.get_pretrained_cfg(weights)
    except RuntimeError as error:
        return str(error)
    if known is None or not known.has_weights:
        return f"timm has no weights of '{weights}'"
    return hub_missing(known.hf_hub_id, FILES) if known.hf_hub_id else ""  # else of an address of its own


def resampled(table: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    """Positions [1, prefix+n, D] of a square grid for another grid [1, prefix+rows*columns, D]; itself if it fits."""
    count = table.shape[1] - prefix
    side = isqrt(max(count, 0))
    if (side, side) == grid or side * side != count:
        return table
    picture = table[:, prefix:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    picture = F.interpolate(picture, grid, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :prefix], picture.flatten(2).transpose(1, 2).to(table.dtype)], 1)


def _read(weights: str, module: VisionTransformer) -> Found:
    """Weights under timm's names. Raises CannotBuild where they are not there or cannot be read."""
    path = Path(weights)
    if not path.exists():
        if weights.startswith(HUB) or timm.is_model(weights):
            return _named(weights)
        near = timm.list_pretrained(f"*{weights.split('.')[0][:12]}*")[:5]
        raise CannotBuild(NEITHER.format(weights), f"near it are {', '.join(near)}" if near else "")
    with torch.device("meta"):
        source = _sketched(weights)
    file = _file(path)
    held = read(file)
    names, root = timm_names(held, module.state_dict(), file)
    facts = _facts(source) if source is not None else {}
    return Found(as_timm({name: held[key] for name, key in names.items()}), str(file), names, facts, root)


def _named(name: str) -> Found:
    """The weights of a name, through timm, which brings them to its own names."""
    try:
        with tensors_only(), hub_asked():
            source = timm.create_model(name, pretrained=True, num_classes=0, global_pool="")
    except Exception as error:  # whatever the hub's client raises: no network, no such tag, a broken cache
        raise CannotBuild(
            f"timm could not load the weights '{name}': {reason(error)}", "give a folder that holds them"
        ) from error
    plain = _plain(source, name)
    return Found(dict(plain.state_dict()), name, facts=_facts(plain))


def _sketched(weights: str) -> VisionTransformer | None:
    """The architecture that weights are of, built without them; None where only the weights could tell."""
    path = Path(weights)
    config = path / "config.json"
    try:
        if config.exists():
            said = json.loads(config.read_text(encoding="utf-8"))
            if "architecture" not in said:
                return None
            source = timm.create_model(
                said["architecture"], **{**said.get("model_args", {}), "num_classes": 0, "global_pool": ""}
            )
        elif path.exists() or not timm.is_model(weights) or _tagless(weights):
            return None
        else:
            source = timm.create_model(weights, num_classes=0, global_pool="")
    except Exception as error:  # a damaged file, or what a constructor of timm's raises
        raise CannotBuild(
            f"timm could not load the weights '{weights}': {reason(error)}", "give a folder that holds them"
        ) from error
    return _plain(source, weights)


def _tagless(name: str) -> bool:
    """Whether timm knows the model and not the tag behind the dot; `unfetched` and `_named` say so."""
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        return True
    return False


def _plain(source: nn.Module, name: str) -> VisionTransformer:
    if not isinstance(source, VisionTransformer):
        raise CannotBuild(f"the weights '{name}' are of a {type(source).__name__}, not of a plain vision transformer")
    return source


def _file(path: Path) -> Path:
    """The file of weights in a folder; a file is itself."""
    if not path.is_dir():
        return path
    found = [path / name for name in FILES if (path / name).exists()] or sorted(path.glob("*.safetensors"))
    if not found:
        raise CannotBuild(f"the folder {path} holds no weights", f"it should hold one of {', '.join(FILES)}")
    return found[0]


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's class token [D] and positions [N,D] with the axes of rows that timm's have."""
    return {
        name: value.reshape(*[1] * (3 - value.dim()), *value.shape) if name in ("cls_token", "pos_embed") else value
        for name, value in state.items()
    }


def _facts(module: VisionTransformer) -> dict[str, object]:
    """What the shapes of the weights do not tell."""
    block = cast(Block, module.blocks[0])
    heads = cast(Attention, block.attn).num_heads
    return {"heads": heads, "act": type(block.mlp.act).__name__, "norm_eps": block.norm1.eps}


def _size(x: Tensor) -> str:
    return " x ".join(map(str, x.shape)) or "a number"
