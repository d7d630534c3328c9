"""Completion by twins: the decisions, what is hidden, and that nothing of what is hidden can be seen."""

import pytest
import torch
from helds import real
from vlobj_glscl.completion import Completion, decided, patches

from vlobjectives import Spec, encoded


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return real(tmp_path_factory.mktemp("recipe"))


class Watched:
    """A real SplitContext that keeps what each call of `values` was asked and gave; `change` may alter what it
    gives."""

    def __init__(self, held, change=lambda values, batch: values):
        self.held, self.change, self.calls = held, change, []

    def __getattr__(self, name):
        return getattr(self.held, name)

    def values(self, views, batch, draws=None):
        values = self.held.values(views, batch, draws)
        if draws is not None:
            values = self.change(values, batch)
            self.calls.append((views, batch, draws, values))
        return values


def run(held, **config):
    return Completion(Completion.Config(count=8, **config)).run(held)


def test_decisions():
    """Two twins; rows are left, left, right, right. The first is told by both sides, the second by its left alone."""
    east, north = [1.0, 0.0], [0.0, 1.0]
    target = torch.tensor([east, east, north, north])[:, None]
    prediction = torch.tensor([east, east, north, east])[:, None]
    assert decided(prediction, target).tolist() == [1.0, 0.5]
    assert decided(-prediction, target).tolist() == [0.0, 0.5]
    assert decided(torch.ones_like(target), target).tolist() == [0.5, 0.5]  # a tie is half
    assert decided(5 * prediction, 3 * target).tolist() == [1.0, 0.5]  # cosines


def test_surplus_positions_do_not_count():
    target = torch.tensor([[1.0, 0], [0, 1]]).unsqueeze(1).repeat(1, 3, 1)
    prediction = target.clone()
    prediction[:, 1:] = target.flip(0)[:, 1:] * 9
    assert decided(prediction, target).tolist() == [0.0]
    assert decided(prediction, target, torch.tensor([[True, False, False]] * 2)).tolist() == [1.0]


def test_patches_are_those_that_a_pixel_touches():
    where = torch.zeros(8, 12, dtype=torch.bool)
    where[3, 4] = where[7, 0] = True
    assert patches(where.numpy(), Spec(width=1, grid=(2, 3), patch_size=4)).tolist() == [0, 1, 0, 1, 0, 0]
    assert patches(where.numpy(), Spec(width=1, grid=(2, 2), patch_size=(4, 6))).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("kind", ["colour", "shape"])
def test_what_differs_is_hidden_and_nothing_else_of_the_caption(held, kind):
    watched = Watched(held)
    run(watched, kinds=(kind,))
    ((_, batch, draws, _),) = watched.calls
    twins = held.source.twins("test", kind, 8)
    assert set(draws) == {"dropped", "replaced", "hidden_words"}
    touched = torch.stack([patches(twin.where, held.part("vision").spec) for twin in twins])
    for name, least in (("dropped", 64 - int(64 * (1 - 0.8))), ("replaced", int(64 * 0.3))):
        draw = draws[name]
        assert (draw.hidden.sum(1) == max(least, int(touched.sum(1).max()))).all()
        assert torch.equal(draw.hidden[:8], draw.hidden[8:]) and torch.equal(draw.scored[:8], touched)
        assert (draw.hidden[:8] | ~touched).all()
    keep = draws["dropped"].keep
    assert draws["replaced"].keep is None
    assert not draws["dropped"].hidden.gather(1, keep).any() and keep.shape[1] + draws["dropped"].hidden[0].sum() == 64
    words = draws["hidden_words"]
    sides = [(twin.left, twin.spans[0]) for twin in twins] + [(twin.right, twin.spans[1]) for twin in twins]
    for row, (sample, spans) in enumerate(sides):
        caption = sample.values["caption"]
        pieces = held.readers["caption"].read(caption).spans
        gone = "".join(caption[a:b] for k, (a, b) in enumerate(pieces) if words.hidden[row, 1 + k])
        assert gone == "".join(caption[a:b] for a, b in spans)
    assert (words.ids[words.hidden] == held.readers["caption"].spec.special["mask"]).all()
    assert torch.equal(words.ids[~words.hidden], batch["text"].ids[~words.hidden])


def test_the_hidden_thing_cannot_be_seen(held):
    """Left and right picture give the same features once what differs is hidden, so only the caption can tell."""
    watched = Watched(held)
    run(watched, kinds=("shape",))
    ((_, batch, draws, _),) = watched.calls
    assert not torch.equal(batch["image"][:8], batch["image"][8:])
    for name in ("dropped", "replaced"):
        seen = held.values({"x": encoded(held.inputs["image"].masked(name))}, batch, {name: draws[name]})["x"]
        torch.testing.assert_close(seen.cls[:8], seen.cls[8:])
        torch.testing.assert_close(seen.tokens[:8], seen.tokens[8:])
    text = held.values({"x": encoded(held.inputs["text"].masked("hidden_words"))}, batch, draws)["x"]
    alike = (draws["hidden_words"].ids[:8] == draws["hidden_words"].ids[8:]).all(1)
    assert alike.any()
    torch.testing.assert_close(text.tokens[:8][alike], text.tokens[8:][alike])


def told(own: float):
    """Every feature of a row is a vector of its sample's own (1), of its twin's (-1) or of nobody's (0)."""

    def change(values, batch):
        code = torch.eye(2 * 8)
        twin = code.roll(8, 0)
        which = {"prediction": code if own > 0 else twin if own < 0 else torch.ones(16, 16), "target": code}
        for name, value in values.items():
            for side in ("image", "text"):
                x = getattr(value, side)
                row = which[name.rpartition("_")[2]]
                object.__setattr__(x, "cls", row[:, None])
                object.__setattr__(x, "tokens", row[:, None].repeat(1, 64, 1))
        return values

    return change


@pytest.mark.parametrize(("own", "expected"), [(1, 1.0), (-1, 0.0), (0, 0.5)])
def test_each_score_compares_its_prediction_with_its_target(held, own, expected):
    """Predictions of passes A (image), B (image) and C (text) against targets of the others, as MGSC and MLTC pair."""
    scores = run(Watched(held, told(own)))
    assert set(scores) == {
        f"{kind}/{name}"
        for kind in ("colour", "shape")
        for name in ("global_image", "global_text", "local_image", "local_text")
    }
    assert {score.value for score in scores.values()} == {expected}
    assert all(score.chance == 0.5 and 0 < score.n <= 8 for score in scores.values())


def test_twins_whose_hidden_captions_differ_are_left_out(held):
    watched = Watched(held)
    scores = run(watched, kinds=("shape",))
    ids = watched.calls[0][2]["hidden_words"].ids
    assert scores["shape/global_image"].n == (ids[:8] == ids[8:]).all(1).sum()


def test_global_alone_and_the_same_twice(held):
    scores = run(held, local_of=None, kinds=("colour",))
    assert set(scores) == {"colour/global_image", "colour/global_text"}
    assert scores == run(held, local_of=None, kinds=("colour",))
    assert all(0 <= score.low <= score.value <= score.high <= 1 for score in scores.values())


def test_how_many_twins_pass_at_once_changes_nothing(held, monkeypatch):
    one = run(held)
    monkeypatch.setattr("vlobj_glscl.completion.TWINS", 3)
    assert run(held) == one
