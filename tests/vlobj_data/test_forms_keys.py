"""`data.keys` and `data.lists`: names that a manifest has for what is read, columns by number, splits by lists."""

import json

import pytest
from PIL import Image
from vlobj_data.captions.captions import Captions

from vlobjectives import UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.recipe.yaml import parse


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def made(folder, name, held, **options):
    (folder / name).write_text(held, encoding="utf-8")
    return Captions(Captions.Config(**{"manifest": str(folder / name), "image_size": 4, "hold_out": {}} | options))


def captions(source, split="train"):
    return [source.value(split, number, "caption", 0, 0) for number in range(source.size(split))]


ROWS = [{"Photo": "a.png", "Says": "a dog", "part": "train"}, {"Photo": "b.png", "Says": "a cat", "part": "val"}]
NAMED = {"image": "Photo", "caption": "Says", "split": "part"}


@pytest.mark.parametrize(
    ("name", "held", "keys"),
    [
        ("m.json", json.dumps(ROWS), NAMED),
        ("m.jsonl", "\n".join(map(json.dumps, ROWS)), NAMED),
        ("m.csv", "part,Photo,Says\ntrain,a.png,a dog\nval,b.png,a cat\n", NAMED),
        ("m.tsv", "Says\tPhoto\tpart\na dog\ta.png\ttrain\na cat\tb.png\tval\n", NAMED),
        ("m.tsv", "a dog\ta.png\ttrain\na cat\tb.png\tval\n", {"caption": 1, "image": 2, "split": 3}),
        ("m.csv", 'a.png,"a dog",train\nb.png,a cat,val\n', {"caption": 2, "image": 1, "split": 3}),
        (
            "m.json",
            json.dumps([{"data": {"file": one["Photo"], "texts": [{"raw": one["Says"]}]}, **one} for one in ROWS]),
            {"image": "data.file", "caption": "data.texts.raw", "split": "part"},
        ),
    ],
)
def test_names_that_differ_are_said_in_the_recipe(folder, name, held, keys):
    source = made(folder, name, held, keys=keys)
    assert (captions(source), captions(source, "val")) == (["a dog"], ["a cat"])
    assert source.problems() == [] and not isinstance(source.sample("train", 0, 0, 0), UnusableSample)


@pytest.mark.parametrize("name", ["m.csv", "m.json"])
def test_captions_of_several_names(folder, name):
    """As DreamLIP's tables have them."""
    rows = [{"image": "a.png", "raw": "a dog", "long": "a dog, in grass"}, {"image": "b.png", "raw": "", "long": "b"}]
    held = 'image,raw,long\na.png,a dog,"a dog, in grass"\nb.png,,b\n' if name == "m.csv" else json.dumps(rows)
    source = made(folder, name, held, keys={"caption": ["raw", "long"]})
    assert [captions(source)[at] for at in (0, 1, 2)] == ["a dog", "a dog, in grass", "b"]
    assert [one.problem.what for one in source.problems() if one.split] == ["an empty caption"], "counted, not dropped"


def test_an_unknown_list_is_described_with_the_line_to_write(folder):
    rows = [{"picture": one["Photo"], "words": one["Says"]} for one in ROWS]
    for name, held in (
        ("m.json", json.dumps(rows)),
        ("m.jsonl", "\n".join(map(json.dumps, rows))),
        ("m.csv", "picture,words\na.png,a dog\nb.png,a cat\n"),
    ):
        with pytest.raises(DataError) as caught:
            made(folder, name, held)
        assert "picture, words" in caught.value.what, str(caught.value)
        keys = caught.value.hint.partition("data.keys: ")[2]
        if name == "m.csv":
            assert keys == "{image: NAME, caption: NAME}"
            keys = "{image: picture, caption: words}"
        assert captions(made(folder, name, held, keys=parse(keys, "x").data)) == ["a dog", "a cat"]


@pytest.mark.parametrize(
    ("name", "held", "keys", "what"),
    [
        ("m.tsv", "a dog\ta.png\n", {"image": 3, "caption": 1}, "names column 3, and the first row has 2"),
        ("m.tsv", "caption\timage\na dog\ta.png\n", {"image": 2, "caption": 1}, "this table has a header"),
        ("m.csv", "image,caption\na.png,x\n", {"image": "photo"}, "wanted are one of photo"),
        ("m.json", '[{"image": "a.png", "caption": "x"}]', {"image": 1}, "count the columns of a table"),
        ("m.json", '[{"image": "a.png", "caption": "x"}]', {"picture": "image"}, "names 'picture'"),
        ("m.json", '{"images": [], "annotations": []}', {"image": "image"}, "for tables, lists and JSON lines"),
    ],
)
def test_keys_that_do_not_fit(folder, name, held, keys, what):
    with pytest.raises(DataError) as caught:
        made(folder, name, held, keys=keys)
    assert what in caught.value.what and caught.value.hint, str(caught.value)


def test_a_row_without_the_key_that_is_named_is_a_bad_sample(folder):
    source = made(folder, "m.json", json.dumps([ROWS[0], {"Says": "x", "part": "train"}]), keys=NAMED)
    assert "no picture's file name under Photo: its keys are Says, part" in source.sample("train", 1, 0, 0).reason


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"image": 1, "caption": "x"}, "not both"),
        ({"image": ["a", "b"]}, "for `caption` alone"),
        ({"image": 0}, "greater than or equal to 1"),
    ],
)
def test_keys_are_checked_with_the_recipe(keys, what):
    with pytest.raises(ValueError, match=what):
        Captions.Config(manifest="m.csv", keys=keys)


def test_keys_are_part_of_what_the_data_is_and_their_absence_changes_nothing(folder):
    held = "image,caption,text\na.png,a dog,a cat\n"
    assert made(folder, "m.csv", held).digest() == made(folder, "m.csv", held, keys={}).digest()
    assert made(folder, "m.csv", held).digest() != made(folder, "m.csv", held, keys={"caption": "text"}).digest()


@pytest.mark.parametrize("header", ["image,caption\n", ""])
def test_two_columns_are_split_at_the_first_comma(folder, header):
    held = header + 'a.png,a dog, black\nb.png,"a cat, white"\nc.png,"Go," he said\nc.png,plain\n'
    source = made(folder, "captions.txt", held, keys={} if header else {"image": 1, "caption": 2})
    assert captions(source) == ["a dog, black", "a cat, white", '"Go," he said', "plain"]
    assert ["its first comma" in one for one in source.problems()] == [True], source.problems()
    more = made(folder, "m.csv", "image,caption,of\na.png,a dog,x\nb.png,a cat,y\n")
    assert captions(more) == ["a dog", "a cat"], "three columns are three"
    bare = made(folder, "m.csv", "a.png,a dog,x\nb.png,a cat,y\n", keys={"image": 1, "caption": 2})
    assert captions(bare) == ["a dog", "a cat"]
    quoted = made(folder, "m.csv", 'image,caption\na.png,"a dog, black"\nb.png,a cat\n')
    assert captions(quoted) == ["a dog, black", "a cat"] and quoted.problems() == []


def test_lists_say_which_file_is_of_which_split(folder):
    held = json.dumps([{"image": f"x/{name}.png", "caption": name} for name in "abcd"])
    (folder / "train.txt").write_text("a.png\nb\nmissing\n", encoding="utf-8")
    (folder / "test.csv").write_text('id,sentence\nc,"another, caption"\n', encoding="utf-8")
    lists = {"train": str(folder / "train.txt"), "test": str(folder / "test.csv")}
    source = made(folder, "m.json", held, lists=lists)
    assert (captions(source), captions(source, "test")) == (["a", "b"], ["another, caption"])
    notes = [one.problem for one in source.problems() if one.problem.note]
    assert ["1 record is left out: no list names" in notes[0].what, "such as 'missing'" in notes[1].what] == [True] * 2
    assert "entry 4" in str(notes[0].place)
    before = source.digest()
    (folder / "train.txt").write_text("a.png\n", encoding="utf-8")
    assert made(folder, "m.json", held, lists=lists).digest() != before, "what lists say is part of the data"


@pytest.mark.parametrize(
    ("train", "test", "what"),
    [("a.png\n", "a.png\n", "in the list of 'train' and in that of 'test'"), ("x.png\n", "y.png\n", "name no picture")],
)
def test_lists_that_cannot_be_meant(folder, train, test, what):
    for name, text in (("train.txt", train), ("test.txt", test)):
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=what):
        made(
            folder,
            "m.json",
            '[{"image": "a.png", "caption": "x"}]',
            lists={name: str(folder / f"{name}.txt") for name in ("train", "test")},
        )
