"""ITM against the published numbers, its two schemes, and rows that are not counted."""

import math

import pytest
import torch
from handmade import batch, close, encoded, golden, leaf, total, value
from torch import Tensor
from vlobj_common.objectives.itm import ITM

from vlobjectives import CannotBuild, Fused, Input, Pairs, Spec, fused


def itm(width: int, dtype=torch.float64, **config) -> ITM:
    objective = ITM(ITM.Config(negatives="others", **config))
    objective.build(pairs=Spec(width=width, pooled=width))
    return objective.to(dtype)


def of(pooled: Tensor, pairs: Pairs | None = None) -> Fused:
    return Fused(encoded(pooled[:, None]), encoded(pooled[:, None]), pooled, pairs)


def wrong(anchor: list[int], valid: list[int], matched: list[int] | None = None) -> Pairs:
    row = torch.tensor(anchor)
    return Pairs(row, row, row, torch.tensor(valid).bool(), None if matched is None else torch.tensor(matched).bool())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["itm_0", "itm_1"])
def test_golden(name, dtype):
    z = golden(name, dtype)
    x, label = leaf(z["in_cls_feats"]), z["in_labels"].tolist()
    objective = itm(x.shape[1], dtype)
    objective.head.weight.data, objective.head.bias.data = z["w_fc_weight"], z["w_fc_bias"]
    pairs = of(x, wrong(list(range(len(label))), [1] * len(label), label))
    close(objective.head(x), z["out_logits"])
    terms = objective(pairs=pairs, batch=batch(len(label)))
    close(total(terms), z["out_loss"])
    total(terms).backward()
    close(x.grad, z["out_grad_cls_feats"])
    right = (z["out_logits"].argmax(-1) == z["in_labels"]).double().mean()
    assert value(terms["accuracy"]) == pytest.approx(right.item())


def test_half_batch_leaves_rows_without_a_partner_out():
    x = leaf(torch.randn(4, 3, dtype=torch.float64))
    objective = itm(3)
    pairs = of(x, wrong([0, 1, 2, 3], [0, 1, 1, 1], [0, 1, 0, 0]))
    terms = objective(pairs=pairs, batch=batch(4))
    assert terms["match"].count == 3 and terms["match"].chance.item() == pytest.approx(0.6365, abs=1e-4)
    terms["match"].total.backward()
    assert not x.grad[0].any() and x.grad[1:].any(1).all()


def test_one_row_is_no_batch_but_an_exact_zero():
    x = leaf(torch.randn(1, 3, dtype=torch.float64))
    terms = itm(3)(pairs=of(x, wrong([0], [0], [0])), batch=batch(1))
    assert terms["match"].count == 0 and terms["match"].total == 0 and terms["match"].chance == 0
    terms["match"].total.backward()
    assert not x.grad.any()


def test_matched_plus_wrong_is_the_mean_over_both_passes():
    good, bad = torch.randn(3, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    objective = itm(4, scheme="matched_plus_wrong")
    pairs = of(bad, wrong([0, 0, 1, 1, 2, 2], [1, 1, 1, 1, 0, 0]))
    term = objective(pairs=pairs, matched=of(good), batch=batch(3))["match"]
    # caption 2 has no wrong pair, so its right one, which "always matched" would get for nothing, is not counted
    assert term.count == 6 and term.chance.item() == pytest.approx(math.log(3) - 2 / 3 * math.log(2))
    rows = [*objective.head(good[:2]).log_softmax(-1)[:, 1], *objective.head(bad[:4]).log_softmax(-1)[:, 0]]
    assert value(term).item() == pytest.approx(-sum(rows).item() / 6)


def test_logits_that_know_only_the_share_cost_chance():
    objective = itm(3)
    objective.head.weight.data.zero_()
    objective.head.bias.data = torch.tensor([2 / 3, 1 / 3], dtype=torch.float64).log()
    term = objective(
        pairs=of(torch.randn(6, 3).double(), wrong(list(range(6)), [1] * 6, [1, 1, 0, 0, 0, 0])), batch=batch(6)
    )["match"]
    assert value(term).item() == pytest.approx(term.chance.item()) == pytest.approx(0.6365, abs=1e-4)


def test_counts_are_those_of_forward_and_absent_where_pairs_are_not_known():
    for scheme, matched in (("half_batch", [0, 1, 0]), ("matched_plus_wrong", None)):
        objective = itm(2, scheme=scheme)
        pairs = of(torch.randn(3, 2).double(), wrong([0, 1, 2], [0, 1, 1], matched))
        more = {"matched": of(torch.randn(3, 2).double())} if matched is None else {}
        terms = objective(pairs=pairs, batch=batch(3), **more)
        assert objective.counts(pairs=pairs, batch=batch(3)) == {name: term.count for name, term in terms.items()}
    assert objective.counts(batch=batch(3)) == {}


def test_views_of_both_schemes_and_a_fusion_that_does_not_pool():
    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}
    one = ITM(ITM.Config(negatives="others")).views(inputs)
    assert one == {"pairs": fused(inputs["image"], inputs["text"], "others", keep=0.5)}
    two = ITM(ITM.Config(negatives="others", scheme="matched_plus_wrong", fusion="mixer")).views(inputs)
    assert two == {
        "pairs": fused(inputs["image"], inputs["text"], "others", part="mixer"),
        "matched": fused(inputs["image"], inputs["text"], part="mixer"),
    }
    with pytest.raises(CannotBuild, match="pooled"):
        ITM(ITM.Config(negatives="others")).build(pairs=Spec(width=8))


def test_first_weights():
    head = itm(5000, init_std=0.1).head
    assert head.weight.std().item() == pytest.approx(0.1, rel=0.05) and not head.bias.any()
    assert ITM.Config(negatives="others").init_std == 0.02
