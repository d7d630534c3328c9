"""Sources of a mix that do not feed every input: what their batches hold, what is computed on them, and that it is
the same over processes and after a kill."""

import json
import random
from collections import Counter

import pytest
import torch
from process_runs import STILL, compare
from trial_runs import lines, processes, recipe, run, same_weights, stream, until

import vlobjectives
from vlobjectives.costs import measure
from vlobjectives.data import fit_readers
from vlobjectives.data.data_module import build_data
from vlobjectives.data.loader import Layout
from vlobjectives.data.streams import training
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.resolved.tiny import tiny
from vlobjectives.runtime.log import Log
from vlobjectives.system import assemble

MIX = (
    "data.mix={pairs: {weight: 2}, texts: {seed: 1, samples: 24, columns: [caption]}, "
    "pictures: {seed: 2, samples: 24, columns: [image]}}"
)
ALONE = """\
extends: ./tiny.yaml
model: {painter: {type: cross_decoder, query: vision, memory: null, width: 32, depth: 1, heads: 2}}
masks: {patches: {type: random_patches, ratio: 0.5, fill: token}}
objectives:
  plain: {type: mlm, mask: noisy_words, image: null}
  mim: {type: tgmim, mask: patches, memory: null}
"""
PAIRED = MIX
PAIRED = ("itc", "mlm", "itm")
INPUTS = {"pairs": {"image", "text"}, "texts": {"text"}, "pictures": {"image"}}
TRAINED = {"pairs": {*PAIRED, "plain", "mim"}, "texts": {"plain"}, "pictures": {"mim"}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = recipe(tmp_path_factory.mktemp("unpaired")).with_name("alone.yaml")
    path.write_text(ALONE, encoding="utf-8")
    return path


def made(path, *overrides):
    resolved = resolve(load(path, overrides), Registry())
    return resolved, build_data(resolved)


def test_a_batch_holds_the_inputs_that_its_source_feeds(path):
    _, data = made(path, MIX)
    batches, seen = training(data.feeds, Layout(8, 8), 3), Counter()
    for step in range(8):
        batch = data.normalised(batches[step].batch)
        assert set(batch.values) == INPUTS[batch.source] and batch.source == data.source_at(step)
        seen[batch.source] += 1
    assert seen == {"pairs": 4, "texts": 2, "pictures": 2}


def test_what_is_live_follows_from_what_a_source_feeds(path):
    system = vlobjectives.build(path, MIX)
    for source, names in TRAINED.items():
        assert set(system.live(5, source)) == names
        assert set(system.live(0, source)) == names - {"itm"}  # whose weight begins at step 5
    assert {source: set(sites) for source, sites in system.sites.items()} == INPUTS
    for step, batch in zip(range(4), system.batches()):
        losses = system(batch, step)
        assert {name.split("/")[0] for name in losses.terms} == TRAINED[batch.source] - {"itm"}
        assert losses.total.isfinite()


def without_numbers(path, *overrides):
    """The system on the meta device."""
    with torch.device("meta"):
        return assemble.system(*made(path, *overrides))


def test_a_source_that_is_written_stands(path):
    system = without_numbers(path, MIX, "objectives.mim.sources=[pictures]")
    assert "mim" not in system.live(5, "pairs") and set(system.live(5, "pictures")) == {"mim"}


@pytest.mark.parametrize(
    ("overrides", "at", "says", "hint"),
    [
        (
            ["objectives.itc.sources=[pairs, texts]"],
            ("objectives", "itc", "sources", 1),
            "'texts' cannot train it: it has no column 'image', which inputs.image reads",
            "take 'texts' out of `sources`",
        ),
        (
            ["data.mix.pairs=null"],
            ("objectives", "itc"),
            "no source of data.mix feeds all that it reads: texts has no column 'image', which inputs.image reads; "
            "pictures has no column 'caption', which inputs.text reads",
            "add a source that has them all, or leave it out: objectives.itc=null",
        ),
    ],
)
def test_an_objective_that_cannot_be_trained_is_refused(path, overrides, at, says, hint):
    resolved, data = made(path, MIX, *overrides)
    with pytest.raises(BuildError) as raised:
        measure.measure(resolved)
    assert (raised.value.path, raised.value.why, raised.value.hint) == (at, says, hint)
    assert data.lacking("texts", "image") == ("image",) and data.lacking("pictures", "text") == ("caption",)


def test_a_column_of_another_name_feeds_an_input(path):
    """Clips feed the picture's input once `rename` says so, and the caption's in any case."""
    mix = "data.mix={pairs: {}, clips: {frames: 2, RENAME columns: [clip, caption]}}"
    for rename, inputs in (("", {"text"}), ("rename: {clip: image},", {"image", "text"})):
        _, data = made(path, mix.replace("RENAME", rename))
        assert set(data.feeds["clips"].fields.inputs) == inputs


def test_readers_learn_from_all_sources_that_have_their_column(path, monkeypatch):
    _, data = made(path, MIX)
    reader, heard = data.fields.readers["caption"], []
    monkeypatch.setattr(reader, "fit", heard.extend)
    fit_readers.fit(data, 3, Log(first=False), {})
    assert len(heard) == 48 + 24 and all(isinstance(text, str) for text in heard)


def test_a_source_of_texts_may_be_the_first(path):
    """What parts are built for is found in any source, not in the first."""
    mix = "data.mix={texts: {columns: [caption]}, pairs: {}}"
    first, other = (without_numbers(path, more) for more in (mix, "data.mix={pairs: {}, texts: {}}"))
    assert [p.shape for p in first.parameters()] == [p.shape for p in other.parameters()]
    assert set(first.live(5, "texts")) == {"plain"}


def test_a_plan_for_each_source(path):
    resolved, _ = made(path, MIX)
    for source, steps, lacks, parts in (
        ("texts", 4, "image", {"text"}),
        ("pictures", 3, "text", {"vision", "painter"}),
    ):
        costs = measure.measure(resolved, source)
        assert (costs.steps, costs.lacks) == (steps, (lacks,))
        assert {one.name for one in costs.objectives} == TRAINED[source] and {one.part for one in costs.passes} == parts
        assert sum(phase.steps for phase in costs.phases) == steps


def test_two_processes_are_one(path, tmp_path, port):
    overrides = (MIX, *STILL, "run.log.conflict={steps: 3}")
    single = run(path, tmp_path / "one", *overrides)
    assert single.wait() == 0, single.text
    children = processes(path, tmp_path / "two", port, 2, *overrides)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    compare(tmp_path / "two", tmp_path / "one")
    one, two = (json.loads((tmp_path / out / "summary.json").read_text("utf-8")) for out in ("one", "two"))
    assert {name: score["value"] for name, score in two.items()} == pytest.approx(
        {name: score["value"] for name, score in one.items()}, rel=1e-5
    )


@pytest.fixture(scope="module")
def whole(path, tmp_path_factory):
    """A run with a balancer that was never stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    child = run(path, out, MIX, *BALANCED)
    assert child.wait() == 0, child.text
    return out


BALANCED = ("data.micro_batch=4", "balance={type: uncertainty}", "evaluate={losses: true, retrieval: {gallery: 8}}")


def test_killed_and_gone_on_bit_by_bit(path, whole, tmp_path):
    out = tmp_path / "run"
    child = run(path, out, MIX, *BALANCED)
    until(lambda: len(lines(out)) >= random.Random(0).randrange(5, 10), child)
    child.kill()
    assert child.wait() == -9
    child = run(path, out, MIX, *BALANCED)
    assert child.wait() == 0, child.text
    assert "going on after step" in child.text
    assert stream(out) == stream(whole)
    same_weights(out, whole)


def test_scores_are_of_the_sources_that_feed_them(whole):
    names = json.loads((whole / "summary.json").read_text(encoding="utf-8")).keys()
    assert {name.split("/")[1] for name in names if name.startswith("retrieval/")} == {"pairs.test"}
    for source, objectives in TRAINED.items():
        assert {name.split("/")[2] for name in names if name.startswith(f"losses/{source}.test/")} == objectives


def test_a_trained_run_embeds_what_one_source_alone_feeds(whole):
    model = vlobjectives.load(whole)
    assert model.embed_texts(["a red circle"]).shape == (1, 32)
    assert model.embed_images([torch.zeros(3, 32, 32, dtype=torch.uint8)]).shape == (1, 32)


def test_tiny_keeps_what_a_source_feeds(path):
    """And takes a step with each source."""
    loaded, _ = tiny(load(path, [MIX]), Registry())
    data = build_data(resolve(loaded, Registry()))
    assert {source: set(feed.fields.inputs) for source, feed in data.feeds.items()} == INPUTS
    assert {data.source_at(step) for step in range(loaded.recipe.run.steps)} == set(INPUTS)
