"""An evaluation that names what cannot serve it is refused before any training, at the option, with what would do."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_recipes import LIGHT, changed, line_of, plugin, vlobj

from vlobjectives.checking.capabilities import capabilities
from vlobjectives.checking.data import data
from vlobjectives.checking.evaluation_trials import Trials
from vlobjectives.contracts.naming import kinds
from vlobjectives.data import fit_readers
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe import load
from vlobjectives.recipe.recipes import names as shipped
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import SECTION, Named
from vlobjectives.resolved.resolved import resolve
from vlobjectives.resolved.tiny import tiny
from vlobjectives.runtime.log import Log
from vlobjectives.system import assemble

PLAIN = "evaluate: {retrieval: {gallery: 16}}"
CASES = [
    ("type: rerank, of: itc", "of", "none that judges whether a picture and a caption belong together", "of: itm"),
    ("type: itm, of: mgsc", "of", "MGSC has no `log_odds`", "of: itm"),
    ("type: binding, of: mlm", "of", "none that judges whether", "of: itm"),
    ("type: words, of: itc", "of", "none that names the tokens at hidden positions", "of: mlm"),
    ("type: rerank, fusion: vision", "fusion", "fusion that the objective reads", "fusion: fusion"),
    ("type: binding, fusion: words", "fusion", "fusion that the objective reads", "fusion: fusion"),
    ("type: itm, fusion: joint", "fusion", "fusion that the objective reads", "fusion: fusion"),
    ("type: probe, fusion: joint", "fusion", "'joint' is a projection", "fusion: fusion"),
    ("type: retrieval, joint: fusion", "joint", "'fusion' is a fusion", "joint: joint"),
    ("type: retrieval, image: text", "image", "takes as its text, not as its image", "image: image"),
    ("type: alignment, text: image", "text", "takes as its image, not as its text", "text: text"),
    ("type: completion, local_of: itc", "local_of", "recovers the features of masked patches", "local_of: mltc"),
    ("type: completion, of: itm", "of", "recovers the class token of a masked picture or text", "of: mgsc"),
    ("type: completion, of: mltc", "of", "MLTC has no `class_recoveries`", "of: mgsc"),
    ("type: words, mask: dropped", "mask", "is not for the input 'text' of tokens", "mask: hidden_words"),
    ("type: binding, kinds: [swop]", "kinds", "not in 'swop'", "kinds: [swap]"),
    ("type: zero_shot, prompts: [a thing]", "prompts", "no place for a name", "prompts: ['{}']"),
    ("type: captioning, of: itc", "of", "none that trains a decoder", "leave it out: evaluate.NAME=false, or add one"),
    ("type: naming, of: itc", "of", "none that trains a decoder", "leave it out: evaluate.NAME=false, or add one"),
    ("type: grounding, of: itc", "of", "how similar the phrases", "leave it out: evaluate.NAME=false, or add one"),
    ("type: recovery, of: itc", "of", "names the concepts", "leave it out: evaluate.NAME=false, or add one"),
    ("type: painting, of: itc", "of", "reconstructs the hidden", "leave it out: evaluate.NAME=false, or add one"),
    ("type: vqa, of: itm", "of", "answers a question", "leave it out: evaluate.NAME=false, or add one"),
]


def test_refused_at_their_lines(tmp_path, capsys):
    """Each of what cannot serve, all in one call, and nothing else."""
    path = changed(
        tmp_path,
        {PLAIN: "evaluate:\n" + "\n".join(f"  case{number}: {{{entry}}}" for number, (entry, *_) in enumerate(CASES))},
        whole=True,
    )
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2
    told = ended.err.replace("\n    hint", " hint").splitlines()
    assert len(told) == len(CASES), ended.err
    for number, (entry, option, says, hint) in enumerate(CASES):
        at = f"evaluate.case{number}" + f".{option}" * bool(option)
        (line,) = (line for line in told if f"  {at}  " in line)
        assert f"small.yaml:{line_of(path, entry)}:" in line and says in line, line
        assert line.endswith("hint: " + hint.replace("NAME", f"case{number}")), line


def test_two_wrong_options_are_told_in_one_call(tmp_path, capsys):
    recipe = changed(tmp_path, {PLAIN: "evaluate: {rerank: {of: itc, fusion: vision}}"}, text=LIGHT)
    ended = vlobj(capsys, "check", recipe)
    assert "hint: of: itm" in ended.err and "hint: fusion: fusion" in ended.err


OWN = """
    from vlobjectives import Evaluation, EvaluationConfig, ObjectiveName, Score, hookimpl

    class Own(Evaluation):
        class Config(EvaluationConfig):
            by: ObjectiveName = "itc"

        def run(self, held):
            width = held.objective(self.config.by).head.out_features
            return {"width": Score(width, None, width, width, 1)}

    class Broken(Evaluation):
        def run(self, held):
            return {"share": 1 / 0}

    @hookimpl
    def vlobj_components():
        return {"evaluation:own": Own, "evaluation:broken": Broken}
"""


def test_one_of_a_stranger(tmp_path, capsys):
    """What nobody declared is found all the same; a fault that no option mends does not stop a run."""
    plugin(tmp_path, OWN)
    head = {"# Small: few objectives.": "plugins: [./own.py]"}
    ended = vlobj(capsys, "check", changed(tmp_path, head | {PLAIN: "evaluate: {own: {}, broken: {}}"}, whole=True))
    assert ended.code == 2 and "evaluate.own.by" in ended.err and "hint: by: itm" in ended.err, ended.err
    assert ended.out.startswith("note:") and "ZeroDivisionError: division by zero" in ended.out
    assert "evaluate.broken" in ended.out and "own.py:14" in ended.out and "1 error, 1 note" in ended.out, ended.out


LITTLE = """
    from vlobjectives import Evaluation, hookimpl
    from vlobjectives.errors import DataError
    from vlobj_models.timm_vision import TimmVision

    class Own(TimmVision):
        class Config(TimmVision.Config):
            def tiny(self):
                return self.model_copy(update={"heads": 3})

    class Early(Evaluation):
        def views(self, inputs):
            raise DataError("its list of words is empty", "write one")

    class Late(Evaluation):
        def run(self, held):
            raise DataError("no word of the list is in the data", "write another")

    @hookimpl
    def vlobj_components():
        return {"encoder:own": Own, "evaluation:early": Early, "evaluation:late": Late}
"""


def test_what_is_not_tried_is_said(tmp_path, capsys):
    """A part has no small form; what an evaluation says of data is told, as a note where few samples may be why."""
    plugin(tmp_path, LITTLE)
    head = {"# Small: few objectives.": "plugins: [./own.py]"}
    ended = vlobj(
        capsys, "check", changed(tmp_path, head | {PLAIN: "evaluate: {early: {}, late: {}, retrieval: {}}"}, whole=True)
    )
    assert ended.code == 3 and "evaluate.early  its list of words is empty\n    hint: write one" in ended.err, ended.err
    assert "evaluate.late  no word of the list is in the data\n    hint: write another" in ended.out, ended.out
    assert "1 error, 1 note" in ended.out, ended.out
    ended = vlobj(capsys, "check", changed(tmp_path, head | {"type: timm_vision": "type: own"}, whole=True))
    assert (
        ended.code == 0
        and "  evaluate  not tried: retrieval; a small form of the model cannot be made (model.vision: " in ended.out
        and "1 note" in ended.out
    ), ended


def others(trials: Trials, one: Named) -> Iterator[dict[str, Any]]:
    """Every option that names something, with every other name of the recipe, whatever it is the name of."""
    recipe = trials.resolved.recipe
    for option, info in type(one.config).model_fields.items():
        for kind in kinds(info):
            for name in getattr(recipe, SECTION[kind]):
                if name != getattr(one.config, option):
                    yield {option: name}


def every_other_name(recipe: str) -> tuple[int, int]:
    """How many of the changes are refused, and how many run, on a whole tiny system and both of its held-out splits."""
    registry, report = Registry(), Report()
    resolved = resolve(tiny(load(recipe), registry)[0], registry)
    resolved, made = data(resolved, False, report)
    resolved, built = capabilities(resolved, made, report)
    if absent := [problem for problem in report.errors if "is not installed" in problem.what]:
        pytest.skip(str(absent[0]))
    assert not report.errors
    trials = Trials(resolved, built)
    fit_readers.fit(made, 0, Log(first=False), {})
    system = assemble.system(resolved, made).eval()
    refused = ran = 0
    for path, one in resolved.entries.items():
        if one.kind != "evaluation":
            continue
        assert trials.fault(path, one) is None, (recipe, path, trials.fault(path, one))
        for change in others(trials, one):
            changed = replace(one, config=one.config.model_copy(update=change))
            if trials.fault(path, changed) is not None:
                refused += 1
                continue
            for name, feed in made.feeds.items():
                whole = changed.cls(changed.config)
                if name in (one.entry.sources or (name,)) and not trials.unmet(whole, name):
                    for split in ("val", "test"):
                        held = SplitContext(system, feed.source, feed.fields, split, 0, 8, torch.device("cpu"))
                        with torch.no_grad():
                            assert all(score.value == score.value for score in whole.run(held).values())
            ran += 1
    return refused, ran


@pytest.mark.parametrize("recipe", ["sycoca"])
def test_every_other_name_is_refused_or_runs(recipe):
    refused, ran = every_other_name(recipe)
    assert refused > 0, (refused, ran)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", shipped())
def test_every_other_name_of_every_shipped_recipe(recipe):
    every_other_name(recipe)
