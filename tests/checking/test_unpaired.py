"""What `vlobj check` says of sources of a mix that do not feed every input."""

import pytest
from small_recipes import CONTRAST, changed, line_of, vlobj

DATA = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"
MIX = """\
data:
  {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8, mix: {
    pairs: {},
    texts: {columns: [caption]},
    pictures: {columns: [image]}}}"""
PAINTED = {
    "  joint: {": "  painter: {type: cross_decoder, query: vision, memory: null, width: 32, depth: 1, heads: 2}\n"
    "  words: {type: vocabulary_head, of: text}\n  joint: {",
    "objectives:\n": "masks:\n  hidden_words: {type: random_tokens, ratio: 0.4, fill: mask}\n"
    "  patches: {type: random_patches, ratio: 0.5, fill: token}\nobjectives:\n"
    "  mlm: {mask: hidden_words, image: null}\n  mim: {type: tgmim, mask: patches, memory: null}\n",
}


def checked(capsys, tmp_path, changes=(), mix=MIX, parts=PAINTED):
    """How a check of the small recipe ends on a mix with these texts replaced."""
    for old, new in dict(changes).items():
        assert mix.count(old) == 1
        mix = mix.replace(old, new)
    path = changed(tmp_path, {DATA: mix, **parts}, text=CONTRAST)
    return path, vlobj(capsys, "check", path)


def test_each_source_is_told_with_what_it_trains(capsys, tmp_path):
    path, ended = checked(capsys, tmp_path)
    assert ended.code == 0, ended.err
    notes = [line for line in ended.out.splitlines() if line.startswith("note: ")]
    for note, source, says in zip(
        notes,
        ("pairs", "texts", "pictures"),
        (
            "it feeds every input and trains mlm, mim, itc",
            "it has no column 'image', which inputs.image reads: it trains mlm, and not mim, itc",
            "it has no column 'caption', which inputs.text reads: it trains mim, and not mlm, itc",
        ),
        strict=True,
    ):
        assert note.endswith(f"data.mix.{source}  {says}") and f"small.yaml:{line_of(path, f'{source}:')}:" in note


def test_a_mix_that_feeds_everything_is_told_nothing(capsys, tmp_path):
    _, ended = checked(capsys, tmp_path, {"{columns: [caption]}": "{}", "{columns: [image]}": "{}"})
    assert ended.code == 0 and "note: " not in ended.out, ended.out


@pytest.mark.parametrize(
    ("changes", "parts", "at", "says"),
    [
        pytest.param(
            {"pairs: {}": "pairs: {columns: [captions]}", "texts: {columns: [caption]}": "texts: {columns: [tags]}"},
            {},
            "  caption: {",
            (
                "fields.caption  the source 'scenes' (data.mix.pairs) has no column 'caption'",
                "did you mean 'captions'?",
            ),
            id="an input that no source feeds",
        ),
        pytest.param(
            {"texts: {columns: [caption]}": "texts: {frames: 2, columns: [clip, caption], rename: {clip: imgae}}"},
            PAINTED,
            "imgae",
            ("data.mix.texts.rename.clip  nothing reads 'imgae'", "did you mean 'image'?"),
            id="a misspelt name in rename",
        ),
        pytest.param(
            {"[caption]": "[captoin]"},
            PAINTED,
            "captoin",
            ("data.mix.texts", "there is no column 'captoin': did you mean 'caption'?"),
            id="a misspelt column",
        ),
        pytest.param(
            {"texts: {columns: [caption]}": "texts: {columns: [caption]}, clips: {frames: 2, columns: [clip]}"},
            PAINTED,
            "clips:",
            (
                "data.mix.clips  it trains nothing: it has no column 'image', which inputs.image reads and no column "
                "'caption', which inputs.text reads",
                "add to it rename: {clip: image}; or add an objective that it can feed, or leave it out: "
                "data.mix.clips=null",
            ),
            id="a source that trains nothing",
        ),
        pytest.param(
            {},
            {"itc: {}": "itc: {sources: [pairs, pictures]}", **PAINTED},
            "itc: {sources",
            (
                "objectives.itc.sources.1  'pictures' cannot train it: it has no column 'caption', which inputs.text "
                "reads",
                "take 'pictures' out of `sources`",
            ),
            id="a source that is written and lacks an input",
        ),
        pytest.param(
            {"pairs: {},\n": "\n"},
            PAINTED,
            "itc: {}",
            (
                "objectives.itc  no source of data.mix feeds all that it reads: texts has no column 'image', which "
                "inputs.image reads; pictures has no column 'caption', which inputs.text reads",
                "objectives.itc=null",
            ),
            id="an objective that no source feeds",
        ),
        pytest.param(
            {},
            {"{gallery: 16}": "{gallery: 16, sources: [pictures]}", **PAINTED},
            "retrieval",
            ("evaluate.retrieval  it needs caption, which the source 'scenes' (data.mix.pictures) does not have",),
            id="an evaluation of a source that cannot feed it",
        ),
    ],
)
def test_what_nothing_can_feed_is_an_error(capsys, tmp_path, changes, parts, at, says):
    path, ended = checked(capsys, tmp_path, changes, parts=parts)
    assert ended.code == 2, ended.out + ended.err
    for word in says:
        assert word in ended.err, ended.err
    assert f"small.yaml:{line_of(path, at)}:" in ended.err, ended.err
    assert "Traceback" not in ended.err
