"""Masked concept recovering: what counts, what nothing costs, and what is refused."""

import math

import pytest
import torch
from handmade import batch, drawn, texts
from torch import nn
from vlobj_mvptr.mcr import MCR

from vlobjectives import CannotBuild, Encoded, FieldSpec, Input, Labels, Spec, ViewError, encoded

TAGS = Spec(6, fields={"tags": FieldSpec("tokens", (5,), 13)}, extra={"tags": (5, 6)})


class Zero(nn.Module):
    """A head without an opinion over 13 concepts."""

    def __init__(self, share: tuple[float, ...] = (), kind: str = "tokens"):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 13, dtype=torch.float64))
        self.spec = Spec(13, fields={"tags": FieldSpec(kind, (5,), 13, share=share)})

    def forward(self, x):
        return x @ self.weight


def made(head: Zero, extra: dict, **config) -> MCR:
    objective = MCR(MCR.Config(**config))
    objective.build(Spec(6, extra=extra), head.spec)
    return objective


def outputs(name: str, rows: int, count: int, draw=None) -> Encoded:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows, count, 6, dtype=torch.float64, generator=g, requires_grad=True)
    return Encoded(torch.zeros(rows, 2, 6), torch.ones(rows, 2, dtype=torch.bool), draw=draw, extra={name: x})


@pytest.mark.parametrize("surplus", [0, 2])
def test_no_opinion_costs_ln_v_at_every_hidden_piece(surplus):
    """The mean is over pieces and not over samples first."""
    head, tags = Zero(), texts([3, 1, 2], 5)
    mask = torch.tensor([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    objective = made(head, {"tags": (5, 6)})
    rows = batch(3, image=tags)
    term = objective(outputs("tags", 3, 5, drawn(mask, surplus)), head, rows)["concepts"]
    assert term.count == 4 and (term.total / 4).item() == pytest.approx(math.log(13)) == term.chance
    assert objective.counts(rows, outputs("tags", 3, 5, drawn(mask))) == {"concepts": 4}


def test_no_hidden_piece_is_a_differentiable_zero():
    head, mask = Zero(), torch.zeros(2, 5, dtype=torch.bool)
    picture = outputs("tags", 2, 5, drawn(mask, 2))
    term = made(head, {"tags": (5, 6)})(picture, head, batch(2, image=texts([0, 0], 5)))["concepts"]
    assert term.count == 0 and term.total == 0
    term.total.backward()
    assert not picture.extra["tags"].grad.any()


def test_slots_name_the_concepts_of_pictures_that_have_some():
    share = (0.5, 0.5, *[0.0] * 11)
    head = Zero(share, "labels")
    labels = Labels(
        torch.tensor([[3, 5], [0, 0], [2, 0]]), torch.tensor([[1, 1], [0, 0], [1, 0]]).bool(), torch.ones(3, 2)
    )
    objective = made(head, {"slots": (4, 6)}, source="slots", targets="concepts")
    rows = batch(3, concepts=labels)
    term = objective(outputs("slots", 3, 4), head, rows)["concepts"]
    assert term.count == 2 == objective.counts(rows)["concepts"]
    assert (term.total / 2).item() == pytest.approx(math.log(13))
    assert term.chance == pytest.approx(math.log(2))  # the entropy of what was counted


def test_what_cannot_be_is_refused():
    image = Input("image", "vision")
    with pytest.raises(ViewError, match="has no mask of its own"):
        MCR(MCR.Config()).views({"image": image})
    assert MCR(MCR.Config(mask="noisy")).views({"image": image}) == {"picture": encoded(image.masked("noisy"))}
    assert MCR(MCR.Config(source="slots", targets="concepts")).views({"image": image}) == {"picture": encoded(image)}
    with pytest.raises(CannotBuild, match="gives no 'slots'") as error:
        MCR(MCR.Config(source="slots", targets="concepts")).build(Spec(6), Zero().spec)
    assert "slots: 8" in error.value.hint
    with pytest.raises(CannotBuild, match="gives no 'slots'") as error:
        MCR(MCR.Config(source="slots", targets="concepts")).build(TAGS, Zero().spec)
    assert error.value.hint == "source: tags"
