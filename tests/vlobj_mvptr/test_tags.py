"""Object tags: a set, a caption's tokenizer, the guess that knows only how often pieces occur."""

import json

import pytest
from vlobj_data.byte_pair import BytePair
from vlobj_mvptr.tags import Tags

from vlobjectives import CannotBuild, FieldSpec, Sample
from vlobjectives.data.collate import Fields

ROWS = [["red circle", "blue square", "red circle"], ["ring"], []] * 10


def words() -> BytePair:
    made = BytePair(BytePair.Config(size=300, length=20))
    made.fit([" ".join(row) for row in ROWS])
    return made


WORDS = words()


def tags(**config) -> Tags:
    made = Tags(Tags.Config(**({"length": 8} | config)), **{"with": WORDS})
    made.fit(ROWS)
    return made


def test_tags_are_a_set_joined_and_split():
    made = tags()
    assert made.read(ROWS[0]).ids == WORDS.read("red circle blue square").ids
    assert made.read([]).ids == []
    assert tags(duplicates=True).read(ROWS[0]).ids == WORDS.read("red circle blue square red circle").ids


def test_spec_is_the_captions_with_a_length_and_shares_of_its_own():
    spec = tags().spec
    assert (spec.kind, spec.shape, spec.vocabulary, spec.special) == (
        "tokens",
        (8,),
        WORDS.spec.vocabulary,
        WORDS.spec.special,
    )
    pieces = [number for row in ROWS for number in tags().read(row).ids[:6]]
    assert sum(spec.share) == pytest.approx(1)
    for number in set(pieces):
        assert spec.share[number] == pytest.approx(pieces.count(number) / len(pieces))
    assert Tags(Tags.Config(length=8), **{"with": WORDS}).spec.share == ()


def test_they_lie_between_begin_and_end_and_are_cut():
    fields = Fields({"tags": FieldSpec("raw")}, {"tags": tags(length=4)}, {"tags": "tags"}, {"image": ["tags"]})
    made = fields.batch([Sample({"tags": row}, 0) for row in ROWS[:3]], range(3))["image"]
    special = WORDS.spec.special
    assert made.ids.shape == (3, 4)
    assert made.ids[0].tolist() == [special["begin"], *tags().read(ROWS[0]).ids[:2], special["end"]]
    assert made.ids[2].tolist() == [special["begin"], special["end"], special["pad"], special["pad"]]


def test_state_travels_as_json_and_no_tags_at_all_are_no_shares():
    made, fresh = tags(), Tags(Tags.Config(length=8), **{"with": WORDS})
    fresh.load(json.loads(json.dumps(made.state())))
    assert fresh.spec == made.spec
    made.fit([[], []])
    assert made.spec.share == ()
    fresh.load(made.state())
    assert fresh.spec.share == ()


def test_without_a_tokenizer():
    with pytest.raises(CannotBuild) as error:
        Tags(Tags.Config(length=8))
    assert "with: caption" in error.value.hint
