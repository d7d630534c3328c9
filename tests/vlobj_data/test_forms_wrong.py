"""What is wrong in files of each form: refused with place and hint, or counted; nothing is lost unsaid."""

import json

import pytest
from PIL import Image
from vlobj_data.captions.captions import Captions

from vlobjectives import UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.recipe.yaml import parse

DOWNLOAD = "https://host/a.jpg"


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def made(folder, name, held, **options):
    (folder / name).write_bytes(held if isinstance(held, bytes) else held.encode())
    return Captions(Captions.Config(**{"manifest": str(folder / name), "image_size": 4, "hold_out": {}} | options))


def said(one) -> dict:
    return {"image": "a.png", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": one}]}


RESULTS = "image_name| comment_number| comment\na.png| 0| x\nno bars\nb.png| 1|\n"
LLAVA = json.dumps([said("x"), said(""), said(5), {"image": "b.png", "conversations": []}])
OUTSIDE = json.dumps([{"image": "../a.png", "caption": "x"}, {"image": DOWNLOAD, "caption": "y"}])
BROKEN = [  # name, content, how many samples are good, what the bad ones say
    ("x.token", "a.png#0\ta dog\nno tab\nb.png#1\t\n", 1, ["no NAME#NUMBER", "an empty caption"]),
    (
        "results.csv",
        "image_name| comment_number| comment\na.png| 0| x\nno bars\nb.png| 1|\n",
        1,
        ["no NAME| ", "an empty"],
    ),
    (
        "m.json",
        json.dumps([said("x"), said(""), said(5), {"image": "b.png", "conversations": []}]),
        1,
        ["empty", "a number", "no caption"],
    ),
    ("m.txt", "image,caption\na.png,x, y\nb.png,\nnone.png,z\n", 1, ["an empty caption", "does not exist"]),
    (
        "m.json",
        json.dumps([{"image": "../a.png", "caption": "x"}, {"image": DOWNLOAD, "caption": "y"}]),
        0,
        ["holds '..'", "is a URL"],
    ),
]


@pytest.mark.parametrize(("name", "held", "good", "faults"), BROKEN, ids=[row[0] for row in BROKEN])
def test_what_cannot_be_used_is_counted_and_named(folder, name, held, good, faults):
    source = made(folder, name, held)
    samples = [source.sample("train", number, 0, 0) for number in range(source.size("train"))]
    bad = [one.reason for one in samples if isinstance(one, UnusableSample)]
    assert len(samples) - len(bad) == good
    assert len(bad) == len(faults) and all(any(fault in one for one in bad) for fault in faults), bad
    assert sum(flaw.samples for flaw in source.problems(thorough=True) if flaw.split) == len(bad)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
@pytest.mark.parametrize("name", ["x.token", "results.csv", "m.json", "m.tsv", "metadata.jsonl"])
def test_other_encodings_are_named_in_every_form(folder, name, encoding):
    text = {
        "x.token": "a.png#0\tun été\n",
        "results.csv": "image_name| comment_number| comment\na.png| 0| un été\n",
        "m.json": json.dumps([said("un été")], ensure_ascii=False),
        "m.tsv": f"un été\t{DOWNLOAD}\n",
        "metadata.jsonl": '{"file_name": "a.png", "text": "un été"}\n',
    }[name]
    with pytest.raises(DataError) as caught:
        made(folder, name, text.encode(encoding), **({"manifest": str(folder)} if name.startswith("meta") else {}))
    assert "UTF" in caught.value.what and "iconv -f" in caught.value.hint and name in caught.value.place.file


def test_text_alone_and_further_answers_are_noted(folder):
    turns = [*said("first")["conversations"], *said("second")["conversations"]]
    rows = [
        {"conversations": turns},
        {"image": None, "conversations": turns},
        {"image": "a.png", "conversations": turns},
    ]
    for name, held in (("m.json", json.dumps(rows)), ("m.jsonl", "\n".join(map(json.dumps, rows)))):
        source = made(folder, name, held)
        assert [source.value("train", at, "caption", 0, 0) for at in range(source.size("train"))] == ["first"]
        notes = [one.problem for one in source.problems()]
        assert ["2 rows have no picture" in notes[0].what, "1 row has further answers" in notes[1].what] == [True, True]
        assert [one.place.line for one in notes] == ([1, 3] if name == "m.jsonl" else [None, None])


@pytest.mark.parametrize(
    ("form", "held", "what"),
    [
        ("token", "image,caption\na.png,x\n", "not in Flickr's layout"),
        ("cc3m", "a dog\ta.png\n", "wanted are one of url"),
        ("imagefolder", "x", "cannot be read: Not a directory"),
    ],
)
def test_a_form_that_the_recipe_names_and_the_file_is_not(folder, form, held, what):
    with pytest.raises(DataError) as caught:
        made(folder, "m.txt", held, form=form)
    assert what in caught.value.what, str(caught.value)
    assert caught.value.hint and caught.value.place


def test_downloads_that_could_be_other_rows_are_refused(folder):
    held = "".join(f"no {row}\thttps://host/{row}\n" for row in range(6))
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", (4, 4)).save(folder / name)
    with pytest.raises(DataError, match="count rows from 0 or from 1"):
        made(folder, "m.tsv", held)
    Image.new("RGB", (4, 4)).save(folder / "0.jpg")
    source = made(folder, "m.tsv", held)
    assert [source.value("train", at, "caption", 0, 0) for at in range(3)] == ["no 0", "no 1", "no 2"]
    Image.new("RGB", (4, 4)).save(folder / "000000003.jpg")
    with pytest.raises(DataError, match="could be meant in several ways"):
        made(folder, "m.tsv", held)


def test_a_table_of_urls_with_a_header_is_joined_too(folder):
    (folder / "00000").mkdir()
    Image.new("RGB", (4, 4)).save(folder / "00000" / "000000001.png")
    rows = [("https://host/0", "x"), ("https://host/1", "y")]
    tables = {
        "m.tsv": "url\tcaption\n" + "".join(f"{url}\t{text}\n" for url, text in rows),
        "m.csv": "Image Path,raw\n" + "".join(f"{url},{text}\n" for url, text in rows),
        "m.json": json.dumps([{"Image Path": url, "raw": text} for url, text in rows]),
    }
    for name, held in tables.items():
        keys = {} if name == "m.tsv" else {"image": "Image Path", "caption": "raw"}
        source = made(folder, name, held, keys=keys)
        assert [source.value("train", at, "caption", 0, 0) for at in range(source.size("train"))] == ["y"]
        assert not isinstance(source.sample("train", 0, 0, 0), UnusableSample)


def test_what_a_wrong_manifest_looks_like_is_said_without_advice_on_encodings(folder):
    objects = json.dumps([{"img_path": "a.png", "says": "a dog runs"}])
    for name, held, what in (
        ("m.json", objects, "a JSON list of objects with the keys img_path, says"),
        ("m.jsonl", objects[1:-1], "JSON lines, objects with the keys img_path, says"),
        ("m.json", '{"rows": []}', "an object with the keys rows"),
        ("m.bin", b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        ("m.bin", b"PK\x03\x04x", "a zip archive"),
    ):
        with pytest.raises(DataError) as caught:
            made(folder, name, held)
        assert what in caught.value.what and "iconv" not in caught.value.hint and "UTF-8" not in caught.value.hint
        if "data.keys: " in caught.value.hint:
            keys = parse(caught.value.hint.partition("data.keys: ")[2], "x").data
            assert made(folder, name, held, keys=keys).value("train", 0, "caption", 0, 0) == "a dog runs"
