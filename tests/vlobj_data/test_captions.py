"""The source `captions`: forms, splits, numbering, purity, augmentation, checks."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from vlobj_data.captions.captions import Captions

from vlobjectives import Sample, UnusableSample
from vlobjectives.errors import DataError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions"
ROWS = [
    (f"photos/{name}.png", split, [f"{name} one", f"{name} two to the left", f"{name} three"][:count])
    for name, split, count in [
        ("a", "train", 3),
        ("b", "val", 2),
        ("c", "restval", 1),
        ("d", "test", 3),
        ("e", "train", 2),
    ]
]


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number, (name, _, _) in enumerate(ROWS):
        Image.fromarray(draw.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def written(folder: Path, form: str) -> str:
    path = folder / f"manifest.{form if form in ('csv', 'tsv', 'jsonl') else 'json'}"
    if form == "karpathy":
        path.write_text(
            json.dumps(
                {
                    "dataset": "x",
                    "images": [
                        {
                            "filepath": "photos",
                            "filename": name.split("/")[1],
                            "split": split,
                            "sentences": [{"raw": text, "tokens": []} for text in captions],
                        }
                        for name, split, captions in ROWS
                    ],
                }
            ),
            encoding="utf-8",
        )
    elif form == "list":
        path.write_text(
            json.dumps(
                [
                    {"image": name, "caption": captions if len(captions) > 1 else captions[0], "split": split}
                    for name, split, captions in ROWS
                ],
                indent=1,
            ),
            encoding="utf-8",
        )
    elif form == "jsonl":
        path.write_text(
            "".join(
                json.dumps({"file_name": name, "text": captions, "split": split}) + "\n"
                for name, split, captions in ROWS
            ),
            encoding="utf-8",
        )
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, delimiter="\t" if form == "tsv" else ",")
            out.writerow(["split", "Filename", "sentence"])
            out.writerows((split, name, text) for name, split, captions in ROWS for text in captions)
    return str(path)


def source(folder: Path, form="jsonl", **more) -> Captions:
    return Captions(Captions.Config(manifest=written(folder, form), **({"image_size": 16} | more)))


def captions(made: Captions, split: str, epoch=0, seed=0) -> list[str]:
    return [made.sample(split, number, epoch, seed).values["caption"] for number in range(made.size(split))]


@pytest.mark.parametrize("form", ["karpathy", "list", "jsonl", "csv", "tsv"])
def test_all_forms_say_the_same(folder, form):
    made = source(folder, form)
    assert {split: made.size(split) for split in (*made.splits(), "other")} == {
        "train": 6,
        "val": 2,
        "test": 3,
        "other": 0,
    }
    assert captions(made, "train") == ["a one", "a two to the left", "a three", "c one", "e one", "e two to the left"]
    assert [made.sample("train", number, 0, 0).same for number in range(6)] == [0, 0, 0, 2, 4, 4]
    assert made.sample("val", 1, 0, 0).same == 1 and made.sample("val", 1, 0, 0).key == "photos/b.png"
    assert made.problems() == made.problems(thorough=True) == []


def test_form_and_folder_may_be_named(folder):
    path = Path(written(folder, "jsonl")).rename(folder / "list.txt")
    elsewhere = folder / "else" / "list.txt"
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    assert Captions(Captions.Config(manifest=str(elsewhere), images=str(folder))).size("train") == 6
    with pytest.raises(DataError, match=r"list.txt.*not JSON"):
        Captions(Captions.Config(manifest=str(elsewhere), images=str(folder), form="list"))
    with pytest.raises(DataError, match="folder of pictures does not exist"):
        Captions(Captions.Config(manifest=str(elsewhere), images=str(folder / "none")))
    with pytest.raises(DataError, match="manifest cannot be read"):
        Captions(Captions.Config(manifest=str(folder / "none.csv")))


def test_columns(folder):
    image, caption = source(folder, mean="imagenet", std=(0.1, 0.2, 0.3)).columns.values()
    assert (image.kind, image.shape, image.mean, image.std) == (
        "picture",
        (3, 16, 16),
        (0.485, 0.456, 0.406),
        (0.1, 0.2, 0.3),
    )
    assert caption.kind == "raw"


def test_one_caption_a_picture(folder):
    made = source(folder, captions="one")
    assert [made.size(split) for split in ("train", "val", "test")] == [3, 1, 1]
    assert captions(made, "val") == ["b one"] and captions(made, "test", epoch=3) == ["d one"]
    shown = {made.sample("train", 0, epoch, 0).values["caption"] for epoch in range(30)}
    assert shown == {"a one", "a two to the left", "a three"}
    assert captions(made, "train", epoch=1) == captions(made, "train", epoch=1)
    assert [captions(made, "train", epoch) for epoch in range(8)] != [
        captions(made, "train", epoch, 1) for epoch in range(8)
    ]


def test_samples_are_pure_and_only_training_is_augmented(folder):
    made, again = (source(folder, augment="crop", flip=True) for _ in range(2))
    plain = source(folder)
    for number in (0, 3):
        first = made.sample("train", number, 1, 7).values["image"]
        torch.rand(3), np.random.rand(3)
        assert torch.equal(first, again.sample("train", number, 1, 7).values["image"])
        shown = [
            made.sample("train", number, epoch, seed).values["image"].numpy().tobytes()
            for epoch in range(8)
            for seed in range(2)
        ]
        assert len(set(shown)) >= 12, "epochs and seeds draw boxes of their own"
    for split in ("val", "test"):
        assert torch.equal(made.sample(split, 0, 5, 7).values["image"], plain.sample(split, 0, 0, 0).values["image"])


def test_flip_keeps_left_and_right_true(folder):
    """Of each caption of the picture: with `positives: same_picture` one is taught with what another shows."""
    made, plain = source(folder, flip=True), source(folder)
    for number, flips in ((0, False), (1, False), (3, True)):
        still = plain.sample("train", number, 0, 0).values["image"]
        shown = [made.sample("train", number, epoch, 0).values["image"] for epoch in range(40)]
        same = sum(torch.equal(picture, still) for picture in shown)
        mirrored = sum(torch.equal(picture, still.flip(-1)) for picture in shown)
        assert same + mirrored == 40 and (8 < mirrored < 32 if flips else mirrored == 0)


def test_the_words_that_forbid_a_mirror_are_an_option(folder):
    def mirrors(number, **more):
        made = source(folder, flip=True, **more)
        shown = [made.sample("train", number, epoch, 0).values["image"] for epoch in range(12)]
        return any(torch.equal(picture, shown[0].flip(-1)) for picture in shown)

    assert mirrors(3) and not mirrors(1)
    assert mirrors(1, flip_unless=["gauche"]) and not mirrors(3, flip_unless=[" One"])
    with pytest.raises(ValidationError, match="none of them empty"):
        source(folder, flip=True, flip_unless=["left", " "])


def test_words_for_left_and_right_that_cannot_be_the_captions_are_noted(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("image,caption\na.png,左边的狗\na.png,一只猫\na.png,a dog\n", encoding="utf-8")

    def noted(**more):
        made = Captions(Captions.Config(manifest=str(tmp_path / "m.csv"), hold_out={}, **more))
        return [flaw.problem.note for flaw in made.problems() if "flip_unless" in flaw]

    assert noted(flip=True) == [True]
    assert noted() == noted(flip=True, flip_unless=["左", "右", "left"]) == []


def test_how_pixels_are_resized_is_an_option(folder):
    plain, cubic = (
        source(folder, interpolation=how).sample("val", 0, 0, 0).values["image"].int()
        for how in ("bilinear", "bicubic")
    )
    assert torch.equal(plain, source(folder).sample("val", 0, 0, 0).values["image"].int())
    assert 0 < (plain - cubic).abs().float().mean() < 20


def test_resize_squeezes_or_cuts(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (tmp_path / "m.csv").write_text("image,caption\nwide.png,a\n", encoding="utf-8")
    cut, squeezed = (
        Captions(Captions.Config(manifest=str(tmp_path / "m.csv"), hold_out={}, resize=how, image_size=30))
        .sample("train", 0, 0, 0)
        .values["image"]
        .float()
        .mean()
        for how in ("crop", "squash")
    )
    assert cut == 255 and 80 < squeezed < 90


def test_hold_out_by_hash(tmp_path):
    names = [f"{number}.jpg" for number in range(2000)]
    (tmp_path / "m.csv").write_text("image,caption\n" + "".join(f"{name},a\n{name},b\n" for name in names), "utf-8")
    (tmp_path / "n.csv").write_text("image,caption\n" + "".join(f"{name},a\n" for name in names[::-2]), "utf-8")
    whole, part = (
        Captions(Captions.Config(manifest=str(tmp_path / name), hold_out={"val": 0.1, "dev": 0.2}))
        for name in ("m.csv", "n.csv")
    )
    assert whole.splits() == ("train", "val", "dev") and whole.size("val") % 2 == 0
    assert 320 < whole.size("val") < 480 and 680 < whole.size("dev") < 920
    every, some = (
        {split: {entry.file for of, _, entry in source._catalogue.entries() if of == split} for split in whole.splits()}
        for source in (whole, part)
    )
    assert all(some[split] <= every[split] for split in every)


def test_splits_may_be_joined(folder):
    made = source(folder, splits={"train": ["train"], "val": ["val", "test"]})
    assert [made.size(split) for split in ("train", "val", "test")] == [5, 5, 0]
    assert "1 record is left out: restval (1)" in made.problems()[0]


def test_problems_look_at_a_hundred_or_at_all(folder):
    path = folder / "m.jsonl"
    good, missing = ('{"image": "photos/a.png", "caption": "x"}', '{"image": "photos/none.png", "caption": "x"}')
    rows = [good.replace("a.png", f"{number}.png") for number in range(150)]
    for number in range(150):
        (folder / "photos" / f"{number}.png").symlink_to(folder / "photos" / "a.png")
    path.write_text("\n".join([*rows, missing]), encoding="utf-8")
    made = Captions(Captions.Config(manifest=str(path), hold_out={}))
    assert made.problems() == []
    [line] = made.problems(thorough=True)
    assert "m.jsonl:151" in line and "photos/none.png does not exist" in line and "hint: " in line
    (folder / "photos" / "3.png").unlink()
    (folder / "photos" / "3.png").write_text("<html>", encoding="utf-8")
    assert ["m.jsonl:4" in line for line in made.problems()] == [True]
    path.write_text("\n".join([missing] + [missing.replace("none", f"none{number}") for number in range(30)]), "utf-8")
    assert len(Captions(Captions.Config(manifest=str(path), hold_out={})).problems()) == 31, "the host cuts"


def test_bad_pictures_name_line_and_file(folder):
    (folder / "photos" / "c.png").write_bytes((folder / "photos" / "c.png").read_bytes()[:200])
    made = source(folder)
    found = made.sample("train", 3, 0, 0)
    assert isinstance(found, UnusableSample) and "manifest.jsonl:3: photos/c.png is damaged" in found.reason
    assert isinstance(made.sample("train", 0, 0, 0), Sample)
    small = Captions(made.config, max_pixels=20 * 30)
    assert isinstance(small.sample("train", 0, 0, 0), Sample)
    assert "more than data.max_pixels = 600" in small.sample("val", 0, 0, 0).reason
    with pytest.raises(IndexError, match="no number 6"):
        made.sample("train", 6, 0, 0)


def test_digest_follows_manifest_and_options_but_not_the_place(folder, tmp_path_factory):
    first = source(folder).digest()
    moved = tmp_path_factory.mktemp("moved")
    (moved / "photos").mkdir()
    assert source(moved).digest() == first == source(folder).digest()
    others = {source(folder, flip=True).digest(), source(folder, "csv").digest(), source(folder, image_size=8).digest()}
    others |= {source(folder, interpolation="bicubic").digest(), source(folder, flip_unless=["links"]).digest()}
    assert len(others | {first}) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (0.9, 0.2)},
        {"scale": (0.0, 1.0)},
        {"splits": {"val": ["val"]}},
        {"splits": {"train": ["x"], "val": ["x"]}},
        {"hold_out": {"val": 1.0}},
        {"hold_out": {"train": 0.1}},
        {"std": (0.0, 1.0, 1.0)},
        {"image_size": 0},
    ],
)
def test_options_without_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Captions.Config(manifest="m.csv", **wrong)


def test_paths_are_marked_for_the_recipe():
    marked = {name for name, info in Captions.Config.model_fields.items() if (info.json_schema_extra or {}).get("path")}
    assert marked == {"manifest", "lists", "images", "vectors", "instances", "phrases"}


COLUMNS = {"tags": "names", "phrases": "phrases", "regions": (2, 5)}


def precomputed(folder: Path, **changes) -> Path:
    """A manifest whose record has further columns; `changes` of them, None takes one away."""
    from safetensors.torch import save_file

    rows = torch.arange(15.0).reshape(3, 5)
    held = {"1": rows, "narrow": rows[:, :4], "nan": rows / 0, "none": rows[:0]}
    save_file({key: some.clone().contiguous() for key, some in held.items()}, folder / "regions.safetensors")
    record = {
        "image": "photos/a.png",
        "caption": "a dog and a ball",
        "split": "train",
        "tags": ["dog", "ball", "dog"],
        "phrases": [["dog"], ["dog", "near", "ball"]],
        "regions": "regions.safetensors#1",
    } | changes
    path = folder / "more.jsonl"
    path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}) + "\n", "utf-8")
    return path


def with_columns(folder: Path, columns=COLUMNS, **changes) -> Captions:
    return Captions(Captions.Config(manifest=str(precomputed(folder, **changes)), image_size=16, columns=columns))


def test_columns_that_were_computed_before(folder):
    made = with_columns(folder)
    assert {name: (spec.kind, spec.shape, spec.of_caption) for name, spec in made.columns.items()} == {
        "image": ("picture", (3, 16, 16), False),
        "caption": ("raw", (), True),
        "tags": ("raw", (), False),
        "phrases": ("raw", (), True),
        "regions": ("vectors", (2, 5), False),
    }
    assert made.columns == Captions.described(made.config)
    values = made.sample("train", 0, 0, 0).values
    assert values["tags"] == ["dog", "ball", "dog"]
    assert values["phrases"] == {"caption": "a dog and a ball", "phrases": [["dog"], ["dog", "near", "ball"]]}
    assert torch.equal(values["regions"], torch.arange(10.0).reshape(2, 5)), "the first M rows"
    assert all(made.value("train", 0, name, 0, 0) == values[name] for name in ("caption", "tags", "phrases"))
    assert made.problems() == []
    none = with_columns(folder, regions="regions.safetensors#none").sample("train", 0, 0, 0)
    assert none.values["regions"].shape == (0, 5)
    assert made.digest() != with_columns(folder, {"tags": "names"}).digest()


def test_what_a_detector_gave_is_enough(folder):
    path = precomputed(folder, image="far away.jpg")
    made = Captions(Captions.Config(manifest=str(path), pictures=False, columns=COLUMNS))
    assert list(made.columns) == list(Captions.described(made.config)) == ["caption", *COLUMNS]
    sample = made.sample("train", 0, 0, 0)
    assert list(sample.values) == list(made.columns) and (sample.same, sample.key) == (0, "far away.jpg")
    assert made.problems() == [] and made.value("train", 0, "tags", 0, 0) == ["dog", "ball", "dog"]
    assert isinstance(with_columns(folder, image="far away.jpg").sample("train", 0, 0, 0), UnusableSample)


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"tags": None}, "no tags, which data.columns names"),
        ({"tags": "dog"}, "a text where tags, a list of texts, should be"),
        ({"tags": ["dog", 3]}, "a list of other things where tags"),
        ({"phrases": None}, "no phrases"),
        ({"phrases": [["a", "b", "c", "d"]]}, "lists of one to three texts"),
        ({"phrases": [[]]}, "lists of one to three texts"),
        ({"phrases": ["dog"]}, "lists of one to three texts"),
        ({"caption": ["a dog", "a ball"]}, "phrases of 2 captions: give each caption a record of its own"),
        ({"regions": 3}, "a number where regions, FILE.safetensors#KEY, should be"),
        ({"regions": "regions.safetensors"}, "FILE.safetensors#KEY"),
        ({"regions": "other.safetensors#1"}, "does not exist: other.safetensors#1"),
        ({"regions": "regions.safetensors#2"}, "a key that its file does not hold: regions.safetensors#2"),
        ({"regions": "regions.safetensors#narrow"}, r"vectors \[3, 4\], not of width 5"),
        ({"regions": "regions.safetensors#nan"}, "not finite"),
        ({"regions": "broken.safetensors#1"}, "is damaged: broken.safetensors#1"),
        ({"regions": "../regions.safetensors#1"}, r"holds '\.\.'"),
        ({"regions": "https://host/regions.safetensors#1"}, "is a URL"),
    ],
    ids=str,
)
def test_broken_columns_are_bad_samples_that_say_why(folder, changes, why):
    (folder / "broken.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    made = with_columns(folder, **changes)
    sample = made.sample("train", 0, 0, 0)
    assert isinstance(sample, UnusableSample)
    (problem,) = made.problems()
    for said in (sample.reason, problem):
        assert re.search(why, said) and "more.jsonl:1" in said


def test_columns_that_a_table_lacks_and_names_that_are_taken(folder):
    with pytest.raises(DataError, match="names no column 'tags'"):
        source(folder, "csv", columns={"tags": "names"})
    with pytest.raises(DataError, match="folder of vectors does not exist"):
        Captions(Captions.Config(manifest=str(precomputed(folder)), vectors=str(folder / "none")))
    with pytest.raises(ValidationError, match="read anyway"):
        Captions.Config(manifest="x", columns={"caption": "names"})
    with pytest.raises(ValidationError, match="how many at most, how wide"):
        Captions.Config(manifest="x", columns={"regions": (0, 5)})


def test_each_caption_of_a_picture_keeps_its_own_phrases(folder):
    path = folder / "rows.jsonl"
    rows = [("a dog", [["dog"]]), ("a ball", [["ball"]])]
    path.write_text(
        "".join(
            json.dumps({"image": "photos/a.png", "caption": text, "phrases": phrases, "split": "train"}) + "\n"
            for text, phrases in rows
        ),
        encoding="utf-8",
    )
    for captions in ("each", "one"):
        made = Captions(
            Captions.Config(manifest=str(path), image_size=16, captions=captions, columns={"phrases": "phrases"})
        )
        for number in range(made.size("train")):
            for epoch in range(4):
                values = made.sample("train", number, epoch, 0).values
                assert values["phrases"] == {"caption": values["caption"], "phrases": dict(rows)[values["caption"]]}
                assert made.value("train", number, "phrases", epoch, 0) == values["phrases"]


@pytest.mark.parametrize(
    ("manifest", "images", "sizes"),
    [
        ("flickr8k/dataset_flickr8k_small.json", "flickr8k/images", (2510, 365, 430)),
        ("flickr8k/manifest_flickr8k_small.csv", None, (2510, 365, 430)),
        ("coco/manifest_coco_small.csv", None, None),
    ],
)
def test_real_photos(manifest, images, sizes):
    if not (REAL / manifest).exists():
        pytest.skip(f"no shared data at {REAL / manifest}")
    made = Captions(Captions.Config(manifest=str(REAL / manifest), images=str(REAL / images) if images else None))
    assert made.problems(thorough=True) == []
    if sizes:
        assert tuple(made.size(split) for split in ("train", "val", "test")) == sizes
    for split in ("train", "val", "test"):
        for number in range(0, made.size(split), made.size(split) // 8):
            found = made.sample(split, number, 0, 0)
            assert found.values["image"].shape == (3, 224, 224) and found.values["image"].float().std() > 5
