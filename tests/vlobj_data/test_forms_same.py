"""The same photos from every form of text: one line of the recipe changes, and the first batch is the same."""

import csv
import json
import os
import shutil
import zlib
from pathlib import Path

import pytest
import torch
from vlobj_data.captions import kept
from vlobj_data.captions.captions import Captions

from vlobjectives import build
from vlobjectives.data.loader import SampleOrder
from vlobjectives.errors import DataError

PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "flickr8k"
SPLITS = {"train": "train", "val": "dev", "test": "test"}
ROWS = 16

pytestmark = pytest.mark.skipif(not PHOTOS.exists(), reason=f"no shared data at {PHOTOS}")


@pytest.fixture(scope="module")
def records() -> list[dict]:
    """Files, splits and captions, in the set's order."""
    whole = json.loads((PHOTOS / "dataset_flickr8k_small.json").read_text("utf-8"))["images"]
    return [
        {"file": one["filename"], "split": one["split"], "captions": [each["raw"] for each in one["sentences"]]}
        for one in whole
    ]


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory, records) -> Path:
    """Files that are made here, and photos under other names for the forms that ask for them."""
    folder = tmp_path_factory.mktemp("forms")
    pairs = [(one["file"], one["split"], caption) for one in records for caption in one["captions"]]
    for split in SPLITS:
        rows = [(file, caption) for file, of, caption in pairs if of == split]
        write(folder / f"clip_{split}.csv", "filepath\ttitle\n" + "".join(f"{file}\t{text}\n" for file, text in rows))
        write(folder / f"two_{split}.txt", "image,caption\n" + "".join(f"{file},{text}\n" for file, text in rows))
        write(folder / f"bare_{split}.tsv", "".join(f"{text}\t{file}\n" for file, text in rows))
        header = "image_name| comment_number| comment\n"
        lines = [f"{file}| {at % 5}| {text}\n" for at, (file, text) in enumerate(rows)]
        lines[3] = lines[3].replace("| 3|", "| 3  ")  # as a line of Flickr30k's own file
        write(folder / f"results_{split}.csv", header + "".join(lines))
        said = [{"id": at, "image": file, "conversations": turns(text)} for at, (file, text) in enumerate(rows)]
        write(folder / f"llava_{split}.json", json.dumps([{"id": "alone", "conversations": turns("x")}, *said]))
        if split != "train":
            downloaded(folder, split, rows)
        for name in dict.fromkeys(file for file, _ in rows):
            linked(PHOTOS / "images" / name, folder / "hub" / split / name)
        write(
            folder / "hub" / split / "metadata.jsonl",
            "".join(json.dumps({"file_name": file, "text": text}) + "\n" for file, text in rows),
        )
    with (folder / "long.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Image Path", "raw_caption", "b", "c", "d", "e", "part"])
        writer.writerows([f"images/{one['file']}", *one["captions"], one["split"]] for one in records)
    nested = [
        {"data": {"path": one["file"]}, "texts": [{"raw": text} for text in one["captions"]], "part": one["split"]}
        for one in records
    ]
    write(folder / "nested.jsonl", "".join(json.dumps(one) + "\n" for one in nested))
    split_up = [
        {"filepath": "nowhere", "filename": one["file"], "split": one["split"], "sentences": sentences(one)}
        for one in records
    ]
    write(folder / "left_off.json", json.dumps({"images": split_up}))
    return folder


def downloaded(folder: Path, split: str, rows: list[tuple[str, str]]) -> None:
    """A table of captions and URLs, and the photos as two programs would have called them, a row in ten missing."""
    lines = []
    numbers = {file: at for at, file in enumerate(dict.fromkeys(file for file, _ in rows))}
    for row, (file, text) in enumerate(rows):
        lines.append(f"{text}\thttps://host/{numbers[file]}/{file}\n")
        url = lines[-1].rstrip("\n").partition("\t")[2]
        if row % 10 == 9:
            continue
        linked(PHOTOS / "images" / file, folder / "crc" / f"{row}_{zlib.crc32(url.encode())}")
        shard = folder / "shards" / split / f"{row // 10000:05d}"
        linked(PHOTOS / "images" / file, shard / f"{row:09d}.jpg")
        write(shard / f"{row:09d}.json", json.dumps({"url": url, "caption": text}))
    write(folder / f"cc_{split}.tsv", "".join(lines))


def turns(text: str) -> list[dict]:
    return [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": text}]


def sentences(one: dict) -> list[dict]:
    return [{"raw": text} for text in one["captions"]]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def linked(file: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)


def parts(name: str) -> dict[str, str]:
    """A file of each split."""
    return {split: name.format(split) for split in SPLITS}


FORMS = {
    "karpathy": {"manifest": "dataset_flickr8k_small.json"},
    "karpathy, filepath left off": {"manifest": "left_off.json"},
    "coco": {"manifest": parts("captions_{}_flickr8k_small.json")},
    "albef": {"manifest": parts("albef_flickr8k_small_{}.json")},
    "csv": {"manifest": "manifest_flickr8k_small.csv"},
    "token with its lists": {"manifest": "Flickr8k.token.txt"},
    "token with lists that are named": {
        "manifest": "Flickr8k.token.txt",
        "lists": {split: f"Flickr_8k.{name}Images.txt" for split, name in SPLITS.items()},
    },
    "results": {"manifest": parts("results_{}.csv")},
    "two columns": {"manifest": parts("two_{}.txt")},
    "open_clip": {"manifest": parts("clip_{}.csv")},
    "no header": {"manifest": parts("bare_{}.tsv"), "keys": {"image": 2, "caption": 1}},
    "several captions": {
        "manifest": "long.csv",
        "keys": {"image": "Image Path", "caption": ["raw_caption", "b", "c", "d", "e"], "split": "part"},
    },
    "nested": {
        "manifest": "nested.jsonl",
        "keys": {"image": "data.path", "caption": "texts.raw", "split": "part"},
    },
    "llava": {"manifest": parts("llava_{}.json")},
    "imagefolder with metadata": {"manifest": "hub"},
}


def options(folder: Path, form: dict) -> dict:
    """The lines of `data` that say what is read."""

    def path(name: str) -> str:
        return str(PHOTOS / name if (PHOTOS / name).exists() else folder / name)

    made = dict(form)
    for key in ("manifest", "lists"):
        if key in form:
            names = form[key]
            made[key] = {at: path(name) for at, name in names.items()} if isinstance(names, dict) else path(names)
    alone = made["manifest"] == str(folder / "hub")
    return made | ({} if alone else {"images": [str(PHOTOS), str(PHOTOS / "images")]})


def made(folder: Path, form: dict) -> Captions:
    return Captions(Captions.Config(image_size=16, augment="crop", **options(folder, form)))


def first_batch(source: Captions, split: str) -> tuple[list[int], torch.Tensor, list[str]]:
    """Sizes, and pixels and captions of the first rows in the order of training."""
    order = SampleOrder(source.size(split), 7)
    samples = [source.sample(split, number, epoch, 7) for number, epoch in map(order, range(ROWS))]
    sizes = [source.size(one) for one in SPLITS]
    return sizes, torch.stack([one.values["image"] for one in samples]), [one.values["caption"] for one in samples]


@pytest.fixture(scope="module")
def wanted(laid_out) -> dict:
    source = made(laid_out, FORMS["csv"])
    return {split: first_batch(source, split) for split in SPLITS}


@pytest.mark.parametrize("name", FORMS)
def test_the_first_batch_is_the_same_from_every_form(laid_out, wanted, name):
    source = made(laid_out, FORMS[name])
    for split in SPLITS:
        sizes, pixels, captions = first_batch(source, split)
        assert (sizes, captions) == (wanted[split][0], wanted[split][2])
        assert torch.equal(pixels, wanted[split][1])
    assert [one for one in source.problems() if not one.problem.note] == []


@pytest.mark.parametrize("images", ["crc", "shards"])
def test_a_table_of_urls_is_joined_with_its_downloads(laid_out, records, images):
    folder = str(laid_out / images / ("val" if images == "shards" else ""))
    source = one_split(laid_out / "cc_val.tsv", folder)
    rows = [(one["file"], text) for one in records if one["split"] == "val" for text in one["captions"]]
    had = [number for number in range(len(rows)) if number % 10 != 9]
    (note,) = source.problems()
    assert source.size("train") == len(had) and note.problem.note
    assert f"{len(rows) - len(had)} rows have no download" in note and note.problem.place.line == 10
    plain = one_split(laid_out / "two_val.txt", str(PHOTOS / "images"))
    for number in range(0, len(had), 41):
        one, other = source.sample("train", number, 0, 0), plain.sample("train", had[number], 0, 0)
        assert one.values["caption"] == other.values["caption"] == rows[had[number]][1].strip()
        assert torch.equal(one.values["image"], other.values["image"])


def one_split(manifest: Path, images: str) -> Captions:
    return Captions(Captions.Config(manifest=str(manifest), images=images, image_size=16, hold_out={}))


def test_a_table_of_urls_without_downloads_or_with_another_tables_is_refused(laid_out, tmp_path):
    with pytest.raises(DataError, match="lists URLs, and none of the first 365 has a download") as caught:
        one_split(laid_out / "cc_val.tsv", str(tmp_path))
    assert "data.images" in caught.value.hint
    with pytest.raises(DataError, match=r"00000/000000000\.jpg is not of this row: it was downloaded from"):
        one_split(laid_out / "cc_val.tsv", str(laid_out / "shards" / "test"))


def test_what_is_kept_of_a_manifest_follows_the_pictures(tmp_path, monkeypatch):
    """A table in the cache folder holds names that were settled by looking: moved pictures are looked for anew."""
    monkeypatch.setattr(kept, "LARGE", 0)
    monkeypatch.setenv("VLOBJ_CACHE", str(tmp_path / "cache"))
    (name,) = (PHOTOS / "images").glob("1000268201_*.jpg")
    one = {"filepath": "val2014", "filename": name.name, "split": "train", "sentences": [{"raw": "x"}]}
    write(tmp_path / "m.json", json.dumps({"images": [one]}))
    for place in ("photos/val2014", "photos"):
        linked(name, tmp_path / place / name.name)
        source = Captions(Captions.Config(manifest=str(tmp_path / "m.json"), images=str(tmp_path / "photos")))
        assert source.sample("train", 0, 0, 0).values["caption"] == "x"
        shutil.rmtree(tmp_path / "photos" / "val2014", ignore_errors=True)


def test_a_batch_of_a_run_is_the_same(laid_out, tmp_path):
    """From the recipe to what a model reads: a line apart."""
    batches = []
    for form in ("albef_flickr8k_small_val.json", "results_val.csv"):
        given = options(laid_out, {"manifest": {"train": form}})
        recipe = {
            "extends": "itc",
            "data": {
                "type": "captions",
                "image_size": 64,
                "batch": 4,
                "samples": None,
                **given,
            },
            "fields": {"caption": {"size": 300}},
        }
        write(tmp_path / f"{form}.yaml", json.dumps(recipe))
        batches.append(next(iter(build(tmp_path / f"{form}.yaml").batches())))
    one, other = batches
    assert torch.equal(one.number, other.number)
    assert torch.equal(one.values["image"], other.values["image"])
    assert torch.equal(one.values["text"].ids, other.values["text"].ids)
