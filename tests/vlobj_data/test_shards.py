"""WebDataset's shards: the samples are those of files, each fault has its shard and byte, nothing is read twice."""

import gzip
import io
import json
import multiprocessing
import os
import pickle
import tarfile
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from shard_files import as_files, as_shards, caption, members, picture, tar
from vlobj_data.captions import kept
from vlobj_data.captions.captions import Captions
from vlobj_data.forms import slices
from vlobj_data.forms.asked import Slice
from vlobj_data.forms.slices import bytes_of
from vlobj_data.forms.tar_index import Tar

from vlobjectives import Sample, UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.pictures import PictureError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
COUNT = 23


def source(manifest, **more) -> Captions:
    more = {"hold_out": {}, "image_size": 32, **more}
    return Captions(Captions.Config(manifest=manifest if isinstance(manifest, list | dict) else str(manifest), **more))


def same(one: Captions, other: Captions, epochs=(0, 1)) -> None:
    assert one.splits() == other.splits()
    for split in one.splits():
        assert one.size(split) == other.size(split)
        for number in range(one.size(split)):
            for epoch in epochs:
                left, right = (made.sample(split, number, epoch, 7) for made in (one, other))
                assert (left.same, left.key, left.values["caption"]) == (right.same, right.key, right.values["caption"])
                assert torch.equal(left.values["image"], right.values["image"])


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    return as_files(folder / "files", COUNT), as_shards(folder / "shards", COUNT, 9)


@pytest.mark.parametrize("hold_out", [{}, {"val": 0.2, "test": 0.2}], ids=["all", "drawn"])
@pytest.mark.parametrize("captions", ["each", "one"])
def test_samples_are_those_of_files(both, hold_out, captions):
    options = {"hold_out": hold_out, "captions": captions, "augment": "crop", "flip": True}
    files, shards = (source(manifest, **options) for manifest in both)
    assert files.size("train") == COUNT if not hold_out else files.size("val") > 0
    same(files, shards)


def test_shards_are_named_by_braces_wildcards_folder_and_list(both):
    braces = both[1]
    folder = Path(braces).parent
    first = source(braces)
    assert first.size("train") == COUNT
    names = sorted(str(path) for path in folder.glob("*.tar"))
    assert len(names) == 3
    for manifest in (
        folder,
        folder / "*.tar",
        f"{folder}/noise-00000{{0,1,2}}.tar",
        names,
        f"{folder.parent}/**/n*.tar",
    ):
        again = source(manifest)
        same(first, again, (0,))
        assert again.digest() == first.digest()
    split = source({"train": names[:2], "val": names[2]})
    assert (split.size("train"), split.size("val")) == (18, 5)
    assert source(names[0]).size("train") == 9


def test_splits_lie_in_the_names_of_shards(tmp_path):
    for first, name in enumerate(("noise-train-0000.tar", "noise-train-0001.tar", "noise-validation-0000.tar")):
        tar(tmp_path / name, members(range(4 * first, 4 * first + 4)))
    made = source(tmp_path)
    assert {split: made.size(split) for split in made.splits()} == {"train": 8, "val": 4, "test": 0}


@pytest.mark.parametrize("name", ["{0..}", "*.tar", "shards-{000000..000001}.tar"])
def test_a_name_of_no_files_is_said(tmp_path, name):
    (tmp_path / "other.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        source(tmp_path / name)
    assert str(tmp_path) in str(caught.value.place) and caught.value.hint


def test_json_gives_captions_and_a_key_is_a_name_up_to_its_first_dot(tmp_path):
    folder = {"caption": "from json", "split": "val", "file_name": "another.jpg"}
    made = source(
        tar(
            tmp_path / "a.tar",
            [
                ("./in.dir/a.jpg", picture(1)),
                ("./in.dir/a.json", json.dumps(folder).encode()),
                ("b.PNG", picture(2, "PNG")),
                ("b.seg.png", b"no picture"),
                ("b.txt", b"\xef\xbb\xbfa caption\n"),
                ("b.json", json.dumps({"caption": "not this", "split": "train"}).encode()),
                ("README", b"which is no sample"),
            ],
        )
    )
    (one,), (two,) = ([made.sample(split, 0, 0, 0)] for split in ("val", "train"))
    assert (one.key, one.values["caption"]) == ("in.dir/a.jpg", "from json")
    assert (two.key, two.values["caption"]) == ("b.PNG", "a caption")
    notes = [str(problem) for problem in made.problems()]
    assert any("1 member has no extension" in note and "README" in note for note in notes)


def test_keys_name_members_and_keys_of_the_json(tmp_path):
    alt = json.dumps({"meta": {"alt": "the caption"}, "alt_text": "another"}).encode()
    path = tar(tmp_path / "a.tar", [("a.jpg", picture(1)), ("a.png", picture(2, "PNG")), ("a.json", alt)])
    made = source(path, keys={"image": "png", "caption": "meta.alt"})
    sample = made.sample("train", 0, 0, 0)
    assert (sample.key, sample.values["caption"]) == ("a.png", "the caption")
    fault = source(path).sample("train", 0, 0, 0)
    assert "data.keys: {caption: alt_text} would read that" in fault.reason


def test_classes_and_further_pictures_are_columns(tmp_path):
    of = {"a": 3, "b": 4}
    path = tar(
        tmp_path / "a.tar",
        [
            (f"{key}.{what}", content)
            for key, n in of.items()
            for what, content in (
                ("jpg", picture(n)),
                ("txt", caption(n).encode()),
                ("cls", b"%d\n" % n),
                ("seg.png", picture(10 + n, "PNG")),
            )
        ],
    )
    columns = {"cls": "class", "mask": "image"}
    made = source(path, keys={"mask": "seg.png"}, columns=columns, resize="squash")
    (tmp_path / "4.png").write_bytes(picture(14, "PNG"))
    sample = made.sample("train", 1, 0, 0)
    assert sample.values["cls"] == "4"
    other = made.framed(made.config, made.columns["image"], tmp_path / "4.png", 10**6)
    assert torch.equal(sample.values["mask"], other)
    assert not made.problems(thorough=True)
    missing = source(tar(tmp_path / "b.tar", members([0])), keys={"mask": "seg.png"}, columns={"mask": "image"})
    assert "no mask, which data.columns names" in missing.sample("train", 0, 0, 0).reason


def test_notes_of_many_shards_are_one(both, tmp_path):
    for shard in range(4):
        tar(tmp_path / f"{shard}.tar", members(range(3 * shard, 3 * shard + 3), {"captions": ["a", "b"]}))
    (note,) = [str(problem) for problem in source(tmp_path).problems() if "beside it" in str(problem)]
    assert f"{tmp_path}/0.tar, byte 0" in note and "(as in 3 more files)" in note


def test_a_folder_of_shards_is_recognised(both):
    for manifest in (Path(both[1]).parent, Path(both[1])):
        options = Captions.recognised(manifest, {})
        assert options == {"manifest": str(manifest), "hold_out": {"val": 0.1, "test": 0.1}}


LONG = "folder/" * 20 + "a-name-that-ustar-has-no-room-for" * 4


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tar_is_read_as_pythons_own_reader_reads_it(tmp_path, kind):
    names = [
        "plain.jpg",
        "f/" * 60 + "prefix.jpg",
        "späte Blüte.jpg",
        *([LONG] if kind != tarfile.USTAR_FORMAT else []),
    ]
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=kind) as file:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 700 + number, 1.5
            file.addfile(info, io.BytesIO(b"x" * info.size))
            folder = tarfile.TarInfo(f"folder{number}")
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
    with tarfile.open(path) as file:
        expected = [(one.name, one.offset, one.offset_data, one.size) for one in file if one.isfile()]
    with Tar(path) as ours:
        assert [(one.name, one.at, one.offset, one.size) for one in ours.members()] == expected
        assert ours.end and not ours.more


def changed(path: Path, change) -> Path:
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data) or data)
    return path


def three(tmp_path) -> Path:
    return tar(tmp_path / "three.tar", members(range(3)))


def places(path: Path) -> list[int]:
    """Where the headers of a shard begin."""
    with Tar(path) as ours:
        return [one.at for one in ours.members()]


@pytest.mark.parametrize(
    "cut, what",
    [
        (-100, "is cut off within 00002.jpg"),
        (512 + 100, "is cut off within the padding of its last member"),
        (200, "is cut off within a header"),
    ],
)
def test_a_shard_that_is_cut_off_is_named_with_the_byte(tmp_path, cut, what):
    path = three(tmp_path)
    *_, before, last = places(path)
    path.write_bytes(path.read_bytes()[: last + cut])
    with pytest.raises(DataError, match=what) as caught:
        source(path)
    assert str(caught.value.place) == f"{path}, byte {before if cut < 0 else last}" and "again" in caught.value.hint


def test_a_shard_without_an_end_mark_and_one_with_more_behind_it_are_noted(tmp_path):
    path = three(tmp_path)
    with Tar(path) as ours:
        *_, last = ours.members()
    whole = path.read_bytes()
    path.write_bytes(whole[: last.offset + 512])
    assert any("no end mark" in str(problem) for problem in source(path).problems())
    path.write_bytes(whole + whole)
    made = source(path)
    assert made.size("train") == 3
    assert any("bytes behind the shard's end mark are not read" in str(problem) for problem in made.problems())


def test_a_damaged_header_is_named_with_the_byte(tmp_path):
    path = three(tmp_path)
    at = places(path)[2]
    changed(path, lambda data: data.__setitem__(at + 20, 7))
    with pytest.raises(DataError, match="the header of a member is damaged") as caught:
        source(path)
    assert str(caught.value.place) == f"{path}, byte {at}"


@pytest.mark.parametrize("ending", ["tar.gz", "tgz"])
def test_a_packed_shard_is_refused_with_the_line_that_unpacks_it(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(three(tmp_path).read_bytes()))
    (tmp_path / "three.tar").unlink()
    for manifest in (path, tmp_path):
        with pytest.raises(DataError, match="the manifest is packed by gzip") as caught:
            source(manifest)
        assert f"gunzip -k a.{ending}" in caught.value.hint


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("00009.jpg")
    info.type, info.linkname = kind, target
    return info


FAULTS = {
    "no picture": ([("9.txt", b"a caption")], "the sample '9' has no picture, only txt"),
    "no caption": ([("9.jpg", picture(9))], "the sample '9' has no caption, only jpg"),
    "an empty picture": ([("9.jpg", b""), ("9.txt", b"a caption")], "9.jpg is empty (0 bytes)"),
    "an empty caption": ([("9.jpg", picture(9)), ("9.txt", b" \n")], "an empty caption"),
    "no UTF-8": ([("9.jpg", picture(9)), ("9.txt", b"caf\xe9")], "9.txt is not UTF-8"),
    "no JSON": ([("9.jpg", picture(9)), ("9.json", b"{")], "9.json is not JSON"),
    "no object": ([("9.jpg", picture(9)), ("9.json", b"[]")], "9.json holds no object"),
    "deep JSON": ([("9.jpg", picture(9)), ("9.json", b"[" * 100000)], "9.json is nested deeper than can be read"),
    "a key again": (members([0]), "the key '00000' was there before, at byte 0"),
    "above": ([("../9.jpg", picture(9)), ("../9.txt", b"a caption")], "the name '../9' leads out of the archive"),
    "absolute": ([("/etc/9.jpg", picture(9)), ("/etc/9.txt", b"x")], "the name '/etc/9' leads out of the archive"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_sample_is_named_with_shard_and_byte_and_the_others_are_given(tmp_path, name):
    bad, what = FAULTS[name]
    path = tar(tmp_path / "a.tar", [*members([0, 1]), *bad, *members([2])])
    at = places(path)[4]
    made = source(path)
    found = [made.sample("train", number, 0, 0) for number in range(made.size("train"))]
    assert [one.values["caption"] for one in found if isinstance(one, Sample)] == [caption(n) for n in range(3)]
    (fault,) = [one for one in found if isinstance(one, UnusableSample)]
    assert f"{path}, byte {at}: " in fault.reason and what in fault.reason
    (flaw,) = [flaw for flaw in made.problems() if flaw.samples]
    assert f"{path}, byte {at}" in str(flaw) and what in str(flaw)


@pytest.mark.parametrize(
    "kind, target, what",
    [
        (tarfile.SYMTYPE, "/etc/passwd", "a symbolic link to /etc/passwd"),
        (tarfile.LNKTYPE, "00000.jpg", "a hard link to 00000.jpg"),
    ],
)
def test_links_are_not_followed(tmp_path, kind, target, what):
    path = three(tmp_path)
    with tarfile.open(path, "a") as file:
        file.addfile(link(kind, target))
    made = source(path)
    (fault,) = [one for n in range(made.size("train")) if not isinstance(one := made.sample("train", n, 0, 0), Sample)]
    assert f"00009.jpg is {what}, which is not followed" in fault.reason


def test_shards_that_count_anew_are_noted_and_their_samples_stay_apart(tmp_path):
    for shard in range(2):
        tar(
            tmp_path / f"{shard}.tar",
            [
                (name, picture(10 * shard)) if "jpg" in name else (name, b"of shard %d" % shard)
                for name, _ in members(range(3))
            ],
        )
    made = source(tmp_path)
    found = [made.sample("train", number, 0, 0) for number in range(6)]
    assert [one.values["caption"] for one in found] == ["of shard 0"] * 3 + ["of shard 1"] * 3
    assert len({one.same for one in found}) == 6
    assert not torch.equal(found[0].values["image"], found[3].values["image"])
    (note,) = [str(problem) for problem in made.problems() if "earlier" in str(problem)]
    assert f"{tmp_path}/1.tar, byte 0" in note and f"00000.jpg is also in {tmp_path}/0.tar, byte 0: 3 pictures" in note


def test_tables_of_img2dataset_beside_shards_are_noted(tmp_path):
    for shard in range(2):
        of = range(4 * shard, 4 * shard + 4)
        tar(tmp_path / f"{shard:05d}.tar", members(of, {"url": "https://a.b/c.jpg", "status": "success", "width": 80}))
        (tmp_path / f"{shard:05d}.parquet").write_bytes(b"PAR1")
        (tmp_path / f"{shard:05d}_stats.json").write_text("{}", encoding="utf-8")
    made = source(tmp_path)
    assert made.size("train") == 8
    (note,) = [str(problem) for problem in made.problems() if "img2dataset" in str(problem)]
    assert "4 tables" in note and "00000.parquet" in note


def test_an_epoch_reads_each_sample_once_and_opens_no_file_a_sample(both, monkeypatch):
    made = source(both[1])
    made.sample("train", 0, 0, 0)
    opened = []
    monkeypatch.setattr(os, "open", lambda *given, real=os.open: (opened.append(given), real(*given))[1])

    def read() -> int:
        text = Path("/proc/self/io").read_text(encoding="utf-8")
        return int(dict(line.split(": ") for line in text.splitlines())["rchar"])

    least = sum(len(picture(number)) for number in range(COUNT))
    size = sum(path.stat().st_size for path in Path(both[1]).parent.glob("*.tar"))
    before = read()
    for number in torch.randperm(COUNT).tolist():
        made.sample("train", number, 1, 0)
    assert least <= read() - before < 1.1 * size
    assert len(opened) <= 3


def _digests(made: Captions) -> list[int]:
    return [int(made.sample("train", number, 0, 0).values["image"].long().sum()) for number in range(COUNT)]


def test_processes_share_a_source(both):
    made = source(both[1])
    expected = _digests(made)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_digests, [made, made]) == [expected, expected]
    assert _digests(pickle.loads(pickle.dumps(made))) == expected


def test_a_container_that_was_replaced_is_opened_anew_and_one_that_shrank_is_said(tmp_path):
    path = tmp_path / "held"
    path.write_bytes(b"first one")
    lies = Slice("name", str(path), 6, 3)
    assert bytes_of(lies) == b"one"
    (tmp_path / "new").write_bytes(b"secnd two")
    os.replace(tmp_path / "new", path)
    assert bytes_of(lies) == b"two"
    os.truncate(path, 7)
    with pytest.raises(PictureError, match="ends within it, at byte 7"):
        bytes_of(lies)
    path.unlink()
    with pytest.raises(PictureError, match="cannot be read from"):
        bytes_of(lies)


def test_few_containers_stay_open(tmp_path, monkeypatch):
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    monkeypatch.setattr(slices, "_container", lru_cache(8)(slices._Container))
    before = count()
    for number in range(100):
        (tmp_path / str(number)).write_bytes(b"%3d" % number)
        assert bytes_of(Slice("name", str(tmp_path / str(number)), 0, 3)) == b"%3d" % number
    assert count() - before == 8


@pytest.mark.skipif(not (SHARED / "hostile").exists(), reason="needs shared/data/hostile")
@pytest.mark.parametrize(
    "name, expected",
    [
        ("truncated.tar", "byte 6144  the shard is cut off within the padding of its last member"),
        (
            "incomplete_keys.tar",
            ["byte 0: the sample '000' has no caption", None, "byte 13312: the sample '002' has no p"],
        ),
        ("duplicate_key.tar", [None, "byte 7168: the key '000' was there before, at byte 0"]),
        (
            "interleaved.tar",
            ["byte 0", "byte 6144", "byte 12288: the key '000' was there before", "byte 13312: the key"],
        ),
        ("traversal.tar", ["byte 0: the name '../escape' leads out", "byte 7168: the name '/abs' leads out"]),
        ("bad_image.tar", ["byte 0: 000.jpg is empty", None]),
        ("empty.tar", "empty.tar  the manifest is empty (0 bytes)"),
    ],
)
def test_hostile_shards(name, expected):
    path = SHARED / "hostile" / "shards" / name
    if isinstance(expected, str):
        with pytest.raises(DataError) as caught:
            source(path)
        assert expected in str(caught.value) and str(path) in str(caught.value)
        return
    made = source(path)
    assert made.size("train") == len(expected)
    for number, what in enumerate(expected):
        found = made.sample("train", number, 0, 0)
        assert isinstance(found, Sample) if what is None else what in found.reason and str(path) in found.reason


@pytest.mark.skipif(not (SHARED / "captions").exists(), reason="needs shared/data/captions")
def test_coco_in_shards_is_coco_in_files(tmp_path):
    shards = SHARED / "captions" / "webdataset"
    listed = []
    for path in sorted(shards.glob("*.tar")):
        with tarfile.open(path) as file:
            for one in file:
                if one.name.endswith(".txt"):
                    text = file.extractfile(one).read().decode()
                    listed.append({"image": one.name.replace(".txt", ".jpg"), "caption": text})
    (tmp_path / "list.json").write_text(json.dumps(listed), encoding="utf-8")
    options = {"hold_out": {"val": 0.1, "test": 0.1}, "augment": "crop"}
    files = source(tmp_path / "list.json", images=str(SHARED / "captions" / "coco" / "images"), **options)
    made = source(f"{shards}/coco-{{000000..000001}}.tar", **options)
    assert files.size("train") == 54
    same(files, made, (0,))
    assert not [flaw for flaw in made.problems(thorough=True) if flaw.samples]


@pytest.mark.skipif(not (SHARED / "hostile").exists(), reason="needs shared/data/hostile")
def test_hostile_pictures_in_a_shard_are_what_they_are_in_files(tmp_path):
    paths = [path for path in sorted((SHARED / "hostile" / "images").iterdir()) if path.stat().st_size]
    (tmp_path / "files").mkdir()
    pairs = []
    for number, path in enumerate(paths):
        (tmp_path / "files" / f"{number:03d}.jpg").write_bytes(path.read_bytes())
        pairs += [(f"{number:03d}.jpg", path.read_bytes()), (f"{number:03d}.txt", b"a picture")]
    rows = [json.dumps({"image": f"{number:03d}.jpg", "caption": "a picture"}) for number in range(len(paths))]
    (tmp_path / "files" / "list.jsonl").write_text("\n".join(rows), encoding="utf-8")
    files, shards = source(tmp_path / "files" / "list.jsonl"), source(tar(tmp_path / "a.tar", pairs))
    good = 0
    for number, path in enumerate(paths):
        one, other = (made.sample("train", number, 0, 0) for made in (files, shards))
        assert type(one) is type(other), path.name
        if isinstance(one, Sample):
            assert torch.equal(one.values["image"], other.values["image"]), path.name
            good += 1
        else:
            assert one.reason.partition(": ")[2] == other.reason.partition(": ")[2]
    assert 10 < good < len(paths)
    lost = [sum(flaw.samples for flaw in made.problems(thorough=True)) for made in (files, shards)]
    assert lost[0] == lost[1] > 0


def test_shards_that_moved_are_found_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "LARGE", 0)
    monkeypatch.setenv("VLOBJ_CACHE", str(tmp_path / "cache"))
    first = source(as_shards(tmp_path / "here", 6, 3))
    os.rename(tmp_path / "here", tmp_path / "there")
    for _ in range(2):
        again = source(tmp_path / "there")
        assert again.digest() == first.digest() and again.size("train") == 6
        assert all(isinstance(again.sample("train", number, 0, 0), Sample) for number in range(6))
