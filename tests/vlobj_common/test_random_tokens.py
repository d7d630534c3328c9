"""Random words: the published draw and counts, and the properties of every draw."""

import math

import pytest
import torch
from handmade import MASK, SPECIAL, VOCABULARY, batch, golden, noise, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_common.masks.random_tokens import RandomTokens

from vlobjectives import CannotBuild, MaskSample, MaskTarget, Tokens

DRAWS = ("exact", "with_replacement", "of_padded")


def site(length: int) -> MaskTarget:
    return MaskTarget("text", positions=length, special=SPECIAL, vocabulary=VOCABULARY)


def mask(ratio: float, **config) -> RandomTokens:
    return RandomTokens(RandomTokens.Config(ratio=ratio, **config))


def draw(of: RandomTokens, tokens: Tokens, numbers) -> MaskSample:
    return of.draw(numbers, site(tokens.ids.shape[1]), batch(len(tokens.ids), text=tokens))


@pytest.mark.parametrize("k", range(4))
def test_given_the_published_draws_the_same_words_are_hidden(k):
    z = golden(f"text_mask_{k}")
    ids, real, drawn = z["in_input_ids"], z["in_attention_mask"].bool(), z["in_draws"]
    length = real.sum(1, keepdim=True)
    place = torch.arange(ids.shape[1])
    tokens = Tokens(ids, real, (place == 0) | (place >= length - 1), torch.zeros_like(ids))
    where = MaskTarget("text", ids.shape[1], special={"mask": int(z["in_mask_token_id"])}, vocabulary=50265)
    ratio = z["in_ratio"].item()
    used = int((ids.shape[1] - 2) * ratio) + 1
    # the middle of the interval of uniforms that falls on the published position
    uniform = ((drawn[:, :used] - 0.5) / (length - 2).clamp_min(1)).clamp(0, 0.999)
    given_noise = noise(len(ids), numbers={"words": uniform})
    d = mask(ratio, draw="with_replacement").draw(given_noise, where, batch(len(ids), text=tokens))
    assert torch.equal(d.ids, z["out_ids"])
    assert torch.equal(d.hidden, z["out_mask"].bool()) and torch.equal(d.scored, d.hidden)
    assert torch.equal((drawn >= 0).sum(1), z["out_num_draws"])


def test_counts_are_the_published_ones():
    z = golden("counts_0")
    for i, length in enumerate(z["in_text_lengths"].tolist()):
        for j, ratio in enumerate(z["in_text_ratios"].tolist()):
            draws, of = z["out_num_text_draws"][i, j].item(), mask(ratio, draw="with_replacement")
            # uniforms so spread that no two draws fall together: as many words are hidden as were drawn
            spread = noise(1, numbers={"words": (torch.arange(max(1, draws))[None] + 0.5) / max(1, length - 2)})
            assert draw(of, texts([max(0, length - 2)], max(2, length)), spread).hidden.sum() == draws
            assert of.size(site(length)) == max(1, draws)


texts_drawn = st.lists(st.integers(0, 10), min_size=1, max_size=6)


@given(
    words=texts_drawn,
    ratio=st.floats(0, 1),
    how=st.sampled_from(DRAWS),
    fill=st.sampled_from(["mask", "bert"]),
    seed=st.integers(0, 999),
)
@settings(max_examples=150)
def test_checks_of_a_draw(words, ratio, how, fill, seed):
    tokens, of = texts(words, 12, seed), mask(ratio, draw=how, fill=fill)
    d = draw(of, tokens, noise(len(words), seed))
    size = of.size(site(12))
    assert d.index.shape == d.index_ok.shape == (len(words), size) and d.keep is None and d.fill == fill
    assert not (d.scored & tokens.special).any() and not (d.hidden & ~d.scored).any()
    assert torch.equal(d.hidden, d.ids != tokens.ids)
    for row in range(len(words)):
        assert d.index[row][d.index_ok[row]].tolist() == d.scored[row].nonzero().flatten().tolist()
        assert not d.index[row][~d.index_ok[row]].any()
    count = d.scored.sum(1).tolist()
    for row, r in enumerate(words):
        if r == 0:
            assert count[row] == 0
        elif how == "exact":
            assert count[row] == max(1, round(ratio * r))
        elif how == "with_replacement":
            assert 1 <= count[row] <= min(r, int(r * ratio) + 1)
        else:
            assert max(0, max(1, round(ratio * 12)) - (12 - r)) <= count[row] <= max(1, round(ratio * 12))
    if fill == "mask":
        assert torch.equal(d.hidden, d.scored) and (d.ids[d.hidden] == MASK).all()
    # rows go with their samples, whatever the others' texts are
    if len(words) > 1:
        rest = batch(len(words), text=tokens).rows(slice(1, None))
        again = of.draw(noise(len(words) - 1, seed, first=1), site(12), rest)
        assert torch.equal(again.ids, d.ids[1:]) and torch.equal(again.index, d.index[1:])


def test_bert_hides_eight_of_ten_draws_one_at_random_and_leaves_one():
    tokens = texts([10] * 4000, 12)
    d = draw(mask(0.5, fill="bert"), tokens, noise(4000))
    n = d.scored.sum().item()
    assert n == 20000
    masked = (d.ids[d.scored] == MASK).double().mean().item()
    # eight ids are not special, and one in eight of the random ones is the word that stood there
    changed = (d.hidden & (d.ids != MASK)).sum().item() / n
    within = 5 * math.sqrt(0.25 / n)
    assert masked == pytest.approx(0.8, abs=within) and changed == pytest.approx(0.1 * 7 / 8, abs=within)
    random = d.ids[d.hidden & (d.ids != MASK)]
    assert random.unique().tolist() == list(range(4, 12))  # never begin, padding, end, unknown or mask
    plain = draw(mask(0.5), tokens, noise(4000))
    assert torch.equal(plain.scored, d.scored)


def test_every_word_is_as_likely():
    tokens = texts([6] * 6000, 12)
    for how, share in (("exact", 2 / 6), ("with_replacement", 1 - (5 / 6) ** 3), ("of_padded", 4 / 12)):
        d = draw(mask(0.35, draw=how), tokens, noise(6000))
        rate = d.scored[:, 1:7].double().mean(0)
        assert (rate - share).abs().max() < 5 * math.sqrt(share * (1 - share) / 6000), how
        assert not torch.equal(d.scored[:200], draw(mask(0.35, draw=how), tokens, noise(6000, when=1)).scored[:200])


def test_of_padded_leaves_short_captions_whole_as_often_as_published():
    """8 of 50 at 0.15: a caption of 12 tokens loses 1.6 words on average and none in 14.3 % of cases."""
    tokens = texts([10] * 8000, 50)
    count = draw(mask(0.15, draw="of_padded"), tokens, noise(8000)).scored.sum(1)
    assert mask(0.15, draw="of_padded").size(site(50)) == 8
    assert count.double().mean().item() == pytest.approx(1.6, abs=0.06)
    assert (count == 0).double().mean().item() == pytest.approx(0.143, abs=0.018)


def test_a_tokenizer_without_a_mask_token_cannot_mask():
    with pytest.raises(CannotBuild, match="mask token"):
        mask(0.15).size(MaskTarget("text", 12, special={"begin": 0}))
