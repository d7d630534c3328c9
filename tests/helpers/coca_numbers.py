"""The golden numbers of CoCa and SyCoCa, and their weights under our names."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from vlobj_models.pooled_vision import PooledVision
from vlobj_models.timm_vision import TimmVision
from vlobj_models.vision_weights import as_timm
from vlobj_models.weights_names import of_clip

from vlobjectives import Encoded, FieldSpec, Tokens

PLACE = Path(__file__).parents[1] / "golden" / "coca"


def coca(name: str) -> dict[str, Tensor]:
    """A golden file's arrays; text numbers stay 0-d tensors."""
    with np.load(PLACE / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


def close(found: Tensor, wanted: Tensor) -> None:
    """To 1e-9, as the numbers' own README asks."""
    assert found.shape == wanted.shape
    assert (found.detach() - wanted).abs().max() <= 1e-9


def weights(z: dict[str, Tensor], under: str = "") -> dict[str, Tensor]:
    """The weights whose names begin with `under`, without it."""
    return {key.removeprefix(f"w_{under}"): x for key, x in z.items() if key.startswith(f"w_{under}")}


def block(w: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """A residual attention block of open_clip as one of `vlobj_models.blocks`."""
    found = {}
    for kind in ("weight", "bias"):
        rows = w[f"{theirs}.attn.in_proj_{kind}"].chunk(3)
        found |= {f"{ours}.attention.{name}.{kind}": row for name, row in zip(("query", "key", "value"), rows)}
        names = {
            "attn.out_proj": "attention.out",
            "ln_1": "norm1",
            "ln_2": "norm2",
            "mlp.c_fc": "fc1",
            "mlp.c_proj": "fc2",
            "ln_1_kv": "norm_kv",
        }
        found |= {
            f"{ours}.{own}.{kind}": w[f"{theirs}.{name}.{kind}"]
            for name, own in names.items()
            if f"{theirs}.{name}.{kind}" in w
        }
    return found


def count(w: dict[str, Tensor], name: str) -> int:
    """How many blocks `name.0`, `name.1`, ... there are."""
    return len({key.split(".")[name.count(".") + 1] for key in w if key.startswith(f"{name}.")})


def text_weights(w: dict[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's text tower as CausalText; LN_final and the projection belong to the joint space."""
    found = {"words.weight": w["token_embedding.weight"], "positions": w["positional_embedding"], "cls": w["cls_emb"]}
    for n in range(count(w, "transformer.resblocks")):
        found |= block(w, f"transformer.resblocks.{n}", f"blocks.{n}")
    return found


def decoder_weights(w: dict[str, Tensor], own: str = "resblocks", cross: str = "cross_attn") -> dict[str, Tensor]:
    """open_clip's multimodal decoder, or the pixel decoder of the golden numbers, as CrossDecoder."""
    found = {f"norm.{kind}": w[f"ln_final.{kind}"] for kind in ("weight", "bias")}
    for n in range(count(w, own)):
        found |= block(w, f"{own}.{n}", f"self_blocks.{n}") | block(w, f"{cross}.{n}", f"cross_blocks.{n}")
    return found


def texts(ids: Tensor, pad: int = 0) -> Tokens:
    """Ids [B,L] whose padding is known by id, as these numbers have it; begin and end are the first and last others."""
    valid, place = ids != pad, torch.arange(ids.shape[1])
    last = (valid * place).max(1, keepdim=True).values
    return Tokens(ids, valid, ~valid | (place == 0) | (place == last), torch.zeros_like(ids))


def encoded(tokens: Tensor, valid: Tensor | None = None) -> Encoded:
    return Encoded(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool) if valid is None else valid)


def pooler_weights(w: dict[str, Tensor], norm: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """open_clip's pooler under our names, its projections stacked or apart, or torchmultimodal's; `norm` after it."""
    found = {"query": w["query"]}
    parts = ("query", "key", "value")
    for kind in ("weight", "bias"):
        if f"attn.in_proj_{kind}" in w:
            rows = w[f"attn.in_proj_{kind}"].chunk(3)
        elif kind == "weight" and "attn.q_proj_weight" in w:
            rows = [w[f"attn.{name}_proj_weight"] for name in "qkv"]
        else:
            rows = [w[f"attn.{name}_proj.{kind}"] for name in "qkv"]
        found |= {f"attention.{name}.{kind}": row for name, row in zip(parts, rows)}
        out = "attn.out_proj" if "attn.out_proj.weight" in w else "attn.output_proj"
        found[f"attention.out.{kind}"] = w[f"{out}.{kind}"]
        found |= {f"norm_{side}.{kind}": w[f"ln_{side}.{kind}"] for side in "qk"}
        last = norm or {key: w[f"ln_post.{key}"] for key in ("weight", "bias") if f"ln_post.{key}" in w}
        if last:
            found[f"norm.{kind}"] = last[kind]
    return found


def tower(kind: type, z: dict[str, Tensor], under: str = "", heads: str = "in_heads", **more) -> TimmVision:
    w = weights(z, under)
    depth = len({key.split(".")[2] for key in w if key.startswith("transformer.resblocks")})
    config = kind.Config(
        patch=int(z["in_patch"]),
        width=w["class_embedding"].shape[0],
        depth=depth,
        heads=int(z[heads]),
        pre_norm=True,
        norm_eps=1e-5,
        **more,
    )
    part = kind(config, {"image": FieldSpec("picture", tuple(z["in_image"].shape[1:]))}).double().eval()
    state = {
        f"module.{key}": x
        for key, x in as_timm({of_clip(key): x for key, x in w.items()}).items()
        if not key.startswith(("proj", "attn_pool")) and (kind is TimmVision or not key.startswith("norm."))
    }
    if kind is PooledVision:
        norm = {key: w[f"ln_post.{key}"] for key in ("weight", "bias")}
        state |= {f"caption.{key}": x for key, x in pooler_weights(weights(z, f"{under}attn_pool."), norm).items()}
    part.load_state_dict({"mask_token": torch.zeros(w["class_embedding"].shape[0]), **state})
    return part
