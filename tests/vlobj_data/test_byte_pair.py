"""Byte-pair reader: ids, spans, special-looking text, learning, saving, speed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vlobj_data.byte_pair import BytePair

from vlobjectives import CannotBuild
from vlobjectives.errors import DataError

CAPTIONS = ["a red circle left of a blue square", "three green stars and a red ring", "the blue square is large"] * 20
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def reader(size=320, length=34, **more) -> BytePair:
    made = BytePair(BytePair.Config(size=size, length=length, **more))
    made.fit(CAPTIONS)
    return made


LEARNED = reader()


def text_of(made: BytePair, ids: list[int]) -> str:
    from tokenizers import decoders

    names = {number: piece for piece, number in made._tokenizer.get_vocab().items()}
    return decoders.ByteLevel().decode([names[number] for number in ids])


def test_spec_is_known_before_fit_and_keeps_its_size():
    made = BytePair(BytePair.Config(size=2000, length=34))
    assert (made.spec.kind, made.spec.shape, made.spec.vocabulary, made.spec.share) == ("tokens", (34,), 2000, ())
    assert made.spec.special == {"begin": 0, "pad": 1, "end": 2, "mask": 3}
    made.fit(CAPTIONS)
    assert made.spec.vocabulary == 2000
    assert max(number for text in CAPTIONS for number in made.read(text).ids) < 400


def test_frequent_words_are_one_piece_at_the_start_and_later():
    made = reader(size=512)
    first, later = made.read("square blue"), made.read("a square")
    assert first.ids[0] == later.ids[1] and len(first.ids) == 2
    assert later.spans == [(0, 1), (2, 8)]


@given(st.text(max_size=60))
def test_any_text_comes_back_and_spans_lie_in_it(text):
    pieces = LEARNED.read(text)
    assert len(pieces.ids) == len(pieces.spans)
    assert all(4 <= number < 320 for number in pieces.ids)
    assert all(0 <= first <= last <= len(text) for first, last in pieces.spans)
    decoded = text_of(LEARNED, pieces.ids)
    reach = LEARNED._reach
    assert decoded in (text[:reach], " " + text[:reach])


def test_spans_of_letters_beyond_ascii():
    text = "a café 图 red"
    pieces = LEARNED.read(text)
    covered = {text[first:last] for first, last in pieces.spans}
    assert {"a", "é", "图", "red"} <= covered


def test_pieces_of_a_word_share_its_number():
    text = "unheard-of words, né 42"
    pieces = LEARNED.read(text)
    assert pieces.words == sorted(pieces.words) and set(pieces.words) == set(range(max(pieces.words) + 1))
    spans = {word: [span for one, span in zip(pieces.words, pieces.spans) if one == word] for word in pieces.words}
    found = [text[min(first for first, _ in some) : max(last for _, last in some)] for some in spans.values()]
    assert found == ["unheard", "-", "of", "words", ",", "né", "42"]
    assert len(pieces.ids) > len(found) and LEARNED.read("").words == []


@pytest.mark.parametrize("text", ["<s>", "</s>", "<mask>", "<pad>", "[MASK] [CLS] [SEP]", "<|endoftext|>"])
def test_text_that_spells_special_tokens_is_text(text):
    made = BytePair(BytePair.Config(size=600, length=34))
    made.fit([text] * 50 + CAPTIONS)
    pieces = made.read(text)
    assert pieces.ids and min(pieces.ids) > 3
    assert text_of(made, pieces.ids).strip() == text


def test_lower_and_spans_into_the_original():
    pieces = reader(lower=True).read("A RED Square")
    assert pieces.ids == reader(lower=True).read("a red square").ids
    assert pieces.spans[-1][1] == 12


def test_share_counts_pieces_of_the_captions():
    made = reader()
    assert len(made.spec.share) == 320 and sum(made.spec.share) == pytest.approx(1)
    ids = [number for text in CAPTIONS for number in made.read(text).ids]
    most = max(set(ids), key=ids.count)
    assert made.spec.share[most] == pytest.approx(ids.count(most) / len(ids))
    assert made.spec.share[:4] == (0, 0, 0, 0)


def test_share_counts_only_what_fits():
    made = BytePair(BytePair.Config(size=320, length=3))
    made.fit(CAPTIONS)
    a = made.read("a").ids[0]
    assert made.spec.share[a] == pytest.approx(1 / 3, abs=0.01)


def test_lists_of_captions_and_one_shot_iterables():
    nested = BytePair(BytePair.Config(size=320, length=34))
    nested.fit(CAPTIONS[i : i + 3] for i in range(0, len(CAPTIONS), 3))
    assert nested.state() == reader().state()


def test_state_travels_as_json():
    made, fresh = reader(), BytePair(BytePair.Config(size=320, length=34))
    fresh.load(json.loads(json.dumps(made.state())))
    assert fresh.spec == made.spec
    assert all(fresh.read(text) == made.read(text) for text in CAPTIONS)
    with pytest.raises(DataError, match="size 260"):
        BytePair(BytePair.Config(size=260, length=34)).load(made.state())


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(DataError, match="no training captions"):
        BytePair(BytePair.Config(size=320, length=34)).fit([])


def test_a_shared_vocabulary_is_that_of_the_other_field():
    made = BytePair(BytePair.Config(length=12), **{"with": LEARNED})
    assert (made.spec.vocabulary, made.spec.shape) == (320, (12,))
    made.fit(["is the square blue?"])
    assert made.read("a red circle").ids == LEARNED.read("a red circle").ids
    assert sum(made.spec.share) == pytest.approx(1) and made.spec.share != LEARNED.spec.share
    again = BytePair(BytePair.Config(length=12), **{"with": reader(size=320)})
    again.load(json.loads(json.dumps(made.state())))
    assert again.state() == made.state() and again.spec == made.spec


@pytest.mark.parametrize(
    "options, shared, why",
    [
        ({}, {}, "needs a size"),
        ({"size": 320}, {"with": LEARNED}, "those of the field"),
        ({"lower": True}, {"with": LEARNED}, "those of the field"),
        ({}, {"with": object()}, "learns no byte pairs"),
    ],
)
def test_a_size_of_its_own_or_a_field_to_share_with(options, shared, why):
    with pytest.raises(CannotBuild, match=why):
        BytePair(BytePair.Config(length=12, **options), **shared)


def test_long_text_is_read_in_bounded_time_and_as_its_beginning():
    text, shorter = "a red circle and " * 20000, "a red circle and " * 200
    pieces = LEARNED.read(text)
    assert len(pieces.ids) == len(LEARNED.read(shorter).ids) >= 34  # what lies far behind the end is not read
    assert pieces.ids[:34] == LEARNED.read("a red circle and " * 20).ids[:34]
    assert len(LEARNED.read("x" * 100000).ids) >= 34


def test_lone_surrogates_do_not_crash():
    assert LEARNED.read("a \ud800 dog").ids == LEARNED.read("a \ufffd dog").ids
