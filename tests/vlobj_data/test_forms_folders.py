"""Folders as manifests: classes, and tables beside pictures; what is refused of them."""

import json
from pathlib import Path

import pytest
from PIL import Image
from vlobj_data.captions.captions import Captions

from vlobjectives.errors import DataError

CIFAR10 = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bench" / "cifar10" / "imagefolder"


def drawn(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value, value, value)).save(path)


def source(folder: Path, **options) -> Captions:
    return Captions(Captions.Config(**{"manifest": str(folder), "image_size": 4, "hold_out": {}} | options))


def captions(made, split="train"):
    return [made.value(split, number, "caption", 0, 0) for number in range(made.size(split))]


def test_classes_are_captions(tmp_path):
    for at, name in enumerate(("hot_dog/b.png", "hot_dog/deep/a.PNG", "cat/1.png", "cat/.hidden.png")):
        drawn(tmp_path / name, at)
    (tmp_path / "cat" / "directory.png").mkdir()
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    made = source(tmp_path)
    assert captions(made) == ["cat", "hot dog", "hot dog"]
    shown = [int(made.sample("train", number, 0, 0).values["image"].max()) for number in range(3)]
    assert shown == [2, 0, 1], "by name, folders and files alike; what begins with a dot is passed over"
    (note,) = made.problems(thorough=True)
    assert note.problem.note and "1 files are no pictures by their ending" in note and "cat/Thumbs.db" in note
    digest = made.digest()
    drawn(tmp_path / "cat" / "2.png")
    assert source(tmp_path).digest() != digest


def test_classes_below_splits(tmp_path):
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            drawn(tmp_path / split / name / "0.png")
    made = source(tmp_path)
    assert [captions(made, split) for split in ("train", "val", "test")] == [["cat", "dog"]] * 3
    assert made.problems(thorough=True) == [], "files of one name in several folders are several files"


@pytest.mark.skipif(not CIFAR10.exists(), reason=f"no shared data at {CIFAR10}")
def test_cifar10():
    made = source(CIFAR10)
    assert (made.size("train"), made.size("val"), made.size("test")) == (80, 0, 120)
    assert captions(made)[:9] == ["airplane"] * 8 + ["automobile"] and made.problems(thorough=True) == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_table_beside_pictures(tmp_path, form):
    rows = [{"file_name": f"{at}.png", "text": f"no {at}"} for at in range(3)]
    table = {
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "csv": "file_name,text\n" + "".join(f"{row['file_name']},{row['text']}\n" for row in rows),
    }[form]
    for at in range(3):
        drawn(tmp_path / "one" / f"{at}.png", at)
        for split in ("train", "test"):
            drawn(tmp_path / "many" / split / f"{at}.png", at + 10 * (split == "test"))
    for folder in ("one", "many/train", "many/test"):
        (tmp_path / folder / f"metadata.{form}").write_text(table, encoding="utf-8")
    one, many = source(tmp_path / "one"), source(tmp_path / "many")
    assert captions(one) == captions(many) == captions(many, "test") == ["no 0", "no 1", "no 2"]
    assert one.problems() == many.problems() == []
    shown = [int(many.sample(split, 1, 0, 0).values["image"].max()) for split in ("train", "test")]
    assert shown == [1, 11], "each table's files lie beside it"
    digest = many.digest()
    (tmp_path / "many" / "test" / f"metadata.{form}").write_text(table.replace("no 0", "nO 0"), encoding="utf-8")
    assert source(tmp_path / "many").digest() != digest


def test_a_folder_that_holds_a_manifest_is_not_one_of_classes(tmp_path):
    for name in ("images/a.png", "others/b.png"):
        drawn(tmp_path / name)
    assert captions(source(tmp_path)) == ["images", "others"]
    (tmp_path / "captions.csv").write_text("image,caption\na.png,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="the manifest is a folder") as caught:
        source(tmp_path)
    assert f"data.manifest: {tmp_path / 'captions.csv'}" in caught.value.hint
    assert captions(source(tmp_path, form="imagefolder")) == ["images", "others"], "unless the recipe says so"


def test_files_of_several_manifests_count_each_from_its_own(tmp_path):
    for at, split in enumerate(("train", "test")):
        drawn(tmp_path / split / "0.png", at)
        (tmp_path / split / "m.csv").write_text("image,caption\n0.png,x\n", encoding="utf-8")
    made = source(tmp_path, manifest={split: str(tmp_path / split / "m.csv") for split in ("train", "test")})
    assert [int(made.sample(split, 0, 0, 0).values["image"].max()) for split in ("train", "test")] == [0, 1]
    assert made.problems() == [] and made.sample("test", 0, 0, 0).same == 1
