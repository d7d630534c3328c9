"""Starting weights of a vision transformer: read, brought to timm's names and to another grid, checked."""

import json
import re
from collections.abc import Mapping
from math import isqrt
from pathlib import Path

import timm
import torch
from timm.models import load_state_dict
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional as F

from vlobj_models import hub
from vlobjectives import CannotBuild

HUB = "hf-hub:"
NEITHER = "weights '{}' are neither a file or folder nor a timm model"
FILES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
TOPS = re.compile(r"(head|head_drop|fc_norm|attn_pool)\.|proj$")  # what stands on an encoder and is no part of it
CLIP = {"class_embedding": "cls_token", "positional_embedding": "pos_embed", "conv1.": "patch_embed.proj.",
        "ln_pre.": "norm_pre.", "ln_post.": "norm.", "transformer.resblocks.": "blocks.", ".ln_1.": ".norm1.",
        ".ln_2.": ".norm2.", ".in_proj_": ".qkv.", ".out_proj.": ".proj.", ".c_fc.": ".fc1.", ".c_proj.": ".fc2."}


@torch.no_grad()
def load(module: VisionTransformer, weights: str) -> list[str]:
    """Fills `module` from a timm pretrained name, a file or a folder; gives lines that say what was done.

    Positions are interpolated to the module's grid (bicubic, rows of class token and registers kept, as METER does);
    blocks that the module does not have are left out. Raises CannotBuild with everything that does not agree.
    """
    state, facts = _read(weights)
    lines, own = [], module.state_dict()
    depth = len(module.blocks)
    deeper = {int(key.split(".")[1]) for key in state if key.startswith("blocks.")} - set(range(depth))
    if deeper:
        lines.append(f"blocks {min(deeper)} to {max(deeper)} of {weights} are not built")
    state = {key: value for key, value in state.items()
             if not TOPS.match(key) and not (key.startswith("blocks.") and int(key.split(".")[1]) >= depth)}
    if "pos_embed" in state and "pos_embed" in own:
        prefix = 0 if module.no_embed_class else module.num_prefix_tokens
        grid = tuple(module.patch_embed.grid_size)
        table = resampled(state["pos_embed"], grid, prefix)
        if table is not state["pos_embed"]:
            side = isqrt(state["pos_embed"].shape[1] - prefix)
            lines.append(f"positions interpolated from {side} x {side} to {grid[0]} x {grid[1]}")
        state["pos_embed"] = table
    wrong = [f"{key} is {value}, written {_facts(module)[key]}" for key, value in facts.items()
             if value != _facts(module)[key]]
    wrong += [f"{key} is missing" for key in own if key not in state]
    wrong += [f"{key} is not known" for key in state if key not in own]
    wrong += [f"{key} is {_size(state[key])}, built {_size(own[key])}" for key in own
              if key in state and state[key].shape != own[key].shape]
    if wrong:
        raise CannotBuild(f"{weights} does not fit the architecture: {'; '.join(wrong)}",
                          "write the architecture that it was trained with")
    for key, value in own.items():
        value.copy_(state[key])
    return [f"{len(own)} tensors from {weights}", *lines]


def unfetched(weights: str) -> str:
    """Why a timm pretrained name cannot be loaded, "" where it can or where `weights` lies on this disk."""
    if Path(weights).exists():
        return ""
    if weights.startswith(HUB):
        return hub.missing(weights.removeprefix(HUB), FILES)
    if not timm.is_model(weights):
        return NEITHER.format(weights)
    try:
        known = timm.get_pretrained_cfg(weights)
    except RuntimeError as error:
        return str(error)
    if known is None or not known.has_weights:
        return f"timm has no weights of '{weights}'"
    return hub.missing(known.hf_hub_id, FILES) if known.hf_hub_id else ""  # else of an address of its own


def resampled(table: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
    """Positions [1, prefix+n, D] of a square grid for another grid [1, prefix+rows*columns, D]; itself if it fits."""
    count = table.shape[1] - prefix
    side = isqrt(max(count, 0))
    if (side, side) == grid or side * side != count:
        return table
    picture = table[:, prefix:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    picture = F.interpolate(picture, grid, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :prefix], picture.flatten(2).transpose(1, 2).to(table.dtype)], 1)


def _read(weights: str) -> tuple[dict[str, Tensor], dict[str, object]]:
    """A state dict under timm's names, and what is known of its architecture beyond shapes."""
    path = Path(weights)
    if _of_timm(path):
        return _named(f"local-dir:{path}")
    if path.exists():
        return _timm_names(_file(path)), {}
    if weights.startswith(HUB) or timm.is_model(weights):
        return _named(weights)
    near = timm.list_pretrained(f"*{weights.split('.')[0][:12]}*")[:5]
    raise CannotBuild(NEITHER.format(weights),
                      f"near it are {', '.join(near)}" if near else "")


def _of_timm(path: Path) -> bool:
    """Whether this is a folder that timm wrote (or fetched), configuration and all."""
    config = path / "config.json"
    return config.exists() and "architecture" in json.loads(config.read_text(encoding="utf-8"))


def _named(name: str) -> tuple[dict[str, Tensor], dict[str, object]]:
    try:
        source = timm.create_model(name, pretrained=True, num_classes=0, global_pool="")
    except Exception as error:  # whatever the hub's client raises: no network, no such tag, a broken cache
        raise CannotBuild(f"timm could not load the weights '{name}': {error}",
                          "give a folder that holds them") from error
    if not isinstance(source, VisionTransformer):
        raise CannotBuild(f"the weights '{name}' are of a {type(source).__name__}, not of a plain vision transformer")
    return dict(source.state_dict()), _facts(source)


def _file(path: Path) -> Mapping[str, Tensor]:
    if path.is_dir():
        found = [path / name for name in FILES if (path / name).exists()] or sorted(path.glob("*.safetensors"))
        if not found:
            raise CannotBuild(f"the folder {path} holds no weights", f"it should hold one of {', '.join(FILES)}")
        path = found[0]
    try:
        return load_state_dict(str(path), device="cpu", weights_only=True)
    except Exception as error:  # of a damaged file, pickle, zip and safetensors each raise their own
        raise CannotBuild(f"{path} cannot be read as a state dict: {error}",
                          "save it with safetensors or torch.save(model.state_dict(), ...)") from error


def _timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's names (OpenAI, open_clip; the visual tower alone or within a whole model) as timm's."""
    root = next((key.removesuffix("class_embedding") for key in state if key.endswith("class_embedding")), None)
    if root is None:
        return dict(state)
    found = {}
    for key, value in state.items():
        if not key.startswith(root):
            continue
        name = key.removeprefix(root)
        for theirs, ours in CLIP.items():
            name = name.replace(theirs, ours)
        shape = {"cls_token": (1, 1, -1), "pos_embed": (1, *value.shape)}.get(name, value.shape)
        found[name] = value.reshape(shape)
    return found


def _facts(module: VisionTransformer) -> dict[str, object]:
    """What the shapes of the weights do not tell."""
    block = module.blocks[0]
    return {"heads": block.attn.num_heads, "act": type(block.mlp.act).__name__, "norm_eps": block.norm1.eps}


def _size(x: Tensor) -> str:
    return " x ".join(map(str, x.shape)) or "a number"
