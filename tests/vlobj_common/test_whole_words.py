"""Whole words and spans: all pieces of a word or none, counts, lengths, and the properties of a draw."""

import math

import pytest
import torch
from handmade import MASK, SPECIAL, VOCABULARY, batch, noise, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_common.masks.span_tokens import SpanTokens
from vlobj_common.masks.text_mask import budget
from vlobj_common.masks.whole_words import WholeWords

from vlobjectives import CannotBuild, MaskSample, MaskTarget, Tokens

LENGTH = 14


def words_of(lengths: list[list[int]], seed: int = 0) -> Tokens:
    """Texts whose words have so many pieces each; begin, pieces, end, padding to LENGTH."""
    tokens = texts([sum(row) for row in lengths], LENGTH, seed)
    word = torch.zeros_like(tokens.ids)
    for row, counts in enumerate(lengths):
        numbers = [number for number, count in enumerate(counts, 1) for _ in range(count)]
        word[row, 1 : 1 + len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return Tokens(tokens.ids, tokens.valid, tokens.special, tokens.segment, word=word)


def draw(cls, tokens: Tokens, seed: int = 0, first: int = 0, **config) -> MaskSample:
    rows, length = tokens.ids.shape
    site = MaskTarget("text", length, special=SPECIAL, vocabulary=VOCABULARY)
    return cls(cls.Config(**config)).draw(noise(rows, seed, first=first), site, batch(rows, text=tokens))


pieces = st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=5)


@given(
    lengths=pieces,
    ratio=st.floats(0, 1),
    cls=st.sampled_from([WholeWords, SpanTokens]),
    fill=st.sampled_from(["mask", "bert"]),
    seed=st.integers(0, 999),
)
@settings(max_examples=150)
def test_laws_of_a_draw(lengths, ratio, cls, fill, seed):
    tokens = words_of(lengths, seed)
    d = draw(cls, tokens, seed, ratio=ratio, fill=fill)
    count = budget(torch.tensor([sum(row) for row in lengths]), ratio).tolist()
    assert not (d.scored & tokens.special).any() and not (d.hidden & ~d.scored).any()
    assert torch.equal(d.hidden, d.ids != tokens.ids)
    for row, counts in enumerate(lengths):
        hidden = d.scored[row].sum().item()
        whole = [d.scored[row][tokens.word[row] == n].float().mean().item() for n in range(1, len(counts) + 1)]
        if cls is WholeWords:
            left = count[row] - hidden
            assert left >= 0 and set(whole) <= {0.0, 1.0}
            assert all(taken or pieces > left for taken, pieces in zip(whole, counts))  # no word fits any more
        else:
            assert hidden == count[row]
        assert d.index[row][d.index_ok[row]].tolist() == d.scored[row].nonzero().flatten().tolist()
    if fill == "mask":
        assert torch.equal(d.hidden, d.scored) and (d.ids[d.hidden] == MASK).all()
    if len(lengths) > 1:
        rest = draw(
            cls,
            Tokens(tokens.ids[1:], tokens.valid[1:], tokens.special[1:], tokens.segment[1:], word=tokens.word[1:]),
            seed,
            1,
            ratio=ratio,
            fill=fill,
        )
        assert torch.equal(rest.ids, d.ids[1:]) and torch.equal(rest.scored, d.scored[1:])


def test_words_of_one_piece_are_as_likely_and_long_ones_wait_for_room():
    tokens = words_of([[1, 1, 1, 1, 1, 1]] * 3000)
    rate = draw(WholeWords, tokens, ratio=0.34).scored[:, 1:7].double().mean(0)
    assert (rate - 2 / 6).abs().max() < 5 * math.sqrt(2 / 9 / 3000)
    d = draw(WholeWords, words_of([[3, 1, 3, 3]] * 200), ratio=0.2)  # 2 of 10 pieces: only the short word fits
    assert torch.equal(d.scored, (torch.arange(LENGTH) == 4).expand_as(d.scored))
    assert not draw(WholeWords, words_of([[3, 3, 4]] * 5), ratio=0.2).scored.any()


def test_a_batch_made_by_hand_has_words_of_one_piece():
    tokens = texts([6] * 50, LENGTH)
    whole = Tokens(
        tokens.ids, tokens.valid, tokens.special, tokens.segment, word=torch.arange(LENGTH).where(~tokens.special, 0)
    )
    for cls in (WholeWords, SpanTokens):
        assert torch.equal(draw(cls, tokens, ratio=0.4).ids, draw(cls, whole, ratio=0.4).ids)


def test_spans_begin_with_words_and_are_as_long_as_published():
    """One span of a long text: the truncated geometric distribution; its mean at p 0.2 up to 10 is 3.797."""
    rows, length = 4000, 42
    tokens = texts([40] * rows, length)
    of = SpanTokens(SpanTokens.Config(ratio=1.0))
    uniform = torch.rand(rows, generator=torch.Generator().manual_seed(0))
    lengths = of._lengths(uniform)
    assert lengths.min() == 1 and lengths.max() == 10
    weight = [0.2 * 0.8 ** (n - 1) for n in range(1, 11)]
    for n in (1, 2, 10):
        share = weight[n - 1] / sum(weight)
        assert (lengths == n).double().mean() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / rows))
    assert lengths.double().mean() == pytest.approx(3.797, abs=0.2)
    d = draw(SpanTokens, tokens, ratio=0.15)
    runs = (d.scored[:, 1:] & ~d.scored[:, :-1]).sum(1).double().mean()
    assert (d.scored.sum(1) == 6).all() and 1.2 < runs < 2.6  # six pieces in a few runs, not in six


def test_spans_do_not_cut_words_but_the_last():
    d = draw(SpanTokens, words_of([[2, 2, 2, 2, 2, 2]] * 500), ratio=0.5)
    halves = d.scored[:, 1:13].view(500, 6, 2)
    assert ((halves[..., 0] != halves[..., 1]).sum(1) <= 1).all() and (d.scored.sum(1) == 6).all()
    assert not (~halves[..., 0] & halves[..., 1]).any()  # what is cut is a word's end


def test_bert_decides_for_a_span():
    tokens = texts([12] * 3000, LENGTH)
    d = draw(SpanTokens, tokens, ratio=0.25, fill="bert", p=0.01, longest=3)
    masked = (d.ids == MASK) & d.scored
    assert masked.sum() / d.scored.sum() == pytest.approx(0.8, abs=0.03)
    mixed = (masked.any(1) & (d.scored & ~masked).any(1)).double().mean().item()
    single = draw(WholeWords, tokens, ratio=0.25, fill="bert")
    alone = ((single.ids == MASK).any(1) & (single.scored & (single.ids != MASK)).any(1)).double().mean().item()
    assert mixed < 0.75 * alone


def test_a_text_without_mask_token_is_refused():
    for cls in (WholeWords, SpanTokens):
        with pytest.raises(CannotBuild, match="has no mask token"):
            cls(cls.Config(ratio=0.2)).size(MaskTarget("text", 12, special={"pad": 0}))
