"""Texts word by word: what is kept changes nothing, beams find what trying all would find, and ends are ends."""

import itertools
import math

import pytest
import torch

from vlobjectives import FieldSpec, api
from vlobjectives.errors import RecipeError
from vlobjectives.evaluation import generation
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views

RECIPE = """
data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}
fields:
  caption: {type: byte_pair, size: 400, length: 44}
model:
  vision: {type: timm_vision, patch: 8, width: 32, depth: 1, heads: 2}
  text: {type: causal_text, width: 24, depth: 2, heads: 2, token_std: 1.0, position_std: 1.0}
  captioner: {type: cross_decoder, query: text, memory: vision, causal: true, width: 32, depth: 2, heads: 2}
  words: {type: vocabulary_head, of: captioner}
objectives:
  ic: {}
optim: {lr: 1e-3}
run: {steps: 1, device: cpu, precision: fp32}
"""
ROBERTA = """text:
    type: hf_text
    causal: true
    config: {model_type: roberta-prelayernorm, hidden_size: 24, num_hidden_layers: 1, num_attention_heads: 2,
             intermediate_size: 24, initializer_range: 1.0}
  captioner:"""


def built(folder, **changes):
    text = RECIPE
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    (folder / "coca.yaml").write_text(text, encoding="utf-8")
    system = api.build(folder / "coca.yaml").double().eval()
    for parameter in system.model["words"].parameters():
        parameter.data *= 8  # else every word is as likely as every other
    return system


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    return built(tmp_path_factory.mktemp("coca"))


def batch_of(system, rows=5):
    fields, source = system.data_module.fields, system.data_module.source
    batch = fields.normalised(fields.batch([source.sample("test", n, 0, 0) for n in range(rows)], range(rows)))
    return batch.map(lambda x: x.double() if x.is_floating_point() else x)


@torch.no_grad()
def stepping(system, batch, cached):
    """What names the next word, and how long a text may be."""
    how = generation.of(system, system.data_module.fields, "ic")
    values = execute.run(of_views(system, {"memory": how.memory}, "test"), system.stage("test"), batch)
    return generation.steps(system, how, execute.read(how.memory, values), cached)


@torch.no_grad()
@pytest.mark.parametrize("mlp", [1, 2])
def test_what_is_kept_changes_nothing(tmp_path, mlp):
    """Word by word from a cache, or the whole beginning again: the same logits, also of rows that change places."""
    system = built(tmp_path, mlp=("causal: true, ", f"causal: true, mlp_per_layer: {mlp}, "))
    batch = batch_of(system)
    kept, again = (stepping(system, batch, cached) for cached in (True, False))
    generator, pasts = torch.Generator().manual_seed(0), [None, None]
    ids, rows = torch.zeros(5, 1, dtype=torch.int64), torch.tensor([0, 0, 3, 1, 4, 4, 2])
    for _ in range(11):
        (one, pasts[0]), (other, pasts[1]) = kept(ids, pasts[0]), again(ids, pasts[1])
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
        pasts = [generation.rows_of(past, rows) for past in pasts]
        ids = torch.randint(4, 400, (len(rows), 1), generator=generator)
        rows = torch.randperm(7, generator=generator)


@torch.no_grad()
def test_the_logits_are_those_of_training(system):
    """Teacher forcing over the whole caption, [CLS] and padding behind it, and a word at a time."""
    batch, how = batch_of(system), generation.of(system, system.data_module.fields, "ic")
    view = system.objectives["ic"].views(system.bare)["written"]
    values = execute.run(of_views(system, {"x": view}, "test"), system.stage("test"), batch)
    logits = system.model[how.head](execute.read(view, values).tokens)
    step, past, tokens = stepping(system, batch, True), None, batch["text"]
    for place in range(44):
        one, past = step(tokens.ids[:, place : place + 1], past)
        here = tokens.valid[:, place]
        torch.testing.assert_close(one[here], logits[here, place], rtol=0, atol=1e-12)
    assert not tokens.valid.all()


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 3])
def test_texts_are_the_same_with_and_without_what_is_kept(system, tmp_path, beams):
    batch, spec = batch_of(system), system.data_module.fields.spec("caption")
    found = [generation.search(stepping(system, batch, cached), 5, spec, beams) for cached in (True, False)]
    assert found[0] == found[1] and len(set(map(tuple, found[0]))) > 1
    other = built(
        tmp_path,
        text=(
            "text: {type: causal_text, width: 24, depth: 2, heads: 2, token_std: 1.0, position_std: 1.0}\n  captioner:",
            ROBERTA,
        ),
    )
    texts = generation.captions(other, other.data_module.fields, "ic", batch, beams)  # of a tower that keeps nothing
    assert len(texts) == 5 and all(isinstance(text, str) for text in texts)


SPEC = FieldSpec("tokens", (5,), 7, special={"begin": 0, "pad": 1, "end": 2, "mask": 3})


def table(ids: list[int]) -> torch.Tensor:
    """Logits of what follows a beginning: any, but the same for the same."""
    generator = torch.Generator().manual_seed(hash(tuple(ids)) % 2**31)
    return 3 * torch.randn(7, generator=generator, dtype=torch.float64)


def from_table(ids, past):
    whole = ids if past is None else torch.cat([past, ids], 1)
    return torch.stack([table(row) for row in whole.tolist()]), whole


def likelihood(words: list[int]) -> float:
    """Mean log-probability of a text and its end, among words and the end; in the last place the end is sure."""
    found, allowed = 0.0, torch.tensor([2, 4, 5, 6])
    for place, word in enumerate([*words, 2]):
        if place < 3:
            found += table([0, *words[:place]])[allowed].log_softmax(0)[allowed.tolist().index(word)].item()
    return found / (len(words) + 1)


def test_many_beams_find_the_likeliest_text_of_all():
    every = [list(words) for count in range(4) for words in itertools.product((4, 5, 6), repeat=count)]
    best = max(every, key=likelihood)
    [found] = generation.search(from_table, 1, SPEC, 100)
    assert found == best and len(best) <= 3


def test_one_beam_takes_the_likeliest_word_each_time():
    words: list[int] = []
    while len(words) < 3:
        logits = table([0, *words])
        logits[[0, 1, 3]] = -math.inf
        word = int(logits.argmax())
        if word == 2:
            break
        words.append(word)
    assert generation.search(from_table, 1, SPEC, 1) == [words]


def test_each_row_is_searched_by_itself():
    """Logits of row r are those of a table of its own; rows together give what each gives alone."""

    def step(rows):
        def of(ids, past):
            whole = ids if past is None else torch.cat([past["ids"], ids], 1)
            number = torch.tensor(rows) if past is None else past["number"]
            return torch.stack([table([n, *row]) for n, row in zip(number.tolist(), whole.tolist())]), {
                "ids": whole,
                "number": number,
            }

        return of

    for beams in (1, 2, 4):
        together = generation.search(step([10, 11, 12, 13]), 4, SPEC, beams)
        assert together == [generation.search(step([n]), 1, SPEC, beams)[0] for n in (10, 11, 12, 13)]


def test_ids_may_begin_elsewhere_and_specials_are_never_written():
    """A head whose row 0 is id 2; everything special but the end is the most likely, and never comes."""

    def step(ids, past):
        logits = torch.full((len(ids), 5), -5.0)
        logits[:, 1] = 9.0  # id 3: the mask
        logits[:, 4] = 1.0  # id 6
        return logits, None

    assert generation.search(step, 2, SPEC, 1, first=2) == [[6, 6, 6], [6, 6, 6]]


def test_an_objective_that_writes_nothing(tmp_path):
    system = built(tmp_path, joint=("objectives:\n", "  joint: {type: projection, width: 8}\nobjectives:\n  itc: {}\n"))
    assert generation.writers(system) == ["ic"]
    with pytest.raises(RecipeError, match=r"'itc' trains no decoder of texts\n.*name ic"):
        generation.captions(system, system.data_module.fields, "itc", batch_of(system))
