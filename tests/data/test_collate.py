"""Samples become batches: several kinds of fields in one input, and readers that name each other."""

import pytest
import torch

from vlobjectives import FieldSpec, Reader, Sample, TokenEncoding
from vlobjectives.costs import fake
from vlobjectives.data.collate import Fields
from vlobjectives.errors import PluginError
from vlobjectives.recipe.model import Recipe

SPECIAL = {"begin": 0, "end": 1, "pad": 2, "mask": 3}


class Letters(Reader):
    """A letter is an id."""

    spec = FieldSpec("tokens", (6,), vocabulary=40, special=SPECIAL)

    def read(self, value):
        return TokenEncoding([ord(letter) - 87 for letter in value], [(n, n + 1) for n in range(len(value))])


@pytest.fixture
def fields():
    columns = {"tags": FieldSpec("raw"), "regions": FieldSpec("vectors", (3, 2)), "answers": FieldSpec("labels", (2,))}
    return Fields(columns, {"tags": Letters(None)}, {"tags": "tags"}, {"image": ("tags", "regions")}, ("answers",))


def test_vectors_lie_beside_the_tokens_of_their_input(fields):
    samples = [
        Sample({"tags": "ab", "regions": [[1, 2]], "answers": [4, (7, 0.3)]}, 0),
        Sample({"tags": "", "regions": [], "answers": []}, 1),
    ]
    batch = fields.batch(samples, range(2))
    tokens = batch["image"]
    assert tokens.ids.tolist() == [[0, 10, 11, 1, 2, 2], [0, 1, 2, 2, 2, 2]]
    regions = tokens.beside["regions"]
    assert regions.values.shape == (2, 3, 2) and regions.values[0, 0].tolist() == [1, 2]
    assert regions.valid.tolist() == [[True, False, False], [False] * 3]
    answers = batch["answers"]
    assert answers.ids.tolist() == [[4, 7], [0, 0]] and torch.allclose(answers.value[0], torch.tensor([1, 0.3]))
    assert batch.rows(torch.tensor([1]))["image"].beside["regions"].valid.tolist() == [[False] * 3]


def test_a_field_of_tokens_by_itself_is_a_text():
    """What an option of type FieldName names, an input's own field too."""
    own = Fields({"tags": FieldSpec("raw")}, {"tags": Letters(None)}, {"tags": "tags"}, {"text": ("tags",)}, ("tags",))
    batch = own.batch([Sample({"tags": "ab"}, 0), Sample({"tags": ""}, 1)], range(2))
    assert batch["tags"].ids.tolist() == batch["text"].ids.tolist() == [[0, 10, 11, 1, 2, 2], [0, 1, 2, 2, 2, 2]]
    assert own.normalised(batch)["tags"].valid.tolist() == batch["text"].valid.tolist()


class Syllables(Letters):
    """Two letters are a word."""

    def read(self, value):
        return TokenEncoding([ord(letter) - 87 for letter in value], [], [n // 2 for n in range(len(value))])


def test_pieces_know_their_word():
    whole = Fields(
        {"a": FieldSpec("raw"), "b": FieldSpec("raw")},
        {"a": Syllables(None), "b": Letters(None)},
        {"a": "a", "b": "b"},
        {"text": ("a", "b")},
    )
    samples = [Sample({"a": "abc", "b": "de"}, 0), Sample({"a": "abcdef", "b": ""}, 1), Sample({"a": "", "b": "xy"}, 2)]
    words = whole.batch(samples, range(3))["text"].word.tolist()
    assert words == [
        [0, 1, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    one = Fields({}, {"a": Syllables(None)}, {"a": "a"}, {"text": ("a",)})
    assert one.batch(samples[1:2], range(1))["text"].word.tolist() == [[0, 1, 1, 2, 2, 0]]  # cut at the length


def test_a_stand_in_has_the_same_form(fields):
    names = {"image": fields.specs(("tags", "regions")), "answers": fields.specs(("answers",))}
    batch = fake.fake_batch(names, 5)
    assert batch["image"].beside["regions"].values.shape == (5, 3, 2) and batch["answers"].ids.shape == (5, 2)


def test_a_field_of_a_field_reads_the_same_column():
    recipe = Recipe.model_validate(
        {
            "data": {"type": "it", "batch": 2},
            "model": {"a": {"type": "it"}},
            "objectives": {"o": {"type": "it"}},
            "optim": {"lr": 0.1},
            "run": {"steps": 1, "name": "it"},
            "fields": {
                "caption": {"type": "it"},
                "phrases": {"type": "it", "of": "caption"},
                "links": {"type": "it", "of": "phrases"},
                "tags": {"type": "it", "of": "objects"},
            },
        },
        strict=False,
    )
    assert {name: recipe.column(name) for name in recipe.fields} == {
        "caption": "caption",
        "phrases": "caption",
        "links": "caption",
        "tags": "objects",
    }


def test_what_normalises_is_brought_to_a_device_once(monkeypatch):
    """A copy from the host waits for all that the device has to do."""
    mean, std = (0.11, 0.12, 0.13), (0.21, 0.22, 0.23)
    fields = Fields({"image": FieldSpec("picture", (3, 4, 4), mean=mean, std=std)}, {}, {}, {"image": ("image",)})
    batch = fields.batch([Sample({"image": torch.full((3, 4, 4), 51, dtype=torch.uint8)}, 0)], [0])
    found = fields.normalised(batch)["image"]
    assert torch.allclose(found[0, :, 0, 0], (0.2 - torch.tensor(mean)) / torch.tensor(std))
    monkeypatch.setattr(torch, "tensor", lambda *_, **__: pytest.fail("copied again"))
    assert torch.equal(fields.normalised(batch)["image"], found)


class Shown(Reader):
    """A picture that a reader makes of a number: floats, or whatever it is told."""

    spec = FieldSpec("picture", (3, 4, 4), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))

    def read(self, value):
        return value


def shown(rows, *, read: bool, spec: FieldSpec = Shown.spec) -> torch.Tensor:
    """A batch of pictures as encoders get it, with or without a reader between."""
    reader = Shown(None)
    reader.spec = spec
    fields = Fields(
        {"image": FieldSpec("raw") if read else spec},
        {"image": reader} if read else {},
        {"image": "image"} if read else {},
        {"image": ("image",)},
    )
    batch = fields.batch([Sample({"image": row}, 0) for row in rows], range(len(rows)))
    found = fields.normalised(fields.normalised(batch))["image"]
    assert found.dtype == torch.float32
    return found


@pytest.mark.parametrize("read", [True, False], ids=["a reader's", "a source's"])
def test_floats_are_normalised_as_bytes_are(read):
    pixels = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4) * 5
    floats = pixels.float() / 255
    wanted = (floats - torch.tensor((0.1, 0.2, 0.3)).view(3, 1, 1)) / torch.tensor((0.5, 0.6, 0.7)).view(3, 1, 1)
    for rows in (
        [pixels],
        [floats],
        [floats.double()],
        [floats.numpy()],
        [floats, pixels],
        [pixels.numpy()[:, ::-1][:, ::-1]],
    ):
        found = shown(rows, read=read)
        assert torch.allclose(found, wanted.expand_as(found), atol=1e-6)


@pytest.mark.parametrize("read", [True, False], ids=["a reader's", "a source's"])
@pytest.mark.parametrize(
    ("row", "why"),
    [
        (torch.full((3, 4, 4), -0.5), "floats from -0.5 to -0.5"),
        (torch.full((3, 4, 4), 200.0), "floats from 200 to 200"),
        (torch.full((3, 4, 4), float("nan")), "floats from nan"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "has int64"),
        (torch.zeros(3, 8, 8), r"shape \[3, 4, 4\] by its FieldSpec, and a sample has \[3, 8, 8\]"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), r"a sample has \[4, 4, 3\]"),
    ],
)
def test_what_the_spec_contradicts_is_refused(read, row, why):
    with pytest.raises(PluginError, match=why) as caught:
        shown([torch.zeros(3, 4, 4, dtype=torch.uint8), row], read=read)
    assert caught.value.hint


def test_what_is_normalised_already_says_so():
    done = torch.randn(3, 4, 4) * 3
    as_it_is = FieldSpec("picture", (3, 4, 4), mean=(0.0,) * 3, std=(1.0,) * 3)
    assert torch.equal(shown([done], read=False, spec=as_it_is)[0], done)
    with pytest.raises(PluginError):
        shown([done / 0], read=False, spec=as_it_is)


def test_mean_and_std_are_of_pictures_a_number_a_channel():
    assert FieldSpec("picture", (1, 8, 8)).mean == (0.5,)
    assert shown([torch.ones(1, 8, 8)], read=False, spec=FieldSpec("picture", (1, 8, 8))).shape == (1, 1, 8, 8)
    assert FieldSpec("picture", (2, 4, 8, 8), std=(0.2, 0.2, 0.2)).std == (0.2,) * 4
    for kind, shape, more in (
        ("picture", (4, 8, 8), {"mean": (0.1, 0.2, 0.3)}),
        ("number", (), {"std": (1.0,)}),
        ("vectors", (2, 3), {"mean": (0.0, 0.0, 0.0)}),
        ("picture", (3, 8, 8), {"std": (0.0, 0.0, 0.0)}),
    ):
        with pytest.raises(PluginError):
            FieldSpec(kind, shape, **more)


def test_a_batch_that_comes_back_to_the_host_is_waited_for(monkeypatch):
    fields = Fields({"number": FieldSpec("number")}, {}, {}, {}, ("number",))
    batch, waited = fields.batch([Sample({"number": 1.0}, 0)], [0]), {}
    monkeypatch.setattr(torch.Tensor, "to", lambda x, to, non_blocking: waited.update({to: not non_blocking}) or x)
    for device in ("cpu", "cuda"):
        batch.to(device)
    assert waited == {"cpu": True, "cuda": False}
