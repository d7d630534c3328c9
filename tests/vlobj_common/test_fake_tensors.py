"""Objectives, masks and pairings on fake tensors: nothing asks the device for a number, so a dry run can."""

import pytest
import torch
from handmade import SPECIAL, VOCABULARY, batch, drawn, encoded, itself, noise, texts, total
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from vlobj_common.masks.random_patches import RandomPatches, RandomTubes
from vlobj_common.masks.random_tokens import RandomTokens
from vlobj_common.objectives.itc import ITC
from vlobj_common.objectives.itm import ITM
from vlobj_common.objectives.mlm import MLM
from vlobj_common.pairings.negatives import AllPairs, HardNegatives, RandomNegatives

from vlobjectives import FieldSpec, Fused, Joint, MaskTarget, Pairs, Spec


@pytest.fixture
def fake():
    """Makes fake whatever is handed to it; everything inside is fake anyway."""
    with FakeTensorMode() as mode:
        yield lambda x: x.map(mode.from_tensor) if hasattr(x, "map") else mode.from_tensor(x)


@pytest.fixture
def rows():
    return batch(4, same=[0, 1, 2, 0], text=texts([1, 4, 0, 6], 8))


@pytest.fixture
def features():
    return torch.randn(2, 4, 8, 6).unbind()


@pytest.fixture
def draw():
    return drawn(torch.rand(4, 8) < 0.5, surplus=1)


@pytest.mark.parametrize("positives", ["pair", "equal_captions", "same_picture"])
def test_itc(rows, features, positives, fake):
    text, image = (fake(x)[:, 0].requires_grad_() for x in features)
    scale = fake(torch.tensor(10.0))
    total(
        ITC(ITC.Config(positives=positives))(
            text=Joint(text, scale), image=Joint(image, scale), batch=fake(rows), gather=itself
        )
    ).backward()
    assert text.grad.shape == (4, 6)


@pytest.mark.parametrize("scheme", ["half_batch", "matched_plus_wrong"])
def test_itm(rows, features, scheme, fake):
    x = fake(features[0]).requires_grad_()
    row = torch.arange(4)
    pairs = Pairs(row, row, row, row > 0, row < 2 if scheme == "half_batch" else None)
    objective = ITM(ITM.Config(negatives="others", scheme=scheme))
    objective.build(pairs=Spec(width=6, pooled=6))
    value = Fused(encoded(x), encoded(x), x[:, 0], pairs)
    more = {} if scheme == "half_batch" else {"matched": Fused(encoded(x), encoded(x), x[:, 1])}
    total(objective(pairs=value, batch=fake(rows), **more)).backward()
    assert isinstance(objective.counts(pairs=value, batch=fake(rows))["match"], FakeTensor) and x.grad.shape == x.shape


def test_mlm(rows, features, draw, fake):
    x = fake(features[0]).requires_grad_()
    objective = MLM(MLM.Config(mask="noisy"))
    objective.build(head=Spec(width=VOCABULARY, fields={"caption": FieldSpec("tokens")}))
    value = Fused(encoded(x), encoded(x, draw=fake(draw)))
    total(objective(masked=value, head=nn.Linear(6, VOCABULARY), batch=fake(rows))).backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("fill", ["mask", "bert"])
@pytest.mark.parametrize("how", ["exact", "with_replacement", "of_padded"])
def test_random_tokens(rows, how, fill, fake):
    mask, site = (
        RandomTokens(RandomTokens.Config(ratio=0.4, draw=how, fill=fill)),
        MaskTarget("text", 8, special=SPECIAL, vocabulary=VOCABULARY),
    )
    drawn = mask.draw(noise(4), site, fake(rows))
    assert isinstance(drawn.ids, FakeTensor) and drawn.index.shape == (4, mask.size(site))


@pytest.mark.parametrize("fill", ["drop", "token"])
@pytest.mark.parametrize("mask", [RandomPatches, RandomTubes])
def test_random_patches(rows, mask, fill, fake):
    site = MaskTarget("image", 12, grid=(2, 3), frames=2)
    drawn = mask(mask.Config(ratio=0.5, fill=fill)).draw(noise(4), site, fake(rows))
    assert isinstance(drawn.hidden, FakeTensor) and drawn.hidden.shape == (4, 12)


def test_pairings(rows, features, fake):
    fakes, scale = fake(rows), fake(torch.tensor(10.0))
    text, image = (Joint(fake(x)[:, 0], scale) for x in features)
    hard = HardNegatives(HardNegatives.Config(sides="both"))
    for pairing, views in (
        (RandomNegatives(RandomNegatives.Config()), {}),
        (AllPairs(AllPairs.Config()), {}),
        (hard, {"text": text, "image": image}),
    ):
        assert pairing.wrong(noise(4), fakes, **views).image.shape == (pairing.rows(4),)
