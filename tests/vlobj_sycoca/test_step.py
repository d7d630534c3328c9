"""One whole step of SyCoCa by the real host against the golden one (spec/sycoca.md 2.4, 3, 5)."""

import pytest
import torch
from coca_numbers import close, coca, needs_numbers
from whole import batch, drawn, published, step, system

from vlobjectives import joint


@needs_numbers
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
    scores = whole.masks["spoken"]._score(found.of(joint(whole.inputs["image"]).with_tokens()),
                                          found.of(joint(whole.inputs["text"]).with_tokens()), given)
    close(scores, z["out_score"])
