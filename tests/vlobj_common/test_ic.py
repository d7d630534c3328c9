"""Captioning against open_clip's numbers (spec/sycoca.md 2.2), what is a label, and what the decoder reads."""

import math

import pytest
import torch
from coca_numbers import close, coca, texts
from handmade import batch, encoded, itself, leaf, value
from torch import Tensor
from vlobj_common.objectives.ic import IC
from vlobj_common.objectives.itc import ITC

from vlobjectives import CannotBuild, FieldSpec, Input, Joint, Spec, Tokens, decoded
from vlobjectives import encoded as encoded_view

CAUSAL = Spec(8, can=frozenset({"causal"}))


def ic(share: tuple[float, ...] = (), first: int | None = None, **config) -> IC:
    objective = IC(IC.Config(**config))
    field = FieldSpec("tokens", share=share, ids=None if first is None else (first, 5))
    objective.build(written=CAUSAL, head=Spec(11, fields={"caption": field}))
    return objective


def run(logits: Tensor, tokens: Tokens, objective: IC | None = None):
    terms = (objective or ic())(written=encoded(logits), head=lambda x: x, batch=batch(len(logits), text=tokens))
    return terms["words"]


def example(seed: int = 0) -> tuple[Tensor, Tokens]:
    """Three captions of 7, 4 and 2 ids, begin and end included, and logits over 11 ids."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 9, (3, 7), generator=generator)
    for row, length in enumerate((7, 4, 2)):
        ids[row, 0], ids[row, length - 1], ids[row, length:] = 9, 10, 0
    return torch.randn(3, 7, 11, dtype=torch.float64, generator=generator), texts(ids)


@pytest.mark.parametrize("name", ["loss_padded", "loss_full_length"])
def test_golden(name):
    """The whole of CoCa's loss: contrast and captioning, weighted, and every gradient."""
    z = coca(name)
    inputs = {key: leaf(z[f"in_{key}"]) for key in ("logits", "image_features", "text_features", "logit_scale")}
    tokens, scale = texts(z["in_text"]), inputs["logit_scale"]
    term = run(inputs["logits"], tokens)
    caption = value(term) * z["in_weight_caption"]
    close(caption, z["out_caption"])
    assert term.count == z["out_caption_count"]
    itc = ITC(ITC.Config())
    contrast = (
        value(
            itc(
                image=Joint(inputs["image_features"], scale),
                text=Joint(inputs["text_features"], scale),
                batch=batch(len(tokens.ids)),
                gather=itself,
            )["contrast"]
        )
        * z["in_weight_contrastive"]
    )
    close(contrast, z["out_contrastive"])
    close(contrast + caption, z["out_total"])
    (contrast + caption).backward()
    for key, x in inputs.items():
        close(x.grad, z[f"out_grad_{key}"])


def test_golden_a_word_with_the_padding_id_loses_its_label_only_where_padding_is_told_by_id():
    z = coca("loss_pad_inside")
    by_id = texts(z["in_text"])
    close(value(run(z["in_logits"], by_id)) * z["in_weight_caption"], z["out_caption"])
    last = torch.arange(by_id.ids.shape[1]).where(by_id.valid, 0).amax(1, keepdim=True)
    by_length = Tokens(by_id.ids, torch.arange(by_id.ids.shape[1]) <= last, by_id.special, by_id.segment)
    assert run(z["in_logits"], by_length).count > run(z["in_logits"], by_id).count


def test_property_14_padding_labels_and_the_last_position_get_no_gradient():
    logits, tokens = example()
    logits = leaf(logits)
    run(logits, tokens).total.backward()
    scored = torch.zeros(3, 7, dtype=torch.bool)
    scored[:, :-1] = tokens.valid[:, 1:]
    assert (logits.grad[~scored] == 0).all() and (logits.grad[scored] != 0).any(-1).all()


def test_property_14_a_batch_without_a_label_is_a_differentiable_zero():
    ids = torch.zeros(2, 5, dtype=torch.int64).index_fill(1, torch.tensor([0]), 9)
    logits = torch.randn(2, 5, 11, requires_grad=True)
    for objective in (ic(), ic(share=(0.5, 0.5))):
        term = run(logits, texts(ids), objective)
        assert term.total == 0 and term.count == 0 and math.isfinite(float(term.chance))
        term.total.backward()
        assert (logits.grad == 0).all()


def test_property_15_two_halves_by_their_counts_are_the_whole():
    logits, tokens = example()
    whole = run(logits, tokens)
    parts = [run(logits[rows], tokens.rows(rows)) for rows in (slice(0, 1), slice(1, 3))]
    close(sum(part.total for part in parts) / sum(part.count for part in parts), value(whole))
    counted = ic().counts(batch(3, text=tokens))["words"]
    assert counted == whole.count == 6 + 3 + 1


def test_property_16_uniform_logits_cost_chance():
    _, tokens = example()
    term = run(torch.zeros(3, 7, 11, dtype=torch.float64), tokens)
    assert value(term).item() == pytest.approx(math.log(11)) == pytest.approx(term.chance)


def test_chance_is_the_entropy_of_words_and_end_where_words_were_counted():
    logits, tokens = example()
    term = run(logits, tokens, ic(share=(0.0, 0.5, 0.25, 0.25)))
    labels = [0.3, *(0.7 * p for p in (0.5, 0.25, 0.25))]  # of ten labels three are the end
    assert float(term.chance) == pytest.approx(-sum(p * math.log(p) for p in labels))


def test_a_field_that_shares_a_table_of_ids_counts_from_its_first():
    logits, tokens = example()
    moved = Tokens(tokens.ids + 20, tokens.valid, tokens.special, tokens.segment)
    close(run(logits, moved, ic(first=20)).total, run(logits, tokens).total)


IMAGE, TEXT = Input("image", "vision"), Input("text", "text")


@pytest.mark.parametrize(
    ("config", "memory"),
    [
        ({}, encoded_view(IMAGE)),
        ({"mask": "clutter"}, encoded_view(IMAGE).visible("clutter")),
        ({"mask": "clutter", "ic_image": "masked"}, encoded_view(IMAGE.masked("clutter"))),
    ],
)
def test_what_the_decoder_reads(config, memory):
    views = IC(IC.Config(**config)).views({"image": IMAGE, "text": TEXT})
    assert views == {"written": decoded(TEXT, memory, part="captioner")}


def test_a_decoder_that_sees_what_comes_is_refused():
    with pytest.raises(CannotBuild, match="sees the words") as refused:
        IC(IC.Config()).build(written=Spec(8), head=Spec(11))
    assert "causal: true" in refused.value.hint
