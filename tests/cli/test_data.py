"""`vlobj data FILE|RECIPE`: what data is, said before anything is trained, and the block that a recipe takes."""

import json
from pathlib import Path

import pytest
from PIL import Image
from small_recipes import CONTRAST, plugin, vlobj

from vlobjectives.recipe.yaml import parse

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SPLITS = ("train", "train", "train", "train", "val", "test")


@pytest.fixture
def photos(tmp_path):
    """Six pictures in a folder of their own, beside the folder of the files that list them."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "annotations").mkdir()
    for number in range(6):
        Image.new("RGB", (40, 30), (40 * number, 90, 200)).save(tmp_path / "pictures" / f"{number}.png")
    return tmp_path


def written(photos: Path, splits=SPLITS, name: str = "list.jsonl", of=lambda number: f"{number}.png") -> Path:
    path = photos / "annotations" / name
    rows = [
        {"image": of(number), "caption": f"a dog and {number} balls"} | ({"split": split} if split else {})
        for number, split in enumerate(splits)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def shown(capsys, *words):
    ended = vlobj(capsys, "data", *words, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_a_file_is_shown_whole(photos, capsys):
    path = written(photos)
    found = shown(capsys, path)
    [one] = found["sources"].values()
    assert (one["type"], one["form"], one["split_by"]) == ("captions", "jsonl", "as the file names them")
    assert one["splits"] == {"train": 4, "val": 1, "test": 1} and one["problems"] == [] and one["epochs"] is None
    assert one["columns"]["image"] == {"kind": "picture", "shape": [3, 224, 224], "of_caption": False}
    assert [record["key"] for record in one["records"]] == ["0.png", "1.png", "2.png", "3.png"]
    assert one["records"][1]["values"] == {"image": "uint8 [3,224,224]", "caption": '"a dog and 1 balls"'}
    assert found["data"] == {
        "type": "captions",
        "manifest": str(path),
        "images": str(photos / "pictures"),
        "batch": 4,
    }


def test_it_is_read_by_a_person(photos, capsys):
    path = written(photos)
    (photos / "pictures" / "5.png").unlink()
    text = vlobj(capsys, "data", path, "--rows", 2).out
    for words in (
        "form     jsonl",
        "samples  train 4, val 1, test 1",
        "image: picture [3,224,224]",
        "caption: needs a reader, of the caption",
        'The first of 4 training samples\n0.png\n    image    uint8 [3,224,224]\n    caption  "a dog and 0 balls"\n',
        "1 of 1 samples of test cannot be used",
        f"{path}:6  5.png does not exist",
        f"data:\n  type: captions\n  manifest: {path}\n",
    ):
        assert words in text, words
    assert "2.png" not in text


def test_the_block_is_pasted_and_checked(photos, capsys, tmp_path):
    """Under another folder, and with a split of a name that no option knows."""
    path = written(photos, ("train", "train", "train", "train", "dev", "testing"))
    text = vlobj(capsys, "data", path, "--rows", 0).out
    block = text[text.index("data:\n") :]
    assert parse(block, "block").data["data"]["splits"] == {"train": ["train"], "val": ["dev"], "test": ["testing"]}
    rest = "\n".join(line for line in CONTRAST.split("\n") if not line.startswith(("data:", "evaluate:")))
    recipe = tmp_path / "mine" / "recipe_of_mine.yaml"
    recipe.parent.mkdir()
    recipe.write_text(f"{block}\n{rest}".replace("batch: 4", "batch: 4\n  image_size: 32"), encoding="utf-8")
    ended = vlobj(capsys, "check", recipe)
    assert ended.code == 0, ended.err
    [one] = shown(capsys, recipe)["sources"].values()
    assert one["splits"] == {"train": 4, "val": 1, "test": 1} and one["epochs"] == 4.0


def test_what_a_hash_draws_is_said(photos, capsys):
    found = shown(capsys, written(photos, [None] * 6))
    assert found["data"]["hold_out"] == {"val": 0.1, "test": 0.1}
    assert "a hash of file names gives 10 % to val, 10 % to test" in found["sources"][""]["split_by"]
    assert any(one["note"] and "names no splits" in one["what"] for one in found["sources"][""]["problems"])


@pytest.mark.parametrize(
    "of, where",
    [
        (lambda number: f"pictures/{number}.png", "."),
        (lambda number: f"../pictures/{number}.png", "pictures"),
        (lambda number: f"{number}.png", "pictures"),
    ],
    ids=["from above", "above", "beside"],
)
def test_folders_are_found(of, where, photos, capsys):
    found = shown(capsys, written(photos, of=of))
    assert Path(found["data"].get("images", photos / "annotations")) == (photos / where).resolve()
    assert not found["sources"][""]["unusable"]


def test_absolute_names_and_several_folders(photos, capsys):
    (photos / "more").mkdir()
    for number in (4, 5):
        (photos / "pictures" / f"{number}.png").rename(photos / "more" / f"{number}.png")
    found = shown(capsys, written(photos))
    assert found["data"]["images"] == [str(photos / "pictures"), str(photos / "more")]
    found = shown(capsys, written(photos, of=lambda number: str(photos / "pictures" / f"{number}.png")))
    assert found["data"]["images"] == str(photos / "pictures")


@pytest.mark.parametrize(
    "name, content, code, what",
    [
        ("a.tar", b"a.jpg" + b"\0" * 252 + b"ustar" + b"\0" * 300, 3, "tar"),
        ("a.parquet", b"PAR1" + b"\0" * 40, 3, "arquet"),
        ("a.json", b'{"words": [1], "books": 2}', 3, "an object with the keys words, books"),
        ("a.jsonl", b'{"words": 1}\n{"words": 2}', 3, "the keys words"),
        ("a.csv", b"", 3, "empty"),
        ("none.csv", None, 3, "No such file"),
        ("folder", "folder", 3, "folder"),
        ("nothing", None, 2, "there is no recipe"),
        ("none.yaml", None, 2, "there is no file"),
    ],
)
def test_what_is_none_is_one_message(name, content, code, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    ended = vlobj(capsys, "data", name)
    assert (ended.code, ended.out) == (code, ""), ended
    assert what in ended.err and ended.err.count("hint:") == 1 and "Traceback" not in ended.err


def test_options_of_the_source_stand_behind_a_file(photos, capsys):
    path = photos / "annotations" / "pairs.tsv"
    path.write_text("".join(f"a dog and {number} balls\t{number}.png\n" for number in range(6)), encoding="utf-8")
    assert vlobj(capsys, "data", path).code == 3
    found = shown(capsys, path, "data.keys={image: 2, caption: 1}", "data.hold_out={}", "data.type=captions")
    assert found["data"] == {
        "type": "captions",
        "manifest": str(path),
        "images": str(photos / "pictures"),
        "keys": {"image": 2, "caption": 1},
        "hold_out": {},
        "batch": 4,
    }
    assert found["sources"][""]["splits"]["train"] == 6


@pytest.mark.parametrize(
    "word, code, what",
    [
        ("optim.lr=2", 2, "optim.lr=2 changes a recipe"),
        ("data.kesy={image: 2}", 2, "data.kesy  the source 'captions' has no option 'kesy'"),
        ("data.image_size=big", 2, "data.image_size  "),
        ("data.type=nobodys", 4, "there is no source 'nobodys'"),
    ],
)
def test_options_that_are_none_are_one_message(word, code, what, photos, capsys):
    ended = vlobj(capsys, "data", written(photos), word)
    assert (ended.code, ended.out) == (code, "") and what in ended.err and ended.err.count("hint:") == 1


def test_files_of_the_other_splits_lie_beside_that_of_training(photos, capsys):
    """One that is called so and lists nothing is left alone, and so is what is called otherwise."""
    files = [written(photos, [None] * 3, f"dogs_{name}2017.jsonl") for name in ("train", "val")]
    written(photos, [None] * 3, "cats_test2017.jsonl")
    (photos / "annotations" / "dogs_test2017.jsonl").write_text('{"id": 1}\n', encoding="utf-8")
    found = shown(capsys, files[0])
    assert found["data"]["manifest"] == {"train": str(files[0]), "val": str(files[1])}
    assert found["sources"][""]["splits"] == {"train": 3, "val": 3}
    assert found["sources"][""]["split_by"] == "a file for each, as data.manifest says"


MIX = """
data:
  mix:
    often: {type: scenes, samples: 64, weight: 3}
    seldom: {type: scenes, samples: 32}
  image_size: 32
  val: 16
  test: 16
  test_new: 0
  batch: 8
run: {steps: 8}
"""


def test_all_sources_of_a_mix_and_their_epochs(tmp_path, capsys):
    path = tmp_path / "mix.yaml"
    rest = "\n".join(line for line in CONTRAST.split("\n") if not line.startswith(("data:", "run:", "evaluate:")))
    path.write_text(MIX + rest, encoding="utf-8")
    found = shown(capsys, path)
    assert found["run"] == {"steps": 8, "batch": 8} and found["data"]["mix"].keys() == {"often", "seldom"}
    assert {name: one["epochs"] for name, one in found["sources"].items()} == {
        "often": 6 * 8 / 64,
        "seldom": 2 * 8 / 32,
    }
    assert all(len(one["records"]) == 5 for one in found["sources"].values())
    planned = json.loads(vlobj(capsys, "plan", path, "--json").out)
    assert [(one["samples"], one["epochs"]) for one in planned] == [(64, 0.75), (32, 0.5)]
    text = vlobj(capsys, "data", path, "run.steps=4", "--rows", 1).out
    assert "mix.yaml, data.mix.seldom\n" in text and "epochs   0.25, in 4 steps of 8" in text


OWN = """
from vlobjectives import Source, hookimpl

class Bad(Source):
    @classmethod
    def recognised(cls, path, given):
        return path.no_such_thing

@hookimpl
def vlobj_components():
    return {"source:a_bad_one": Bad}
"""


def test_a_source_that_fails_keeps_no_other_from_reading(photos, tmp_path):
    from vlobjectives.data.recognition import recognised
    from vlobjectives.errors import PluginError
    from vlobjectives.registry import Registry

    registry = Registry()
    registry.add_file(plugin(tmp_path, OWN, "own_source.py"))
    assert recognised(written(photos), registry, {}).name == "captions"
    alone = Registry(["source:captions", "source:video_captions", "source:scenes"])
    alone.add_file(plugin(tmp_path, OWN, "own_source.py"))
    with pytest.raises(PluginError, match="no_such_thing"):
        recognised(written(photos), alone, {})


@pytest.mark.skipif(not SHARED.is_dir(), reason="real manifests lie in the folder that developers share")
@pytest.mark.parametrize(
    "name, type, folder",
    [
        ("captions/coco/captions_coco_small.json", "captions", "captions/coco/images"),
        ("captions/flickr8k/dataset_flickr8k_small.json", "captions", "captions/flickr8k/images"),
        ("captions/flickr8k/albef_flickr8k_small_train.json", "captions", None),
        ("captions/webdataset", "captions", None),
        ("clips/manifest_clips_small.jsonl", "video_captions", None),
        ("clips/msrvtt_clips_small.json", "video_captions", "clips/videos"),
    ],
)
def test_real_files(name, type, folder, capsys):
    found = shown(capsys, SHARED / name, "--rows", 1)
    assert found["data"]["type"] == type and not found["sources"][""]["unusable"]
    option = {"captions": "images", "video_captions": "videos"}[type]
    assert found["data"].get(option) == (str(SHARED / folder) if folder else None)
    assert found["sources"][""]["records"][0]["reason"] == ""


def test_a_plan_says_epochs_where_the_data_is(photos, tmp_path, capsys):
    rest = "\n".join(line for line in CONTRAST.split("\n") if not line.startswith(("data:", "evaluate:")))
    path = tmp_path / "mine.yaml"
    lines = (
        f"data: {{type: captions, manifest: {written(photos)}, images: {photos}/pictures, image_size: 32, batch: 4}}"
    )
    path.write_text(f"{lines}\n{rest}", encoding="utf-8")
    assert "4 steps of 4 pairs (4 epochs of 4 samples);" in vlobj(capsys, "plan", path).out
    elsewhere = vlobj(capsys, "plan", path, "data.manifest=/nowhere/list.jsonl")
    assert elsewhere.code == 0 and "4 steps of 4 pairs; counted" in elsewhere.out
