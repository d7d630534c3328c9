"""Evaluations on features made by hand, whose scores are known, and on a small real system."""

import math
import re
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from helds import Given, real, scenes
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from vlobj_common.evaluations._galleries import first_of, within
from vlobj_common.evaluations._pair_odds import preferred
from vlobj_common.evaluations._words_of_kind import unigram
from vlobj_common.evaluations.binding import Binding
from vlobj_common.evaluations.masked_words import Words
from vlobj_common.evaluations.matching_accuracy import MatchingAccuracy
from vlobj_common.evaluations.probe import Probe, auc, ridge
from vlobj_common.evaluations.rerank import Rerank
from vlobj_common.evaluations.retrieval import Retrieval

from vlobjectives import CannotBuild, Encoded, Fused
from vlobjectives.functional import wilson_interval

WAYS = ("image_to_text", "text_to_image")


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return real(tmp_path_factory.mktemp("recipe"))


def unit(n: int, width: int = 16, seed: int = 0):
    return F.normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


def run(evaluation, held, **config):
    return evaluation(evaluation.Config(**config)).run(held)


def test_retrieval_of_equal_features_is_perfect():
    x = unit(40)
    scores = run(Retrieval, Given(x, x), gallery=16, ks=(1, 5))
    assert set(scores) == {f"{way}/r{k}" for way in WAYS for k in (1, 5)}
    for score in scores.values():
        assert (score.value, score.high, score.n) == (1.0, 1.0, 40)
        assert score.low == wilson_interval(40, 40)[0]
    # Galleries of 16, 16 and 8: a query's chance is that of its own gallery.
    assert scores["image_to_text/r1"].chance == pytest.approx((2 + 1) / 40)
    assert scores["text_to_image/r5"].chance == pytest.approx((5 + 5 + 5) / 40)


def test_retrieval_of_permuted_features_is_at_chance():
    """Unrelated pictures and captions: 8 galleries of 128, expected 8 hits at R@1 and 80 at R@10 of 1,024."""
    scores = run(Retrieval, Given(unit(1024), unit(1024, seed=1), rows=100), gallery=128)
    for way in WAYS:
        for k in (1, 10):
            score = scores[f"{way}/r{k}"]
            assert score.chance == pytest.approx(k / 128)
            assert abs(score.value - score.chance) < 4 * math.sqrt(score.chance * (1 - score.chance) / 1024)


def test_collapsed_features_are_at_chance_and_not_perfect():
    same = torch.ones(1, 16).repeat(40, 1)
    for broken in (same, same * float("nan")):
        for score in run(Retrieval, Given(broken, broken), gallery=20, ks=(1, 5)).values():
            assert score.value == pytest.approx(score.chance)


def test_all_captions_of_a_picture_are_right():
    """Two captions a picture; each caption's features are those of the picture's *other* caption."""
    x = unit(20).repeat_interleave(2, 0)
    swapped = torch.arange(40) ^ 1
    text = x + 0.01 * unit(40, seed=3)
    apart = run(Retrieval, Given(x, text[swapped]), gallery=None)
    joined = run(Retrieval, Given(x, text[swapped], same=torch.arange(40) // 2), gallery=None)
    assert apart["image_to_text/r1"].value < 1 and joined["image_to_text/r1"].value == 1
    assert joined["image_to_text/r1"].chance == pytest.approx(2 / 40)
    assert joined["image_to_text/r5"].chance == pytest.approx(1 - math.comb(38, 5) / math.comb(40, 5))


def test_where_a_picture_stands_first():
    assert first_of(torch.tensor([7, 3, 7, -1, 3, 9])).tolist() == [0, 1, 3, 5]
    assert first_of(torch.empty(0, dtype=torch.int64)).tolist() == []
    assert len(first_of(torch.arange(200_000) // 5)) == 40_000, "a table of all against all does not fit anywhere"


def test_batches_and_blocks_of_the_host_change_nothing(monkeypatch):
    images, texts = unit(50), unit(50) + unit(50, seed=1)
    one = run(Retrieval, Given(images, texts, rows=16), gallery=20)
    monkeypatch.setattr("vlobj_common.evaluations.retrieval.BLOCK", 7)
    assert run(Retrieval, Given(images, texts, rows=50), gallery=20) == one


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 7))
def test_within_is_the_mean_over_all_orders_of_tied_answers(seed, n):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 3, (1, n), generator=generator).float()
    right = torch.rand(1, n, generator=generator) < 0.4
    right[0, 0] = True
    found = within(scores, right, (1, 3))
    for k in (1, 3):
        hits = []
        for _ in range(400):
            order = torch.randperm(n, generator=generator)
            best = order[scores[0, order].argsort(descending=True, stable=True)][:k]
            hits.append(right[0, best].any().item())
        assert abs(sum(hits) / 400 - found[k].item()) < 0.11


def test_oracle_stands_beside_retrieval(held):
    scores = run(Retrieval, held, gallery=20)
    assert all(scores[f"oracle/{way}/r1"].value == 1 for way in WAYS)  # the scenes' proof of uniqueness
    assert scores["oracle/image_to_text/r1"].chance == scores["image_to_text/r1"].chance == pytest.approx(1 / 20)
    assert scores["image_to_text/r1"].n == 40


def product(image, text):
    return (image * text).sum(-1)


def test_rerank_is_the_order_of_the_full_table_among_the_nearest():
    images, texts = unit(40), unit(40) + 2 * unit(40, seed=1)
    mixing = torch.randn(16, 16, generator=torch.Generator().manual_seed(2)) * 0.1 + torch.eye(16)
    scores = run(Rerank, Given(images, texts, lambda v, t: product(v @ mixing, t)), gallery=20, top=4)
    expected = Counter()
    for first in (0, 20):
        v, t = images[first : first + 20], texts[first : first + 20]
        for way, near, odds in ((WAYS[0], v @ t.T, (v @ mixing) @ t.T), (WAYS[1], t @ v.T, t @ (v @ mixing).T)):
            for query in range(20):
                four = near[query].topk(4).indices
                expected[way] += four[odds[query, four].argmax()].item() == query
    for way in WAYS:
        assert 0.05 < expected[way] / 40 < 1  # something to tell
        assert scores[f"{way}/r1"].value == expected[way] / 40
        assert (scores[f"{way}/r1"].chance, scores[f"{way}/r1"].n) == (pytest.approx(1 / 20), 40)


def test_rerank_mends_what_is_among_the_nearest_and_nothing_else():
    """Matching knows the truth; the joint space has it first for one half of the captions, second for the other."""
    code = torch.eye(40)
    images = torch.cat([code, code], 1)
    texts = torch.cat([torch.cat([code[:20], code[20:].roll(1, 0)]), 0.01 * code], 1)
    for top, expected in ((1, 0.5), (2, 1.0)):
        held = Given(images, texts, lambda v, t: product(v[:, 40:], t[:, 40:]))
        assert run(Rerank, held, gallery=None, top=top)["text_to_image/r1"].value == expected


def test_rerank_without_an_opinion_is_a_draw_among_the_nearest():
    x = unit(40)
    for score in run(Rerank, Given(x, x, lambda v, t: torch.zeros(len(v))), gallery=20, top=4).values():
        assert score.value == pytest.approx(1 / 4)


def test_matching_accuracy():
    x = unit(40)
    perfect = run(MatchingAccuracy, Given(x, x, lambda v, t: product(v, t) - 0.999))["accuracy"]
    assert (perfect.value, perfect.chance, perfect.n) == (1.0, 0.5, 80)
    for constant in (-1.0, 0.0, 1.0):
        blind = Given(x, x, lambda v, t, c=constant: torch.full((len(v),), c))
        assert run(MatchingAccuracy, blind)["accuracy"].value == 0.5


def test_the_wrong_picture_is_never_the_same_one_and_hangs_on_no_batch():
    """40 samples of 2 pictures: matching by picture is perfect, so no wrong pair showed its own picture."""
    same = torch.arange(40) % 2
    x = torch.eye(2)[same]
    assert run(MatchingAccuracy, Given(x, x, lambda v, t: product(v, t) - 0.5, same=same))["accuracy"].value == 1.0
    images, texts = unit(40), unit(40, seed=1)
    one, other = (run(MatchingAccuracy, Given(images, texts, product, rows=rows)) for rows in (7, 16))
    assert one == other
    lone = run(MatchingAccuracy, Given(x, x, product, same=torch.zeros(40, dtype=torch.int64)))
    assert lone["accuracy"].n == 0


def test_the_wrong_picture_has_another_caption_where_the_recipe_says_so():
    """40 pictures under 2 captions: matching by caption is right about every pair that is wrong by its caption."""
    says = torch.arange(40) % 2
    x = torch.eye(2)[says]
    sees = Given(x, x, lambda v, t: product(v, t) - 0.5, says=says)
    assert run(MatchingAccuracy, sees, positives="equal_captions")["accuracy"].value == 1.0
    assert run(MatchingAccuracy, sees)["accuracy"].value < 0.9
    lone = Given(x, x, product, says=torch.zeros(40, dtype=torch.int64))
    assert run(MatchingAccuracy, lone, positives="equal_captions")["accuracy"].n == 0


def test_preferred_counts_a_tie_as_half():
    own, other = torch.tensor([[1.0, 2], [0, 0], [1, 0]]), torch.tensor([[0.0, 1], [0, 0], [2, -1]])
    assert preferred(own, other).tolist() == [1.0, 0.5, 0.5]


class Reads:
    """A real SplitContext whose matching reads captions and pictures by keys: `sees(sample)` against `says(sample)`."""

    def __init__(self, held, sees, says):
        self.held, self.sees, self.says = held, sees, says

    def __getattr__(self, name):
        return getattr(self.held, name)

    def batch(self, samples, numbers):
        return [(self.sees(sample), self.says(sample)) for sample in samples]

    def values(self, views, batch):
        keys = {key: k for k, key in enumerate(sorted({key for pair in batch for key in pair}))}
        sides = [torch.tensor([[keys[pair[side]]] for pair in batch]).float() for side in (0, 1)]
        one = torch.ones(len(batch), 1, dtype=torch.bool)
        return {name: Encoded(x[:, None], one) for name, x in zip(("image", "text"), sides)}

    def part(self, name):
        return lambda v, t, want: Fused(v, t, (v.tokens == t.tokens).float()[:, 0])

    def objective(self, name):
        return SimpleNamespace(log_odds=lambda pairs: pairs.pooled[:, 0])


def test_binding_tells_who_reads_from_who_counts_words(held):
    """A perfect reader has every pair; one that knows which words there are, and not in which order, has none."""

    def bag(sample):
        return " ".join(sorted(re.findall(r"\w+", sample.values["caption"])))

    keep = {"kinds": ("swap", "colour"), "count": 20}
    perfect = run(Binding, Reads(held, lambda s: s.values["caption"], lambda s: s.values["caption"]), **keep)
    counts = run(Binding, Reads(held, bag, bag), **keep)
    assert {name: score.value for name, score in perfect.items()} == dict.fromkeys(
        ("swap/caption", "swap/picture", "colour/caption", "colour/picture"), 1.0
    )
    assert counts["swap/caption"].value == counts["swap/picture"].value == 0.5
    assert counts["colour/caption"].value == 1.0
    assert (perfect["swap/caption"].chance, perfect["swap/caption"].n) == (0.5, 20)


def test_binding_and_matching_on_a_real_system(held):
    scores = run(Binding, held, count=5) | run(MatchingAccuracy, held) | run(Rerank, held, gallery=20)
    assert all(0 <= score.low <= score.value <= score.high <= 1 for score in scores.values())
    assert scores["accuracy"].n == 80 and scores["swap/caption"].n == 5
    assert scores == run(Binding, held, count=5) | run(MatchingAccuracy, held) | run(Rerank, held, gallery=20)


class Naming:
    """A real SplitContext whose fusion hands the head one-hot word pieces: those that stand there, or those seen."""

    def __init__(self, held, cheats: bool):
        self.held, self.cheats, self.last = held, cheats, None

    def __getattr__(self, name):
        return getattr(self.held, name)

    def batch(self, samples, numbers):
        self.last = self.held.batch(samples, numbers)
        return self.last

    def part(self, name):
        if name == "words":
            return nn.Identity()
        if name != "fusion":
            return self.held.part(name)

        def fusion(image, text, want):
            self.draw = text.draw
            ids = self.last["text"].ids if self.cheats else text.draw.ids
            return Fused(image, Encoded(F.one_hot(ids, 400).float(), text.valid, draw=text.draw))

        return fusion


def test_words_are_hidden_from_the_reader_and_scored_against_the_truth(held):
    perfect, blind = run(Words, Naming(held, True)), run(Words, Naming(held, False))
    assert set(perfect) == {"all", "colours", "shapes"}
    assert {score.value for score in perfect.values()} == {1.0}
    assert {score.value for score in blind.values()} == {0.0}
    assert perfect["shapes"].n >= 40  # a word a caption, some of several pieces
    words = sum(int((~held.batch([held.sample(n)], [n])["text"].special).sum() * 0.15 + 0.5) for n in range(40))
    assert abs(perfect["all"].n - words) <= 2  # round half to even


def test_words_of_a_kind_hide_one_word_of_that_kind(held):
    naming = Naming(held, True)
    run(Words, naming, kinds=("colour",))
    draw, batch = naming.draw, naming.last  # of the last batch, kind colour
    for row, number in enumerate(batch.number.tolist()):
        caption = held.sample(number).values["caption"]
        pieces = held.readers["caption"].read(caption).spans
        gone = [pieces[place - 1] for place in draw.hidden[row].nonzero()[:, 0].tolist()]
        assert caption[gone[0][0] : gone[-1][1]] in held.source.words("colour")
        assert (draw.ids[row] == 3).sum() == len(gone)


def test_words_hangs_on_no_training_step_and_wants_a_mask(held):
    one = run(Words, held)
    assert one == run(Words, held) and all(score.low <= score.value <= score.high for score in one.values())
    maskless = Naming(held, True)
    own = held.objective("mlm")
    maskless.objective = lambda name: SimpleNamespace(token_mask=lambda: None, predict_tokens=own.predict_tokens)
    with pytest.raises(CannotBuild, match="names no mask"):
        run(Words, maskless)
    assert run(Words, maskless, mask="hidden_words")["all"].value == 1.0


def test_unigram_guess_is_chosen_in_training_and_scored_here():
    truth = torch.tensor([1, 1, 1, 2, 2, 4])
    assert unigram(truth, ()) == 3 / 6
    assert unigram(truth, (0.9, 0.1, 0.4, 0.0, 0.3)) == 2 / 6  # 0 is no word of this kind: it never stands here


def test_auc_and_ridge():
    scores = torch.tensor([[0.1], [0.4], [0.35], [0.8]])
    truth, everywhere = torch.tensor([[0], [0], [1], [1]]).bool(), torch.ones(4, 1, dtype=torch.bool)
    assert auc(scores, truth, everywhere).tolist() == [0.75]
    assert auc(scores, truth, torch.tensor([[1], [0], [1], [1]]).bool()).tolist() == [1.0]
    assert auc(torch.zeros(4, 1), truth, everywhere).tolist() == [0.5]
    assert not auc(scores, torch.zeros_like(truth), everywhere).numel()
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((50, 3), (3, 2)))
    torch.testing.assert_close(ridge(x, x @ w + 2, x[:5], 1e-12), (x @ w + 2)[:5])
    assert ridge(x, x @ w + 2, x[:5], 1e12).std() < 1e-9 + (x @ w).mean(0).std()


class Features(Given):
    def sample(self, number):
        return self.source.sample("test", number, 0, 0)

    def values(self, views, batch):
        x = self.image[batch.number]
        return {"pairs": Fused(*(Encoded(x[:, None], torch.ones(len(x), 1).bool(), cls=x[:, None]) for _ in range(2)))}


def test_probe_tells_binding_from_what_is_there():
    """Features that hold the pairs are read perfectly; which colours and shapes there are says nothing of them."""
    source, n = scenes(test=512), 512
    colours, shapes = source.words("colour"), source.words("shape")
    bound, there = torch.zeros(n, len(colours) * len(shapes)), torch.zeros(n, len(colours) + len(shapes))
    for number in range(n):
        for tag in source.sample("test", number, 0, 0).values["tags"]:
            colour, shape = tag.split()
            bound[number, colours.index(colour) * len(shapes) + shapes.index(shape)] = 1
            there[number, [colours.index(colour), len(colours) + shapes.index(shape)]] = 1
    known = run(Probe, Features(bound, bound, source=source))
    assert known["all"].value > 0.999 and known["hard"].value > 0.999
    blind = run(Probe, Features(there, there, source=source))
    assert blind["all"].value > 0.75 > blind["hard"].value
    noise = run(Probe, Features(unit(n), unit(n), source=source))
    assert noise["all"].low < 0.5 < noise["all"].high and noise["hard"].low < 0.5 < noise["hard"].high
    assert (known["hard"].chance, known["hard"].n) == (0.5, n // 2)


def test_probe_on_a_real_system(held):
    scores = run(Probe, held)
    assert scores["all"].n == 20 and 0 <= scores["all"].low <= scores["all"].value <= scores["all"].high <= 1
