"""What `check` says of data: everything is counted before lists are cut, and what it says to write helps."""

import pytest
from PIL import Image
from small_recipes import changed, plugin, vlobj

SCENES = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"
FURTHER = """\
  mlm: {mask: hidden_words}
  mgsc: {image_mask: dropped, text_mask: hidden_words}
  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}
"""
"""Objectives that have nothing to do with it, and would be tried."""
WORDS = [
    f"{colour} {thing} number {at}"
    for at, (colour, thing) in enumerate(
        (colour, thing) for colour in ("red", "blue", "green", "black") for thing in ("dog", "cat", "box", "tree")
    )
]


@pytest.fixture
def write(tmp_path):
    """A recipe on a manifest of rows (image, caption, split), of which pictures `p0.png` to `p5.png` are there."""
    for number in range(6):
        Image.new("RGB", (32, 32)).save(tmp_path / f"p{number}.png")

    def write(rows, more: str = ""):
        text = "image,caption,split\n" + "".join(f"{','.join(row)}\n" for row in rows)
        (tmp_path / "m.csv").write_text(text, encoding="utf-8")
        line = f"data: {{type: captions, manifest: m.csv, image_size: 32, batch: 8{more}}}"
        return changed(tmp_path, {SCENES: line, FURTHER: ""})

    return write


def rows(count: int, every: int = 0, split: str = "train"):
    """Records of four pictures; every so-manieth names a file that is not there."""
    return [
        (f"gone{at}.png" if every and at % every == 1 else f"p{at % 4}.png", f"{WORDS[at % 16]} {at}", split)
        for at in range(count)
    ]


def test_bad_samples_are_counted_before_they_are_cut(write, capsys):
    """A third of 300, four pictures of which are missing 100 times: allowed are 3."""
    path = write([*rows(300, 3), ("p5.png", "a thing", "test")])
    ended = vlobj(capsys, "check", path, "--data")
    assert ended.code == 3
    assert "100 of 300 samples of the split 'train' cannot be used, and data.max_bad allows 3 (0.01)" in ended.err
    assert ended.err.count("does not exist") == 100, "--data names all"
    quick = vlobj(capsys, "check", path)
    assert quick.code == 3 and "among those that were looked at" in quick.err and quick.err.count("not exist") == 4
    assert "more records" in quick.err
    share = ended.err.partition("set data.max_bad: ")[2].split()[0]
    allowed = vlobj(capsys, "check", path, "--data", f"data.max_bad={share}")
    assert allowed.code == 0, allowed.err
    assert allowed.out.count("does not exist") == 100 and "a run skips them" in allowed.out


def test_what_a_test_split_loses_is_counted_by_itself(write, capsys):
    ended = vlobj(capsys, "check", write([*rows(300), *[(f"p{at}.png", "a thing", "test") for at in (4, 5, 6, 7)]]))
    assert ended.code == 3
    assert "2 of 4 samples of the split 'test' cannot be used, and" in ended.err and "'train' cannot" not in ended.err
    assert "a score would count others in their place" in ended.err


def test_it_is_said_where_nothing_is_held_out(write, capsys):
    path, said = write(rows(16)), "  evaluate  no split of the data is held out, so that nothing is evaluated"
    assert said in vlobj(capsys, "check", path).out
    assert said not in vlobj(capsys, "check", path, "evaluate.losses=false", "evaluate.retrieval=false").out


def test_a_leak_is_no_bad_sample(write, capsys):
    """However many bad samples are allowed."""
    ended = vlobj(capsys, "check", write([*rows(300), ("./p3.png", "the same picture", "test")], ", max_bad: 1.0"))
    assert ended.code == 3 and "./p3.png is in 'train' and in 'test'" in ended.err, ended.out
    assert "take it out of one" in ended.err and "skips" not in ended.err


def test_a_source_that_gives_texts_is_counted_as_before(tmp_path, capsys):
    own = plugin(
        tmp_path,
        """
        from vlobj_data.scenes.scenes import Scenes
        from vlobjectives import hookimpl

        class Torn(Scenes):
            '''Scenes, some of them torn.'''

            def problems(self, thorough=False):
                return [f"picture {at} is torn" for at in range(3)]

        @hookimpl
        def vlobj_components():
            return {"source:torn": Torn}
    """,
    )
    path = changed(
        tmp_path, {"type: scenes": "type: torn", FURTHER: "", "objectives:": f"plugins: [{own}]\nobjectives:"}
    )
    few = vlobj(capsys, "check", path)
    assert few.code == 3 and "3 of 64 samples of the split 'train'" in few.err and "picture 2 is torn" in few.err
    assert "note" in vlobj(capsys, "check", path, "data.max_bad=0.05").out


@pytest.mark.parametrize("names", [("Train", "validation", "Test"), ("0", "1", "2")])
def test_splits_of_other_names_are_told_and_the_line_helps(write, capsys, names):
    path = write([(*row[:2], name) for name, row in zip([names[0]] * 8 + [names[1]] * 2 + [names[2]] * 2, rows(12))])
    ended = vlobj(capsys, "check", path)
    assert ended.code == 3 and all(name in ended.err for name in names)
    line = ended.err.partition("data.splits: ")[2].partition("}")[0] + "}"
    assert "no record is for training" not in vlobj(capsys, "check", path, f"data.splits={line}").err


def test_repeats_are_said_to_those_that_were_not_told(write, capsys):
    """Of pairings and contrasts alike; the note goes when its lines are written."""
    path = write([(f"p{at % 4}.png", f"a photo of a {WORDS[at % 2]}", "train") for at in range(40)])
    said = "40 of the first 40 captions stand there more than once"
    ended = vlobj(capsys, "check", path)
    hint = ended.out.partition(said)[2].partition("hint: ")[2].partition("\n")[0]
    assert "objectives.itc.positives: equal_captions" in hint and "pairings.others.positives: equal_captions" in hint
    lines = [line.removeprefix("set ").replace(": ", "=") for line in hint.split("; ")]
    told = vlobj(capsys, "check", path, *lines)
    assert said not in told.out and told.code == ended.code == 0, told.err
    assert said not in vlobj(capsys, "check", write(rows(40))).out


def test_options_are_called_by_where_they_stand_in_a_mix(write, tmp_path, capsys):
    path = write(rows(8, 0, "Train"))
    text = path.read_text(encoding="utf-8").replace(
        "type: captions, manifest: m.csv, image_size: 32",
        "mix: {photos: {type: captions, manifest: m.csv, image_size: 32}}",
    )
    path.write_text(text, encoding="utf-8")
    ended = vlobj(capsys, "check", path)
    assert ended.code == 3 and "data.mix.photos.splits: {train: [Train]}" in ended.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("data.splits={train: train}", "must be a list\n    hint: write [train]"),
        ("data.images=[1]", "data.images.0  1 must be text"),
        ("data.images=3", "must be text or a list"),
        ("data.images=gone", "has no 'gone'"),
        ("data.images=m.csv", "is a file and no folder of pictures"),
        ("data.manifest=n.csv", "did you mean data.manifest: "),
        ("data.manifest=p0.png", "the manifest is a picture"),
    ],
)
def test_what_is_no_place_of_data(write, tmp_path, capsys, monkeypatch, given, says):
    path = write(rows(8))
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, "check", path, given)
    assert ended.code in (2, 3) and says in ended.err, ended.err
