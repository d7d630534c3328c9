"""Sources that take turns: whose turn a step is, what a batch then holds, and that a stopped run goes on with it."""

import json
import random
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trial_runs import lines, recipe, run, same_weights, stream, until

import vlobjectives
from vlobjectives.costs import measure
from vlobjectives.data import fit_readers
from vlobjectives.data.data_module import build_data
from vlobjectives.data.loader import Layout
from vlobjectives.data.streams import Turns, training
from vlobjectives.evaluation import context
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.runtime.log import Log

MIX = "data.mix={pictures: {weight: 2}, clips: {frames: 2, samples: 24, rename: {clip: image}}}"
WEIGHTS = st.lists(st.floats(0.01, 10), min_size=1, max_size=5)


@given(WEIGHTS, st.integers(1, 200))
def test_nobody_is_a_step_ahead_of_its_share(weights, steps):
    turns, had = Turns(weights), Counter()
    for step in range(steps):
        who, before = turns(step)
        assert before == had[who]
        had[who] += 1
        for number, weight in enumerate(turns.weights):
            ahead = had[number] - weight * (step + 1) / sum(turns.weights)
            assert -len(weights) < ahead < 1 + 1e-9
    assert [turns.before(steps, number) for number in range(len(weights))] == [had[n] for n in range(len(weights))]


@given(WEIGHTS, st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_turns_are_a_pure_function_of_the_step(weights, asked):
    once = Turns(weights)
    assert [once(step) for step in asked] == [Turns(weights)(step) for step in asked]


def test_equal_weights_alternate():
    assert [Turns([0.5, 0.5])(step)[0] for step in range(4)] == [0, 1, 0, 1]
    assert [Turns([1, 1, 1])(step)[0] for step in range(6)] == [0, 1, 2, 0, 1, 2]
    assert [Turns([0.1, 0.3])(step)[0] for step in range(8)].count(1) == 6


def test_turns_come_round():
    """Two million steps are as quick as three."""
    turns = Turns([1, 2])
    assert [turns(step)[0] for step in (0, 1, 2)] == [turns(step)[0] for step in (3, 4, 5)]
    assert turns(2_000_001) == (turns(0)[0], 2_000_001 // 3 * turns.weights[turns(0)[0]])
    assert (turns.before(2_000_001, 0), turns.before(2_000_001, 1)) == (666_667, 1_333_334)
    assert len(turns._round) == 3


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return recipe(tmp_path_factory.mktemp("mixed"))


def made(path, *overrides):
    resolved = resolve(load(path, overrides), Registry())
    return resolved, build_data(resolved)


def test_options_beside_the_mix_are_each_sources(mixed):
    found = load(mixed, [MIX, "data.val=8", "data.mix.clips.test=4"]).recipe.sources
    assert {
        name: (entry.type, entry.options["val"], entry.options["test"], entry.options["samples"])
        for name, entry in found.items()
    } == {"pictures": ("scenes", 8, 16, 48), "clips": ("scenes", 8, 4, 24)}
    again = load(mixed, ["data.mix={a: {type: toy}, b: {}}"]).recipe.sources
    assert not again["a"].options and again["b"].options["samples"] == 48


def test_each_source_has_epochs_of_its_own(mixed):
    """8 rows a step, pictures twice as often: 48 pictures are seen after 9 steps, 24 clips too."""
    _, pieces = made(mixed, MIX)
    data = training(pieces.feeds, Layout(8, 4), 3)
    seen: dict[str, list[int]] = {"pictures": [], "clips": []}
    for item in range(18):
        batch = data[item].batch
        shape = {"pictures": (4, 3, 32, 32), "clips": (4, 2, 3, 32, 32)}[batch.source]
        assert batch["image"].shape == shape and batch.source == pieces.source_at(item // 2)
        seen[batch.source] += batch.number.tolist()
    assert sorted(seen["pictures"]) == list(range(48)) and sorted(seen["clips"]) == list(range(24))
    later = training(pieces.feeds, Layout(8, 4), 3)[17].batch
    assert torch.equal(later.number, data[17].batch.number) and torch.equal(later["image"], data[17].batch["image"])


def test_a_mix_of_one_is_that_source(mixed):
    """The same batches, draws and losses as the recipe that has no mix."""
    alone, one = (vlobjectives.build(mixed, *more) for more in ((), ("data.mix={only: {}}",)))
    for step, (a, b) in enumerate(zip(alone.batches(), one.batches())):
        assert torch.equal(a["image"], b["image"]) and (a.source, b.source) == ("", "only")
        assert torch.equal(alone(a, step).total, one(b, step).total)


def test_masks_hide_by_source_and_clips_use_the_same_weights(tmp_path):
    path = recipe(tmp_path, objective="mgsc: {image_mask: dropped, text_mask: noisy_words}")
    path.write_text(
        path.read_text("utf-8").replace(
            "masks:\n", "masks:\n  dropped: {type: random_tubes, ratio: 0.5, fill: drop}\n"
        ),
        encoding="utf-8",
    )
    system = vlobjectives.build(path, MIX)
    assert {name: sites["image"].positions for name, sites in system.sites.items()} == {"pictures": 16, "clips": 32}
    losses = [system(batch, step).total for step, batch in zip(range(3), system.batches())]
    assert all(bool(loss.isfinite()) for loss in losses)
    weight = system.model["vision"].module.blocks[0].attn.qkv.weight
    for loss in losses:
        (gradient,) = torch.autograd.grad(loss, weight)
        assert gradient.abs().sum() > 0


def test_an_objective_may_be_for_some_sources(mixed):
    path = mixed.with_name("some.yaml")
    path.write_text(mixed.read_text("utf-8").replace("mlm: {", "mlm: {sources: [pictures], "), encoding="utf-8")
    system = vlobjectives.build(path, MIX)
    assert system.live(0, "pictures") == ("itc", "mlm") and system.live(0, "clips") == ("itc",)
    batches = {batch.source: batch for batch in system.batches()}
    assert {name.split("/")[0] for name in system(batches["clips"], 0).terms} == {"itc"}
    assert {name.split("/")[0] for name in system(batches["pictures"], 0).terms} == {"itc", "mlm"}


def test_a_plan_for_each_source(mixed):
    resolved, _ = made(mixed, MIX)
    pictures, clips = (measure.measure(resolved, source=name) for name in ("pictures", "clips"))
    assert (pictures.steps, clips.steps) == (9, 5) and (pictures.source, clips.source) == ("pictures", "clips")
    tokens = [{one.reads: one.tokens for one in costs.passes if one.part == "vision"} for costs in (pictures, clips)]
    assert tokens == [{"image": (17,)}, {"image": (34,)}]
    assert sum(phase.steps for phase in pictures.phases) == 9 and clips.full.forward > pictures.full.forward


def test_readers_learn_from_all_sources(mixed, monkeypatch):
    _, pieces = made(mixed, MIX)
    reader, heard = pieces.fields.readers["caption"], []
    monkeypatch.setattr(reader, "fit", heard.extend)
    fit_readers.fit(pieces, 3, Log(first=False), {})
    assert len(heard) == 48 + 24 and not any("moves" in text for text in heard[:48])
    assert any("moves" in text for text in heard[48:])
    assert all(feed.fields.readers["caption"] is reader for feed in pieces.feeds.values())


def test_scores_carry_the_sources_name(mixed):
    resolved, _ = made(mixed, MIX, "evaluate={losses: true, retrieval: {gallery: 8}, binding: {count: 4}}")
    chosen = {
        name: set(context.evaluations(resolved, name, can)) for name, can in (("pictures", {"twins"}), ("clips", set()))
    }
    assert chosen == {"pictures": {"retrieval", "binding"}, "clips": {"retrieval"}}


def test_what_an_evaluation_needs_may_hang_on_its_options(mixed):
    """zero_shot needs the source's words only where no classes are named."""
    for classes, wanted in ((None, []), (["dog", "cat"], ["zero_shot"])):
        options = "true" if classes is None else f"{{classes: {classes}}}"
        resolved, _ = made(mixed, MIX, f"evaluate={{zero_shot: {options}}}")
        assert list(context.evaluations(resolved, "clips", {"caption"})) == wanted


def test_killed_and_gone_on_bit_by_bit(mixed, tmp_path):
    overrides = (MIX, "data.micro_batch=4")
    whole, out = tmp_path / "whole", tmp_path / "run"
    child = run(mixed, whole, *overrides)
    assert child.wait() == 0, child.text
    child = run(mixed, out, *overrides)
    until(lambda: len(lines(out)) >= random.Random(0).randrange(5, 10), child)
    child.kill()
    assert child.wait() == -9
    child = run(mixed, out, *overrides)
    assert child.wait() == 0, child.text
    assert "going on after step" in child.text
    assert stream(out) == stream(whole)
    same_weights(out, whole)
    summaries = [json.loads((place / "summary.json").read_text(encoding="utf-8")) for place in (out, whole)]
    assert summaries[0] == summaries[1]
    assert {name.split("/")[1] for name in summaries[0]} == {"pictures.test", "clips.test"}
    assert [row["source"] for row in lines(out)][:4] == ["pictures", "clips", "pictures", "pictures"]


def test_a_run_of_both_embeds_both(mixed, tmp_path):
    out = tmp_path / "run"
    child = run(mixed, out, MIX, "run.steps=2", "run.checkpoint=null", "evaluate.losses=false")
    assert child.wait() == 0, child.text
    towers = vlobjectives.load(out)
    picture, clip = torch.zeros(3, 32, 32, dtype=torch.uint8), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert towers.embed_images([picture, picture]).shape == towers.embed_images([clip, clip]).shape == (2, 32)
    assert not torch.equal(towers.embed_images([picture]), towers.embed_images([clip]))
