"""Parquet and the sets that Hugging Face's datasets saves: the samples are those of files."""

import json
import os
from pathlib import Path

import pytest
import torch
from shard_files import as_files, caption, picture
from vlobj_data import cache
from vlobj_data.captions.captions import Captions
from vlobj_data.forms import arrow

from vlobjectives import UnusableSample
from vlobjectives.errors import DataError, ResourceError

pa = pytest.importorskip("pyarrow", reason="needs the extra parquet")
pq = pytest.importorskip("pyarrow.parquet")
COUNT = 10
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))


def source(manifest, **more) -> Captions:
    return Captions(Captions.Config(**{"manifest": str(manifest), "hold_out": {}, "image_size": 32, **more}))


def samples(made: Captions, split: str = "train", epoch: int = 0):
    return [made.sample(split, number, epoch, 7) for number in range(made.size(split))]


def same(one: Captions, other: Captions, numbers: bool = True) -> None:
    for split in ("train", "val", "test"):
        pairs = list(zip(samples(one, split, 1), samples(other, split, 1), strict=True))
        for left, right in pairs:
            assert (left.key, left.values["caption"]) == (right.key, right.values["caption"])
            assert left.same == right.same or not numbers
            assert torch.equal(left.values["image"], right.values["image"])


def rows(numbers=range(COUNT), kind=IMAGE, **more) -> pa.Table:
    """A table as `datasets` writes it."""
    held = [{"bytes": picture(n), "path": f"{n:05d}.jpg"} for n in numbers]
    if not pa.types.is_struct(kind):
        held = [one["bytes"] for one in held]
    columns = {"image": pa.array(held, kind), "caption": [caption(n) for n in numbers]}
    return pa.table({**columns, **more})


def parquet(path: Path, table: pa.Table, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def stream(path: Path, table: pa.Table, rows_a_batch: int = 4, compression: str | None = None, new=pa.ipc.new_stream):
    path.parent.mkdir(parents=True, exist_ok=True)
    with new(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, rows_a_batch)
    return path


def saved(folder: Path, *tables: pa.Table) -> Path:
    """A folder as save_to_disk writes it."""
    names = [f"data-{number:05d}-of-{len(tables):05d}.arrow" for number in range(len(tables))]
    for name, table in zip(names, tables):
        stream(folder / name, table)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (folder / "dataset_info.json").write_text("{}", encoding="utf-8")
    return folder


WRITTEN = {
    "a stream": lambda folder: stream(folder / "a.arrow", rows()),
    "a file": lambda folder: stream(folder / "a.arrow", rows(), new=pa.ipc.new_file),
    "a compressed stream": lambda folder: stream(folder / "a.arrow", rows(), compression="zstd"),
    "a compressed file": lambda folder: stream(folder / "a.arrow", rows(), compression="lz4", new=pa.ipc.new_file),
    "a saved set": lambda folder: saved(folder / "set", rows(range(6)), rows(range(6, COUNT))),
    "parquet": lambda folder: parquet(folder / "a.parquet", rows(), row_group_size=3),
    "a folder of parquet": lambda folder: [
        parquet(folder / "set" / f"{n}.parquet", rows(range(5 * n, 5 * n + 5))).parent for n in range(2)
    ].pop(),
    "sliced": lambda folder: stream(folder / "a.arrow", rows([100, 101, 102, *range(COUNT)]).slice(3)),
}


@pytest.mark.parametrize("hold_out", [{}, {"val": 0.2, "test": 0.2}], ids=["all", "drawn"])
@pytest.mark.parametrize("written", WRITTEN)
def test_samples_are_those_of_files(tmp_path, written, hold_out):
    options = {"hold_out": hold_out, "augment": "crop"}
    files = source(as_files(tmp_path / "files", COUNT), **options)
    made = source(WRITTEN[written](tmp_path), **options)
    same(files, made)
    assert not made.problems(thorough=True) or hold_out


def test_only_what_is_packed_goes_to_the_cache_and_once(tmp_path, monkeypatch):
    source(stream(tmp_path / "a.arrow", rows()))
    assert not (tmp_path / "cache").exists()
    path = parquet(tmp_path / "b.parquet", rows())
    digest = source(path).digest()
    (unpacked,) = (tmp_path / "cache" / "arrow").glob("*.arrow")
    before = unpacked.stat().st_mtime_ns
    monkeypatch.setattr(arrow, "_unpack", lambda *_: pytest.fail("unpacked again"))
    assert source(path).digest() == digest and unpacked.stat().st_mtime_ns == before


def test_a_parquet_that_changed_is_unpacked_anew_and_one_that_was_copied_is_the_same_data(tmp_path):
    path = parquet(tmp_path / "a.parquet", rows())
    first = source(path)
    copy = tmp_path / "copy" / "a.parquet"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(1, 1))
    assert source(copy).digest() == first.digest()
    again = source(parquet(path, rows(range(1, COUNT))))
    assert again.size("train") == COUNT - 1 and again.digest() != first.digest()


def test_splits_are_folders_of_a_saved_set_and_names_of_parquet_files(tmp_path):
    every = {"train": range(5), "validation": range(5, 8), "test": range(8, COUNT)}
    for split, numbers in every.items():
        saved(tmp_path / "dict" / split, rows(numbers))
        parquet(tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet", rows(numbers))
        parquet(tmp_path / "config" / split / "0000.parquet", rows(numbers))
    (tmp_path / "dict" / "dataset_dict.json").write_text(json.dumps({"splits": list(every)}), encoding="utf-8")
    first = source(tmp_path / "dict")
    assert [first.size(split) for split in ("train", "val", "test")] == [5, 3, 2]
    same(first, source(tmp_path / "hub"), numbers=False)  # files are numbered in the order of their names
    same(first, source(tmp_path / "config"), numbers=False)


def test_several_configurations_are_not_mixed(tmp_path):
    for name in ("en", "de"):
        parquet(tmp_path / name / "0.parquet", rows())
    with pytest.raises(DataError, match="several folders of parquet files: de, en") as caught:
        source(tmp_path)
    assert caught.value.hint == f"name one: data.manifest: {tmp_path / 'de'}"


@pytest.mark.parametrize("text", ["{", "[]", '{"_data_files": 3}'])
def test_a_damaged_state_is_named(tmp_path, text):
    (tmp_path / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="the saved set cannot be read") as caught:
        source(tmp_path)
    assert caught.value.place.file == str(tmp_path / "state.json")


def test_columns_of_other_kinds_and_names(tmp_path):
    held = rows(kind=pa.large_binary()).rename_columns(["photo", "alt_text"])
    with pytest.raises(DataError) as caught:
        source(parquet(tmp_path / "a.parquet", held))
    assert str(caught.value) == (
        f"{tmp_path}/a.parquet  no column is known to hold captions: the table has photo (large_binary), "
        "alt_text (string)\n    hint: data.keys: {image: photo, caption: alt_text}"
    )
    made = source(tmp_path / "a.parquet", keys={"image": "photo", "caption": "alt_text"})
    assert [one.values["caption"] for one in samples(made)] == [caption(n) for n in range(COUNT)]
    several = rows().rename_columns(["image", "caption_0"]).append_column("caption_1", [["x"] * COUNT])
    with pytest.raises(DataError) as caught:
        source(parquet(tmp_path / "b.parquet", several))
    assert "caption: [caption_0, caption_1]}" in caught.value.hint
    made = source(tmp_path / "b.parquet", keys={"caption": ["caption_0", "caption_1"]})
    assert made.size("train") == 2 * COUNT


def test_several_captions_a_split_column_and_a_picture_that_lies_in_a_file(tmp_path):
    (tmp_path / "beside.jpg").write_bytes(picture(3))
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": None, "path": "beside.jpg"}, {"bytes": picture(4), "path": None}, None], IMAGE
            ),
            "captions": [["one", "two"], ["three"], ["four"]],
            "split": ["train", "test", "train"],
        }
    )
    made = source(parquet(tmp_path / "a.parquet", table))
    one, two, none = samples(made)
    (three,) = samples(made, "test")
    assert [one.values["caption"], two.values["caption"], three.values["caption"]] == ["one", "two", "three"]
    assert one.key == "beside.jpg" and three.key == f"{tmp_path.name}/a.parquet#2"
    assert isinstance(none, UnusableSample) and f"{tmp_path}/a.parquet, row 3: nothing where" in none.reason


def test_rows_of_one_picture_are_one_and_pictures_of_one_path_are_not(tmp_path):
    twice = pa.concat_tables([rows(range(3)), rows(range(3))])
    made = source(stream(tmp_path / "a.arrow", twice, rows_a_batch=2))
    assert [one.same for one in samples(made)] == [0, 0, 1, 1, 2, 2]
    held = [{"bytes": picture(n), "path": "image.jpg"} for n in range(3)]
    apart = pa.table({"image": pa.array(held, IMAGE), "caption": ["a", "b", "c"]})
    made = source(stream(tmp_path / "b.arrow", apart))
    assert [(one.same, one.key) for one in samples(made)] == [(n, f"{tmp_path.name}/b.arrow#{n + 1}") for n in range(3)]


def test_classes_have_their_names_and_further_pictures_are_columns(tmp_path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    more = {
        "label": [n % 2 for n in range(COUNT)],
        "mask": pa.array([{"bytes": picture(100 + n, "PNG"), "path": None} for n in range(COUNT)], IMAGE),
        "day": pa.array([n for n in range(COUNT)], pa.date32()),
    }
    table = rows(**more).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    columns = {"label": "class", "mask": "image", "day": "text"}
    made = source(parquet(tmp_path / "a.parquet", table), columns=columns, resize="squash")
    found = samples(made)
    assert [one.values["label"] for one in found] == ["cat", "dog"] * (COUNT // 2)
    assert found[3].values["day"] == "1970-01-04"
    (tmp_path / "3.png").write_bytes(picture(103, "PNG"))
    expected = made.framed(made.config, made.columns["image"], tmp_path / "3.png", 10**6)
    assert torch.equal(found[3].values["mask"], expected)
    assert not made.problems(thorough=True)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_damaged_tables_are_named(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    (parquet if kind == "parquet" else stream)(path, rows())
    whole = path.read_bytes()
    for cut in (len(whole) // 2, 40, 9):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="the table cannot be read") as caught:
            source(path)
        assert caught.value.place.file == str(path) and not list((tmp_path).glob("cache/arrow/*.part"))


def test_a_column_whose_name_is_no_text_is_refused(tmp_path):
    path = stream(tmp_path / "a.arrow", rows(other_name=[1] * COUNT))
    path.write_bytes(path.read_bytes().replace(b"other_name", b"other\xa0name"))
    with pytest.raises(DataError, match="the table cannot be read: 'utf-8' codec"):
        source(path)


def test_offsets_that_lead_out_of_the_file_are_refused(tmp_path):
    path = stream(tmp_path / "a.arrow", rows())
    data = bytearray(path.read_bytes())
    sizes = [0]
    for number in range(4):
        sizes.append(sizes[-1] + len(picture(number)))
    at = data.find(b"".join(size.to_bytes(4, "little") for size in sizes))
    assert at > 0
    data[at + 16 : at + 20] = (2**30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match="the table cannot be read"):
        source(path)


def test_a_cache_folder_without_room_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="the cache folder cannot be written") as caught:
        source(parquet(tmp_path / "a.parquet", rows()))
    assert "VLOBJ_CACHE" in caught.value.hint
