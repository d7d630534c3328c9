"""A plug-in that fails in a real step is named with its place in the recipe, its file and its line."""

import pickle
from pathlib import Path

import pytest
import torch
from small_recipes import line_of, plugin, vlobj

import vlobjectives
from vlobjectives.data.loader import Layout, MicroBatches, in_order, micro_batches
from vlobjectives.errors import Place, PluginError, RecipeError
from vlobjectives.evaluation import context
from vlobjectives.plugin_loading.attribution import blamed, whose
from vlobjectives.registry import Registry
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.trainer import Trainer

OWN = """
    import torch
    from torch._subclasses import FakeTensor
    from vlobjectives import (MaskSample, Encoded, Evaluation, FieldSpec, Mask, MaskConfig, Objective, ObjectiveConfig,
                              Pairing, Pairs, TokenEncoding, Reader, Sample, Source, Term, fused, hookimpl, joint)

    class Does:
        does = None

    class Mine(Does, Objective):
        class Config(ObjectiveConfig):
            image: str = "image"

        def views(self, inputs):
            return {"image": joint(inputs["image"]), "text": joint(inputs["text"].masked("hidden")),
                    "pairs": fused(inputs["image"], inputs["text"], "choose")}

        def forward(self, image, text, pairs):
            gap = (image.pooled - text.pooled).square() + pairs.text.tokens.mean() * 0
            if isinstance(gap, FakeTensor) or self.does is None:
                return {"x": Term(gap.sum(), len(gap))}
            if self.does == "hook":
                gap.register_hook(self.seen)
                return {"x": Term(gap.sum(), len(gap))}
            return self.does(gap)

        def seen(self, gradient):
            raise ValueError("in the hook")

    class Hides(Does, Mask):
        class Config(MaskConfig):
            fill: str = "mask"

        def size(self, site):
            return 1

        def draw(self, noise, site, batch):
            if self.does:
                return self.does(batch)
            tokens = batch[site.input]
            none = torch.zeros_like(tokens.valid)
            first = torch.zeros(batch.size, 1, dtype=torch.int64)
            return MaskSample(none, none, first, first > 0, ids=tokens.ids)

    class Chooses(Does, Pairing):
        def wrong(self, noise, batch):
            row = torch.arange(batch.size)
            return self.does(batch) if self.does else Pairs(row, row.roll(1), row, row >= 0)

    class Rows(Does, Source):
        columns = {"image": FieldSpec("picture", (3, 32, 32)), "caption": FieldSpec("raw")}

        def size(self, split):
            return 16

        def digest(self):
            return "rows"

        def sample(self, split, number, epoch, seed):
            if self.does:
                return self.does(number)
            picture = torch.full((3, 32, 32), number, dtype=torch.uint8)
            return Sample({"image": picture, "caption": "a disc"}, number, f"row {number}")

    class Reads(Does, Reader):
        spec = FieldSpec("tokens", (6,), 32, special={"begin": 0, "end": 1, "pad": 2, "mask": 3, "unknown": 4})

        def read(self, value):
            return self.does(value) if self.does else TokenEncoding([5, 6], [(0, 1), (2, 3)])

    class Looks(Does, Evaluation):
        def run(self, held):
            return self.does(held)

    @hookimpl
    def vlobj_components():
        return {"objective:mine": Mine, "mask:hides": Hides, "pairing:chooses": Chooses, "source:rows": Rows,
                "reader:reads": Reads, "evaluation:looks": Looks}
"""
RECIPE = """
plugins: [own.py]
data: {type: rows, batch: 8}
fields: {caption: {type: reads}}
model:
  vision: {type: timm_vision, patch: 16, width: 16, depth: 1, heads: 2}
  text:
    type: hf_text
    config: {model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}
  joint: {type: projection, width: 8}
  fusion: {type: co_attention, width: 16, depth: 1, heads: 2}
masks: {hidden: {type: hides}}
pairings: {choose: {type: chooses}}
objectives: {mine: {}}
optim: {lr: 1e-3}
run: {steps: 2, device: cpu, precision: fp32}
evaluate: {losses: false, retrieval: false}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    plugin(folder, OWN)
    (folder / "own.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def built(place):
    return vlobjectives.build(place / "own.yaml").train()


@pytest.fixture
def does(built):
    """Lets a plug-in do something else for one test."""
    pieces, changed = built.data_module, []
    holders = {
        "mine": built.objectives["mine"],
        "hidden": built.masks["hidden"],
        "choose": built.pairings["choose"],
        "data": pieces.source,
        "caption": pieces.fields.readers["caption"],
    }

    def change(name: str, act) -> None:
        changed.append(holders[name])
        holders[name].does = act

    yield change
    for one in changed:
        one.does = None


def fails(_):
    raise KeyError("nothing there")


def trainer(built) -> Trainer:
    return Trainer(built, Optimizer(built, built.recipe.optim, 2), built.data_module, Layout(8, 8), torch.device("cpu"))


def stepped(built, workers: int = 0) -> None:
    feed = next(iter(built.data_module.feeds.values()))
    data = MicroBatches(feed.source, feed.fields, "train", Layout(8, 8), 0)
    trainer(built).step(0, micro_batches(data, 0, 1, workers, False))


def told(call) -> PluginError:
    """What a person reads of the error that `call` raises."""
    with pytest.raises(Exception) as raised:
        call()
    error = blamed(raised.value)
    assert isinstance(error, PluginError), raised.value
    return error


def called(place: Path, error: PluginError, word: str) -> bool:
    """Whether the place of an error is the line of the plug-in that holds a word."""
    return str(error.place) == f"{place / 'own.py'}:{line_of(place / 'own.py', word)}"


@pytest.mark.parametrize(
    "name, at, line",
    [
        ("mine", "objectives.mine: the loss", "self.does(gap)"),
        ("hidden", "masks.hidden: the draw hidden on text", "return self.does(batch)"),
        ("choose", "pairings.choose: the choice of wrong pairs", "return self.does(batch) if"),
        ("data", "data: reading sample ", "self.does(number)"),
        ("caption", "fields.caption: reading 'caption' of row ", "self.does(value)"),
    ],
)
def test_who_failed_in_a_step(built, place, does, name, at, line):
    does(name, fails)
    error = told(lambda: stepped(built))
    assert error.what.startswith(at) and error.what.endswith("failed: KeyError: 'nothing there'")
    if name != "hidden":
        assert called(place, error, line)


def test_a_hook_in_the_backward_pass(built, place, does):
    does("mine", "hook")
    error = told(lambda: stepped(built))
    assert error.what == "objectives.mine: the backward pass failed: ValueError: in the hook"
    assert called(place, error, "in the hook")


def test_a_worker_passes_on_who_failed(built, place, does):
    does("data", fails)
    error = told(lambda: stepped(built, workers=1))
    assert error.what.startswith("data: reading sample ") and called(place, error, "self.does(number)")


RETURNED = [
    ("mine", lambda gap: gap.mean(), "forward returned a tensor"),
    ("mine", lambda gap: None, "forward returned None"),
    ("mine", lambda gap: {}, "forward returned no term"),
    ("mine", lambda gap: {"x": gap.mean()}, "forward returned under 'x' a tensor"),
    ("mine", lambda gap: {1: vlobjectives.Term(gap.sum(), 8)}, "forward returned a term called 1"),
    ("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(1), 8)}, "torch.float32 of shape [8]"),
    ("mine", lambda gap: {"x": vlobjectives.Term(8, gap.sum())}, "the total of 'x' is a int"),
    ("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(), float("nan"))}, "the count of 'x' is nan"),
    ("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(), torch.ones(8))}, "the count of 'x' has the shape [8]"),
    ("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(), torch.tensor(-1.0))}, "the count of 'x' is -1.0"),
    ("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(), torch.tensor(torch.nan))}, "the count of 'x' is nan"),
    ("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(), 8, weight=torch.nan)}, "the weight of 'x' is nan"),
    ("hidden", lambda _: None, "draw returned None"),
    ("choose", lambda _: (1, 2), "wrong returned a tuple"),
    ("data", lambda _: {"image": 1}, "sample returned a dict"),
    ("caption", lambda _: [5, 6], "read returned a list"),
]


@pytest.mark.parametrize("name, act, what", RETURNED)
def test_what_a_plug_in_must_return(built, place, does, name, act, what):
    does(name, act)
    before = [p.clone() for p in built.parameters()]
    error = told(lambda: stepped(built))
    assert what in error.what and error.what.split(":")[0].split(".")[-1] == name
    assert error.place.file == str(place / "own.py") and error.place.line
    assert "must return" in error.hint
    assert all(torch.equal(a, b) for a, b in zip(built.parameters(), before))


def test_an_evaluation_names_itself_and_what_it_is_handed(built, place, does):
    feed = next(iter(built.data_module.feeds.values()))
    held = context.SplitContext(built, feed.source, feed.fields, "val", 0, 8, torch.device("cpu"))
    registry = Registry()
    registry.add_file(built.recipe.plugins[0])
    looks = registry.get("evaluation", "looks")
    one = looks(looks.Config())

    def failed():
        scored = context.evaluate(held, {"mine": one}, False, lambda what: None, lambda error, what: error)
        return scored.failed["mine on val"]

    for act, what in (
        (lambda held: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda held: None, "run returned None"),
        (lambda held: {"a": 1.0}, "not float"),
    ):
        one.does = act
        problem, code = failed()
        assert code == 4 and problem.what.startswith("mine on val failed: ") and problem.what.endswith(what)
    does("mine", lambda gap: {"x": vlobjectives.Term(gap.sum(), torch.tensor(torch.nan))})
    scored = context.evaluate(held, {}, True, lambda what: None, lambda error, what: error)
    problem, code = scored.failed["losses on val"]
    assert code == 4 and "the count of 'mine/x' is nan" in problem.what
    one.does = lambda held: held.sample(3)
    does("data", fails)
    problem, code = failed()
    assert code == 4 and problem.what.startswith("mine on val failed: data: reading sample 3 of val failed: KeyError")
    assert problem.place == Place(str(place / "own.py"), line_of(place / "own.py", "self.does(number)"))
    assert told(lambda: list(in_order(feed.source, feed.fields, "val", 8, 4, 0))).what.startswith("data: reading")


def test_a_note_is_the_innermost_and_what_is_no_plug_ins_has_none(built, does):
    does("caption", fails)
    with pytest.raises(KeyError) as raised:
        stepped(built)
    assert str(whose(raised.value)).startswith("at work: fields.caption, ")
    assert blamed(ValueError("ours")) is None
    error = blamed(raised.value)
    again = pickle.loads(pickle.dumps(error))
    assert (again.what, again.hint, again.place) == (error.what, error.hint, error.place)
    refused = built.objectives["mine"].cannot("no words", "give some")
    does("mine", lambda gap: (_ for _ in ()).throw(refused))
    does("caption", None)
    with pytest.raises(RecipeError) as raised:
        stepped(built)
    assert raised.value.__cause__ is refused
    assert str(raised.value) == "objectives.mine  no words\n    hint: give some"


def test_on_the_command_line(tmp_path, capsys):
    own = plugin(
        tmp_path,
        OWN.replace("if isinstance(gap, FakeTensor) or self.does is None:", "if isinstance(gap, FakeTensor):").replace(
            "return self.does(gap)", "raise ValueError('boom')"
        ),
    )
    (tmp_path / "own.yaml").write_text(RECIPE, encoding="utf-8")
    ended = vlobj(capsys, "run", tmp_path / "own.yaml", "--out", tmp_path / "run")
    assert ended.code == 4
    assert f"{own}:{line_of(own, 'boom')}  objectives.mine: the loss failed: ValueError: boom" in ended.err
    plugin(tmp_path, OWN.replace('return {"x": Term(gap.sum(), len(gap))}', "return gap.mean()"))
    recipe = tmp_path / "own.yaml"
    ended = vlobj(capsys, "check", recipe)
    where = f"{recipe}:{line_of(recipe, 'mine')}:14  objectives.mine  "
    assert ended.code == 2 and ended.err.startswith(f"{where}forward returned a tensor ({own}:")
    assert "must return {name: Term(total, count)}" in ended.err
