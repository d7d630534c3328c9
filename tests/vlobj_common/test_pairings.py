"""Pairings: never the same picture, valid where there is a partner, and who is preferred."""

import math

import pytest
import torch
from handmade import batch, noise, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_common.pairings.negatives import AllPairs, HardNegatives, RandomNegatives

from vlobjectives import Input, Joint, Pairs, joint
from vlobjectives.functional import l2_normalize

KINDS = ("random", "argmax picture", "argmax caption", "argmax both", "argmax half", "sampled both", "all")


def wrong(
    kind: str, same: list[int], seed: int = 0, scale: float = 10.0, says: list[int] | None = None, **config
) -> tuple[Pairs, int]:
    """The pairs, and as many rows as the pairing promised; `says`: captions of equal numbers are equal."""
    captions = texts([says[k] + 1 for k in range(len(same))], 7) if says else None
    if captions:
        captions.ids[:] = torch.where(captions.special, captions.ids, 4)  # captions differ in their length alone
    rows, numbers = batch(len(same), same=same, text=captions), noise(len(same), seed)
    if kind in ("random", "all"):
        pairing = (RandomNegatives if kind == "random" else AllPairs)(RandomNegatives.Config(**config))
        return pairing.wrong(numbers, rows), pairing.rows(len(same))
    choose, sides = kind.split()
    pairing = HardNegatives(HardNegatives.Config(choose=choose, sides=sides, **config))
    text, image = l2_normalize(torch.randn(2, len(same), 4, generator=torch.Generator().manual_seed(seed)))
    views = {"image": Joint(image, torch.tensor(scale)), "text": Joint(text, torch.tensor(scale))}
    return pairing.wrong(numbers, rows, **views), pairing.rows(len(same))


@given(same=st.lists(st.integers(0, 3), min_size=1, max_size=8), kind=st.sampled_from(KINDS), seed=st.integers(0, 999))
@settings(max_examples=120)
def test_laws(same, kind, seed):
    pairs, rows = wrong(kind, same, seed)
    picture = torch.tensor(same)
    assert {x.shape for x in (pairs.image, pairs.text, pairs.anchor, pairs.valid)} == {(rows,)}
    assert pairs.matched is None and pairs.valid.dtype == torch.bool
    assert ((picture[pairs.image] != picture[pairs.text]) | ~pairs.valid).all()
    assert ((pairs.anchor == pairs.text) | (pairs.anchor == pairs.image)).all()
    alone = len(set(same)) == 1
    if kind == "all":
        assert pairs.valid.sum() == sum(a != b for a in same for b in same)
    else:
        assert pairs.valid.all() != alone and pairs.valid.any() != alone
    again, _ = wrong(kind, same, seed)
    assert torch.equal(again.image, pairs.image) and torch.equal(again.text, pairs.text)
    # consecutive rows are wrong pairs of consecutive anchors, so that groups can be cut
    assert torch.equal(pairs.anchor, torch.arange(len(same)).repeat_interleave(rows // len(same)))


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 999),
)
@settings(max_examples=120, deadline=None)
def test_equal_captions_are_no_wrong_pairs_of_each_other(rows, kind, seed):
    same, says = [row[0] for row in rows], [row[1] for row in rows]
    pairs, _ = wrong(kind, same, seed, says=says, positives="equal_captions")
    captioned = set(zip(says, same))  # (caption, picture) that some row shows to belong together
    for image, text, anchor, valid in zip(*(x.tolist() for x in (pairs.image, pairs.text, pairs.anchor, pairs.valid))):
        wrong_for = [k for k in range(len(same)) if (says[anchor], same[k]) not in captioned]
        wrong_with = [k for k in range(len(same)) if (says[k], same[anchor]) not in captioned]
        assert not valid or (says[text], same[image]) not in captioned
        partners = {"random": wrong_for, "argmax picture": wrong_for, "argmax caption": wrong_with}
        assert valid == bool(partners.get(kind, valid))  # a row is left out only where it has no wrong partner
    if kind == "all":
        assert pairs.valid.sum() == sum((a, b) not in captioned for a in says for b in same)


def test_captions_that_are_all_alike_have_no_wrong_partner_and_one_other_is_everybodys():
    for kind in KINDS:
        assert not wrong(kind, [0, 1, 2], says=[1, 1, 1], positives="equal_captions")[0].valid.any()
    pairs, _ = wrong("argmax picture", [0, 1, 2, 3], says=[1, 1, 1, 2], positives="equal_captions")
    assert pairs.image[:3].tolist() == [3, 3, 3] and pairs.valid.all() and pairs.image[3] != 3
    both, _ = wrong("argmax picture", [0, 1, 2, 3], says=[1, 1, 1, 2])  # published: equal captions are negatives
    assert set(both.image[:3].tolist()) != {3}


def test_the_text_input_is_named_only_where_captions_are_compared():
    for cls in (RandomNegatives, AllPairs):
        assert cls.Config().named("input") == {}
        assert cls.Config(positives="equal_captions").named("input") == {"text": "text"}
        assert cls.Config(positives="equal_captions", text="words").named("input") == {"text": "words"}


def test_random_partners_are_uniform_over_the_rows_of_other_pictures():
    same, count = [0, 0, 1, 2, 3], torch.zeros(5, 5)
    for seed in range(2000):
        pairs, _ = wrong("random", same, seed)
        count[pairs.text, pairs.image] += 1
    other = torch.tensor(same)[:, None] != torch.tensor(same)
    assert not count[~other].any()
    share = other / other.sum(1, keepdim=True)
    assert (count / 2000 - share).abs().max() < 5 * math.sqrt(0.25 / 2000)


def test_argmax_takes_the_most_similar_and_both_sides_their_own():
    same = [0, 1, 2, 3, 0]
    text, image = l2_normalize(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(3)))
    scores = text @ image.T
    other = torch.tensor(same)[:, None] != torch.tensor(same)
    hardest = torch.where(other, scores, -9.0)
    both, _ = wrong("argmax both", same, 3)
    assert torch.equal(both.image[0::2], hardest.argmax(1)) and torch.equal(both.text[0::2], torch.arange(5))
    assert torch.equal(both.text[1::2], hardest.argmax(0)) and torch.equal(both.image[1::2], torch.arange(5))
    one, _ = wrong("argmax picture", same, 3)
    assert torch.equal(one.image, both.image[0::2]) and torch.equal(one.text, both.text[0::2])


def test_half_of_the_rows_take_a_wrong_picture_and_the_others_a_wrong_caption():
    same, seen = [0, 1, 2, 3, 4], torch.zeros(5)
    both, _ = wrong("argmax both", same)
    for seed in range(60):
        rows, numbers = batch(5, same=same), noise(5, seed)
        text, image = l2_normalize(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)))
        views = {"image": Joint(image, torch.tensor(10.0)), "text": Joint(text, torch.tensor(10.0))}
        pairs = HardNegatives(HardNegatives.Config(choose="argmax", sides="half")).wrong(numbers, rows, **views)
        picture = pairs.text == pairs.anchor
        assert picture.sum() == 2
        place = torch.where(picture, 0, 1) + 2 * torch.arange(5)
        assert torch.equal(pairs.image, both.image[place]) and torch.equal(pairs.text, both.text[place])
        seen += picture
    assert ((seen > 10) & (seen < 40)).all()  # any row may be of either half


def test_sampled_follows_the_softmax_of_the_other_pictures():
    text = image = l2_normalize(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [1.0, 0.1]]))
    rows = batch(4, same=[0, 1, 2, 0])
    views = {"image": Joint(image, torch.tensor(2.0)), "text": Joint(text, torch.tensor(2.0))}
    pairing, count = HardNegatives(HardNegatives.Config(choose="sampled")), torch.zeros(4, 4)
    for seed in range(3000):
        pairs = pairing.wrong(noise(4, seed), rows, **views)
        count[pairs.text, pairs.image] += 1
    other = rows.same[:, None] != rows.same
    share = torch.where(other, 2 * text @ image.T, -math.inf).softmax(1)
    assert (count / 3000 - share).abs().max() < 5 * math.sqrt(0.25 / 3000)


def test_hard_negatives_look_at_the_joint_space_of_the_named_inputs():
    inputs = {"image": Input("image", "vision"), "words": Input("words", "bert")}
    views = HardNegatives(HardNegatives.Config(text="words", joint="space")).views(inputs)
    assert views == {"image": joint(inputs["image"], part="space"), "text": joint(inputs["words"], part="space")}
    assert RandomNegatives(RandomNegatives.Config()).views(inputs) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_has_no_partner(kind):
    pairs, rows = wrong(kind, [0])
    assert not pairs.valid.any() and len(pairs.valid) == rows == {"all": 0}.get(kind, 2 if "both" in kind else 1)
