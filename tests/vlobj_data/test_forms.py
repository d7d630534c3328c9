"""Manifests as people have them: other forms, other encodings, damaged ones, splits, quotes; what is said of each."""

import gzip
import io
import json
import os
import pickle
import random
import re
import tarfile
import zipfile

import pytest
from PIL import Image
from vlobj_data.captions.captions import Captions
from vlobj_data.forms.json_layouts import _no_key_twice
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.recipe.yaml import parse

HEADER, ROW = "image,caption,split\n", "a.png,a dog,train\n"


def brief(value) -> str:
    return repr(value)[:30]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def made(folder, name, held, cls=Captions, **options):
    path = folder / name
    path.write_bytes(held if isinstance(held, bytes) else held.encode("utf-8"))
    return cls(cls.Config(manifest=str(path), **options))


def refused(folder, name, held, cls=Captions, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        made(folder, name, held, cls, **options)
    return caught.value


def captions(source, split="train"):
    return [source.value(split, number, "caption", 0, 0) for number in range(source.size(split))]


def packed(kind: str) -> bytes:
    held = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=held, mode="w") as file:
            file.addfile(tarfile.TarInfo("a.jpg"))
    else:
        with zipfile.ZipFile(held, "w") as file:
            file.writestr("[Content_Types].xml" if kind == "sheet" else "a.json", "x")
    return held.getvalue()


@pytest.mark.parametrize(
    ("held", "what", "hint"),
    [
        (b"", "is empty", "name the manifest"),
        (b" \n\n", "is empty", "name the manifest"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a picture", "name the file that lists"),
        (b"\x89PNG\r\n\x1a\n", "is a picture", "name the file that lists"),
        (b"\0\0\0\x20ftypisom", "is a video", "name the file that lists"),
        (packed("zip"), "is a zip archive", "unzip m.any"),
        (packed("sheet"), "is a spreadsheet", "as CSV"),
        (gzip.compress(b"[]", mtime=0), "packed by gzip", "gunzip -k m.any"),
        (pickle.dumps([1]), "is a pickle", "JSON lines"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of Git LFS", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "is a web page", "download the manifest again"),
    ],
    ids=brief,
)
def test_what_is_no_manifest_is_named(folder, held, what, hint):
    error = refused(folder, "m.any", held)
    assert what in error.what and hint in error.hint and "UTF-8 text" not in error.hint, str(error)


@pytest.mark.parametrize(
    ("held", "what", "hint"),
    [(packed("tar"), "is a tar archive", "tar -xf m.any"), (b"PAR1\x15\4\x15", "is a Parquet file", "JSON lines")],
    ids=brief,
)
def test_shards_and_parquet_are_read_for_pictures_alone(folder, held, what, hint):
    error = refused(folder, "m.any", held, VideoCaptions)
    assert what in error.what and hint in error.hint, str(error)


def test_what_is_no_file_is_not_waited_for(folder):
    (folder / "m.csv").write_text(HEADER + ROW, encoding="utf-8")
    os.mkfifo(folder / "pipe")
    for name, what, hint in (
        (".", "is a folder", "m.csv"),
        ("pipe", "no plain file", "set data.manifest"),
        ("n.csv", "No such file", "did you mean"),
        ("x" * 300, "too long", "set data.manifest"),
        ("a\0b", "null byte", "set data.manifest"),
        ("/dev/zero", "no plain file", "set data"),
    ):
        with pytest.raises(DataError) as caught:
            Captions(Captions.Config(manifest=os.path.join(folder, name)))
        assert what in caught.value.what and hint in caught.value.hint, str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("utf-16", "is UTF-16"),
        ("utf-16-le", "UTF-16 without"),
        ("utf-16-be", "UTF-16 without"),
        ("utf-32", "is UTF-32"),
        ("latin-1", "byte 0xe9 is not UTF-8"),
    ],
)
def test_encodings(folder, encoding, says):
    error = refused(folder, "m.csv", (HEADER + "a.png,un été,train\n").encode(encoding))
    assert says in error.what and "iconv -f" in error.hint
    named = re.search(r"-f (UTF\S+)", error.hint)
    if named:  # what iconv would be told is right
        assert (HEADER + ROW).encode(encoding).decode(named[1]) == HEADER + ROW


@pytest.mark.parametrize(
    ("name", "held", "what", "hint"),
    [
        ("m.csv", (HEADER + "a.png,un été").encode()[:-1], "middle of a letter", "again"),
        ("m.jsonl", b'{"image": "a.png", "caption": "x"}\n' + b"\0" * 512, "512 NUL", "tr -d"),
        ("m.json", '[{"image": "a.png", "caption": "x"},', "where the file ends", "again"),
        ("m.json", '[{"image": "a.png", "capt', "where the file ends", "again"),
        ("m.jsonl", '{"image": "a.png", "caption": "x"}\n{"image": "b.p', "where the file ends", "again"),
        ("m.jsonl", '{"image": "b.p\n{"image": "a.png", "caption": "x"}\n', "not JSON", "one JSON object a line"),
        ("m.csv", HEADER + ROW + "b.png,a d", "fields (line 3: 2)", "cut off"),
        ("m.csv", HEADER + ROW + 'b.png,"a dog\n' + ROW, "does not close", "close its quotes"),
        ("m.csv", HEADER + 'b.png,"a dog\n' + ROW * 9000, "does not close", "close its quotes"),
        ("m.csv", '"image,caption\n', "header is no CSV", "close its quotes"),
        ("m.json", "[" * 100_000, "nested deeper", "list"),
        ("m.json", '[{"image": "a.png", "caption": ' + "9" * 5000 + "}]", "thousands of digits", "again"),
        ("m.json", '[{"image": "a.png", "image": "b.png"}]', "key 'image' twice", "again"),
    ],
    ids=brief,
)
def test_damaged_manifests(folder, name, held, what, hint):
    error = refused(folder, name, held)
    assert what in error.what and hint in error.hint, str(error)
    assert error.place and name in error.place.file


def test_a_key_is_looked_for_once_however_many_there_are():
    class Key(str):
        compared = 0

        def __eq__(self, other):
            Key.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    keys = [Key(f"k{number}") for number in range(3000)]
    with pytest.raises(ValueError, match="'k2999' twice"):
        _no_key_twice([(key, 1) for key in [*keys, Key("k2999")]])
    assert Key.compared < 100_000, "all pairs would be millions"


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("open_clip.csv", "filepath\ttitle\tsplit\na.png\ta dog, black\ttrain\n"),
        ("sheet.csv", "image;caption;split\na.png;a dog, black;train\n"),
        ("bars.csv", "image_name| comment_number| comment\na.png| 0| a dog, black\n"),
        ("rows.csv", HEADER + 'a.png,"a dog, black",train\n,,\n  ,,\n\n'),
        ("old.csv", (HEADER + 'a.png,"a dog, black",train\n').replace("\n", "\r")),
        (
            "coco.json",
            '{"images": [{"id": 7, "file_name": "a.png"}], "annotations": [{"image_id": 7, "caption": '
            '"a dog, black"}]}',
        ),
        ("list.jsonl", '[{"image": "a.png", "caption": "a dog, black"}]'),
        ("joined.jsonl", '\ufeff{"image": "a.png", "caption": "a dog, black"}\n\ufeff\n'),
    ],
)
def test_common_forms_are_read(folder, name, held):
    assert captions(made(folder, name, held, hold_out={})) == ["a dog, black"]


@pytest.mark.parametrize(
    ("name", "held", "what", "hint"),
    [
        ("m.json", '{"image": "a.png", "caption": "x"}', "an object with the keys image, caption", "JSON lines"),
        ("m.json", json.dumps({f"{n}.png": ["x"] for n in range(9)}), "keys 0.png, 1.png", "JSON lines"),
        ("m.json", '{"annotations": [{"image_id": 1, "caption": "x"}]}', "keys annotations", "JSON lines"),
        (
            "m.json",
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "bbox": []}]}',
            "none holds a caption",
            "file of captions",
        ),
        (
            "m.json",
            '{"images": [{"id": 1}, {"id": 1}], "annotations": []}',
            "two images have the id 1",
            "id of its own",
        ),
        ("m.json", '{"videos": [], "sentences": []}', "MSR-VTT's layout", "video_captions"),
        ("m.csv", '[{"image": "a.png", "caption": "x"}]', "the header", "holds JSON"),
        ("m.csv", "image,caption,Caption\na.png,x,y\n", "'caption' twice (columns 2, 3)", "another name"),
        ("m.csv", "photo,caption\na.png,x\n", "photo, caption; wanted", "call the column of the files 'image'"),
    ],
    ids=brief,
)
def test_other_layouts_are_described(folder, name, held, what, hint):
    error = refused(folder, name, held)
    assert what in error.what and hint in error.hint and "data.form" not in error.hint, str(error)


def test_a_form_is_advised_that_reads_it(folder):
    lines = '{"image": "a.png", "caption": "x"}\n{"image": "b.png", "caption": "y"}\n'
    karpathy = '{"images": [{"filename": "a.png", "sentences": [{"raw": "x"}]}]}'
    coco = '{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1, "caption": "x"}]}'
    for held, wrong in (
        (lines, "list"),
        (lines, "karpathy"),
        (karpathy, "list"),
        (karpathy, "coco"),
        (coco, "list"),
        (coco, "karpathy"),
        ('[\n{"image": "a.png", "caption": "x"}]', "jsonl"),
    ):
        advised = re.search(r"set data.form to (\w+)", refused(folder, "m.json", held, form=wrong).hint)[1]
        assert captions(made(folder, "m.json", held, form=advised, hold_out={}))[0] == "x"
    assert "set data.type" in refused(folder, "m.json", coco, VideoCaptions).hint, "clips have no such form"


@pytest.mark.parametrize(
    ("name", "held", "caption"),
    [("cc.tsv", "a dog\ta.png\na cat\tb.png\n", "a dog"), ("cc.csv", "a.png,a dog\nb.png,a cat\n", "a dog")],
)
def test_columns_without_a_header_are_counted_as_advised(folder, name, held, caption):
    error = refused(folder, name, held)
    assert "has no header" in error.what
    keys = parse(error.hint.partition("data.keys: ")[2], "x").data
    assert captions(made(folder, name, held, keys=keys, hold_out={}))[0] == caption


def test_quotation_marks_are_letters_in_a_table_with_tabs(folder):
    held = 'image\tcaption\tsplit\na.png\t"hello there\ttrain\nb.png\ta cat\ttrain\nc.png\tgood bye"\ttrain\n'
    assert captions(made(folder, "m.tsv", held)) == ['"hello there', "a cat", 'good bye"']
    assert made(folder, "m.tsv", held).problems() == []
    wrapped = made(folder, "m.tsv", held.replace("a cat", '"a ""black"" cat"'))
    assert captions(wrapped)[1] == '"a ""black"" cat"'
    (note,) = wrapped.problems()
    assert note.problem.note and "m.tsv:3" in note and ".csv" in note
    as_csv = 'image\tcaption\tsplit\nb.png\t"a ""black"" cat"\ttrain\n'
    assert captions(made(folder, "m.csv", as_csv)) == ['a "black" cat'], "as the note says"


@pytest.mark.parametrize(
    "rows",
    ['a.png,"hello there,train\n' + ROW * 3 + 'b.png,bye",train\n', 'a.png,"hello there,train\nb.jpg,bye",train\n'],
)
def test_rows_behind_a_stray_quote_are_missed(folder, rows):
    error = refused(folder, "m.csv", HEADER + ROW + rows + ROW)
    assert f"lines 3 to {2 + rows.count(chr(10))}" in error.what and error.place.line == 3
    error = refused(folder, "m.csv", 'caption,image\n"hello,a.png\nbye",b.png\nx,c.png\n')
    assert "lines 2 to 3" in error.what


def test_captions_of_several_lines_are_read_and_said(folder):
    source = made(folder, "m.csv", HEADER + 'a.png,"hello, there\nand, so, on.\n",train\n' + ROW)
    assert captions(source) == ["hello, there\nand, so, on.", "a dog"]
    (note,) = source.problems()
    assert note.problem.note and "lines 2 to 4" in note


@pytest.mark.parametrize(
    ("split", "what"),
    [(0, "a number"), (1.5, "a number"), (["train"], "a list"), ({"x": 1}, "an object"), (False, "true or false")],
)
def test_a_split_that_is_no_text_is_refused(folder, split, what):
    rows = [{"image": "a.png", "caption": "x", "split": "train"}, {"image": "b.png", "caption": "y", "split": split}]
    error = refused(folder, "m.json", json.dumps(rows * 2))
    assert f"{what} where a split should be (2 records" in error.what and "entry 2" in str(error.place)
    error = refused(folder, "m.jsonl", "\n".join(map(json.dumps, rows)))
    assert error.place.line == 2


def test_splits_that_are_drawn_are_said_with_their_sizes(folder):
    rows = "image,caption\n" + "".join(f"{number}.png,a\n{number}.png,b\n" for number in range(60))
    source = made(folder, "m.csv", rows)
    (note,) = [one for one in source.problems() if not one.split]
    train, val, test = (source.size(split) for split in ("train", "val", "test"))
    assert note.problem.note and train + val + test == 120 and val and test
    assert f"{val + test} of 120 samples are not trained on: train ({train}), val ({val}), test ({test})" in note
    assert made(folder, "m.csv", rows, hold_out={}).size("train") == 120, "as the note says"
    assert not [one for one in made(folder, "m.csv", rows, hold_out={}).problems() if not one.split]
    for key in ("Split", "set"):
        held = json.dumps([{"image": "a.png", "caption": "x", key: "train"}])
        assert f"the key '{key}' is not read" in made(folder, "m.json", held).problems()[0]
    assert "{} to train on all" in refused(folder, "m.csv", "image,caption\nb.png,x\n", hold_out={"val": 0.999}).hint


def advised(text: str) -> list[dict]:
    """The values of data.splits that a message says to write."""
    return [parse(found, "x").data for found in re.findall(r"data\.splits: (\{.*?\})", text)]


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "validation", "Test"),
        ("0", "1", "2"),
        ("training", "dev", "a, b"),
        ("true", "null", "x y"),
        ("only",),
        ("test",),
    ],
)
def test_names_of_splits_are_told_with_the_line_to_write(folder, names):
    rows = HEADER + "".join(f'a{at}.png,x,"{name}"\n' for at, name in enumerate(names)) + f'b.png,x,"{names[0]}"\n'
    error = refused(folder, "m.csv", rows)
    (line,) = advised(error.hint)
    assert "(2)" in error.what and all(name in error.what for name in names)
    source = made(folder, "m.csv", rows, splits=line)
    assert source.size("train") == 2 and sum(map(source.size, source.splits())) == 1 + len(names)


def test_a_split_is_left_out_on_purpose_or_refused(folder):
    rows = HEADER + ROW + "b.png,x,restval\nc.png,y,extra\na.png,z,\n"
    (error,) = made(folder, "m.csv", rows).problems()
    assert not error.problem.note and "2 records are left out: extra (1), no split (1)" in error
    with_them, without = advised(error)
    assert made(folder, "m.csv", rows, splits=with_them).problems() == []
    assert made(folder, "m.csv", rows, splits=with_them).size("train") == 3
    (note,) = made(folder, "m.csv", rows, splits=without).problems()
    assert note.problem.note and "extra (1)" in note


def test_one_of_several_keys_is_read_and_said(folder):
    (note,) = made(folder, "m.csv", "image,caption,text,split\na.png,x,y,train\n").problems()
    assert note.problem.note and "'caption' is read, and text beside it not" in note
    held = json.dumps([{"image": "a.png", "caption": "x", "captions": ["y"], "split": "train"}])
    assert "'caption' is read, and captions beside it not" in made(folder, "m.json", held).problems()[0]


def test_a_leak_is_one_however_its_name_is_written(folder):
    source = made(folder, "m.csv", HEADER + ROW + "./a.png,y,test\nx/../a.png,z,val\n")
    leaks = source.problems()
    assert len(leaks) == 2 and not any(one.split or one.problem.note for one in leaks)
    assert {source.sample(split, 0, 0, 0).same for split in source.splits()} == {0}


FORMS = {
    "m.json": json.dumps(
        [{"image": "a.png", "caption": 'a "d\u00f6g"', "split": split} for split in ("train", "val", "test", "train")],
        ensure_ascii=False,
    ),
    "m.jsonl": "".join(json.dumps({"image": f"{name}.png", "caption": "x", "split": "train"}) + "\n" for name in "abc"),
    "m.csv": HEADER + 'a.png,"a ""black"" dog",train\n' + ROW + "b.png,a cat,val\n",
    "m.tsv": 'image\tcaption\tsplit\na.png\ta "dog"\ttrain\nb.png\ta cat\tval\n',
    "coco.json": '{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}], "annotations": '
    '[{"image_id": 1, "caption": "x"}, {"image_id": 2, "caption": "y"}]}',
    "Flickr8k.token.txt": "a.png#0\ta dog\na.png#1\ta cat\nb.png#0\ta bird\n",
    "results.csv": "image_name| comment_number| comment\na.png| 0| a dog\nb.png| 0| a cat, black\nc.png| 1  a bird\n",
    "captions.txt": "image,caption\na.png,a dog, black\nb.png,a cat\n",
    "llava.json": json.dumps(
        [
            {"image": f"{name}.png", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "x"}]}
            for name in "abc"
        ]
    ),
    "karpathy.json": json.dumps(
        {"images": [{"filename": "a.png", "filepath": "x", "split": "train", "sentences": [{"raw": "x"}]}] * 2}
    ),
}
PIECES = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\t",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b"null",
    b"0",
    b"#",
]


@pytest.mark.parametrize("name", FORMS)
def test_whatever_is_damaged_ends_in_a_refusal_or_is_counted(folder, name):
    """Cut anywhere, bits put in or taken out: DataError with a place and a hint, or flaws as many as bad samples."""
    draw, whole, read = random.Random(name), FORMS[name].encode(), 0
    for _ in range(60):
        held, at = bytearray(whole), draw.randrange(len(whole))
        how = draw.randrange(3)
        if how:
            held[at : at + (how - 1) * draw.randrange(9)] = draw.choice(PIECES) * draw.randrange(1, 3)
        else:
            del held[at:]
        try:
            source = made(folder, name, bytes(held))
        except DataError as error:
            assert error.hint and error.place, str(error)
            continue
        read += 1
        flaws = source.problems(thorough=True)
        for split in source.splits():
            bad = sum(
                isinstance(source.sample(split, number, 0, 0), UnusableSample) for number in range(source.size(split))
            )
            assert sum(flaw.samples for flaw in flaws if flaw.split == split) == bad
    assert read
