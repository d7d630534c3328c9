"""A whole small SyCoCa on pictures and ids made by hand, run by the real host in float64."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from coca_numbers import decoder_weights, text_weights, texts, weights
from torch import Tensor
from vlobj_common.objectives.ic import IC
from vlobj_common.objectives.itc import ITC
from vlobj_models.causal_text import CausalText
from vlobj_models.cross_decoder import CrossDecoder
from vlobj_models.projection import JointProjection
from vlobj_models.timm_vision import TimmVision
from vlobj_models.vision_weights import as_timm
from vlobj_models.vocabulary_head import VocabularyHead
from vlobj_models.weights_names import of_clip
from vlobj_sycoca.attentive_patches import AttentivePatches
from vlobj_sycoca.tgmim import TGMIM

from vlobjectives import Batch, FieldSpec, Input, MaskSample
from vlobjectives.contracts.mask import MaskTarget
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.system.losses import Losses
from vlobjectives.system.settings import Settings
from vlobjectives.system.system import System

WEIGHTS = {"itc": 1, "ic": 2, "tgmim": 1}


def system(
    length: int = 6,
    vocabulary: int = 12,
    size: int = 8,
    patch: int = 2,
    width: int = 8,
    joint: int = 6,
    depth: int = 1,
    fill: str = "token",
    share: str = "all",
    ic: dict[str, Any] | None = None,
    tgmim: dict[str, Any] | None = None,
    **mask: Any,
) -> System:
    """SyCoCa's three objectives with the specification's defaults; `mask` goes to both masks."""
    torch.manual_seed(0)
    picture = {"image": FieldSpec("picture", (3, size, size))}
    caption = {"caption": FieldSpec("tokens", (length,), vocabulary)}
    parts: dict[str, Any] = {
        "vision": TimmVision(
            TimmVision.Config(
                patch=patch, width=width, depth=depth, heads=2, pre_norm=True, norm_eps=1e-5, position_std=0.5
            ),
            picture,
        ),
        "text": CausalText(
            CausalText.Config(width=width, depth=depth, heads=2, position_std=0.5, token_std=1.0), caption
        ),
    }
    image, text = parts["vision"].spec, parts["text"].spec
    parts["joint"] = JointProjection(
        JointProjection.Config(width=joint, form="log_scale", max_scale=100.0, norm=("text",), bias=False), image, text
    )
    sizes = {"width": width, "depth": depth, "heads": 2}
    parts["captioner"] = CrossDecoder(
        CrossDecoder.Config(query="text", memory="vision", causal=True, **sizes), text, image
    )
    parts["painter"] = CrossDecoder(
        CrossDecoder.Config(query="vision", memory="text", restore=fill == "drop", **sizes), image, text
    )
    parts["words"] = VocabularyHead(VocabularyHead.Config(of="captioner", layers="matrix"), parts["captioner"].spec)
    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}
    half = {"ratio": 0.5, "fill": fill, **mask}
    masks = {
        "spoken": AttentivePatches(AttentivePatches.Config(hide="most", **half)),
        "clutter": AttentivePatches(AttentivePatches.Config(hide="least", **half)),
    }
    objectives = {
        "itc": ITC(ITC.Config()),
        "ic": IC(IC.Config(**{"mask": "clutter", **(ic or {})})),
        "tgmim": TGMIM(TGMIM.Config(**{"mask": "spoken", **(tgmim or {})})),
    }
    objectives["ic"].build(written=parts["captioner"].spec, head=parts["words"].spec)
    objectives["tgmim"].build(painted=parts["painter"].spec)
    sites = {
        "": {
            "image": MaskTarget("image", image.length, image.grid, fields=picture),
            "text": MaskTarget("text", length, fields=caption),
        }
    }
    slots = {("joint", "vision"): "image", ("joint", "text"): "text"}
    settings = Settings(
        seed=0,
        weights=dict(WEIGHTS),
        group=dict.fromkeys(WEIGHTS, "all"),
        streams={"spoken": "spoken", "clutter": "spoken"},
        pairing_groups={},
        share=share,
    )
    return System(parts, objectives, masks, {}, inputs, sites, slots, settings).double().eval()


def coca_system(z: dict[str, Tensor], vision: TimmVision) -> System:
    """CoCa by the rule of open_clip, with the weights of a golden file and the picture's tower that it holds."""
    length, text, captioner = z["in_text"].shape[1], weights(z, "text."), weights(z, "text_decoder.")
    vocabulary, width = text["token_embedding.weight"].shape
    fields = {"caption": FieldSpec("tokens", (length,), vocabulary)}
    heads = int(z["in_text_heads"])
    tower = CausalText(CausalText.Config(width=width, depth=2, heads=heads, cls_mask="open_clip"), fields).double()
    tower.load_state_dict(text_weights(text))
    joint = JointProjection(
        JointProjection.Config(
            width=text["text_projection"].shape[1], form="log_scale", max_scale=100.0, norm=("text",), bias=False
        ),
        vision.spec,
        tower.spec,
    ).double()
    joint.load_state_dict(
        {
            "image.0.weight": z["w_visual.proj"].T,
            "text.0.weight": text["ln_final.weight"],
            "text.0.bias": text["ln_final.bias"],
            "text.1.weight": text["text_projection"].T,
            "log_scale": z["w_logit_scale"],
        }
    )
    decoder = CrossDecoder(
        CrossDecoder.Config(query="text", memory="vision", causal=True, width=width, depth=2, heads=heads),
        tower.spec,
        vision.spec,
    ).double()
    decoder.load_state_dict(decoder_weights(captioner))
    words = VocabularyHead(VocabularyHead.Config(of="captioner", layers="matrix"), decoder.spec).double()
    words.load_state_dict({"decoder.weight": captioner["text_projection"].T})
    objectives = {"itc": ITC(ITC.Config()), "ic": IC(IC.Config())}
    objectives["ic"].build(written=decoder.spec, head=words.spec)
    settings = Settings(
        seed=0, weights={"itc": 1, "ic": 2}, group=dict.fromkeys(objectives, "all"), streams={}, pairing_groups={}
    )
    parts = {"vision": vision, "text": tower, "joint": joint, "captioner": decoder, "words": words}
    slots = {("joint", "vision"): "image", ("joint", "text"): "text"}
    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}
    return System(parts, objectives, {}, {}, inputs, {"": {}}, slots, settings).eval()


def published(whole: System, z: dict[str, Tensor]) -> None:
    """The weights of `sycoca_step` in place of first ones."""
    parts = whole.model
    vision, text = weights(z, "vision."), weights(z, "text.")
    named = as_timm({of_clip(key): x for key, x in vision.items() if key != "proj"})
    parts["vision"].load_state_dict(
        {"mask_token": z["w_mask_token"], **{f"module.{key}": x for key, x in named.items()}}
    )
    parts["text"].load_state_dict(text_weights(text))
    parts["joint"].load_state_dict(
        {
            "image.0.weight": vision["proj"].T,
            "text.0.weight": text["ln_final.weight"],
            "text.0.bias": text["ln_final.bias"],
            "text.1.weight": text["text_projection"].T,
            "log_scale": z["in_logit_scale"].log(),
        }
    )
    captioner, painter = weights(z, "text_decoder."), weights(z, "image_decoder.")
    parts["captioner"].load_state_dict(decoder_weights(captioner))
    parts["painter"].load_state_dict(decoder_weights(painter, "self_blocks", "cross_blocks"))
    parts["words"].load_state_dict({"decoder.weight": captioner["text_projection"].T})
    whole.objectives["tgmim"].pixels.load_state_dict(
        {kind: painter[f"to_pixels.{kind}"] for kind in ("weight", "bias")}
    )


def batch(pictures: Tensor, ids: Tensor) -> Batch:
    number = torch.arange(len(ids))
    return Batch(number, number.clone(), {"image": pictures, "text": texts(ids)})


def example(rows: int = 3, seed: int = 0) -> Batch:
    """Noise pictures with captions of 6, 4 and 3 ids, begin 10 and end 11 counted."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 10, (rows, 6), generator=generator)
    for row in range(rows):
        length = (6, 4, 3)[row % 3]
        ids[row, 0], ids[row, length - 1], ids[row, length:] = 10, 11, 0
    return batch(torch.randn(rows, 3, 8, 8, dtype=torch.float64, generator=generator), ids)


@dataclass(frozen=True)
class Step:
    """What one step of a system held: the values of all its passes and draws by title, and the losses."""

    losses: Losses
    values: dict[Any, Any]

    def of(self, view) -> Any:
        return execute.read(view, self.values)


def step(whole: System, given: Batch, draws: dict[str, MaskSample] | None = None) -> Step:
    """A step in which `draws` replace what masks would draw."""
    stage = whole.stage(0)
    stage.draws = draws or {}
    views = {
        f"{name}.{key}": view
        for name, objective in whole.objectives.items()
        for key, view in objective.views(whole.inputs).items()
    }
    return Step(whole(given, 0, stage=stage), execute.run(of_views(whole, views, "test"), stage, given))


def drawn(whole: System, given: Batch) -> dict[str, MaskSample]:
    """What both masks draw."""
    values = step(whole, given).values
    return {key.mask: value for key, value in values.items() if isinstance(value, MaskSample)}


def other_text(given: Batch, ids: Tensor) -> Batch:
    return replace(given, values={**given.values, "text": texts(ids)})


def other_pictures(given: Batch, pictures: Tensor) -> Batch:
    return replace(given, values={**given.values, "image": pictures})
