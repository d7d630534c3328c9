"""Concepts as labels: which are counted, what the guess that does not look is, saving; no other caption has a say."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_data.byte_pair import BytePair
from vlobj_mvptr.counted import Counted
from vlobj_mvptr.phrases import Phrases

from vlobjectives import FieldSpec, Sample
from vlobjectives.data.collate import Fields
from vlobjectives.errors import DataError

CAPTIONS = [
    "a red circle left of a blue square",
    "three green stars and a red ring",
    "the blue square is large",
    "a red circle above a red circle",
    "nothing",
] * 4


def counted(rows=CAPTIONS, of=None, **config) -> Counted:
    made = Counted(Counted.Config(**({"size": 20, "least": 4} | config)), **({"of": of} if of else {}))
    made.fit(rows)
    return made


def test_objects_and_attributes_of_enough_captions():
    names = counted().names()
    assert set(names) == {
        ("circle",),
        ("square",),
        ("star",),
        ("ring",),
        ("circle", "red"),
        ("square", "blue"),
        ("star", "green"),
        ("ring", "red"),
        ("square", "large"),
    }
    assert names[:2] == [("circle",), ("circle", "red")], "the commonest first"
    assert set(counted(least=8).names()) == {("circle",), ("circle", "red"), ("square",), ("square", "blue")}
    assert {len(words) for words in counted(words=(1, 2, 3)).names()} == {1, 2, 3}
    assert not any("red" in words or "ring" in words for words in counted(stop=("red", "ring")).names())
    assert len(counted(size=3).names()) == 3


def test_how_many_captions_it_takes_by_default():
    rows = ["a dog"] * 5 + ["a cat"] * 4 + ["a fish on x"] * 6
    assert counted(rows, least=None).names() == [("fish",), ("dog",)]  # 5 of few; single letters are no concept


def test_targets():
    made = counted()
    assert made.read("a red circle above a red circle") == [0, 1]
    assert made.read("a purple zebra") == [] and made.read("") == []
    assert counted(most=1).read("a red circle above a blue square") == [0]
    assert made.spec.kind == "labels" and made.spec.shape == (16,) and made.spec.vocabulary == 20


def test_share_is_what_one_knows_without_looking():
    made = counted()
    targets = [made.read(text) for text in CAPTIONS]
    wanted = torch.zeros(20, dtype=torch.float64)
    some = [kept for kept in targets if kept]
    for kept in some:
        wanted[kept] += 1 / len(kept) / len(some)
    assert len(some) < len(targets)
    torch.testing.assert_close(torch.tensor(made.spec.share, dtype=torch.float64), wanted)
    assert sum(made.spec.share) == pytest.approx(1)


def test_only_phrases_that_have_an_id_where_a_field_of_phrases_is_named():
    words = BytePair(BytePair.Config(size=300, length=20))
    words.fit(CAPTIONS)
    phrases = Phrases(Phrases.Config(length=6, least=8, size=50), **{"with": words})
    phrases.fit(CAPTIONS)
    assert set(counted(of=phrases).names()) == {("circle",), ("circle", "red"), ("square",), ("square", "blue")}
    assert counted(of=words).names() == counted().names(), "a caption's reader has no say"


def test_precomputed_phrases():
    rows = [{"caption": "two zebras", "phrases": [["zebra"], ["zebra", "striped"]]}] * 4
    made = counted(rows)
    assert made.names() == [("zebra",), ("zebra", "striped")] and made.read(rows[0]) == [0, 1]


def test_state_travels_as_json():
    made, fresh = counted(), Counted(Counted.Config(size=20))
    fresh.load(json.loads(json.dumps(made.state())))
    assert fresh.spec.share == made.spec.share and fresh.names() == made.names()
    assert all(fresh.read(text) == made.read(text) for text in CAPTIONS)
    with pytest.raises(DataError, match="9 concepts, more than its size 2"):
        Counted(Counted.Config(size=2)).load(made.state())


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match="no concept is in 99 of the 20 training captions"):
        counted(least=99)


@given(order=st.permutations(range(10)), other=st.sampled_from(["a green star", "the large square", ""]))
@settings(max_examples=40)
def test_targets_are_of_their_own_caption(order, other):
    """Permuting captions permutes their targets and nothing else; another caption changes no target but its own."""
    made = counted()
    fields = Fields({"caption": FieldSpec("raw")}, {"concepts": made}, {"concepts": "caption"}, {}, ["concepts"])

    def targets(texts):
        samples = [Sample({"caption": text}, number) for number, text in enumerate(texts)]
        return fields.batch(samples, range(len(samples)))["concepts"]

    plain, mixed = targets(CAPTIONS[:10]), targets([CAPTIONS[at] for at in order])
    rows = torch.tensor(order)
    assert torch.equal(mixed.ids, plain.ids[rows]) and torch.equal(mixed.valid, plain.valid[rows])
    changed = targets([other, *CAPTIONS[1:10]])
    assert torch.equal(changed.ids[1:], plain.ids[1:]) and torch.equal(changed.valid[1:], plain.valid[1:])
