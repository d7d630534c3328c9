"""What people write wrong in a recipe of CoCa or SyCoCa: `check` says what, where, and the line to add."""

import pytest

from vlobjectives.checking import check
from vlobjectives.errors import RecipeError
from vlobjectives.recipe import load
from vlobjectives.registry import Registry

SMALL = (
    "model.vision.depth=1",
    "data.samples=64",
    "data.val=16",
    "data.test=16",
    "data.test_new=0",
    "data.batch=4",
    "data.start_epochs=0",
    "run.steps=2",
    "optim.schedule.warmup=0",
    "run.checkpoint.steps=null",
)
BERT = """\
model:
  text:
    type: hf_text
    config: {model_type: bert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2}
"""
POOLED = ("model.vision.type=pooled_vision", "model.vision.pooling=single", "model.vision.queries=9")
CASES = {
    "a decoder that is not causal": (
        ("sycoca", "model.captioner.causal=false"),
        "objectives.ic",
        "sees the words that it is to name",
        "model.captioner: causal: true",
    ),
    "no text decoder": (
        ("coca", "model.captioner=null", "model.words.of=text"),
        "model.captioner",
        "objectives.ic",
        "objectives.ic",
    ),
    "no head": (("coca", "model.words=null"), "model.words", "objectives.ic", "objectives.ic"),
    "no pixel decoder": (("sycoca", "model.painter=null"), "model.painter", "objectives.tgmim", "objectives.tgmim"),
    "a painter that decodes words": (
        ("sycoca", "objectives.tgmim.decoder=captioner"),
        "objectives.tgmim",
        "decodes no patches",
        "query: vision",
    ),
    "a painter without memory that is given one": (
        ("sycoca", "model.painter.memory=null"),
        "objectives.tgmim",
        "looks at no memory, and is given one",
        "model.painter.memory=text",
    ),
    "a pooled encoder under a mask that drops": (
        ("sycoca", *POOLED, "objectives.ic.mask=null", "masks.spoken.fill=drop"),
        "objectives.tgmim.mask",
        "cannot hide patches by drop",
        "give model.vision a type whose tokens are patches: `vlobj plugins` lists all",
    ),
    "a pooled encoder whose tokens are taken from sight": (
        ("sycoca", *POOLED, "objectives.tgmim=null", "evaluate.painting=false"),
        "objectives.ic.mask",
        "no patches",
        "give model.vision a type whose tokens are patches: `vlobj plugins` lists all",
    ),
    "patches dropped and never put back": (
        ("sycoca", "masks.spoken.fill=drop"),
        "objectives.tgmim",
        "drops the very patches",
        "model.painter: restore: true",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case):
    (recipe, *changes), path, what, hint = CASES[case]
    try:
        errors = check(load(recipe, (*SMALL, *changes)), Registry())[1].errors
    except RecipeError as error:
        errors = error.problems
    found = [problem for problem in errors if str(problem.path).startswith(path) and what in problem.what]
    assert found, [(str(problem.path), problem.what) for problem in errors]
    assert any(hint in problem.hint for problem in found), [problem.hint for problem in found]


def test_a_text_tower_that_is_not_causal_is_refused(tmp_path):
    bare, bert = tmp_path / "bare.yaml", tmp_path / "bert.yaml"
    bare.write_text("extends: sycoca\nmodel: {text: null}\n", encoding="utf-8")
    bert.write_text("extends: bare.yaml\n" + BERT, encoding="utf-8")
    (problem,) = check(load(bert, SMALL), Registry())[1].errors
    assert str(problem.path) == "model.captioner" and "'text' is not causal" in problem.what
    assert "model.text: type: causal_text" in problem.hint
