"""What null takes out of a recipe falls out of the lists of the recipes below, with a note."""

from vlobjectives.recipe import load

BASE = """\
data:
  type: scenes
  batch: 8
  mix: {one: {}, two: {weight: 2}, three: {}}
model: {vision: {type: timm_vision}, text: {type: hf_text}, words: {type: vocabulary_head}}
objectives:
  itc: {}
  itm: {sources: [one, two]}
  mlm: {sources: [one]}
balance: {type: pcgrad, on: [vision, words.*]}
optim:
  lr: 1e-3
  groups: [{match: "model.text.*", lr: 0.1}, {match: "objectives.mlm.*", lr: 2.0}, {match: "*.bias", weight_decay: 0}]
run: {steps: 8}
plan: {checkpoint: [words, vision]}
evaluate: {retrieval: {sources: [one]}, probe: {sources: [three]}}
"""


def test_names_fall_out_and_an_entry_for_them_alone_goes(write):
    write(BASE, "base.yaml")
    loaded = load(write("extends: base.yaml\ndata: {mix: {one: null}}\n"))
    recipe = loaded.recipe
    assert list(recipe.data.mix) == ["two", "three"]
    assert list(recipe.objectives) == ["itc", "itm"] and recipe.objectives["itm"].sources == ("two",)
    assert list(recipe.evaluate.entries) == ["probe"]
    assert [group.match for group in recipe.optim.groups] == ["model.text.*", "*.bias"]
    assert loaded.place("objectives", "itm", "sources", 0).column == 24, "the second of the file"
    assert loaded.place("optim", "groups", 1, "weight_decay").line == 13
    notes = {note.path: note for note in loaded.layered.notes}
    assert notes.keys() == {
        "objectives.itm.sources",
        "objectives.mlm.sources",
        "evaluate.retrieval.sources",
        "optim.groups",
    }
    assert all((note.note, note.place.line, note.place.column) == (True, 2, 19) for note in notes.values())
    assert (
        "data.mix.one, which is taken away: objectives.mlm falls away with it" in notes["objectives.mlm.sources"].what
    )
    assert "is for data.mix.one, which is taken away: it falls away" in notes["objectives.itm.sources"].what
    assert "is for objectives.mlm, which is taken away" in notes["optim.groups"].what


def test_parts(small, write):
    recipe = load(write(BASE, "base.yaml"), ["model.words=null"]).recipe
    assert recipe.balance.on == ("vision",) and recipe.plan.checkpoint == ("vision",)
    both = load(write(BASE), ["model.words=null", "model.vision=null"]).recipe
    assert both.balance.on == ("vision", "words.*") and both.plan.checkpoint == (), "a balancer compares something"


def test_what_is_named_beside_the_null_or_above_it_is_a_slip(write, problems):
    write(BASE, "base.yaml")
    text = "extends: base.yaml\ndata: {mix: {one: null}}\nobjectives: {mlm: {sources: [one, two]}}\n"
    (problem,) = problems(text=text)
    assert problem.path == "objectives.mlm.sources.0" and "there is no source 'one'" in problem.what
    write("extends: base.yaml\ndata: {mix: {one: null}}\n", "less.yaml")
    (problem,) = problems(text="extends: less.yaml\nobjectives: {mlm: {sources: [one]}}\n")
    assert problem.path == "objectives.mlm.sources.0" and problem.hint == "there are two, three"


def test_a_source_that_comes_back_is_there(write):
    write(BASE, "base.yaml")
    write("extends: base.yaml\ndata: {mix: {one: null}}\n", "less.yaml")
    loaded = load(write("extends: less.yaml\ndata: {mix: {one: {frames: 4}}}\n"))
    assert loaded.recipe.objectives["mlm"].sources == ("one",) and not loaded.layered.notes


def test_without_the_mix_sources_are_for_the_reader_to_say(write, problems):
    """Whether what was for pictures is for the one source is nothing that could be guessed."""
    write(BASE, "base.yaml")
    found = problems(text="extends: base.yaml\ndata: {type: captions}\n")
    assert {problem.path for problem in found} == {
        *(f"objectives.itm.sources.{number}" for number in (0, 1)),
        "objectives.mlm.sources.0",
        "evaluate.retrieval.sources.0",
        "evaluate.probe.sources.0",
    }
    assert found[0].hint == "leave `sources` out, or write it null"
    nulls = "objectives: {itm: {sources: null}, mlm: {sources: null}}\nevaluate: {retrieval: null, probe: null}\n"
    recipe = load(write(f"extends: base.yaml\ndata: {{type: captions}}\n{nulls}")).recipe
    assert recipe.data.type == "captions" and recipe.objectives["mlm"].sources is None
