"""`vlobjectives.build` refuses what `vlobj check` refuses, with the same problems, as an error of the one family."""

from pathlib import Path

import pytest
from small_recipes import LIGHT, changed, plugin

import vlobjectives
from vlobjectives.checking import check
from vlobjectives.errors import DataError, RecipeError, VlobjError
from vlobjectives.recipe import load
from vlobjectives.registry import Registry

LESS = "evaluate={losses: false}"
BROKEN = """
    from vlobjectives import Objective, ObjectiveConfig, Term, hookimpl, joint

    class Wrong(Objective):
        class Config(ObjectiveConfig):
            pass

        def views(self, inputs):
            return {"image": joint(inputs["image"])}

        def forward(self, image):
            raise RuntimeError("a bug of its own")

    @hookimpl
    def vlobj_components():
        return {"objective:wrong": Wrong}
"""
MISTAKES = [
    "objectives.itc.type=itx",
    "objectives.itc.temprature=3",
    "objectives.itc.weight=heavy",
    "objectives.mlm.mask=nosy",
    "objectives.mlm=7",
    "masks.hidden_words.ratio=1.8",
    "masks.hidden_words=null",
    "optim.lr=fast",
    "optim.ler=1",
    "lr=1",
    "run.steps=-1",
    "run.precision=float16",
    "run.precision=fp16",
    "model.vision.patch=7",
    "model.fusion.heads=3",
    "model.fusion.width=64",
    "model.words=null",
    "model.text.config.model_type=bertt",
    "model.vision.weights=./gone.pt",
    "data.type=captoins",
    "data.batch=1",
    "data.micro_batch=3",
    "fields.caption.of=captoin",
    "plugins=[./nowhere.py]",
    "evaluate.splits=[tset]",
    "pairings.others.group=3",
    "run.steps=9223372036854775807",
    "objectives=[itc]",
    "run.device=",
]


def problems(error: VlobjError) -> list[str]:
    return [str(one) for one in error.problems]


def refused(recipe: object, *overrides: object, **options: object) -> VlobjError:
    with pytest.raises(VlobjError) as caught:
        vlobjectives.build(recipe, *overrides, **options)
    return caught.value


@pytest.mark.parametrize(
    "mistake",
    [one if number % 3 == 0 else pytest.param(one, marks=pytest.mark.slow) for number, one in enumerate(MISTAKES)],
)
def test_the_problems_of_check(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = [mistake] if mistake.startswith("evaluate") else [LESS, mistake]
    recipe = changed(tmp_path, {})
    try:
        _, report = check(load(recipe, overrides), Registry())
        found, code = report.errors, report.code
    except RecipeError as error:
        found, code = error.problems, error.code
    assert found
    error = refused(recipe, *overrides)
    assert isinstance(error, RecipeError) and error.code == code
    assert problems(error) == list(map(str, found))
    assert all(one.hint for one in error.problems)


def test_what_a_command_line_cannot_say(tmp_path, monkeypatch):
    recipe = changed(tmp_path, {})
    assert "not a dict" in str(refused({"objectives": {"itc": {}}}))
    assert "not a dict" in str(refused(recipe, {"optim.lr": 1}))
    assert "there is no file" in str(refused(tmp_path / "gone.yaml"))
    assert "there is no recipe 'glsc'" in str(refused("glsc"))
    assert "holds no recipe.yaml" in str(refused(tmp_path))
    assert "run.device" in problems(refused(recipe, LESS, device="gpu"))[0]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert refused(recipe, LESS, device="cuda").code == 6


def test_a_plugin_that_fails_and_data_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugin(tmp_path, BROKEN)
    recipe = changed(tmp_path, {"# Small": "plugins: [./own.py]\n# Small", "  itc: {}": "  itc: {}\n  wrong: {}"})
    assert "objectives.wrong" in str(refused(recipe, LESS)) and "a bug of its own" in str(refused(recipe, LESS))
    data = "data: {type: captions, manifest: no.json, batch: 8}"
    own = next(line for line in recipe.read_text(encoding="utf-8").splitlines() if line.startswith("data:"))
    assert refused(changed(tmp_path, {own: data}), LESS).code == DataError.code


def test_extends_inside(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n", encoding="utf-8")
    assert "in a circle" in str(refused(tmp_path / "a.yaml"))
    (tmp_path / "a.yaml").write_text("extends: nowhere.yaml\n", encoding="utf-8")
    assert "there is no file nowhere.yaml" in str(refused(tmp_path / "a.yaml"))


def test_what_falls_away_is_a_warning(tmp_path):
    recipe = changed(tmp_path, {"ratio: 0.4, fill: mask": "ratio: 0.4, fill: mask, draw: with_replacement"})
    with pytest.warns(UserWarning, match="draw: with_replacement .* falls away, which whole_words does not") as warned:
        vlobjectives.build(recipe, "masks.hidden_words.type=whole_words")
    assert warned[0].filename == __file__


def test_evaluations_of_what_is_taken_out_are_left_out(tmp_path):
    """A system alone evaluates nothing; that they go is said."""
    recipe = changed(tmp_path, {"retrieval: {gallery: 16}": "words: {}"}, text=LIGHT)
    with pytest.warns(UserWarning, match="left out, since they name what is taken away: evaluate.words=null"):
        system = vlobjectives.build(recipe, "objectives.mlm=null")
    assert "words" not in system.recipe.evaluate.entries and "mlm" not in system.objectives
    with pytest.raises(RecipeError, match=r"objectives\.mlm=null"):
        vlobjectives.build(recipe, "model.words=null")


def test_no_disk_is_asked_for(tmp_path):
    """A system that is only built writes nothing."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    system = vlobjectives.build(changed(tmp_path, {}), LESS, f"run.folder={tmp_path}/file")
    assert system.recipe.run.device == "cpu" and Path(system.recipe.run.folder).name == "file"
