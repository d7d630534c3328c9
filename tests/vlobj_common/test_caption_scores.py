"""BLEU-4 and CIDEr-D by hand, and what both do with captions that repeat, are short, or say nothing."""

import math
import re
import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vlobj_common.evaluations.caption_scores import Cider, bleu, bleu_counts, bootstrap, words

MAT = ("the cat is on the mat", "there is a cat on the mat")


def score(*pairs) -> float:
    counts = torch.tensor([bleu_counts(caption, references) for caption, references in pairs], dtype=torch.float64)
    return float(bleu(counts.sum(0)))


def test_words():
    assert words("A dog's 2 toys, red & blue -- Café_bar!") == ["a", "dog's", "2", "toys", "red", "blue", "café", "bar"]
    assert words(" ... ") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("两只狗在草地上。", list("两只狗在草地上")),
        ("2只 Corgi犬", ["2", "只", "corgi", "犬"]),
        ("犬がボールで遊ぶ、コーヒー", list("犬がボールで遊ぶコーヒー")),
        ("หมาที่วิ่ง", ["ห", "ม", "า", "ที่", "วิ่", "ง"]),
        ("ຫມາ", ["ຫ", "ມ", "າ"]),
        ("개가 달린다", ["개가", "달린다"]),
        ("चित्र में कुत्ता", ["चित्र", "में", "कुत्ता"]),
        ("كَلْب يجري", ["كَلْب", "يجري"]),
        ("cafe\N{COMBINING ACUTE ACCENT} l'été", ["café", "l'été"]),
        ("chó chạy", ["chó", "chạy"]),
        (
            "I \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16} "
            "2\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP} dogs",
            ["i", "2", "dogs"],
        ),
    ],
)
def test_words_of_other_languages(text, found):
    """Without blanks between words a letter with its marks is a word; with them marks do not end a word."""
    assert words(text) == found


ENGLISH = re.compile(r"[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W_]+)*")


@given(
    st.text(
        st.characters(max_codepoint=0x24F, exclude_characters="İ")
        | st.sampled_from("'\N{RIGHT SINGLE QUOTATION MARK}\N{EN DASH}\N{EURO SIGN}_ \n")
    )
)
def test_words_in_latin_letters_are_what_they_were(text):
    """But that the mark which a small İ gets ended a word."""
    assert words(text) == ENGLISH.findall(unicodedata.normalize("NFC", text.lower()))


def test_captions_in_chinese_score_by_their_characters():
    """One character of seven differs: 6 of 7, 4 of 6, 2 of 5, 1 of 4 runs are there; a whole word would give 0."""
    counts = bleu_counts("两只狗在草地上", ["两只猫在草地上"])
    assert counts[:8] == [6, 4, 2, 1, 7, 6, 5, 4]
    cider = Cider([["两只猫在草地上"], ["一辆红色的车"]])
    assert 0 < cider("两只狗在草地上", 0) < cider("两只猫在草地上", 0) and cider("一辆红色的车", 0) == 0


def test_bleu_by_hand():
    """6 of 6 words ("a" stands in the second reference), 3 of 5 pairs, 2 of 4 triples, 1 of 3 fours; as long as the
    nearest reference."""
    assert bleu_counts("The cat is on a mat.", MAT) == [6, 3, 2, 1, 6, 5, 4, 3, 6, 6]
    assert score(("The cat is on a mat.", MAT)) == pytest.approx((1 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_bleu_is_of_the_whole_set_and_makes_short_ones_pay():
    """With "a dog" for "a dog runs far": 8/8, 4/6, 2/4, 1/3, and 8 words for 10."""
    both = score(("the cat is on a mat", MAT), ("a dog", ["a dog runs far"]))
    assert both == pytest.approx(math.exp(1 - 10 / 8) * (2 / 3 / 2 / 3) ** 0.25)


def test_bleu_counts_a_word_as_often_as_a_reference_has_it():
    assert bleu_counts("the the the the the", MAT)[:2] == [2, 0]
    assert score(("the the the the the", MAT)) == 0 and score(("", MAT)) == 0
    assert bleu_counts("one two three", ["one two", "one two three four"])[-1] == 2  # of two as near the shorter


SHAPES = [["a red circle"], ["a blue square"]]


@pytest.mark.parametrize(
    "caption, value",
    [
        ("a red circle", 7.5),  # 1, 1, 1 and no fours
        ("A RED CIRCLE!", 7.5),
        ("a red square", 10 * (0.5 + 0.5) / 4),  # "a" is everywhere and weighs nothing
        ("red red circle", 10 * (2 / math.sqrt(10) + 0.5) / 4),
        ("red circle", 10 * (1 + math.sqrt(0.5)) / 4 * math.exp(-1 / 72)),
        ("a", 0.0),
        ("", 0.0),
        ("green", 0.0),
    ],
)
def test_cider_by_hand(caption, value):
    assert Cider(SHAPES)(caption, 0) == pytest.approx(value)


def test_cider_is_the_mean_over_references():
    """Two pictures; "circle" is in both of the first's references and in no other picture, so that it weighs ln 2."""
    cider = Cider([["red circle", "blue circle"], ["green square"]])
    assert cider("red circle", 0) == pytest.approx(10 * ((1 + 1) + (0.5 + 0)) / 4 / 2)


def test_one_picture_tells_nothing_apart():
    assert Cider([["a red circle"]])("a red circle", 0) == 0


TEXT = st.lists(st.sampled_from("abcde"), min_size=4, max_size=9).map(" ".join)


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_reference_itself_is_the_best(references):
    first = [row[0] for row in references]
    assert score(*zip(first, references)) == pytest.approx(1)
    cider = Cider(references)
    for picture, row in enumerate(references):
        one = Cider([row[:1], *references[:picture], *references[picture + 1 :]])
        assert all(one(other, 0) <= one(row[0], 0) + 1e-9 for other in [*row, "f g", "a b c d"])
        assert 0 <= cider(row[0], picture) <= 10 + 1e-9


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=2)), min_size=1, max_size=4))
def test_scores_lie_in_their_range_and_order_is_nothing(pairs):
    assert 0 <= score(*pairs) <= 1 and score(*pairs) == pytest.approx(score(*pairs[::-1]))


def test_the_interval_is_that_of_a_mean():
    """Of 400 draws from a normal distribution: within a tenth of 1.96 standard errors."""
    x = torch.randn(400, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low, high = bootstrap(x / 400, lambda total: total[:, 0], 0)
    error = 1.96 * float(x.std()) / 20
    assert (low + high) / 2 == pytest.approx(float(x.mean()), abs=error / 10)
    assert (high - low) / 2 == pytest.approx(error, rel=0.1)
    assert (low, high) == bootstrap(x / 400, lambda total: total[:, 0], 0)
