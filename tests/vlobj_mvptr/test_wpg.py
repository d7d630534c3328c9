"""Grounding: what counts, what is read, and what is refused."""

import pytest
import torch
from handmade import batch, itself, noise, texts
from pydantic import ValidationError
from vlobj_mvptr.wpg import WPG

from vlobjectives import CannotBuild, Encoded, FieldSpec, Fused, Pairs, Spec

TEXT = Spec(4, fields={"caption": FieldSpec("tokens", (4,)), "phrases": FieldSpec("tokens", (3,))})


def made(**config) -> WPG:
    objective = WPG(WPG.Config(**config))
    objective.build(TEXT)
    return objective


def passes(phrases: list[int], regions: list[int], seed: int = 0) -> Fused:
    """Begin, two words, so many phrases, end, padding; so many regions of four."""
    rows, g = len(phrases), torch.Generator().manual_seed(seed)
    place, last = torch.arange(7), 3 + torch.tensor(phrases)[:, None]
    special = (place == 0) | (place >= last)
    segment = (place >= 3).long().expand(rows, -1)
    text, image = (torch.randn(rows, n, 4, generator=g, dtype=torch.float64, requires_grad=True) for n in (7, 4))
    return Fused(
        Encoded(image, torch.arange(4) < torch.tensor(regions)[:, None]),
        Encoded(text, place <= last, segment=segment, special=special),
    )


def term(value: Fused, same: list[int] | None = None, **config):
    rows = len(value.text.tokens)
    return made(**config)(value, batch(rows, same=same), noise(rows), itself)["grounding"]


def test_phrases_and_partners_count_and_pictures_without_regions_do_not():
    assert term(passes([2, 0, 1, 3], [4, 4, 4, 4])).count == 3
    assert term(passes([2, 2, 2], [4, 0, 4]), same=[0, 1, 0]).count == 0  # only the picture without regions is another
    assert term(passes([2, 2], [4, 4]), same=[5, 5]).count == 0
    value = passes([0, 0], [4, 4])
    nothing = term(value)
    assert nothing.count == 0 and nothing.total == 0
    nothing.total.backward()
    assert not value.text.tokens.grad.any()


def test_pictures_of_equal_captions_are_no_negatives_where_the_recipe_says_so():
    value, text = passes([2, 2], [4, 4]), texts([5, 5], 7)
    text.ids[1] = text.ids[0]
    rows, there = batch(2, text=text), value.image.valid.any(1)

    def gather(x):
        """What the process of row 0 gets, the other row standing on another one."""
        every = (rows.number, text.ids, there)
        return next(whole for whole in every if (whole.dtype, whole.dim()) == (x.dtype, x.dim()))

    for positives, count in (("same_picture", 2), ("equal_captions", 0)):
        objective = made(positives=positives)
        assert objective(value, rows, noise(2), itself)["grounding"].count == count
        assert objective.counts(rows, noise(2), itself, value) == {"grounding": count}
        alone = objective.counts(rows.rows(slice(0, 1)), noise(1), gather, value.rows(slice(0, 1)))
        assert alone == {"grounding": count // 2}


def test_a_caption_without_phrases_adds_nothing_but_its_picture_may_be_the_wrong_one():
    value = passes([2, 0], [4, 4])
    found = term(value)
    found.total.backward()
    assert found.count == 1 and value.image.tokens.grad[1].any()


def test_loss_lies_between_0_and_2_and_the_margin_and_is_0_where_the_own_picture_is_far_ahead():
    for seed in range(20):
        found = term(passes([2, 1, 3], [4, 2, 1], seed), rule="max")
        assert 0 <= found.total / found.count <= 2.2
    value = passes([1, 1], [1, 1])
    ahead = torch.zeros(2, 7, 4, dtype=torch.float64)
    ahead[0, 3, 0] = ahead[1, 3, 1] = 1
    own = torch.zeros(2, 4, 4, dtype=torch.float64)
    own[0, 0, 0] = own[1, 0, 1] = 1
    ahead.requires_grad_()
    value = Fused(
        Encoded(own, value.image.valid),
        Encoded(ahead, value.text.valid, segment=value.text.segment, special=value.text.special),
    )
    found = term(value)
    found.total.backward()
    assert found.total == 0 and not ahead.grad.any()


def test_only_phrases_and_regions_are_read():
    value = passes([2, 1, 3], [4, 3, 2])
    objective = made()
    spoiled = Fused(
        value.image.map(lambda x: x if x.dtype == torch.bool else torch.where(value.image.valid[..., None], x, 50.0)),
        value.text,
    )
    phrase = objective.phrase(value)[..., None]
    spoiled = Fused(
        spoiled.image,
        Encoded(
            torch.where(phrase, value.text.tokens, -3.0),
            value.text.valid,
            segment=value.text.segment,
            special=value.text.special,
        ),
    )
    assert torch.equal(term(spoiled).total, term(value).total)


def test_equal_tokens_cost_the_margin():
    value = passes([2, 2, 1], [4, 3, 2]).map(lambda x: torch.ones_like(x) if x.is_floating_point() else x)
    found = term(value, margin=0.35)
    assert (found.total / found.count).item() == pytest.approx(0.35) == found.chance


def test_encoded_negatives_stand_against_their_anchor():
    value, other = passes([2, 0, 1], [4, 4, 4]), passes([1, 2, 2], [4, 4, 4], seed=1)
    order = torch.tensor([0, 1, 2])
    wrong = Fused(other.image, other.text, pairs=Pairs(order.roll(1), order, order, torch.tensor([True, True, False])))
    objective = made(mode="reencoded", negatives="hard")
    found = objective(value, batch(3), noise(3), itself, wrong)["grounding"]
    assert found.count == 1  # row 1 has no phrase, row 2 no partner
    own, theirs = (
        objective.score(x.text.tokens, objective.phrase(x), x.image.tokens, x.image.valid, noise(3), "")
        for x in (value, other)
    )
    assert found.total.item() == pytest.approx((theirs[0] + 0.2 - own[0]).clamp_min(0).item())
    assert objective.counts(batch(3), noise(3), itself, value, wrong) == {"grounding": 1}
    assert objective.counts(batch(3), noise(3), itself, value) == {}


def test_what_cannot_be_is_refused():
    with pytest.raises(ValidationError, match="mode reencoded needs `negatives`"):
        WPG.Config(mode="reencoded")
    with pytest.raises(ValidationError, match="pairwise takes none"):
        WPG.Config(negatives="hard")
    with pytest.raises(ValidationError, match="of reencoded negatives the pairing says it"):
        WPG.Config(mode="reencoded", negatives="hard", positives="equal_captions")
    with pytest.raises(CannotBuild, match="has no field 'phrases'") as error:
        WPG(WPG.Config()).build(Spec(4, fields={"caption": FieldSpec("tokens", (4,))}))
    assert error.value.hint == "inputs.text.fields: [caption, phrases]"
