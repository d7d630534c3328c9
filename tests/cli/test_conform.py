"""`vlobj conform`: a line a check, the exit code of a plug-in's fault, one message for what cannot be checked."""

import json

import pytest
from small_recipes import vlobj

from vlobjectives.testing import parametrize

FAULTY = """
from vlobjectives import Objective, ObjectiveConfig, Pairing, Pairs, Term, hookimpl, joint
import torch

class Mine(Objective):
    class Config(ObjectiveConfig):
        scale: float = 1.0

    def views(self, inputs):
        return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}

    def forward(self, image, text, gather, batch):
        rows = (image.pooled * text.pooled).sum(1) * torch.arange(batch.size) * self.config.scale
        return {"it": Term(rows.sum(), batch.size)}

class Next(Pairing):
    def wrong(self, noise, batch):
        row = torch.arange(batch.size)
        raise KeyError("no such thing")

@hookimpl
def vlobj_components():
    return {"objective:mine": Mine, "pairing:next": Next}
"""


@pytest.fixture(autouse=True)
def few_checks(monkeypatch):
    """Some checks of each kind alone, since all of them take seconds."""
    every = parametrize.checks_of_kind
    few = ("terms", "rows_permuted", "empty_counts", "well_formed", "role_alone")
    monkeypatch.setattr(parametrize, "checks_of_kind", lambda *given: [one for one in every(*given) if one.name in few])


@pytest.fixture
def faulty(tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY, encoding="utf-8")
    return str(tmp_path / "faulty.py")


def test_a_line_a_check(capsys):
    ended = vlobj(capsys, "conform", "itc", "positives=equal_captions")
    lines = ended.out.splitlines()
    assert ended.code == 0 and lines[0] == "objective 'itc'" and lines[1] == "  ok        terms"
    assert lines[-1].startswith(f"{len(lines) - 2} of {len(lines) - 2} checks pass, ")


def test_a_file_with_faults(capsys, faulty):
    ended = vlobj(capsys, "conform", faulty, "mine.scale=2.0")
    assert ended.code == 4
    assert "objective 'mine'\n" in ended.out and "\npairing 'next'\n" in ended.out
    at = ended.out.index("  FAILED    rows_permuted\n            objectives.mine fails the check 'rows_permuted': ")
    assert "\n            hint:  use batch.number" in ended.out[at:]
    assert "  FAILED    well_formed\n" in ended.out and "no such thing" in ended.out and "faulty.py" in ended.out


def test_expected_failures_and_json(capsys, faulty):
    ended = vlobj(capsys, "conform", faulty, "--json", "--expected", "rows_permuted=by place")
    rows = json.loads(ended.out)
    assert {"kind": "objective", "component": "mine", "check": "rows_permuted", "result": "expected"}.items() <= next(
        row for row in rows if row["check"] == "rows_permuted"
    ).items()
    assert {row["result"] for row in rows if row["kind"] == "pairing"} == {"failed"}


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (["itm"], 4, "'itm' is a plug-in of several kinds: objective, evaluation\n    hint: write objective:itm or"),
        (["no_such_thing"], 4, "there is no plug-in 'no_such_thing'"),
        (["mlmm"], 4, "there is no plug-in 'mlmm': did you mean mlm"),
        (["mlm"], 2, "objectives.mlm.mask  the key 'mask' is missing"),
        (["mlm", "mask=hiden_words"], 2, "no mask 'hiden_words' among the toys: did you mean hidden_words?"),
        (["itc", "x=3"], 2, "objectives.itc.x  there is no key 'x' here"),
        (["itc", "x"], 2, "'x' is no override"),
        (["itc", "--expected", "terms"], 2, "--expected terms gives no reason"),
        (["itc", "--expected", "term=so"], 2, "--expected: no such check: term; there are "),
        (["no_file.py"], 4, "no_file.py"),
        (["binding"], 2, "evaluate.binding  it needs twins, which the source of this Toy does not have"),
        (["itc", "toy.dat=3"], 2, "a toy has no dat\n    hint: toy.KEY=VALUE, with one of objectives, masks,"),
    ],
)
def test_what_cannot_be_checked_is_one_message(capsys, line, code, says):
    ended = vlobj(capsys, "conform", *line)
    assert (ended.code, ended.out) == (code, "") and says in ended.err and ended.err.count("hint: ") == 1


def test_an_evaluation_gets_the_objective_that_it_names_and_the_toy_that_is_asked_for(capsys):
    ended = vlobj(capsys, "conform", "evaluation:itm", "toy.data.samples=16", "toy.objectives.itc.weight=0.5")
    assert ended.code == 0 and ended.out.startswith("evaluation 'itm'\n  ok        role_alone\n1 of 1 checks pass")


def test_a_file_without_components_and_options_for_none(capsys, tmp_path, faulty):
    (tmp_path / "hooks.py").write_text(
        "from vlobjectives import hookimpl\n@hookimpl\ndef vlobj_run_started(run): pass\n", encoding="utf-8"
    )
    ended = vlobj(capsys, "conform", str(tmp_path / "hooks.py"))
    assert ended.code == 4 and "hooks.py brings no component, there is nothing to check" in ended.err
    ended = vlobj(capsys, "conform", faulty, "scale=2.0")
    assert ended.code == 2 and "brings several components, and scale names none of them" in ended.err
