"""Loading: what a word means, absolute paths, places, and that a resolved recipe reads back equal."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlobjectives.errors import Place, RecipeError
from vlobjectives.recipe import dump, load, recipes
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.recipes import copy, describe, locate

NUMBERS = st.floats(1e-12, 1e12, allow_nan=False)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
OPTIONS = st.dictionaries(
    st.sampled_from(["ratio", "fill", "note"]),
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), NUMBERS, TEXT, st.lists(TEXT, max_size=2)),
)
RECIPES = st.fixed_dictionaries(
    {
        "data": OPTIONS.map(lambda options: {**options, "type": "scenes", "batch": 8}),
        "model": st.dictionaries(st.sampled_from(["vision", "text", "x"]), OPTIONS),
        "masks": st.dictionaries(st.sampled_from(["m", "n"]), OPTIONS),
        "objectives": st.fixed_dictionaries(
            {
                "itc": st.one_of(
                    st.just({}),
                    st.builds(lambda weight: {"weight": weight}, NUMBERS),
                    st.builds(lambda share, low: {"weight": [[share, low], [1.0, 1.0]]}, st.floats(0, 1), NUMBERS),
                )
            }
        ),
        "optim": st.builds(
            lambda lr, clip, warmup: {"lr": lr, "clip": clip, "schedule": {"warmup": warmup}},
            NUMBERS,
            st.one_of(st.none(), NUMBERS),
            st.one_of(st.integers(0, 9), st.floats(0, 1)),
        ),
        "run": st.just({"steps": 10}),
        "evaluate": st.dictionaries(st.sampled_from(["a", "b"]), OPTIONS),
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECIPES)
def test_a_resolved_recipe_reads_back_equal(tmp_path, data):
    (tmp_path / "one.yaml").write_text(dump_data(data), encoding="utf-8")
    recipe = load(tmp_path / "one.yaml").recipe
    (tmp_path / "two.yaml").write_text(dump(recipe), encoding="utf-8")
    assert load(tmp_path / "two.yaml").recipe == recipe
    assert dump(load(tmp_path / "two.yaml").recipe) == dump(recipe)


def test_dump_writes_defaults_and_leaves_empty_keys_out(small):
    text = dump(load(small, ["optim.clip=null", "optim.lr=1e-4"]).recipe)
    assert "clip: null" in text and "betas: [0.9, 0.98]" in text and "lr: 0.0001" in text
    assert "itc: {type: itc, " in text
    assert "micro_batch" not in text and "init" not in text and "with:" not in text


def test_places(small):
    loaded = load(small)
    assert loaded.place("objectives", "mgsc", "image_mask") == Place(str(small), 12, 22)
    assert loaded.place("objectives", "mgsc", "image_mask", key=True) == Place(str(small), 12, 10)
    assert loaded.place("objectives", "mgsc", "text_mask") == loaded.place("objectives", "mgsc")
    assert loaded.place("inputs", "text", "part").line == 2  # a default: the recipe as a whole
    problem = loaded.problem(("masks", "dropped"), "nobody uses it", "leave it out", note=True)
    assert str(problem) == f"note: {small}:9:12  masks.dropped  nobody uses it\n    hint: leave it out"


def test_paths_count_from_the_file_that_they_are_written_in(write, tmp_path, monkeypatch, small):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = "extends: ../small.yaml\nplugins: [a.py, ../b.py, /c.py]\nrun: {folder: out}\n"
    top = write(text, "lib/top.yaml")
    recipe = load(top).recipe
    assert recipe.plugins == (str(tmp_path / "lib/a.py"), str(tmp_path / "b.py"), "/c.py")
    assert recipe.run.folder == str(tmp_path / "lib/out")
    loaded = load(top, ["plugins.0=d.py"])
    assert loaded.recipe.plugins[:2] == (str(tmp_path / "here/d.py"), str(tmp_path / "b.py"))
    assert loaded.base("masks") == tmp_path
    assert load(small).recipe.run.folder == str(tmp_path / "here/runs")


def test_a_run_is_named_after_its_recipe_and_keeps_the_name(write, small, tmp_path):
    assert load(small).recipe.run.name == "small"
    run = write(dump(load(small).recipe), "a run/recipe.yaml")
    assert load(run.parent).recipe == load(small).recipe
    assert load(write(small.read_text(encoding="utf-8"), "ab c?.yaml")).recipe.run.name == "ab_c_"


def test_replaced(small):
    loaded = load(small)
    other = loaded.replaced({("data", "micro_batch"): 4, ("masks", "dropped", "ratio"): 0.5})
    assert other.recipe.data.micro_batch == 4 and other.recipe.masks["dropped"].options == {"ratio": 0.5}
    assert loaded.recipe.data.micro_batch is None and loaded.recipe.masks["dropped"].options == {"ratio": 0.8}
    with pytest.raises(RecipeError, match="3 does not divide the batch of 8"):
        loaded.replaced({("data", "micro_batch"): 3})


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "glscl.yaml").write_text("# GLSCL, small.\n# more\nseed: 0\n", encoding="utf-8")
    (folder / "bare.yaml").write_text("seed: 0\n", encoding="utf-8")
    monkeypatch.setattr(recipes, "folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_what_a_word_means(shipped, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.yaml").write_text("", encoding="utf-8")
    (tmp_path / "glscl").mkdir()  # a folder of that name is in nobody's way
    assert locate("glscl") == shipped / "glscl.yaml"
    assert locate("run") == Path("run/recipe.yaml") and locate("run/recipe.yaml") == Path("run/recipe.yaml")
    assert recipes.names() == ["bare", "glscl"]
    assert [describe(shipped / f"{name}.yaml") for name in recipes.names()] == ["", "GLSCL, small."]


@pytest.mark.parametrize(
    "word, what, hint",
    [
        ("glslc", "there is no recipe 'glslc'", "did you mean 'glscl'?"),
        ("zzzzzz", "there is no recipe 'zzzzzz'", "shipped are bare, glscl"),
        ("glscl.yaml", "there is no file glscl.yaml", "working folder"),
        ("shipped", "the folder shipped holds no recipe.yaml", "run folder"),
        ("../glscl", "there is no recipe '../glscl'", "shipped are"),
    ],
)
def test_words_that_mean_nothing(shipped, word, what, hint):
    with pytest.raises(RecipeError) as caught:
        load(word)
    assert what in caught.value.what and hint in caught.value.hint and caught.value.code == 2


def test_copy(shipped, tmp_path):
    [mine] = copy("glscl", "mine.yaml")
    assert mine.read_text(encoding="utf-8") == (shipped / "glscl.yaml").read_text(encoding="utf-8")
    assert copy("glscl", tmp_path) == [tmp_path / "glscl.yaml"]
    for target in ("mine.yaml", "mine.txt", "no/such/folder.yaml"):
        with pytest.raises(RecipeError, match="cannot copy to"):
            copy("glscl", target)


@pytest.mark.parametrize("written", ["[../own.py]", '["../own.py"]  # mine', "\n  - ../own.py\n"])
def test_a_copy_takes_its_plugins_along(shipped, small, tmp_path, written):
    """They lie beside it, where the copy looks for them; nothing is written where one of them is in the way."""
    (tmp_path / "own.py").write_text("VLOBJ_API = 1\n", encoding="utf-8")
    text = f"# Own: one.\nplugins: {written}\n" + small.read_text(encoding="utf-8")
    (shipped / "own.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "here").mkdir()
    copied = copy("own", tmp_path / "here")
    assert [path.name for path in copied] == ["own.yaml", "own.py"]
    assert copied[0].read_text(encoding="utf-8") == text.replace("../own.py", "./own.py")
    assert load(copied[0]).recipe.plugins == (str(copied[1]),)
    copied[0].unlink()
    with pytest.raises(RecipeError, match=r"own\.py: the file exists"):
        copy("own", tmp_path / "here")
    assert not copied[0].exists()


def test_a_checkout_finds_the_recipes_beside_the_package():
    assert recipes.folder().name in ("recipes", "_recipes") and recipes.folder().is_dir()
