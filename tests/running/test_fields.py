"""Samples become batches: several kinds of fields in one input, and readers that name each other."""

import pytest
import torch

from vlobjectives import FieldSpec, Pieces, Reader, Sample
from vlobjectives.planning import fake
from vlobjectives.recipe.model import Recipe
from vlobjectives.running.fields import Fields

SPECIAL = {"begin": 0, "end": 1, "pad": 2, "mask": 3}


class Letters(Reader):
    """A letter is an id."""

    spec = FieldSpec("tokens", (6,), vocabulary=40, special=SPECIAL)

    def read(self, value):
        return Pieces([ord(letter) - 87 for letter in value], [(n, n + 1) for n in range(len(value))])


@pytest.fixture
def fields():
    columns = {"tags": FieldSpec("raw"), "regions": FieldSpec("vectors", (3, 2)), "answers": FieldSpec("labels", (2,))}
    return Fields(columns, {"tags": Letters(None)}, {"tags": "tags"}, {"image": ("tags", "regions")}, ("answers",))


def test_vectors_lie_beside_the_tokens_of_their_input(fields):
    samples = [Sample({"tags": "ab", "regions": [[1, 2]], "answers": [4, (7, 0.3)]}, 0),
               Sample({"tags": "", "regions": [], "answers": []}, 1)]
    batch = fields.batch(samples, range(2))
    tokens = batch["image"]
    assert tokens.ids.tolist() == [[0, 10, 11, 1, 2, 2], [0, 1, 2, 2, 2, 2]]
    regions = tokens.beside["regions"]
    assert regions.values.shape == (2, 3, 2) and regions.values[0, 0].tolist() == [1, 2]
    assert regions.valid.tolist() == [[True, False, False], [False] * 3]
    answers = batch["answers"]
    assert answers.ids.tolist() == [[4, 7], [0, 0]] and torch.allclose(answers.value[0], torch.tensor([1, 0.3]))
    assert batch.rows(torch.tensor([1]))["image"].beside["regions"].valid.tolist() == [[False] * 3]


class Syllables(Letters):
    """Two letters are a word."""

    def read(self, value):
        return Pieces([ord(letter) - 87 for letter in value], [], [n // 2 for n in range(len(value))])


def test_pieces_know_their_word():
    whole = Fields({"a": FieldSpec("raw"), "b": FieldSpec("raw")}, {"a": Syllables(None), "b": Letters(None)},
                   {"a": "a", "b": "b"}, {"text": ("a", "b")})
    samples = [Sample({"a": "abc", "b": "de"}, 0), Sample({"a": "abcdef", "b": ""}, 1), Sample({"a": "", "b": "xy"}, 2)]
    words = whole.batch(samples, range(3))["text"].word.tolist()
    assert words == [[0, 1, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0], [0, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0],
                     [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    one = Fields({}, {"a": Syllables(None)}, {"a": "a"}, {"text": ("a",)})
    assert one.batch(samples[1:2], range(1))["text"].word.tolist() == [[0, 1, 1, 2, 2, 0]]  # cut at the length


def test_a_stand_in_has_the_same_form(fields):
    names = {"image": fields.specs(("tags", "regions")), "answers": fields.specs(("answers",))}
    batch = fake.stand_in(names, 5)
    assert batch["image"].beside["regions"].values.shape == (5, 3, 2) and batch["answers"].ids.shape == (5, 2)


def test_a_field_of_a_field_reads_the_same_column():
    recipe = Recipe.model_validate({
        "data": {"type": "it", "batch": 2}, "model": {"a": {"type": "it"}}, "objectives": {"o": {"type": "it"}},
        "optim": {"lr": 0.1}, "run": {"steps": 1, "name": "it"},
        "fields": {"caption": {"type": "it"}, "phrases": {"type": "it", "of": "caption"},
                   "links": {"type": "it", "of": "phrases"}, "tags": {"type": "it", "of": "objects"}}}, strict=False)
    assert {name: recipe.column(name) for name in recipe.fields} == {
        "caption": "caption", "phrases": "caption", "links": "caption", "tags": "objects"}


def test_what_normalises_is_brought_to_a_device_once(monkeypatch):
    """A copy from the host waits for all that the device has to do."""
    mean, std = (0.11, 0.12, 0.13), (0.21, 0.22, 0.23)
    fields = Fields({"image": FieldSpec("picture", (3, 4, 4), mean=mean, std=std)}, {}, {}, {"image": ("image",)})
    batch = fields.batch([Sample({"image": torch.full((3, 4, 4), 51, dtype=torch.uint8)}, 0)], [0])
    found = fields.normalised(batch)["image"]
    assert torch.allclose(found[0, :, 0, 0], (0.2 - torch.tensor(mean)) / torch.tensor(std))
    monkeypatch.setattr(torch, "tensor", lambda *_, **__: pytest.fail("copied again"))
    assert torch.equal(fields.normalised(batch)["image"], found)


def test_a_batch_that_comes_back_to_the_host_is_waited_for(monkeypatch):
    fields = Fields({"number": FieldSpec("number")}, {}, {}, {}, ("number",))
    batch, waited = fields.batch([Sample({"number": 1.0}, 0)], [0]), {}
    monkeypatch.setattr(torch.Tensor, "to", lambda x, to, non_blocking: waited.update({to: not non_blocking}) or x)
    for device in ("cpu", "cuda"):
        batch.to(device)
    assert waited == {"cpu": True, "cuda": False}
