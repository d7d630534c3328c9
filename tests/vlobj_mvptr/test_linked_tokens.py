"""Words, and the phrases that would give them away: the published draws, and the properties of every draw."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import batch, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_phrases import toy
from vlobj_mvptr.linked_tokens import LinkedTokens

from vlobjectives import CannotBuild, FieldSpec, MaskTarget, Sample, TokenEncoding, Tokens, Vectors
from vlobjectives.data.collate import Fields
from vlobjectives.testing import mask_checks

GOLDEN = Path(__file__).parents[1] / "golden" / "mvptr"
WORDS, PHRASES = 40, 25
SPECIAL = {"pad": 0, "begin": 1, "end": 2, "mask": 3}


def site(text: int, phrases: int) -> MaskTarget:
    fields = {
        "caption": FieldSpec("tokens", (text,), WORDS, special=SPECIAL),
        "phrases": FieldSpec("tokens", (phrases,), WORDS + PHRASES, ids=(WORDS, PHRASES), special=SPECIAL),
    }
    return MaskTarget("text", text + phrases, fields=fields, special=SPECIAL, vocabulary=WORDS + PHRASES)


def made(where: MaskTarget, texts: list[list[int]], phrases: list[list[int]]) -> Tokens:
    """The sequences as the host puts them together."""
    columns = {**where.fields, "image": FieldSpec("number")}
    samples = [
        Sample({"caption": TokenEncoding(words, []), "phrases": TokenEncoding(these, [])}, 0)
        for words, these in zip(texts, phrases)
    ]
    return Fields(columns, {}, {}, {"text": list(where.fields)}).batch(samples, range(len(samples)))["text"]


def linked(pairs: list[list[tuple[int, int]]], phrases: int, pieces: int) -> Vectors:
    values = torch.zeros(len(pairs), phrases, pieces)
    for row, ones in enumerate(pairs):
        for piece, phrase in ones:
            if piece < pieces and phrase < phrases:
                values[row, phrase, piece] = 1
    return Vectors(values, torch.ones(values.shape[:2], dtype=torch.bool))


def draw(where: MaskTarget, tokens: Tokens, links: Vectors, numbers, ratio: float = 0.15, special: bool = False):
    of = LinkedTokens(LinkedTokens.Config(ratio=ratio, special=special))
    return of.draw(numbers, where, batch(len(tokens.ids), text=tokens, links=links))


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_given_the_published_draws_the_same_example_is_built(name):
    z = np.load(GOLDEN / f"masking_{name}.npz")
    where = site(int(z["in_max_text"]), int(z["in_max_phrases"]))
    assert [SPECIAL[role] for role in ("pad", "begin", "end", "mask")] == z["in_special"].tolist()
    tokens = made(where, [z["in_token_ids"].tolist()], [z["in_phrase_ids"].tolist()])
    n = min(len(z["in_token_ids"]), where.fields["caption"].shape[0] - 2)
    m, length = len(z["in_phrase_ids"]), where.positions
    links = linked([[tuple(pair) for pair in z["in_links"].tolist()]], length - 2, int(z["in_max_text"]) - 2)
    labels = torch.tensor(z["out_mlm_labels"])
    # u in order: the words, the tags, the phrases that no labelled word leads to
    tags = min(len(z["in_tag_ids"]), int(z["in_max_tags"]) - 2)
    words, phrases = torch.ones(1, length), torch.ones(1, length)
    words[0, 1 : 1 + n] = torch.tensor(z["in_u"][:n])
    given_away = {phrase for piece, phrase in z["in_links"].tolist() if piece < n and labels[1 + piece] >= 0}
    free = [phrase for phrase in range(m) if 1 + n + phrase < length - 1 and phrase not in given_away]
    for phrase, u in zip(free, z["in_u"][n + tags :], strict=True):
        phrases[0, 1 + n + phrase] = u
    # random words, special ids too, in order of use, as the uniforms that give them
    other = torch.zeros(1, length)
    used = [at for at in range(n) if 0.8 * 0.15 <= z["in_u"][at] < 0.9 * 0.15]
    for at, number in zip(used, z["in_repl"]):
        other[0, 1 + at] = (number + 0.5) / WORDS
    numbers = noise(1, numbers={"words": words, "phrases": phrases, "other word": other})
    d = draw(where, tokens, links, numbers, special=True)
    assert d.ids[0].tolist() == z["out_text_ids"].tolist()
    assert torch.where(d.scored, tokens.ids, -1)[0].tolist() == labels.tolist()
    assert tokens.valid[0].long().tolist() == z["out_text_mask"].tolist()
    assert (tokens.segment[0] == 1).nonzero()[0].item() == z["out_phrase_span"][0]
    assert int(tokens.valid.sum()) - 1 == z["out_phrase_span"][1]


ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=1, max_size=5)


@given(rows=ROWS, ratio=st.sampled_from([0.05, 0.15, 0.5, 0.9]), seed=st.integers(0, 999), data=st.data())
@settings(max_examples=60)
def test_checks_of_a_draw(rows, ratio, seed, data):
    where = site(10, 4)
    dice = np.random.default_rng(seed)
    texts = [dice.integers(4, WORDS, n).tolist() for n, _ in rows]
    phrases = [dice.integers(WORDS, WORDS + PHRASES, m).tolist() for _, m in rows]
    pairs = [[(int(a), int(b)) for a, b in dice.integers(0, 12, (6, 2))] for _ in rows]
    tokens, links = made(where, texts, phrases), linked(pairs, 12, 8)
    before = tokens.ids.clone()
    d = draw(where, tokens, links, noise(len(rows), seed), ratio)
    assert torch.equal(tokens.ids, before), "the record is never changed"
    again = draw(where, tokens, links, noise(len(rows), seed), ratio)
    assert torch.equal(again.ids, d.ids) and torch.equal(again.scored, d.scored)
    word, phrase = (~tokens.special & (tokens.segment == number) for number in (0, 1))
    assert not (d.scored & ~word).any(), "no phrase, begin, end or padding is scored"
    assert torch.equal(d.hidden, d.ids != tokens.ids) and not (d.hidden & tokens.special).any()
    size = LinkedTokens(LinkedTokens.Config(ratio=ratio)).size(where)
    assert d.index.shape[1] == size and torch.equal(d.index_ok.sum(1), d.scored.sum(1))
    for row, (n, m) in enumerate(rows):
        n = min(n, 8)
        kept = min(m, 14 - 2 - n)
        assert int(phrase[row].sum()) == kept, "a short caption leaves its room to phrases"
        for piece, number in pairs[row]:
            if piece < min(n, 8) and number < kept and d.scored[row, 1 + piece]:
                assert d.ids[row, 1 + n + number] == SPECIAL["mask"]
        changed = d.ids[row][phrase[row] & d.hidden[row]]
        assert ((changed == SPECIAL["mask"]) | (changed >= WORDS)).all(), "a phrase is replaced by a phrase"
        swapped = d.ids[row][word[row] & d.hidden[row]]
        assert ((swapped >= 3) & (swapped < WORDS)).all(), "a word piece is replaced by a word piece, none special"
    if len(rows) > 1:  # rows go with their samples
        rest = LinkedTokens(LinkedTokens.Config(ratio=ratio)).draw(
            noise(len(rows) - 1, seed, first=1), where, batch(len(rows), text=tokens, links=links).rows(slice(1, None))
        )
        assert torch.equal(rest.ids, d.ids[1:])


def test_shares_of_words_and_of_phrases_that_nothing_gives_away():
    """15 % within three standard errors over 10^5 pieces, of them 80 / 10 / 10; unlinked phrases likewise."""
    where, rows = site(34, 6), 4000
    dice = np.random.default_rng(0)
    tokens = made(
        where, dice.integers(4, WORDS, (rows, 32)).tolist(), dice.integers(WORDS, WORDS + PHRASES, (rows, 6)).tolist()
    )
    links = linked([[(0, 0)]] * rows, 6, 32)
    d = draw(where, tokens, links, noise(rows))
    words = tokens.ids[:, 1:33].numel()
    assert words > 1e5
    within = 3 * math.sqrt(0.15 * 0.85 / words)
    assert d.scored.sum().item() / words == pytest.approx(0.15, abs=within)
    scored = d.scored.sum().item()
    masked = (d.ids[d.scored] == SPECIAL["mask"]).sum().item() / scored
    kept = (d.ids[d.scored] == tokens.ids[d.scored]).sum().item() / scored
    assert masked == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / scored))
    assert kept == pytest.approx(0.1 + 0.1 / 36, abs=3 * math.sqrt(0.09 / scored))
    phrases, hidden = slice(34, 39), d.hidden[:, 34:39]  # the first phrase is linked
    share = 0.15 * (0.9 - 0.1 / PHRASES)
    assert hidden.float().mean().item() == pytest.approx(share, abs=3 * math.sqrt(share / hidden.numel()))
    assert (d.ids[:, phrases][hidden] == SPECIAL["mask"]).float().mean() == pytest.approx(0.8 / 0.896, abs=0.02)
    first = d.ids[:, 33] == SPECIAL["mask"]
    assert first[d.scored[:, 1]].all()
    assert first[~d.scored[:, 1]].float().mean() == pytest.approx(0.12, abs=3 * math.sqrt(0.12 / rows))


@pytest.mark.parametrize("check", mask_checks(), ids=str)
def test_checks_on_captions_with_phrases(check):
    check.run("linked", toy(masks={"linked": {"type": "linked_tokens", "ratio": 0.4}}))


def test_what_it_cannot_work_on():
    of = LinkedTokens(LinkedTokens.Config())
    alone = {"caption": FieldSpec("tokens", (10,), WORDS, special=SPECIAL)}
    with pytest.raises(CannotBuild, match=r"caption, not a caption and its phrases"):
        of.size(MaskTarget("text", 10, fields=alone, special=SPECIAL))
    with pytest.raises(CannotBuild, match="mask token"):
        of.size(MaskTarget("text", 10, fields=alone, special={"begin": 0}))


@pytest.mark.parametrize("n", [8, 16, 33, 68])
def test_more_pieces_than_are_kept_are_hardly_ever_drawn(n):
    size = LinkedTokens(LinkedTokens.Config()).size(site(n + 2, 4))
    assert size < n
    assert sum(math.comb(n, k) * 0.15**k * 0.85 ** (n - k) for k in range(size + 1, n + 1)) < 1e-6
