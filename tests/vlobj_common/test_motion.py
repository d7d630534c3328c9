"""The evaluation `motion` on features made by hand: a model that sees order, and one that sees frames as a set."""

from types import SimpleNamespace

import pytest
import torch
from vlobj_common.evaluations.motion import Motion, taken

from vlobjectives import Batch, Input, Joint

N, FRAMES = 64, 4


def clips() -> torch.Tensor:
    """[N,F,1,1,1]: frames rise from the clip's own number, or fall to it; its number names both."""
    number, step = torch.arange(N)[:, None] // 2, torch.arange(FRAMES)
    rises = torch.arange(N)[:, None] % 2 == 0
    return (number + torch.where(rises, step, FRAMES - 1 - step) / FRAMES)[..., None, None, None].double()


def held(sees_order: bool) -> SimpleNamespace:
    """Joint vectors of clips: which thing it is, and (if order is seen) which way it goes; captions say both."""

    def embedded(x):
        x = x[:, :, 0, 0, 0]
        way = (x[:, -1] - x[:, 0]).sign() if sees_order else torch.zeros(len(x), dtype=x.dtype)
        thing = torch.nn.functional.one_hot(x.mean(1).floor().long(), N // 2).double()
        return torch.nn.functional.normalize(torch.cat([2 * thing, way[:, None]], 1), dim=1)

    def batches():
        for rows in torch.arange(N).split(16):
            yield Batch(rows, rows, {"image": clips()[rows]})

    def values(views, batch):
        found = {"image": embedded(batch["image"])}
        if "text" in views:
            way = torch.where(batch.number % 2 == 0, 1.0, -1.0).double()
            thing = torch.nn.functional.one_hot(batch.number // 2, N // 2).double()
            found["text"] = torch.nn.functional.normalize(torch.cat([2 * thing, way[:, None]], 1), dim=1)
        return {name: Joint(x, torch.tensor(1.0)) for name, x in found.items() if name in views}

    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}
    return SimpleNamespace(split="test", seed=0, inputs=inputs, batches=batches, values=values)


def test_who_sees_order_loses_it_and_who_does_not_cannot():
    scores = Motion(Motion.Config(gallery=32)).run(held(True))
    assert scores["reversed"].value == 1 and scores["reversed"].n == N
    assert scores["shuffled"].value > 0.2 and scores["shuffled"].low > 0 and scores["shuffled"].n == 2 * N
    blind = Motion(Motion.Config(gallery=32)).run(held(False))
    assert blind["shuffled"].value == pytest.approx(0, abs=1e-12)
    assert blind["reversed"].value == 0.5 == blind["reversed"].chance


def test_frames_are_taken_in_the_order():
    order = torch.tensor([[2, 0, 1, 3], [3, 2, 1, 0]])
    found = taken(clips()[:2], order)
    assert torch.equal(found[1], clips()[1].flip(0)) and torch.equal(found[0, 0], clips()[0, 2])


def test_only_sources_of_clips_are_asked():
    assert Motion.needs == {"frames"}
