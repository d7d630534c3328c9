"""Our evaluations score objectives of a third party by the methods of their roles, and refuse those without them."""

from typing import Annotated

import own_objectives
import pytest
import torch
from small_recipes import vlobj

from vlobjectives import Evaluation, EvaluationConfig, JudgesPairs, Needs, ObjectiveName, PredictsTokens
from vlobjectives.contracts import naming, roles
from vlobjectives.contracts.objective import Objective
from vlobjectives.data.data_module import build_data
from vlobjectives.evaluation.context import SplitContext, evaluations
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

SIZE = "width: 16, depth: 1, heads: 2"
RECIPE = f"""\
plugins: [{own_objectives.__file__}]
data: {{type: scenes, image_size: 32, samples: 64, val: 16, test: 40, test_new: 0, batch: 8}}
fields:
  caption: {{type: byte_pair, size: 400, length: 40}}
  question: {{type: byte_pair, with: caption, length: 40}}
  reply: {{type: answers, of: answer, size: 32}}
model:
  vision: {{type: timm_vision, patch: 8, {SIZE}}}
  text:
    type: hf_text
    config: {{model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}}
  questions:
    type: hf_text
    config: {{model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}}
  writer: {{type: causal_text, {SIZE}}}
  fusion: {{type: co_attention, {SIZE}}}
  listener: {{type: co_attention, text: questions, {SIZE}}}
  joint: {{type: projection, width: 8}}
  captioner: {{type: cross_decoder, query: writer, memory: vision, causal: true, {SIZE}}}
  painter: {{type: cross_decoder, query: vision, memory: text, {SIZE}}}
  letters: {{type: vocabulary_head, of: captioner}}
inputs:
  image: {{part: vision, fields: [image]}}
  text: {{part: text, fields: [caption]}}
  typed: {{part: writer, fields: [caption]}}
  asked: {{part: questions, fields: [question]}}
masks:
  replaced: {{type: random_patches, ratio: 0.3, fill: token}}
  hidden_words: {{type: random_tokens, ratio: 0.4, fill: mask}}
pairings: {{others: {{type: random_negatives}}}}
objectives: {{couples: {{}}, gaps: {{}}, scribe: {{}}, restorer: {{}}, mender: {{}}, oracle: {{}}, itc: {{}}}}
optim: {{lr: 1e-3}}
run: {{steps: 1, device: cpu, precision: fp32}}
evaluate:
  itm: {{of: couples}}
  binding: {{of: couples, count: 8}}
  rerank: {{of: couples, gallery: 16}}
  words: {{of: gaps}}
  captioning: {{of: scribe, count: 8}}
  naming: {{of: scribe}}
  painting: {{of: restorer}}
  completion: {{of: mender, local_of: mender, count: 8}}
  vqa: {{of: oracle, text: asked, fusion: listener}}
"""
SCORES = {
    "itm": {"accuracy"},
    "binding": {"swap/caption", "swap/picture"},
    "rerank": {"image_to_text/r1", "text_to_image/r1"},
    "words": {"all", "colours", "shapes"},
    "captioning": {"bleu4", "cider"},
    "naming": {"all", "colours", "shapes"},
    "painting": {"gain", "loss"},
    "completion": {
        f"{kind}/{scope}_{side}"
        for kind in ("colour", "shape")
        for scope in ("global", "local")
        for side in ("image", "text")
    },
    "vqa": {"accuracy", "question_only"},
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> tuple[SplitContext, dict[str, Evaluation]]:
    path = tmp_path_factory.mktemp("own") / "own.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    resolved = resolve(load(path), Registry())
    made = build_data(resolved)
    made.fields.fit(lambda column: (made.source.value("train", n, column, 0, 0) for n in range(64)))
    system = assemble.system(resolved, made).eval()
    held = SplitContext(system, made.source, made.fields, "test", 0, 8, torch.device("cpu"))
    return held, evaluations(resolved, "", made.source.has)


@pytest.mark.parametrize("name", SCORES)
def test_objectives_of_a_third_party_are_scored(scored, name):
    held, made = scored
    with torch.no_grad():
        scores = made[name].run(held)
    assert set(scores) == SCORES[name]
    assert all(score.n > 0 and score.low <= score.value <= score.high for score in scores.values())


def test_its_matching_is_what_is_scored(scored):
    """With a judge that calls all pairs matched just half of the decisions are right."""
    held, made = scored
    judge = held.objective("couples").judge
    kept = judge.bias.data.clone()
    judge.bias.data += 1e6
    with torch.no_grad():
        scores = made["itm"].run(held)
    judge.bias.data = kept
    assert scores["accuracy"].value == 0.5


def test_check_takes_them_and_refuses_one_of_another_role(tmp_path, capsys):
    path = tmp_path / "own.yaml"
    path.write_text(RECIPE.replace("itm: {of: couples}", "itm: {of: gaps}"), encoding="utf-8")
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2 and "evaluate.itm.of  'gaps' is none that judges whether" in ended.err
    assert "Gaps has no `log_odds`\n    hint: of: couples" in ended.err and "1 error" in ended.out + ended.err, ended


def test_needs_are_found_wherever_a_config_names_objectives():
    class Own(EvaluationConfig):
        one: Annotated[ObjectiveName, Needs(JudgesPairs)] | None = None
        several: tuple[Annotated[ObjectiveName, Needs(PredictsTokens)], ...] = ()
        other: ObjectiveName = "itc"

    found = list(naming.needs(Own(one="a", several=("b", "c"))))
    assert found == [
        (("one",), "a", JudgesPairs),
        (("several", 0), "b", PredictsTokens),
        (("several", 1), "c", PredictsTokens),
    ]
    assert list(naming.needs(Own())) == []
    assert Own(one="a", several=("b", "c")).named("objective") == {
        "one": "a",
        "several.0": "b",
        "several.1": "c",
        "other": "itc",
    }


def test_what_the_base_class_has_is_a_default_and_fills_no_role():
    assert roles.lacking(Objective, roles.GeneratesText) == ["writes"]
    assert roles.lacking(own_objectives.Scribe, roles.GeneratesText) == []
    assert roles.lacking(own_objectives.Couples, roles.AnswersQuestions) == ["answer_field", "answer_scores"]
