"""Whole steps of CoCa and SyCoCa by the real host against the golden ones (spec/sycoca.md 2.4, 3, 5)."""

import pytest
import torch
from coca_numbers import close, coca, tower
from vlobj_models.pooled_vision import PooledVision
from vlobj_models.timm_vision import TimmVision
from whole import batch, coca_system, drawn, published, step, system

from vlobjectives import joint


@pytest.mark.parametrize("share", ["all", "none"])
def test_golden(share):
    z = coca("sycoca_step")
    whole = system(share=share)
    published(whole, z)
    given = batch(z["in_image"], z["in_text"])
    found, draws = step(whole, given), drawn(whole, given)
    assert torch.equal(draws["clutter"].hidden, z["out_hidden_ic"])
    assert torch.equal(draws["spoken"].hidden, z["out_hidden_tgmim"])
    image, text = (found.of(joint(whole.inputs[name])) for name in ("image", "text"))
    close(image.pooled, z["out_image_features"])
    close(text.pooled, z["out_text_features"])
    written = whole.objectives["ic"].views(whole.inputs)["written"]
    seen = given["text"].valid  # what stands in padding is looked at by nobody here, and by padding there
    close(whole.model["words"](found.of(written).tokens)[seen], z["out_logits"][seen])
    tgmim = whole.objectives["tgmim"]
    close(tgmim.pixels(found.of(tgmim.views(whole.inputs)["painted"]).tokens), z["out_pred"])
    losses = found.losses
    for ours, theirs in (("itc/contrast", "contrastive"), ("ic/words", "caption"), ("tgmim/pixels", "tgmim")):
        close(losses.weighted(ours), z[f"out_{theirs}"])
    assert losses.counts["ic/words"] == z["out_caption_count"]
    assert losses.counts["tgmim/pixels"] == z["out_tgmim_count"]
    close(losses.total, z["out_total"])
    scores = whole.masks["spoken"]._score(
        found.of(joint(whole.inputs["image"]).with_tokens()), found.of(joint(whole.inputs["text"]).with_tokens()), given
    )
    close(scores, z["out_score"])


@pytest.mark.parametrize("name", ["model_patches", "model_pooled"])
def test_golden_of_coca(name):
    """Without a pooler the decoder reads the patches, with one what its queries found."""
    z = coca(name)
    if name == "model_patches":
        vision = tower(TimmVision, z, "visual.", "in_vision_heads")
    else:
        queries, width = z["w_visual.attn_pool.query"].shape
        vision = tower(
            PooledVision,
            z,
            "visual.",
            "in_vision_heads",
            pooling="single",
            queries=queries,
            pooled_width=width,
            pooler_heads=int(z["in_pooler_heads"]),
        )
    whole, given = coca_system(z, vision), batch(z["in_image"], z["in_text"])
    found = step(whole, given)
    for side in ("image", "text"):
        close(found.of(joint(whole.inputs[side])).pooled, z[f"out_{side}_features"])
    close(found.of(joint(whole.inputs["image"])).scale, z["out_logit_scale"])
    written = whole.objectives["ic"].views(whole.inputs)["written"]
    seen = given["text"].valid
    close(whole.model["words"](found.of(written).tokens)[seen], z["out_logits"][seen])
    close(found.losses.weighted("itc/contrast"), z["out_contrastive"])
    close(found.losses.weighted("ic/words"), z["out_caption"])
    close(found.losses.total, z["out_total"])
