"""The evaluations `naming` and `painting` on a small untrained SyCoCa and on stand-ins that know all or nothing."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn
from vlobj_common.evaluations.next_words import Naming
from vlobj_sycoca.painting import Painting

from vlobjectives.data.data_module import build_data
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

SMALL = {"width": 16, "depth": 1, "heads": 2}
CHANGES = [
    "data.image_size=32",
    "data.samples=64",
    "data.test=40",
    "data.start_epochs=0",
    "data.batch=16",
    "model.vision.stem=linear",
    "model.joint.width=8",
    "fields.caption.size=400",
    *(
        f"model.{part}.{key}={value}"
        for part in ("vision", "text", "captioner", "painter")
        for key, value in SMALL.items()
    ),
]


@pytest.fixture(scope="module")
def held() -> SplitContext:
    resolved = resolve(load("sycoca", CHANGES), Registry())
    made = build_data(resolved)
    made.fields.fit(lambda column: (made.source.sample("train", n, 0, 0).values[column] for n in range(64)))
    system = assemble.system(resolved, made).eval()
    return SplitContext(system, made.source, made.fields, "test", 0, 16, torch.device("cpu"))


def run(cls: type, held: Any, **config):
    with torch.no_grad():
        return cls(cls.Config(**config)).run(held)


@dataclass
class Knowing:
    """A captioner that writes the true next word, or always the begin token; it has looked at `asked`."""

    held: SplitContext
    knows: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.held, name)

    def values(self, views, batch):
        self.asked = views
        text = batch["text"]
        wanted = text.ids.roll(-1, 1) if self.knows else torch.ones_like(text.ids)
        value = self.held.values(views, batch)["written"]
        return {"written": replace(value, tokens=nn.functional.one_hot(wanted, 400).float())}

    def part(self, name: str):
        return nn.Identity() if name == "words" else self.held.part(name)


def test_naming_scores_the_true_next_word_with_the_whole_picture_in_sight(held):
    knowing = Knowing(held, True)
    perfect, blind = run(Naming, knowing), run(Naming, Knowing(held, False))
    assert set(perfect) == {"all", "colours", "shapes"}
    assert {score.value for score in perfect.values()} == {1.0} and {score.value for score in blind.values()} == {0.0}
    assert all(0 < score.chance < 1 for score in perfect.values())
    labels = sum(int(held.batch([held.sample(n)], [n])["text"].valid.sum()) - 1 for n in range(held.size()))
    assert perfect["all"].n == labels
    assert knowing.asked["written"].memory.reading.visible is None
    assert held.objective("ic").config.mask == "clutter"


def test_naming_of_an_untrained_model_is_no_better_than_chance(held):
    scores = run(Naming, held, kinds=("colour",))
    assert set(scores) == {"all", "colours"} and all(score.low <= score.chance for score in scores.values())


def test_painting_is_the_loss_and_what_another_caption_adds_to_it(held):
    found = run(Painting, held)
    losses = [held.losses(batch)["tgmim/pixels"] for batch in held.batches()]
    assert found["loss"].n == found["gain"].n == 40
    assert found["loss"].value == pytest.approx(
        float(sum(term.total for term in losses) / sum(term.count for term in losses)), rel=1e-5
    )
    assert found["gain"].low <= found["gain"].value <= found["gain"].high and found["gain"].value != 0


def test_painting_gains_nothing_where_the_painter_does_not_read(held):
    blocks = held.system.model["painter"].cross_blocks
    kept = [block.attention.out.weight.clone() for block in blocks]
    for block in blocks:
        nn.init.zeros_(block.attention.out.weight)
    found = run(Painting, held)
    for block, weight in zip(blocks, kept):
        block.attention.out.weight.data = weight
    assert found["gain"].value == found["gain"].low == found["gain"].high == 0


def test_painting_keeps_the_mask_that_the_own_caption_chose(held):
    """Else a wrong caption would be given other patches to paint."""
    drawn = []
    values = held.values

    class Watching:
        def __getattr__(self, name):
            return getattr(held, name)

        def values(self, views, batch, draws=None):
            found = values(views, batch, draws)
            drawn.append(found["painted"].draw.hidden)
            return found

    run(Painting, Watching())
    assert len(drawn) == 6 and all(torch.equal(own, other) for own, other in zip(drawn[::2], drawn[1::2]))


def test_painting_has_no_score_where_no_other_caption_is_at_hand(held):
    assert run(Painting, replace(held, rows=1)) == {}
