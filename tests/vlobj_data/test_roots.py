"""Which files a manifest may name: below the folders that the recipe names, links and names that nearly fit."""

import json
import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from vlobj_data.captions.captions import Captions
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import Sample, UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.recipe.yaml import parse


@pytest.fixture
def folder(tmp_path):
    """A folder `snap` whose picture is a link into `blobs`, as hubs and data managers lay them out."""
    for name in ("snap", "blobs", "snap/sub"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "blobs" / "0a1b.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "snap" / "Ünder.png")
    (tmp_path / "snap" / "linked.png").symlink_to("../blobs/0a1b.png")
    return tmp_path


def source(folder: Path, name: str, cls=Captions, **options):
    path = folder / "m.json"
    path.write_text(
        json.dumps([{cls.column.replace("clip", "video"): name, "caption": "x", "split": "train"}]), encoding="utf-8"
    )
    options = {cls.folder: str(folder / "snap")} | options
    return cls(cls.Config(manifest=str(path), image_size=4, **options))


def shown(made) -> Sample | UnusableSample:
    return made.sample("train", 0, 0, 0)


def test_links_are_followed_to_named_folders_or_everywhere(folder):
    closed = source(folder, "linked.png")
    (flaw,) = closed.problems()
    assert isinstance(shown(closed), UnusableSample) and (flaw.split, flaw.samples) == ("train", 1)
    assert f"a link that leads out of the folder of pictures (data.images), to {folder / 'blobs'}" in flaw
    advised = parse(flaw.problem.hint.partition("data.images: ")[2].partition(";")[0], "x").data
    assert advised == [str(folder / "snap"), str(folder / "blobs")] and "data.links: true" in flaw
    open_, everywhere = source(folder, "linked.png", images=advised), source(folder, "linked.png", links=True)
    for made in (open_, everywhere):
        assert shown(made).values["image"].unique().tolist() == [9] and made.problems() == []
    assert closed.digest() == open_.digest() == everywhere.digest(), "where files may lie is not what the data is"


def test_a_path_may_be_absolute_or_go_up_as_long_as_it_stays(folder):
    for name in (str(folder / "snap" / "Ünder.png"), "sub/../Ünder.png", "./Ünder.png"):
        assert isinstance(shown(source(folder, name)), Sample), name
    for name, why in (("../blobs/0a1b.png", r"holds '..'"), (str(folder / "blobs" / "0a1b.png"), "is absolute")):
        for links in (False, True):
            made = source(folder, name, links=links)
            assert why in shown(made).reason and "relative to the folder" in shown(made).reason
            assert f"{folder / 'blobs'}]" in made.problems()[0]
        assert isinstance(shown(source(folder, name, images=[str(folder / "snap"), str(folder / "blobs")])), Sample)
    assert "hint: correct it" in source(folder, "../nothing.png").problems()[0], "what is nowhere is no reason to open"


def test_a_name_counts_from_the_first_folder_that_has_it(folder):
    images = [str(folder / "snap"), str(folder / "blobs")]
    assert isinstance(shown(source(folder, "0a1b.png", images=images)), Sample)
    assert "does not exist" in shown(source(folder, "neither.png", images=images)).reason


def test_frames_are_not_followed_out_either(folder):
    (folder / "snap" / "clip").mkdir()
    (folder / "snap" / "clip" / "1.png").symlink_to(folder / "blobs" / "0a1b.png")
    closed = source(folder, "clip", VideoCaptions)
    assert "holds the link 1.png, which leads out" in shown(closed).reason
    assert "data.videos: [" in closed.problems()[0]
    for options in ({"links": True}, {"videos": [str(folder / "snap"), str(folder / "blobs")]}):
        assert isinstance(shown(source(folder, "clip", VideoCaptions, **options)), Sample)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ünder.PNG", "'Ünder.png', in other case"),
        ("Ünder.jpg", "'Ünder.png'"),
        ("Ünder", "'Ünder.png'"),
        (unicodedata.normalize("NFD", "Ünder.png"), "Unicode's NFC"),
        ("Ünder.png ", "'Ünder.png'"),
        ("sub\\..\\x", ""),
        (".\\Ünder.png", "'Ünder.png', with slashes"),
        ("snap/Ünder.png", "from the folder above"),
        ("other/Ünder.png", "'Ünder.png', without the folder"),
        ("%C3%9Cnder.png", "'Ünder.png'"),
        ("Ünder.png#3", "'Ünder.png'"),
        ("nothing.png", ""),
        ("sub", ""),
        ("x" * 300 + ".png", ""),
    ],
)
def test_names_that_nearly_fit_are_pointed_out(folder, name, says):
    (flaw,) = source(folder, name).problems()
    assert (f"there is {says}" in flaw or says in flaw) if says else "there" not in flaw.problem.what, str(flaw)
    assert isinstance(shown(source(folder, name)), UnusableSample)


def test_what_nearly_fits_is_looked_for_once(folder, monkeypatch):
    calls, listed = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: calls.append(path) or listed(path))
    path = folder / "m.csv"
    path.write_text("image,caption\n" + "".join(f"{at}.png,x\n" for at in range(50)), "utf-8")
    assert len(Captions(Captions.Config(manifest=str(path), images=str(folder / "snap"), hold_out={})).problems()) == 50
    assert len(calls) == 1


def test_files_that_lie_in_a_folder_further_down_are_found(folder):
    (folder / "snap" / "Ünder.png").rename(folder / "snap" / "sub" / "Ünder.png")
    (flaw,) = source(folder, "Ünder.png").problems()
    assert "there is 'sub/Ünder.png'" in flaw
    advised = parse(flaw.problem.hint.partition("data.images: ")[2], "x").data
    assert isinstance(shown(source(folder, "Ünder.png", images=advised)), Sample)


@pytest.mark.parametrize(
    ("named", "what", "hint"),
    [
        ("snip", "does not exist", "did you mean 'snap'?"),
        ("snap/Ünder.png", "is a file", "snap"),
        ("nowhere/at/all", "does not exist", "has no 'nowhere'"),
    ],
)
def test_a_folder_that_is_none_is_told(folder, named, what, hint):
    for images in (str(folder / named), [str(folder / "blobs"), str(folder / named)]):
        with pytest.raises(DataError) as caught:
            source(folder, "a.png", images=images)
        assert what in caught.value.what and hint in caught.value.hint, str(caught.value)


def test_a_manifest_that_is_a_link_lies_where_the_link_is(folder):
    (folder / "blobs" / "77").write_text("image,caption\nlinked.png,x\n", encoding="utf-8")
    (folder / "snap" / "m.csv").symlink_to("../blobs/77")
    made = Captions(Captions.Config(manifest=str(folder / "snap" / "m.csv"), links=True, hold_out={}, image_size=4))
    assert isinstance(shown(made), Sample)


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--1.png", "git annex get"),
        (b"\n<!DOCTYPE html><html>", "failed download"),
        (b"\x89PNG", "damaged at its start"),
    ],
)
def test_what_lies_in_a_pictures_place_is_named(folder, held, says):
    (folder / "snap" / "a.png").write_bytes(held)
    made = source(folder, "a.png")
    assert says in shown(made).reason and says in made.problems()[0]


def test_vectors_may_lie_in_several_folders(folder):
    import torch
    from safetensors.torch import save_file

    save_file({"1": torch.ones(2, 3)}, folder / "blobs" / "v.safetensors")
    (folder / "snap" / "v.safetensors").symlink_to("../blobs/v.safetensors")
    path = folder / "v.jsonl"
    path.write_text(json.dumps({"image": "x", "caption": "x", "seen": "v.safetensors#1", "split": "train"}), "utf-8")

    def made(**more):
        return Captions(Captions.Config(manifest=str(path), pictures=False, columns={"seen": (2, 3)}, **more))

    closed = made(vectors=str(folder / "snap"))
    advised = parse(closed.problems()[0].problem.hint.partition("data.vectors: ")[2].partition(";")[0], "x").data
    assert isinstance(shown(closed), UnusableSample) and isinstance(shown(made(vectors=advised)), Sample)
