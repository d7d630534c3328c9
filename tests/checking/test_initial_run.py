"""What people get wrong about `init`, and what a check says of a run that begins with another one's weights."""

import shutil

import pytest
from small_recipes import LIGHT, changed, line_of, vlobj

from vlobjectives.recipe import load


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A run of one step of the small recipe."""
    from vlobjectives.cli import main

    folder = tmp_path_factory.mktemp("there")
    assert (
        main(
            [
                "run",
                str(changed(folder, {})),
                "--out",
                str(folder / "run"),
                "run.steps=1",
                "evaluate.losses=false",
                "evaluate.retrieval=false",
            ]
        )
        == 0
    )
    return folder / "run"


def begins(folder, there, changes=(), name="small.yaml"):
    return changed(folder, {"# Small: few objectives.": f"init: {there}"} | dict(changes), name, text=LIGHT)


def check(capsys, recipe, *words):
    ended = vlobj(capsys, "check", recipe, *words)
    assert "Traceback" not in ended.err
    return ended


def test_a_sound_one_passes_and_counts_from_its_file(capsys, tmp_path, there, monkeypatch):
    shutil.copytree(there, tmp_path / "there")
    recipe = begins(tmp_path, "./there")
    monkeypatch.chdir("/")
    ended = check(capsys, recipe)
    assert (ended.code, ended.err) == (0, "")
    assert "no errors, no notes" in ended.out
    assert load(recipe).recipe.init == str(tmp_path / "there")
    assert load(recipe, ["init=null"]).recipe.init is None


@pytest.mark.parametrize(
    "changes, words, at",
    [
        (
            {"depth: 1, heads: 2}\n  text": "depth: 1, heads: 2, mlp_ratio: 2.0}\n  text"},
            (
                "init  weights of",
                "model.vision.module.blocks.0.mlp.fc1.bias is 128 there, 64 here",
                "a part of a new name",
            ),
            "init:",
        ),
        (
            {"length: 48": "length: 56"},
            ("fields.caption", "has this field otherwise: length is 48 there, 56 here", "another name"),
            "  caption:",
        ),
    ],
)
def test_what_does_not_fit_is_refused(capsys, tmp_path, there, changes, words, at):
    recipe = begins(tmp_path, there, changes)
    ended = check(capsys, recipe)
    assert ended.code == 2 and "hint:" in ended.err
    assert all(word in ended.err for word in words), ended.err
    assert f"small.yaml:{line_of(recipe, at)}:" in ended.err


def test_a_field_of_another_type_is_refused(capsys, tmp_path, there):
    shutil.copytree(there, tmp_path / "there")
    text = (there / "recipe.yaml").read_text(encoding="utf-8")
    (tmp_path / "there" / "recipe.yaml").write_text(text.replace("type: byte_pair, ", "type: letters, "), "utf-8")
    ended = check(capsys, begins(tmp_path, "./there"))
    assert ended.code == 2 and "type is letters there, byte_pair here" in ended.err


@pytest.mark.parametrize("word", ["nowhere", "glscl", "file", "empty", "unsaved", "damaged", "unlearned"])
def test_what_is_no_run(capsys, tmp_path, there, word):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("unsaved", "damaged", "unlearned"):
        shutil.copytree(there, tmp_path / name)
    shutil.rmtree(tmp_path / "unsaved" / "checkpoints")
    (tmp_path / "damaged" / "checkpoints" / "step-000001" / "model.safetensors").write_bytes(b"no")
    (tmp_path / "unlearned" / "fields" / "caption.json").write_text("{", encoding="utf-8")
    ended = check(capsys, begins(tmp_path, f"./{word}"))
    said = {
        "nowhere": "is not there",
        "glscl": "is not there",
        "file": "has no recipe.yaml",
        "empty": "has no recipe.yaml",
        "unlearned": "caption' learned cannot be read: it is damaged",
        "unsaved": "has no whole checkpoint",
        "damaged": "step-000001 is damaged",
    }[word]
    assert ended.code == 2 and said in ended.err and "small.yaml:1:7  init" in ended.err


def test_notes_say_what_begins_anew(capsys, tmp_path, there):
    ended = check(
        capsys,
        begins(
            tmp_path,
            there,
            {"  itm: {negatives: others}\n": "", "  others: {type: random_negatives}\n": "", "pairings:\n": ""},
        ),
    )
    assert ended.code == 0 and "there and not used: objectives.itm" in ended.out


def test_a_vocabulary_that_the_weights_never_learned_is_a_note(capsys, tmp_path, there):
    new = {
        "  caption: {type: byte_pair, size: 400, length: 48}\n": "  words: {type: byte_pair, size: 400, "
        "length: 48, of: caption}\n"
        "inputs: {text: {fields: [words]}}\n"
    }
    ended = check(capsys, begins(tmp_path, there, new))
    assert ended.code == 0 and "the weights of 'text' know other ids than those of 'words'" in ended.out
    shared = {
        key: value.replace("fields: [words]", "fields: [same]").replace(
            "  words: {type: byte_pair, size: 400, length: 48, of: caption}\n",
            f"{key}  same: {{type: byte_pair, length: 48, of: caption, with: caption}}\n",
        )
        for key, value in new.items()
    }
    assert "know other ids" not in check(capsys, begins(tmp_path, there, shared)).out


def test_nothing_in_common_is_refused(capsys, tmp_path, there):
    other = tmp_path / "itc.yaml"
    other.write_text(
        """\
        data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}
        fields: {caption: {type: byte_pair, size: 400, length: 48}}
        inputs: {image: {part: eye}, text: {part: ear}}
        model:
          eye: {type: timm_vision, patch: 8, width: 32, depth: 1, heads: 2}
          ear: {type: hf_text, config: {model_type: bert, hidden_size: 32, num_hidden_layers: 1,
                num_attention_heads: 2, intermediate_size: 64}}
          space: {type: projection, width: 32, image: eye, text: ear}
        objectives: {itc: {joint: space}}
        optim: {lr: 1e-3}
        run: {steps: 1, device: cpu}
        """,
        encoding="utf-8",
    )
    ended = check(capsys, other, f"init={there}")
    assert ended.code == 2 and "no part of" in ended.err and "command line  init" in ended.err


def test_a_trial_begins_with_first_weights(capsys, tmp_path, there):
    """--tiny changes every part, so that no weights fit: it leaves them out."""
    ended = vlobj(
        capsys,
        "run",
        begins(tmp_path, "./nowhere"),
        "--tiny",
        "--out",
        tmp_path / "run",
        "run.steps=1",
        "evaluate.losses=false",
    )
    assert ended.code == 0, ended.err
    assert load(tmp_path / "run").recipe.init is None


def test_a_run_whose_origin_is_gone_is_sound(capsys, tmp_path, there):
    shutil.copytree(there, tmp_path / "gone")
    recipe = begins(tmp_path, "./gone")
    quick = ("run.steps=1", "evaluate.losses=false", "evaluate.retrieval=false")
    assert vlobj(capsys, "run", recipe, "--out", tmp_path / "run", *quick).code == 0
    shutil.rmtree(tmp_path / "gone")
    assert check(capsys, tmp_path / "run").code == 0
    again = vlobj(capsys, "run", tmp_path / "run" / "recipe.yaml", "--out", tmp_path / "beside")
    assert again.code == 2 and "gone is not there" in again.err and not (tmp_path / "beside").exists()
