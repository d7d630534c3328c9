"""timm's blocks, with attention that knows of frames, of CPUs in half precision, and that shows its maps."""

from typing import cast

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import Tensor

from vlobjectives.functional.attention import HIDDEN, attention


def supported(block: torch.nn.Module) -> bool:
    """Whether `through` computes what this block of a timm model does."""
    plain = type(block) is Block and type(block.attn) is Attention
    return plain and getattr(block.attn, "gate", None) is None


def frame_bias(frames: int, each: int, like: Tensor) -> Tensor:
    """Who sees whom, as an additive mask [F*each, F*each] for F frames of `each` tokens, the class token first.

    A class token sees every token of every frame, any other token those of its own frame (GLSCL, arXiv 2306.07096).
    """
    place = torch.arange(frames * each, device=like.device)
    seen = (place[:, None] % each == 0) | (place[:, None] // each == place // each)
    return torch.where(seen, 0.0, HIDDEN).to(like.dtype)


def through(block: Block, x: Tensor, frames: int, maps: bool = False) -> tuple[Tensor, Tensor | None]:
    """One block on x [B, F*N, D], frame after frame, each with its class token first.

    Returns (x [B, F*N, D], maps [B,heads,F*N,F*N] if asked, else None).
    """
    branch, seen = attended(cast(Attention, block.attn), block.norm1(x), frames, maps)
    x = x + block.drop_path1(block.ls1(branch))
    return x + block.drop_path2(block.ls2(block.mlp(block.norm2(x)))), seen


def attended(attn: Attention, x: Tensor, frames: int, maps: bool = False) -> tuple[Tensor, Tensor | None]:
    """The attention branch, after the output projection, on normalised x [B, F*N, D]; returns as `through`."""
    batch, count, _ = x.shape
    q, k, v = attn.qkv(x).reshape(batch, count, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = attn.q_norm(q), attn.k_norm(k)
    drop, seen = attn.attn_drop.p if attn.training else 0.0, None
    if frames == 1:
        out, seen = attention(q, k, v, dropout=drop, maps=maps)
    elif maps:
        out, seen = attention(q, k, v, frame_bias(frames, count // frames, q), dropout=drop, maps=True)
    else:
        out = _by_frame(q, k, v, frames, drop)
    out = attn.norm(out.transpose(1, 2).reshape(batch, count, -1))
    return attn.proj_drop(attn.proj(out)), seen


def _by_frame(q: Tensor, k: Tensor, v: Tensor, frames: int, drop: float) -> Tensor:
    """Both patterns of `frame_bias` without its F times larger matrix: within frames, then class tokens over all."""
    batch, heads, count, width = q.shape

    def split(x: Tensor) -> Tensor:
        return x.reshape(batch, heads, frames, -1, width).transpose(1, 2).flatten(0, 1)

    own, _ = attention(split(q), split(k), split(v), dropout=drop)
    own = own.reshape(batch, frames, heads, -1, width).transpose(1, 2)
    classes, _ = attention(q[:, :, :: count // frames], k, v, dropout=drop)
    return torch.cat([classes[:, :, :, None], own[:, :, :, 1:]], 3).flatten(2, 3)
