"""A run folder stands alone: moved, with starting weights, tokenizer and phrase files gone and the data elsewhere."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from small_recipes import vlobj
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from vlobj_data.byte_pair import ALPHABET

import vlobjectives
from vlobjectives.errors import DataError, RecipeError
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import absolute, taken_in

RECIPE = """\
data: {type: captions, manifest: data.csv, images: img, image_size: 32, batch: 8, splits: {train: [train], val: [val]}}
fields:
  caption: {type: hugging_face, name: TOKENIZER, length: 12}
model:
  vision: {type: timm_vision, patch: 16, width: 32, depth: 1, heads: 2, weights: WEIGHTS}
  text:
    type: hf_text
    config: {model_type: bert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
  joint: {type: projection, width: 32}
objectives: {itc: {}}
optim: {lr: 1e-3}
run: {steps: 1, device: cpu, precision: fp32, name: alone, checkpoint: {keep: 9}}
evaluate: {retrieval: {gallery: null}}
"""
WORDS = ("a", "dog", "cat", "red", "blue")


def tokenizer(path, merged="og"):
    """A tokenizer of bytes and one pair of them, in transformers' form."""
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    vocabulary = {piece: number for number, piece in enumerate([*special.values(), *ALPHABET, merged])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(merged)]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(path)


def pictures(folder):
    """Ten pictures with captions."""
    (folder / "img").mkdir(parents=True)
    lines = ["image,caption,split"]
    for number in range(20):
        Image.new("RGB", (32, 32), (number * 12, 90, 255 - number * 9)).save(folder / f"img/{number}.png")
        split = "train" if number < 16 else "val"
        lines.append(f"{number}.png,a {WORDS[number % 5]} {WORDS[number % 3]} {number},{split}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project of a recipe, data, a tokenizer and starting weights, all beside each other."""
    folder = tmp_path_factory.mktemp("project")
    pictures(folder)
    tokenizer(folder / "tok")
    path = folder / "recipe" / "r.yaml"
    path.parent.mkdir()
    text = RECIPE.replace("data.csv", "../data.csv").replace("images: img", "images: ../img")
    path.write_text(text.replace("TOKENIZER", "../tok").replace("WEIGHTS", "null"), encoding="utf-8")
    torch.save(vlobjectives.build(path).model["vision"].module.state_dict(), folder / "recipe/start.pth")
    path.write_text(text.replace("TOKENIZER", "../tok").replace("WEIGHTS", "start.pth"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def elsewhere(home, tmp_path_factory):
    """The run of it, moved, and the data moved; all else is gone."""
    from vlobjectives.cli import main

    assert main(["run", str(home / "recipe/r.yaml"), "--out", str(home / "run")]) == 0
    there = tmp_path_factory.mktemp("elsewhere")
    pictures(there / "data")
    return shutil.copytree(home / "run", there / "moved")


@pytest.fixture
def moved(elsewhere, tmp_path, home):
    """A copy of that run, as long as the project is away."""
    away = home.with_name("away")
    home.rename(away)
    yield shutil.copytree(elsewhere, tmp_path / "run")
    away.rename(home)


@pytest.fixture
def data(elsewhere):
    folder = elsewhere.parent / "data"
    return f"data.manifest={folder / 'data.csv'}", f"data.images={folder / 'img'}"


def test_every_path_counts_from_its_file_and_is_absolute(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recipe = taken_in(load(home / "recipe/r.yaml"), Registry()).recipe
    assert recipe.data.options["manifest"] == str(home / "data.csv")
    assert recipe.fields["caption"].options["name"] == str(home / "tok")
    assert recipe.model["vision"].options["weights"] == str(home / "recipe/start.pth")
    monkeypatch.chdir(home)
    given = load(home / "recipe/r.yaml", ["fields.caption.name=tok", "model.vision.weights=recipe/start.pth"])
    same = taken_in(given, Registry()).recipe
    assert (same.data, same.fields, same.model) == (recipe.data, recipe.fields, recipe.model)


def test_a_name_of_a_hub_stays_one(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = load(home / "recipe/r.yaml", ["fields.caption.name=acme/words", "model.vision.weights=hf-hub:acme/vit"])
    recipe = absolute(given, Registry()).recipe
    assert recipe.fields["caption"].options["name"] == "acme/words"
    assert recipe.model["vision"].options["weights"] == "hf-hub:acme/vit"


def test_build_takes_the_same_paths(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    system = vlobjectives.build(home / "recipe/r.yaml")
    assert next(system.batches()).size == 8


def test_it_is_gone_on_with_and_evaluated(capsys, moved, data):
    assert vlobj(capsys, "check", moved, *data).code == 0
    ended = vlobj(capsys, "run", moved, "run.steps=2", *data)
    assert ended.code == 0, ended.err
    assert "going on after step 1" in ended.out
    changes = json.loads((moved / "manifest.json").read_text(encoding="utf-8"))["changes"]
    assert {one["what"] for one in changes} == {"run.steps", "data.manifest", "data.images"}
    assert vlobj(capsys, "eval", moved).code == 0  # it knows by now where the data lies


def test_eval_is_told_where_the_data_lies(capsys, moved, data):
    ended = vlobj(capsys, "eval", moved, *data)
    assert ended.code == 0, ended.err
    refused = vlobj(capsys, "eval", moved, *data, "data.image_size=64")
    assert refused.code == 2
    assert "data.image_size was settled" in refused.err and "data.images, data.manifest" in refused.err


def test_the_data_may_lie_behind_links_by_then(capsys, moved, data):
    """Pictures moved into a store of contents, links to them in their place."""
    linked = moved.parent / "linked"
    linked.mkdir()
    for picture in Path(data[1].partition("=")[2]).iterdir():
        (linked / picture.name).symlink_to(picture)
    ended = vlobj(capsys, "eval", moved, data[0], f"data.images={linked}", "data.links=true")
    assert ended.code == 0, ended.err


def test_it_is_planned_loaded_and_written_of_without_data(capsys, moved):
    assert vlobj(capsys, "plan", moved).code == 0
    towers = vlobjectives.load(moved)
    assert towers.embed_texts(["a red dog"]).shape == (1, 32)
    assert vlobjectives.load(moved, "data.images=/nowhere").step == 1
    with pytest.raises(RecipeError, match=r"optim\.lr was settled"):
        vlobjectives.load(moved, "optim.lr=1")


@pytest.mark.parametrize("verb", ["eval", "run"])
def test_other_data_is_refused(capsys, moved, data, elsewhere, tmp_path, verb):
    other = tmp_path / "other.csv"
    text = (elsewhere.parent / "data/data.csv").read_text(encoding="utf-8")
    other.write_text(text.replace("a dog", "a cat"), encoding="utf-8")
    ended = vlobj(capsys, verb, moved, data[1], f"data.manifest={other}")
    assert ended.code == {"eval": DataError.code, "run": RecipeError.code}[verb]
    assert "data" in ended.err and "--accept-changes" in ended.err


def test_another_tokenizer_is_not_taken_for_the_saved_one(capsys, moved, data, tmp_path):
    tokenizer(tmp_path / "tok", "at")
    ended = vlobj(capsys, "run", moved, *data, f"fields.caption.name={tmp_path / 'tok'}", "--accept-changes")
    assert ended.code == DataError.code and "another tokenizer" in ended.err


def test_a_run_of_before_goes_on(capsys, home, tmp_path):
    """One whose fields hold no tokenizer reads it from where the recipe says."""
    run = shutil.copytree(home / "run", tmp_path / "run")
    field = run / "fields/caption.json"
    state = json.loads(field.read_text(encoding="utf-8"))
    del state["saved"]
    field.write_text(json.dumps(state), encoding="utf-8")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    from vlobjectives.run_manifest import learned

    (run / "manifest.json").write_text(json.dumps(manifest | {"fields": learned(run / "fields")}), encoding="utf-8")
    assert vlobj(capsys, "eval", run).code == 0
