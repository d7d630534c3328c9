"""Phrases and what they cover: vocabulary, ids, files of the published form, saving."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_data.byte_pair import BytePair
from vlobj_mvptr.links import Links
from vlobj_mvptr.phrases import Phrases

from vlobjectives import CannotBuild, FieldSpec, ReaderConfig, Sample
from vlobjectives.data.collate import Fields
from vlobjectives.errors import DataError

CAPTIONS = [
    "a red circle left of a blue square",
    "three green stars and a red ring",
    "the blue square is large",
    "a small red circle above a green star",
] * 20
SIZE = 400


def words(length=20) -> BytePair:
    made = BytePair(BytePair.Config(size=SIZE, length=length))
    made.fit(CAPTIONS)
    return made


WORDS = words()


def phrases(rows=CAPTIONS, beside=WORDS, **config) -> Phrases:
    made = Phrases(Phrases.Config(**({"length": 6, "least": 5, "size": 50} | config)), **{"with": beside})
    made.fit(rows)
    return made


def links(of: Phrases, beside=WORDS) -> Links:
    return Links(ReaderConfig(), **{"of": of, "with": beside})


def known(made: Phrases) -> dict[tuple[str, ...], int]:
    return {tuple(words): int(number) for number, words in made.state().items()}


def test_a_phrase_needs_enough_captions_and_the_commonest_come_first():
    made = phrases(CAPTIONS + ["a zebra"] * 4 + ["a tent"] * 5, reuse=False)
    ids = known(made)
    assert ("tent",) in ids and ("zebra",) not in ids
    assert ids[("circle",)] == SIZE and sorted(ids.values()) == list(range(SIZE, SIZE + len(ids)))
    assert ids[("circle", "red")] < ids[("circle", "left of", "square")] and ids[("tent",)] == max(ids.values())
    assert made.spec.vocabulary == SIZE + 50 and made.spec.ids == (SIZE, len(ids))
    few = phrases(size=3, reuse=False)
    assert len(known(few)) == 3 and few.spec.vocabulary == SIZE + 3


def test_a_caption_counts_once_however_often_it_names_a_thing():
    assert ("zebra",) not in known(phrases([*CAPTIONS, "a zebra near a zebra", "a zebra", "a zebra and a zebra"]))


def test_an_object_that_is_one_word_piece_has_its_id():
    ids, pieces = known(phrases()), {one: WORDS.read(one).ids for one in ("circle", "square", "star")}
    for one, found in pieces.items():
        assert len(found) == 1 and ids[(one,)] == found[0]
    assert ids[("circle", "red")] >= SIZE
    assert all(number >= SIZE for number in known(phrases(reuse=False)).values())


def test_kinds():
    assert {len(words) for words in known(phrases(words=(1, 3)))} == {1, 3}


def test_phrases_and_their_places():
    made = phrases()
    text = "a red circle left of a blue square"
    ids = known(made)
    wanted = [("circle",), ("square",), ("circle", "red"), ("square", "blue"), ("circle", "left of", "square")]
    pieces = made.read(text)
    assert pieces.ids == [ids[one] for one in wanted]
    assert pieces.spans == [(6, 12), (28, 34), (2, 12), (23, 34), (6, 34)]
    assert made.read("a purple zebra").ids == [] and made.read("").ids == []


def test_a_column_of_phrases_that_were_found_elsewhere():
    rows = [{"caption": "two zebras stand", "phrases": [["zebra"], ["zebra", "striped"], ["zebra"]]}] * 5
    made = phrases(rows)
    assert set(known(made)) == {("zebra",), ("zebra", "striped")}
    read = made.read(rows[0])
    assert len(read.ids) == 2 and read.spans[0] == (4, 10)
    rows = links(made).read(rows[0])
    pieces = WORDS.read("two zebras stand")
    assert rows[0].nonzero().flatten().tolist() == [
        number for number, (first, last) in enumerate(pieces.spans) if first < 10 and last > 4
    ]
    with pytest.raises(DataError, match="from a caption, or from a caption and its phrases"):
        made.read(7)


def test_links_lead_to_the_pieces_of_every_word_of_a_phrase():
    made = phrases()
    text = "a red circle left of a blue square"
    pieces = [text[first:last] for first, last in WORDS.read(text).spans]
    covered = [{piece for piece, on in zip(pieces, row) if on} for row in links(made).read(text)]
    assert covered == [
        {"circle"},
        {"square"},
        {"red", "circle"},
        {"blue", "square"},
        {"circle", "left", "of", "square"},
    ]
    assert links(made).spec.shape == (6 + 18, 18)
    assert links(phrases(cap="length")).spec.shape == (6, 18)
    assert links(made).read("purple").shape == (0, 18)


@given(st.lists(st.sampled_from(sorted({word for text in CAPTIONS for word in text.split()})), max_size=30))
@settings(max_examples=60)
def test_rows_are_the_phrases_of_the_sequence(chosen):
    text = " ".join(chosen)
    made = phrases_once()
    read, rows = made.read(text), links(made).read(text)
    assert len(read.ids) == len(read.spans) == len(rows)
    spans = WORDS.read(text).spans[:18]
    for row, (first, last) in zip(rows, read.spans):
        on = row.nonzero().flatten().tolist()
        assert all(first < spans[piece][1] and spans[piece][0] < last for piece in on)
        assert on or first >= spans[-1][1], "every phrase within the pieces covers one"


def phrases_once(cache=[]) -> Phrases:  # noqa: B006 - one reader for all examples
    cache[:] = cache or [phrases()]
    return cache[0]


@pytest.mark.parametrize("cap, most", [("room", 5), ("length", 2)])
def test_a_short_caption_leaves_its_room_to_phrases(cap, most):
    made = phrases(length=2, cap=cap)
    fields = Fields(
        {"caption": FieldSpec("raw")},
        {"caption": WORDS, "phrases": made, "links": links(made)},
        {"caption": "caption", "phrases": "caption", "links": "caption"},
        {"text": ["caption", "phrases"]},
        ["links"],
    )
    rows = [
        "a red circle left of a blue square",
        "a red circle left of a blue square and three green stars and a large ring above a red star near a ring",
    ]
    batch = fields.batch([Sample({"caption": text}, 0) for text in rows], range(2))
    text, count = batch["text"], (batch["text"].segment == 1) & ~batch["text"].special
    assert text.ids.shape == (2, 22) and count.sum(1).tolist() == [most, 2]
    assert batch["links"].values.shape == (2, 20 if cap == "room" else 2, 18)
    first = batch["text"].ids[0][count[0]].tolist()
    assert first == made.read(rows[0]).ids[:most]


def test_state_travels_as_json_and_is_a_file_of_the_published_form(tmp_path):
    made, path = phrases(), tmp_path / "phrases.json"
    path.write_text(json.dumps(made.state()), encoding="utf-8")
    fresh = Phrases(made.config, **{"with": WORDS})
    assert fresh.spec.vocabulary == made.spec.vocabulary, "known before anything is learned"
    fresh.load(json.loads(path.read_text(encoding="utf-8")))
    given = Phrases(Phrases.Config(length=6, file=str(path)), **{"with": WORDS})
    given.fit(["nothing of this is counted"])
    for other in (fresh, given):
        assert other.spec.ids == made.spec.ids and all(other.read(text) == made.read(text) for text in CAPTIONS[:4])
    with pytest.raises(DataError, match="beyond 400 word pieces and size 2"):
        Phrases(Phrases.Config(length=6, size=2), **{"with": WORDS}).load(made.state())


def test_the_published_form(tmp_path):
    path = tmp_path / "vocabulary.json"
    circle, unused = WORDS.read("circle").ids[0], 7
    path.write_text(
        json.dumps(
            {str(circle): ["circle"], str(SIZE): ["circle", "red"], str(SIZE + unused): ["circle", "left of", "square"]}
        ),
        encoding="utf-8",
    )
    made = Phrases(Phrases.Config(length=6, file=str(path)), **{"with": WORDS})
    made.fit([])
    assert made.spec.vocabulary == SIZE + unused + 1 and made.spec.ids == (SIZE, unused + 1)
    assert made.read("a red circle left of a blue square").ids == [circle, SIZE, SIZE + unused]
    path.write_text(json.dumps({str(circle + 1): ["circle"]}), encoding="utf-8")
    with pytest.raises(DataError, match="other word pieces"):
        Phrases(Phrases.Config(length=6, file=str(path)), **{"with": WORDS}).fit([])


@pytest.mark.parametrize(
    "content, why",
    [
        ("{", "is no JSON"),
        ("[]", "holds no object"),
        ('{"a": ["dog"]}', "no id with its one to three strings"),
        ('{"1": []}', "one to three"),
        ('{"1": ["a", "b", "c", "d"]}', "one to three"),
        ('{"1": [2]}', "one to three"),
        ('{"1": "dog"}', "one to three"),
        (None, "cannot be read"),
    ],
)
def test_broken_files(tmp_path, content, why):
    path = tmp_path / "vocabulary.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(CannotBuild, match=why):
        Phrases(Phrases.Config(length=6, file=str(path)), **{"with": WORDS})


def test_what_is_missing_is_said():
    with pytest.raises(CannotBuild) as error:
        Phrases(Phrases.Config(length=6))
    assert "with: caption" in error.value.hint
    with pytest.raises(CannotBuild) as error:
        Links(ReaderConfig(), **{"of": WORDS, "with": WORDS})
    assert "of: phrases" in error.value.hint
    with pytest.raises(CannotBuild) as error:
        Links(ReaderConfig(), of=phrases())
    assert "with: caption" in error.value.hint


def test_real_captions():
    path = Path(__file__).resolve().parents[2].parent / "shared/data/captions/coco/captions_train_coco_small.json"
    if not path.exists():
        pytest.skip(f"no shared data at {path}")
    rows = [one["caption"] for one in json.loads(path.read_text(encoding="utf-8"))["annotations"]]
    beside = BytePair(BytePair.Config(size=1000, length=34))
    beside.fit(rows)
    made = phrases(rows, beside, size=500)
    assert made.state() == phrases(reversed(rows), beside, size=500).state(), "the order of captions is nothing to it"
    counts = torch.tensor([len(made.read(text).ids) for text in rows]).double()
    assert counts.mean() > 2 and {1, 2, 3} == {len(one) for one in known(made)}


def test_phrases_of_a_file_come_back_without_it(tmp_path):
    """A run folder stands alone: the published file may be gone."""
    path = tmp_path / "phrases.json"
    path.write_text(json.dumps({"4": ["dog"], str(WORDS.spec.vocabulary + 7): ["brown", "dog"]}), encoding="utf-8")
    config = Phrases.Config(length=5, file=str(path))
    with_file = Phrases(config, **{"with": WORDS})
    path.unlink()
    alone = Phrases.restored(config, json.loads(json.dumps(with_file.state())), **{"with": WORDS})
    assert alone.spec == with_file.spec
    assert alone.state() == with_file.state()
