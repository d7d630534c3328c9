"""The chunker: objects, attributes, relations and where they lie; what it finds in real captions."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vlobj_mvptr.chunker import lemmas
from vlobj_mvptr.chunker.concepts import concepts
from vlobj_mvptr.chunker.places import placed

COCO = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "coco"


def said(text: str) -> set[str]:
    return {"|".join(concept.words) for concept in concepts(text)}


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("A brown dog is sitting on the wooden benches.", "dog bench dog|brown bench|wooden dog|sit_on|bench"),
        ("a man rides a horse", "man horse man|ride|horse"),
        (
            "Two men riding motorcycles down a street",
            "man motorcycle street man|ride|motorcycle motorcycle|down|street",
        ),
        ("a plate topped with hot dogs", "plate dog dog|hot plate|top_with|dog"),
        ("A black and white cat eats an orange.", "cat orange cat|black cat|white cat|eat|orange"),
        ("the children are happy", "child child|happy"),
        ("two tennis players", "player player|tennis"),
        ("a lamp next to a bed, which is near the window", "lamp bed window lamp|next_to|bed bed|near|window"),
        ("a cat, on a mat", "cat mat"),  # a stop ends a relation
        ("a red circle left of a blue square", "circle square circle|red square|blue circle|left_of|square"),
        ("top left a small ring", "left ring left|top ring|small"),
        ("there are two objects, one of them large", "object"),
        ("a woman's hat", "hat hat|woman"),
        ("a living room", "room room|living"),
        ("the of and ...", ""),
        ("", ""),
        ("12345 !", ""),
    ],
)
def test_concepts(text, wanted):
    assert said(text) == {one.replace("_", " ") for one in wanted.split()}


def test_objects_come_first_then_attributes_then_relations_each_once():
    found = concepts("a red car near a red bus and a red car")
    assert [concept.words for concept in found] == [
        ("car",),
        ("bus",),
        ("car", "red"),
        ("bus", "red"),
        ("car", "near", "bus"),
    ]
    assert found[0].spans == ((6, 9), (35, 38)), "a concept lies wherever the caption names it"
    assert found[2].spans == ((6, 9), (2, 5), (35, 38), (31, 34))


SOME = (
    "a",
    "the",
    "dog",
    "dogs",
    "red",
    "is",
    "sitting",
    "sits",
    "on",
    ",",
    "and",
    "which",
    "next",
    "to",
    "of",
    "it",
    "very",
    "running",
    "covered",
    ".",
    "'",
    "-",
    "&",
)


@given(st.text(max_size=80) | st.lists(st.sampled_from(SOME), max_size=20).map(" ".join))
def test_any_text_gives_concepts_that_lie_in_it(text):
    found = concepts(text)
    assert len({concept.words for concept in found}) == len(found)
    for concept in found:
        assert 1 <= len(concept.words) <= 3 and all(concept.words) and concept.spans
        assert all(0 <= first < last <= len(text) for first, last in concept.spans)


@pytest.mark.parametrize(
    "word, wanted",
    [
        ("dogs", "dog"),
        ("buses", "bus"),
        ("benches", "bench"),
        ("puppies", "puppy"),
        ("women", "woman"),
        ("knives", "knife"),
        ("glass", "glass"),
        ("scissors", "scissors"),
        ("skis", "ski"),
        ("potatoes", "potato"),
    ],
)
def test_nouns(word, wanted):
    assert lemmas.noun(word) == wanted


@pytest.mark.parametrize(
    "word, wanted",
    [
        ("sitting", "sit"),
        ("riding", "ride"),
        ("playing", "play"),
        ("walking", "walk"),
        ("driving", "drive"),
        ("parked", "park"),
        ("filled", "fill"),
        ("carries", "carry"),
        ("holds", "hold"),
        ("lying", "lie"),
        ("wearing", "wear"),
        ("surrounded", "surround"),
        ("swing", "swing"),
        ("eating", "eat"),
        ("crossing", "cross"),
    ],
)
def test_verbs(word, wanted):
    assert lemmas.verb(word) == wanted


def test_phrases_from_elsewhere_are_found_in_their_caption():
    text = "Two men sat on Brown horses; a man's hat"
    assert placed(text, ["man"]).spans == ((4, 7), (31, 36))
    assert placed(text, ["man", "sit on", "horse"]).spans == ((4, 7), (8, 11), (12, 14), (21, 27), (31, 36))
    assert placed(text, ["horse", "brown"]).spans == ((15, 20), (21, 27))
    assert placed(text, ["zebra"]) == (("zebra",), ())


def test_real_captions():
    """Six concepts of a caption name at least 90 % of the words that stand for an object of the picture."""
    path = COCO / "phrases_coco_small.json"
    if not path.exists():
        pytest.skip(f"no shared data at {path}")
    captions = {
        one["id"]: one["caption"]
        for one in json.loads((COCO / "captions_coco_small.json").read_text(encoding="utf-8"))["annotations"]
    }
    phrases = json.loads(path.read_text(encoding="utf-8"))["phrases"]
    assert len(phrases) == 1748
    named, heads = 0, 0
    for phrase in phrases:
        six = concepts(captions[phrase["caption_id"]])[:6]
        last = phrase["char_span"][1]  # `tennis ball` is found where the ball is
        named += any(first < last <= end for concept in six for first, end in concept.spans)
        heads += any(first < last <= end for concept in six if len(concept.words) == 1 for first, end in concept.spans)
    assert named / len(phrases) >= 0.97  # anywhere in a concept
    assert heads / len(phrases) >= 0.90  # as an object of its own
