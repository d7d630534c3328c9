"""What `vlobj check` says of data.mix, and of masks that need clips."""

import pytest
from small_recipes import LIGHT, changed, line_of, vlobj

DATA = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"
COMMON = "type: scenes, samples: 64, val: 16, test: 16, test_new: 0, batch: 8"
GOOD = f"data: {{{COMMON}, image_size: 32, mix: {{still: {{}}, moving: {{frames: 2, rename: {{clip: image}}}}}}}}"


def checked(capsys, tmp_path, changes):
    path = changed(tmp_path, changes, text=LIGHT)
    return path, vlobj(capsys, "check", path)


def test_sources_of_several_sizes(capsys, tmp_path):
    """An encoder that resamples its positions takes them; the batches of a step are all of one source."""
    sizes = {DATA: GOOD.replace("mix: {still: {}", "mix: {still: {image_size: 64}")}
    _, ended = checked(capsys, tmp_path, sizes)
    assert ended.code == 0, ended.err


def test_a_sound_mix(capsys, tmp_path):
    _, ended = checked(capsys, tmp_path, {DATA: GOOD, "mltc: {": "mltc: {sources: [still], "})
    assert ended.code == 0, ended.err
    off = [f"objectives.{name}.weight=0" for name in ("itm", "mlm", "mgsc", "mltc")]
    ended = vlobj(capsys, "plan", tmp_path / "small.yaml", *off)
    assert ended.code == 0 and "batches of still" in ended.out and "batches of moving" in ended.out


@pytest.mark.parametrize(
    ("changes", "at", "says"),
    [
        (
            {DATA: GOOD.replace("mix: {still: {}", "mix: {still: {image_size: 36}")},
            "mix",
            (
                "data.mix.still",
                "a picture of 36 x 36 is not made of whole patches of 8 x 8",
                "near are sizes of 32 x 32",
            ),
        ),
        (
            {DATA: GOOD.replace(", rename: {clip: image}", "")},
            "mix",
            ("data.mix.moving", "no column 'image', which inputs.image reads", "add to it rename: {clip: image}"),
        ),
        (
            {DATA: GOOD.replace("{still: {}, moving: {frames: 2, rename: {clip: image}}}", "{}")},
            "mix",
            ("data.mix  {} must be longer", "sources by name"),
        ),
        (
            {DATA: GOOD.replace("{clip: image}", "{clip: image, tags: image}")},
            "mix",
            ("data.mix.moving.rename.tags", "two columns would be called 'image'"),
        ),
        ({DATA: GOOD.replace("clip: image", "video: image")}, "mix", ("no column 'video'", "it has")),
        (
            {
                DATA: GOOD.replace("still: {}", "still: {type: captions}").replace(
                    "moving: {", "moving: {type: captions, "
                )
            },
            "mix",
            ("no source of data.mix takes 'samples'", "data.mix.still.samples"),
        ),
        ({DATA: GOOD, "itc: {}": "itc: {sources: []}"}, "itc", ("objectives.itc.sources  [] must be longer",)),
        ({DATA: GOOD, "itc: {}": "itc: {sources: [stil]}"}, "itc", ("there is no source 'stil'", "still, moving")),
        (
            {
                DATA: GOOD,
                "itc: {}": "itc: {sources: [still]}",
                "itm: {": "itm: {sources: [still], ",
                "mlm: {": "mlm: {sources: [still], ",
                "mgsc: {": "mgsc: {sources: [still], ",
                "mltc: {": "mltc: {sources: [still], ",
            },
            "itc",
            ("no objective ever has a weight on batches of 'moving'",),
        ),
        (
            {DATA: GOOD, "retrieval: {gallery: 16}": "binding: {sources: [moving]}"},
            "binding",
            ("it needs twins", "evaluate.binding=false"),
        ),
        (
            {"{type: random_patches, ratio: 0.5, fill: drop}": "{type: random_tubes, ratio: 0.5, fill: drop}"},
            "mgsc",
            (
                "the mask 'dropped' is for clips, and the input 'image' shows pictures",
                "add under inputs: image: {fields: [clip]}",
                "data.frames=4",
            ),
        ),
    ],
)
def test_a_mix_that_cannot_be(capsys, tmp_path, changes, at, says):
    path, ended = checked(capsys, tmp_path, changes)
    assert ended.code in (2, 3), ended.out + ended.err
    for word in says:
        assert word in ended.err, ended.err
    assert f"small.yaml:{line_of(path, at)}:" in ended.err, ended.err


def test_tubes_are_for_clips(capsys, tmp_path):
    tubes = {"{type: random_patches, ratio: 0.5, fill: drop}": "{type: random_tubes, ratio: 0.5, fill: drop}"}
    _, ended = checked(capsys, tmp_path, {**tubes, DATA: GOOD})
    assert ended.code == 0, ended.err


def test_the_place_of_an_option_is_where_it_was_written(capsys, tmp_path):
    path, ended = checked(capsys, tmp_path, {DATA: GOOD.replace("samples: 64", "samples: many")})
    assert ended.code == 2 and f"small.yaml:{line_of(path, 'samples')}" in ended.err
