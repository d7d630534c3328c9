"""MLM against the published numbers; what it looks at and what it does not."""

import math

import pytest
import torch
from handmade import batch, close, drawn, encoded, golden, leaf, texts, total, value
from pydantic import ValidationError
from torch import nn
from vlobj_common.objectives.mlm import MLM

from vlobjectives import CannotBuild, FieldSpec, Fused, Input, Spec, Tokens, ViewError, fused


def mlm(**field) -> MLM:
    objective = MLM(MLM.Config(mask="noisy"))
    objective.build(head=Spec(width=13, fields={"caption": FieldSpec("tokens", **field)}))
    return objective


def run(objective: MLM, tokens, mask, head, ids, surplus=0):
    words = Tokens(ids, torch.ones_like(ids).bool(), torch.zeros_like(ids).bool(), torch.zeros_like(ids))
    side = encoded(tokens, draw=drawn(mask, surplus))
    return objective(masked=Fused(encoded(tokens), side), head=head, batch=batch(len(ids), text=words))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["mlm_0", "mlm_1"])
def test_golden(name, dtype):
    z = golden(name, dtype)
    x, labels = leaf(z["in_text_feats"]), z["in_labels"]
    width, vocabulary = x.shape[-1], len(z["w_decoder_bias"])
    head = nn.Sequential(
        nn.Linear(width, width),
        nn.GELU(),
        nn.LayerNorm(width, z["in_layer_norm_eps"].item()),
        nn.Linear(width, vocabulary),
    ).to(dtype)
    for own, weight in zip(
        head.parameters(),
        ["dense_weight", "dense_bias", "ln_weight", "ln_bias", "decoder_weight", "decoder_bias"],
        strict=True,
    ):
        own.data = z[f"w_{weight}"]
    terms = run(mlm(), x, labels != -100, head, labels.clamp_min(0), surplus=1)
    assert terms["words"].count == z["out_num_masked"]
    close(total(terms), z["out_loss"])
    total(terms).backward()
    close(x.grad, z["out_grad_text_feats"])


def test_uniform_logits_cost_chance():
    ids = texts([3, 4], 7).ids
    mask = torch.zeros(2, 7).bool().index_fill(1, torch.tensor([1, 2]), True)
    term = run(mlm(), torch.randn(2, 7, 8), mask, lambda x: torch.zeros(*x.shape[:2], 13), ids)["words"]
    assert value(term).item() == pytest.approx(math.log(13)) == pytest.approx(term.chance)


def test_chance_is_the_entropy_of_the_words_where_they_were_counted():
    share = (0.0, 0.5, 0.25, 0.25)
    assert mlm(share=share).entropy == pytest.approx(1.5 * math.log(2))
    term = run(
        mlm(share=share),
        torch.randn(1, 3, 8),
        torch.tensor([[False, True, False]]),
        nn.Linear(8, 4),
        torch.tensor([[0, 1, 2]]),
    )["words"]
    assert term.chance == pytest.approx(1.5 * math.log(2))


def test_a_field_that_shares_a_table_of_ids_counts_from_its_first():
    mask, tokens, head = torch.tensor([[False, True, False]]), torch.randn(1, 3, 8), nn.Linear(8, 4)
    plain = run(mlm(), tokens, mask, head, torch.tensor([[0, 3, 2]]))["words"]
    behind = run(mlm(vocabulary=14, ids=(10, 4)), tokens, mask, head, torch.tensor([[0, 13, 2]]))["words"]
    assert plain.total.item() == behind.total.item()


def test_only_scored_positions_enter():
    ids, tokens, head = texts([3, 4], 7).ids, torch.randn(2, 7, 8), nn.Linear(8, 13)
    mask = torch.zeros(2, 7).bool()
    mask[0, 1] = mask[0, 3] = mask[1, 2] = True
    before = run(mlm(), tokens, mask, head, ids)["words"]
    tokens, ids = torch.where(mask[..., None], tokens, torch.randn(2, 7, 8)), torch.where(mask, ids, 5)
    after = run(mlm(), tokens, mask, head, ids, surplus=3)["words"]
    assert before.total.item() == after.total.item() and before.count == after.count == 3


def test_two_halves_by_their_counts_are_the_whole():
    ids, tokens, head = texts([3, 5], 7).ids, torch.randn(2, 7, 8, dtype=torch.float64), nn.Linear(8, 13).double()
    mask = torch.zeros(2, 7).bool()
    mask[0, 1] = mask[1, 1] = mask[1, 3] = mask[1, 4] = True
    whole = run(mlm(), tokens, mask, head, ids)["words"]
    halves = [run(mlm(), tokens[i], mask[i], head, ids[i])["words"] for i in (slice(0, 1), slice(1, 2))]
    together = sum(half.total for half in halves) / sum(half.count for half in halves)
    assert together.item() == pytest.approx(value(whole).item())
    assert sum(value(half) for half in halves).item() / 2 != pytest.approx(together.item(), rel=1e-3)


def test_nothing_scored_is_a_differentiable_zero():
    tokens = leaf(torch.randn(2, 7, 8))
    objective = mlm()
    term = run(objective, tokens, torch.zeros(2, 7).bool(), nn.Linear(8, 13), texts([3, 4], 7).ids, surplus=1)["words"]
    assert term.total == 0 and term.count == 0
    term.total.backward()
    assert not tokens.grad.any()


def test_counts_views_and_a_mask_that_nobody_names():
    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}
    assert mlm().views(inputs) == {"masked": fused(inputs["image"], inputs["text"].masked("noisy"))}
    own = inputs | {"text": Input("text", "text", mask="linked")}
    unnamed = MLM(MLM.Config(mask=None))
    assert unnamed.views(own) == {"masked": fused(own["image"], own["text"])}
    with pytest.raises(ViewError, match="no mask"):
        unnamed.views(inputs)
    mask = torch.tensor([[True, False, True], [False, True, False]])
    value = Fused(encoded(torch.zeros(2, 3, 0)), encoded(torch.zeros(2, 3, 0), draw=drawn(mask)))
    assert mlm().counts(masked=value)["words"] == 3 and mlm().counts() == {}


def test_texts_alone_are_the_same_loss_of_the_encoders_own_tokens():
    """`image: null` reads no picture and no fusion; one without the other is refused."""
    alone = MLM(MLM.Config(mask="noisy", image=None))
    inputs = {"text": Input("text", "text"), "image": Input("image", "vision")}
    view = alone.views(inputs)["masked"]
    assert (
        view.part == "text"
        and view.input == inputs["text"].masked("noisy")
        and alone.config.named("part") == {"head": "words"}
    )
    alone.build(head=Spec(width=13, fields={"caption": FieldSpec("tokens")}))
    ids, tokens, head = texts([3, 4], 7).ids, torch.randn(2, 7, 8), nn.Linear(8, 13)
    mask = torch.zeros(2, 7).bool().index_fill(1, torch.tensor([1, 2]), True)
    words = Tokens(ids, torch.ones_like(ids).bool(), torch.zeros_like(ids).bool(), torch.zeros_like(ids))
    term = alone(masked=encoded(tokens, draw=drawn(mask)), head=head, batch=batch(len(ids), text=words))["words"]
    assert term.total == run(mlm(), tokens, mask, head, ids)["words"].total
    with pytest.raises(ValidationError, match="image and fusion go together"):
        MLM.Config(mask="noisy", fusion=None)
    with pytest.raises(CannotBuild, match="texts alone"):
        alone.predict_tokens(Fused(encoded(tokens), encoded(tokens)), torch.zeros(2, 1).long(), lambda name: head)
