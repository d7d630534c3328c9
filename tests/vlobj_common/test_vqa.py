"""Answers to questions against the published numbers, the table of answers, and the guess that sees no picture."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from handmade import batch, close, encoded, golden, leaf, total, value
from helds import RECIPE, scenes
from hypothesis import given
from hypothesis import strategies as st
from vlobj_common.evaluations.answering import Answering, answered, guessed, kinds
from vlobj_common.objectives.vqa import VQA
from vlobj_common.readers.answers import Answers

from vlobjectives import CannotBuild, FieldSpec, Fused, Input, Labels, Spec, fused
from vlobjectives.data.data_module import build_data
from vlobjectives.errors import DataError
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe.loading import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble


def vqa(width: int, answers: int, share: tuple[float, ...] = ()) -> VQA:
    objective = VQA(VQA.Config())
    objective.build(asked=Spec(width, pooled=width), answer=FieldSpec("labels", (3,), answers, share=share))
    return objective.double()


def of(pooled) -> Fused:
    return Fused(encoded(pooled[:, None]), encoded(pooled[:, None]), pooled)


def labels(targets) -> Labels:
    """A row of scores as labels, those of 0 left out."""
    most = int((targets > 0).sum(1).max())
    value, ids = targets.topk(most, 1)
    return Labels(ids, value > 0, value)


def test_golden():
    z = golden("vqa_0")
    x = leaf(z["in_cls_feats"])
    objective = vqa(10, 9)
    for layer, name in ((0, "fc1"), (1, "ln"), (3, "fc2")):
        objective.head[layer].weight.data, objective.head[layer].bias.data = z[f"w_{name}_weight"], z[f"w_{name}_bias"]
    close(objective.head(x), z["out_logits"])
    terms = objective(asked=of(x), batch=batch(4, answer=labels(z["in_targets"])))
    close(total(terms), z["out_loss"])
    best = z["out_logits"].argmax(1, keepdim=True)
    assert value(terms["accuracy"]).item() == pytest.approx(z["in_targets"].gather(1, best).mean().item())


def test_who_knows_the_shares_pays_chance():
    share = (0.5, 0.25, 0.125, 0.0)
    objective = vqa(3, 4, share)
    objective.head[3].weight.data.zero_()
    objective.head[3].bias.data = torch.logit(torch.tensor(share, dtype=torch.float64)).clamp(-60)
    ids = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])[:, None]
    known = Labels(ids, ids < 3, torch.ones(8, 1))  # one answer in eight is not in the table
    terms = objective(asked=of(torch.randn(8, 3).double()), batch=batch(8, answer=known))
    assert value(terms["answer"]).item() == pytest.approx(terms["answer"].chance)
    assert (value(terms["accuracy"]).item(), terms["accuracy"].chance) == (0.5, 0.5)


def test_what_a_row_without_an_answer_in_the_table_costs():
    objective = vqa(3, 5)
    none = Labels(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3))
    x = leaf(torch.randn(2, 3, dtype=torch.float64))
    terms = objective(asked=of(x), batch=batch(2, answer=none))
    close(value(terms["answer"]), -torch.nn.functional.logsigmoid(-objective.head(x)).sum(1).mean())
    assert terms["answer"].chance is None and value(terms["accuracy"]) == 0
    twice = Labels(torch.tensor([[2, 2, 0]]), torch.tensor([[True, True, False]]), torch.tensor([[0.3, 0.6, 1.0]]))
    once = Labels(torch.tensor([[2]]), torch.tensor([[True]]), torch.tensor([[0.6]]))
    both = [objective(asked=of(x[:1]), batch=batch(1, answer=one))["answer"].total for one in (twice, once)]
    close(*both)


def test_views_and_what_cannot_be():
    inputs = {"image": Input("image", "vision"), "text": Input("text", "text")}
    assert VQA(VQA.Config(fusion="mixed")).views(inputs) == {"asked": fused(*inputs.values(), part="mixed")}
    with pytest.raises(CannotBuild, match="no pooled"):
        VQA(VQA.Config()).build(asked=Spec(8), answer=FieldSpec("labels", (1,), 4))
    with pytest.raises(CannotBuild, match="answers are labels"):
        VQA(VQA.Config()).build(asked=Spec(8, pooled=8), answer=FieldSpec("tokens", (9,), 4))


def reader(rows, size=4, **more) -> Answers:
    made = Answers(Answers.Config(size=size, **more))
    made.fit(rows)
    return made


def test_the_table_holds_the_most_frequent_answers():
    made = reader(["red", "two", "Two ", "blue", "two", "red", "yes"], size=3)
    assert made.answers == ["two", "red", "blue"]
    assert made.spec.share == (3 / 7, 2 / 7, 1 / 7) and (made.spec.vocabulary, made.spec.shape) == (3, (10,))
    assert made.read("RED") == [(1, 1.0)] and made.read("yes") == []
    assert reader(["red", "two", "two"], least=2).answers == ["two"]
    assert reader(["two"]).spec.share == (1.0, 0.0, 0.0, 0.0)


def test_what_several_people_said_adds_up():
    """1 of ten people: 0.3, two 0.6, three 0.9, from four on 1."""
    said = ["red"] * 4 + ["pink"] * 3 + ["purple"] * 2 + ["rose"]
    made = reader([said, ["pink"] * 9, ["pink"] * 4 + ["red"] * 5], size=4)
    assert made.answers == ["red", "pink"]  # what most said, row by row
    assert dict(made.read(said)) == pytest.approx({0: 1.0, 1: 0.9})
    whole = reader([[one] for one in set(said)])
    assert sorted(score for _, score in whole.read(said)) == pytest.approx([0.3, 0.6, 0.9, 1.0])
    assert reader([{"no": 0.2, "yes": 1}]).read({"yes": 0.4}) == [(0, 0.4)]


def test_the_table_travels_as_json_and_refuses_what_it_cannot_hold():
    made, fresh = reader(["a", "b", "a"]), Answers(Answers.Config(size=4))
    fresh.load(json.loads(json.dumps(made.state())))
    assert fresh.spec == made.spec and fresh.read("b") == [(1, 1.0)]
    with pytest.raises(DataError, match="more than its size 1"):
        Answers(Answers.Config(size=1)).load(made.state())
    with pytest.raises(DataError, match="no training row"):
        reader([[], []])
    with pytest.raises(CannotBuild, match="by itself"):
        Answers(Answers.Config(size=1), **{"with": made})


PAIRS = [
    ("what colour is it?", "red"),
    ("what colour is it?", "red"),
    ("what colour is that?", "blue"),
    ("how many are there?", "two"),
    ("is it?", "yes"),
    ("is it?", "no"),
    ("is it?", "yes"),
]


def test_a_guess_by_the_beginning_of_the_question():
    one, _, three, _, whole = kinds()
    assert (one("What colour is it?"), three("is it"), whole("is  it")) == ("what", "is it", "is it")
    asked = [("what colour is that?", "red"), ("what now?", "red"), ("who?", "yes"), ("is it?", "no")]
    assert guessed(PAIRS, asked, one).tolist() == [1, 1, 1, 0]  # of questions never asked "yes", the later of the two
    assert guessed(PAIRS, asked, whole).tolist() == [0, 0, 1, 0]
    assert guessed([], asked, one).tolist() == [0, 0, 0, 0]


@given(st.lists(st.tuples(st.sampled_from(["a b", "a c", "d"]), st.sampled_from(["x", "y", "z"])), min_size=1))
def test_no_constant_beats_the_guess_where_it_learned(pairs):
    """On its own training pairs, a finer kind is never worse, and the coarsest no worse than any one answer."""
    hits = [guessed(pairs, pairs, kind).sum() for kind in kinds()]
    assert hits == sorted(hits)
    assert hits[0] >= max(sum(answer == one for _, answer in pairs) for one in "xyz")


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A small untrained system that answers, on 40 test scenes."""
    path = tmp_path_factory.mktemp("vqa") / "tiny.yaml"
    asks = RECIPE.replace(
        "  caption: {type: byte_pair, size: 400, length: 40}\n",
        "  question: {type: byte_pair, size: 400, length: 40}\n  answer: {type: answers, size: 32}\n"
        "inputs: {text: {fields: [question]}}\n",
    )
    path.write_text(
        asks[: asks.index("objectives:")] + "objectives: {vqa: {}}\n" + asks[asks.index("optim:") :], "utf-8"
    )
    resolved = resolve(load(path), Registry())
    made = build_data(resolved)
    made.fields.fit(lambda column: (made.source.value("train", n, column, 0, 0) for n in range(64)))
    return SplitContext(
        assemble.system(resolved, made).eval(), made.source, made.fields, "test", 0, 16, torch.device("cpu")
    )


class Knows:
    """A real SplitContext whose head gives what `says` answers to the questions in order."""

    def __init__(self, held, says):
        self.held, self.says = held, iter(says)

    def __getattr__(self, name):
        return getattr(self.held, name)

    def objective(self, name):
        table = self.readers["answer"].answers
        places = (table.index(answer) if answer in table else len(table) for answer in self.says)
        return SimpleNamespace(
            answer_field=lambda: "answer",
            answer_scores=lambda pairs: torch.stack(
                [torch.nn.functional.one_hot(torch.tensor(next(places)), 32) for _ in pairs.pooled]
            ),
        )


def test_accuracy_is_that_of_the_answers_given(held):
    truth = [held.sample(n).values["answer"] for n in range(40)]
    scores = Answering(Answering.Config()).run(Knows(held, truth))
    assert scores["accuracy"].value == sum(one in held.readers["answer"].answers for one in truth) / 40 > 0.8
    assert scores["accuracy"].n == 40 and scores["accuracy"].chance == scores["question_only"].value
    turned = Answering(Answering.Config()).run(Knows(held, [*truth[1:], truth[0]]))
    assert turned["accuracy"].value == sum(a == b for a, b in zip(truth, [*truth[1:], truth[0]])) / 40
    assert turned["question_only"] == scores["question_only"]


def test_on_a_real_system(held):
    evaluation = Answering(Answering.Config())
    scores = evaluation.run(held)
    asked, right = answered(held, evaluation)
    assert right.mean() == scores["accuracy"].value and len(asked) == 40
    assert scores == evaluation.run(held)
    assert 0.2 < scores["question_only"].value < 0.7 and scores["question_only"].low > 0
    assert math.isclose(scores["accuracy"].chance, scores["question_only"].value)


def test_scenes_ask_without_painting():
    source = scenes()
    assert {source.value("train", n, "answer", 0, 0) for n in range(64)} <= set(source.words("answer"))
