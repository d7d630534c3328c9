"""Pictures and clips through any timm VisionTransformer: GLSCL's flexible encoder (arXiv 2306.07096).

    embed     token(f,0) = c + P[0] + E[f],   token(f,i) = p(f,i) + P[i] + E[f]       i = 1..n, frames f = 0..F-1
    hide      `token`: p(f,i) is the learned mask token; `drop`: positions that are not in draw.keep leave after embed
    blocks    a frame's class token sees all tokens of all frames, every other token those of its own frame
    out       final norm on every token, then (with `out`) a linear map, METER's transform

Of one frame and without a temporal table this is timm's model, and timm's weights load by their names.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import timm
import torch
from timm.layers.norm import LayerNorm
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vlobj_models.frame_attention import supported, through
from vlobj_models.positions import positions_on
from vlobj_models.stems import STEMS, ConvStem, MlpStem
from vlobj_models.timm_config import TimmVisionConfig
from vlobj_models.timm_stems import _pointwise
from vlobj_models.vision_weights import agreed, load, resampled, unfetched
from vlobj_models.weights_files import reason
from vlobjectives import (
    Encoded,
    Encoder,
    FieldSpec,
    MaskSample,
    RequestedOutputs,
    Spec,
    not_none,
)
from vlobjectives.functional.masking import gather_tokens
from vlobjectives.functional.pixels import fill_patches

TRANSFORM_STD = 0.02  # METER's, for a transform on top of a tower that brings its own initialisation


class TimmVision(Encoder):
    """Vision transformer of timm, for pictures and for clips.

    x [B,C,H,W] or [B,F,C,H,W] -> tokens [B,F*n,D], patches row by row, frame after frame; cls [B,F,D] (None for a
    model without class token); extra["registers"] [B,F*R,D] if the model has R registers; extra["slots"] [B,K,D] of
    K learned slots, which see and are seen by all tokens of a picture and go no further. F is that of the batch: one
    model takes pictures (F = 1) and clips of up to as many frames as the temporal table has rows.

    Fills: `drop` (draw.keep [B,k]: of clips k/F positions of each frame, frame after frame; else ValueError), `token`,
    `pixels` (hidden by the host). Pictures of another size than the tower's own (of the first input that names it) have
    as many patches as go into them, on positions that are resampled (bicubic, antialiased); hybrids take their own size
    alone. `layers[n]` [B,N',D] and `maps["block{n}"]` [B,heads,N',N'] count class tokens of
    all frames first, then patches, then slots, then registers; layers are before the final norm.
    """

    paper = "GLSCL, arXiv 2306.07096"
    spare = frozenset({"mask_token"})

    Config = TimmVisionConfig

    def __init__(self, config: TimmVisionConfig, fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        pictures = [spec for spec in fields.values() if spec.kind == "picture"]
        if len(fields) != 1 or len(pictures) != 1:
            raise self.cannot(f"timm_vision reads one field of pictures, not {', '.join(fields) or 'none'}")
        *clip, channels, height, width = pictures[0].shape
        frames = clip[0] if clip else 1
        self.module = self._module(channels, (height, width))
        self.patch = patch = self._patch((height, width))
        if config.weights and config.stem != "linear":
            raise self.cannot(f"weights have no {config.stem} stem", "stem: linear")
        if config.weights:
            agreed(self.module, config.weights)
        embed = self.module.patch_embed
        resizable = isinstance(embed, PatchEmbed | MlpStem | ConvStem)
        if isinstance(embed, PatchEmbed):
            embed.strict_img_size = False  # the host holds pictures against the patch (`Encoder.spec_for`)
        # What looks beyond its patch sees hidden pixels through their neighbours, unless they are hidden before it.
        self.looks_beyond = type(self.module.patch_embed) not in (PatchEmbed, MlpStem)
        dim = self.module.embed_dim
        self.mask_token = nn.Parameter(torch.empty(dim))
        temporal = frames > 1 if config.temporal is None else config.temporal
        most = config.frames or frames
        if frames > 1 and not self.module.has_class_token:
            raise self.cannot(f"'{config.name}' has no class token, through which frames see each other")
        if frames > 1 and config.slots:
            raise self.cannot("slots are for pictures, and this encoder reads clips", "slots: null")
        if temporal and most < frames:
            raise self.cannot(f"a temporal table of {most} rows does not hold {frames} frames", "raise `frames`")
        self.temporal = nn.Parameter(torch.empty(most, dim)) if temporal else None
        self.slots = nn.Parameter(torch.empty(config.slots, dim)) if config.slots else None
        self.out: nn.Module = nn.Linear(dim, config.out) if config.out else nn.Identity()
        self._start()
        rows, columns = self.module.patch_embed.grid_size
        registers = self.module.num_reg_tokens
        self.spec = Spec(
            width=config.out or dim,
            length=frames * rows * columns,
            grid=(rows, columns),
            patch_size=patch,
            frames=frames,
            classes=frames if self.module.has_class_token else 0,
            fields=dict(fields),
            extra={
                name: (count, config.out or dim)
                for name, count in (("registers", frames * registers), ("slots", config.slots or 0))
                if count
            },
            can=frozenset({"drop", "token", "pixels", "frames", "layers", "maps", "stack"})
            | (frozenset({"sizes"}) if resizable else frozenset()),
        )

    def _module(self, channels: int, size: tuple[int, int]) -> VisionTransformer:
        config, eps = self.config, self.config.norm_eps
        if config.width and config.heads and config.width % config.heads:
            raise self.cannot(f"{config.heads} heads do not divide the width {config.width}")
        chosen = {
            "patch_size": config.patch,
            "embed_dim": config.width,
            "depth": config.depth,
            "num_heads": config.heads,
            "mlp_ratio": config.mlp_ratio,
            "act_layer": config.act,
            "pre_norm": config.pre_norm,
            "norm_layer": partial(LayerNorm, eps=eps) if eps else None,
            "embed_layer": None if config.stem == "linear" else STEMS[config.stem],
        }
        chosen = {key: value for key, value in chosen.items() if value is not None}
        common = {"img_size": size, "in_chans": channels, "num_classes": 0, "global_pool": ""}
        module = self._named(**common, **chosen) if config.name else self._written(**common, **chosen)
        if config.stem == "conv" and (patch := module.patch_embed.patch_size[0]) & (patch - 1):
            raise self.cannot(
                f"a conv stem halves the picture again and again, which never gives patches of {patch}",
                "take a power of two",
            )
        return module

    def _patch(self, size: tuple[int, int]) -> int:
        """Pixels a side of what one token stands for; of a hybrid with convolutions below only its grid tells."""
        embed = self.module.patch_embed
        patch = (
            embed.patch_size[0]
            if isinstance(embed, PatchEmbed | MlpStem | ConvStem)
            else max(1, size[0] // max(1, embed.grid_size[0]))
        )
        if tuple(count * patch for count in embed.grid_size) != size:
            near = [number for number in (size[0] // patch * patch, (size[0] // patch + 1) * patch) if number]
            raise self.cannot(
                f"{size[0]} x {size[1]} pixels are not made of whole patches of {patch}",
                f"near are sizes of {' and '.join(map(str, near))}",
            )
        if self.config.patch not in (None, patch):
            raise self.cannot(
                f"'{self.config.name}' has convolutions below its patches, which are {patch} pixels a side",
                "leave `patch` out",
            )
        return patch

    def _written(self, **chosen: Any) -> VisionTransformer:
        missing = [key for key in ("patch", "width", "depth", "heads") if getattr(self.config, key) is None]
        if missing:
            raise self.cannot(f"an architecture without `name` needs {', '.join(missing)}")
        return VisionTransformer(**chosen)

    def _named(self, **chosen: Any) -> VisionTransformer:
        name = not_none(self.config.name, "name of a timm model")
        if not timm.is_model(name):
            near = timm.list_models(f"*{name.split('.')[0][:12]}*")[:5]
            raise self.cannot(f"timm has no model '{name}'", f"near it are {', '.join(near)}" if near else "")
        try:
            module = timm.create_model(name, **chosen)
        except (TypeError, RuntimeError) as error:  # keywords that only vision transformers know; a tag that is not
            raise self.cannot(f"timm's '{name}' is no plain vision transformer or no model: {error}") from None
        except Exception as error:  # whatever timm asserts
            raise self.cannot(
                f"timm cannot build '{name}' as a plain vision transformer: {reason(error)}",
                "take another model, or leave out what changes this one",
            ) from None
        if type(module) is not VisionTransformer or not all(supported(block) for block in module.blocks):
            raise self.cannot(
                f"timm's '{name}' is a {type(module).__name__} or has blocks of its own; "
                "positions can be dropped and frames kept apart in plain VisionTransformers only"
            )
        if any(isinstance(layer, _BatchNorm) for layer in module.modules()):
            raise self.cannot(
                f"timm's '{name}' normalises over the batch, so that a row would hang on the others",
                "take one with GroupNorm or LayerNorm: vit_small_r26_s32_224, vit_small_patch16_224",
            )
        return module

    @torch.no_grad()
    def _start(self) -> None:
        """First weights of what timm does not know, and of all if `init_std` is set."""
        config, module = self.config, self.module
        nn.init.normal_(self.mask_token, std=config.mask_std)
        for tokens in (self.temporal, self.slots):
            if tokens is not None:
                nn.init.normal_(tokens, std=module.embed_dim**-0.5)
        linear: list[nn.Linear | nn.Conv2d] = [self.out] if isinstance(self.out, nn.Linear) else []
        if config.init_std:
            linear += [layer for layer in module.modules() if isinstance(layer, nn.Linear) or _pointwise(layer)]
        for layer in linear:
            nn.init.normal_(layer.weight, std=config.init_std or TRANSFORM_STD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        for positions, std in ((module.pos_embed, config.position_std), (self.temporal, config.temporal_std)):
            if std and positions is not None:
                nn.init.normal_(positions, std=std)

    def load_weights(self) -> list[str]:
        return load(self.module, self.config.weights) if self.config.weights else []

    def weights_missing(self) -> str:
        return super().weights_missing() or (unfetched(self.config.weights) if self.config.weights else "")

    def resampled(self, name: str, value: Tensor) -> Tensor | None:
        module = self.module
        if name != "module.pos_embed":
            return None
        prefix = 0 if module.no_embed_class else module.num_prefix_tokens
        return resampled(value, tuple(module.patch_embed.grid_size), prefix)

    def embed(self, x: Tensor, draw: MaskSample | None = None) -> Tensor:
        """The sum above, [B,F,P+k,D]: P class tokens and registers of a frame, k patches that are left of it."""
        module, batch, frames = self.module, x.shape[0], x.shape[1] if x.dim() == 5 else 1
        hide = draw if draw is not None and draw.fill in ("drop", "token") else None
        if hide is not None and self.looks_beyond:
            x = fill_patches(x, hide.hidden, self.spec.patch_size)
        patches = module.patch_embed(x.reshape(-1, *x.shape[-3:]))
        patches = patches.reshape(batch, -1, patches.shape[-1])
        if hide is not None and hide.fill == "token":
            patches = torch.where(hide.hidden[..., None], self.mask_token.to(patches.dtype), patches)
        patches = patches.reshape(batch, frames, -1, patches.shape[-1])
        prefix = [
            token.expand(batch, frames, -1, -1) for token in (module.cls_token, module.reg_token) if token is not None
        ]
        if module.pos_embed is not None:
            own = 0 if module.no_embed_class else module.num_prefix_tokens
            rows, columns = (side // self.patch for side in x.shape[-2:])
            positions = positions_on(module.pos_embed, tuple(module.patch_embed.grid_size), (rows, columns), own)
            patches = patches + positions[:, own:]
            if own:
                prefix = [torch.cat(prefix, 2) + positions[:, :own]]
        if self.temporal is not None:
            shift = self.temporal[:frames, None]
            patches, prefix = patches + shift, [token + shift for token in prefix]
        if hide is not None and hide.fill == "drop":
            keep = not_none(hide.keep, "`keep` in a draw that drops")
            if keep.shape[1] % frames:
                raise ValueError(f"{keep.shape[1]} kept positions are not the same number in {frames} frames")
            patches = gather_tokens(patches.flatten(1, 2), keep).reshape(batch, frames, -1, patches.shape[-1])
        return torch.cat([*(token.to(patches.dtype) for token in prefix), patches], 2)

    def forward(self, x: Tensor, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        hidden = self.embed(x, draw)
        if self.slots is not None:
            hidden = torch.cat([hidden, self.slots.to(hidden.dtype).expand(len(hidden), 1, -1, -1)], 2)
        batch, frames, each, _ = hidden.shape
        hidden = self.module.norm_pre(hidden.flatten(1, 2))
        layers, maps, order = {}, {}, self._order(frames, each, hidden.device)
        for number, block in enumerate(self.module.blocks):
            hidden, seen = through(cast(Block, block), hidden, frames, want.maps)
            if number in want.layers:
                layers[number] = hidden[:, order]
            if seen is not None:
                maps[f"block{number}"] = seen[:, :, order][..., order]
        final = self.out(self.module.norm(hidden)).reshape(batch, frames, each, -1)
        first, registers = self.module.num_prefix_tokens, self.module.num_reg_tokens
        last = each - (self.config.slots or 0)
        tokens = final[:, :, first:last].flatten(1, 2)
        extra = {"registers": final[:, :, first - registers : first].flatten(1, 2)} if registers else {}
        extra |= {"slots": final[:, 0, last:]} if self.slots is not None else {}
        return Encoded(
            tokens,
            torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device),
            cls=final[:, :, 0] if self.module.has_class_token else None,
            draw=draw,
            layers=layers,
            maps=maps,
            extra=extra,
        )

    def _order(self, frames: int, each: int, device: torch.device) -> Tensor:
        """From frames of (class, registers, patches) to class tokens, patches, registers of all frames, [F*each]."""
        place = torch.arange(frames * each, device=device).reshape(frames, each)
        first, classes = self.module.num_prefix_tokens, int(self.module.has_class_token)
        return torch.cat([place[:, :classes].flatten(), place[:, first:].flatten(), place[:, classes:first].flatten()])
