"""Names of other things in a plug-in's Config: alone, in lists, in mappings, in a Config inside of it."""

from typing import Optional

import pytest
from small_recipes import changed, line_of, plugin, vlobj

from vlobjectives import FieldName, MaskName, ObjectiveConfig, ObjectiveName, PartName
from vlobjectives.contracts.config import Config
from vlobjectives.contracts.naming import kinds

OWN = """
    from vlobjectives import (Evaluation, EvaluationConfig, MaskName, Objective, ObjectiveConfig, ObjectiveName,
                              PartName, Score, Term, encoded, hookimpl, joint)
    from pydantic import BaseModel

    class Many(Objective):
        class Config(ObjectiveConfig):
            masks: dict[str, MaskName] = {}
            parts: tuple[PartName, ...] = ()

        def views(self, inputs):
            words = {name: encoded(inputs["text"].masked(mask)) for name, mask in self.config.masks.items()}
            return words | {"image": joint(inputs["image"])}

        def build(self, parts):
            self.widths = [spec.width for spec in parts]

        def forward(self, image, parts, **words):
            assert [type(part).__name__ for part in parts] == ["VocabularyHead"] and len(self.widths) == 1
            total = image.pooled.sum() + sum(x.tokens.sum() for x in words.values() if hasattr(x, "tokens"))
            return {"x": Term(total, len(image.pooled))}

    class Some(Evaluation):
        class Config(EvaluationConfig):
            of: list[ObjectiveName]

    @hookimpl
    def vlobj_components():
        return {"objective:many": Many, "evaluation:some": Some}
"""
PLAIN = """
    from vlobjectives import Evaluation, Objective, ObjectiveConfig, hookimpl
    from pydantic import BaseModel

    class Plain(KIND):
        class Config(BASE):
            image: str = "image"

    @hookimpl
    def vlobj_components():
        return {"KEY:plain": Plain}
"""


class Inner(Config):
    of: ObjectiveName = "itc"


class Everywhere(ObjectiveConfig):
    one: MaskName = "a"
    none: Optional[MaskName] = None  # noqa: UP045, as a stranger may write it
    several: list[MaskName] = ["b", "c"]
    by_name: dict[str, MaskName] = {"words": "d"}
    mixed: tuple[MaskName, int] = ("e", 2)
    perhaps: list[MaskName] | None = ["f"]
    either: MaskName | list[MaskName] = "g"
    weighed: dict[MaskName, float] = {"h": 0.5}
    deep: dict[str, list[MaskName]] = {"q": ["i"]}
    inner: list[Inner] = [Inner(of="itm")]
    heads: list[PartName] = ["words", "gone"]
    field: FieldName = "caption"
    text: str = "no name"


def test_names_are_found_wherever_they_stand():
    config = Everywhere()
    assert config.named("mask") == {
        "one": "a",
        "several.0": "b",
        "several.1": "c",
        "by_name.words": "d",
        "mixed.0": "e",
        "perhaps.0": "f",
        "either": "g",
        "weighed.h": "h",
        "deep.q.0": "i",
    }
    assert config.places("objective") == {("inner", 0, "of"): "itm"}
    assert config.named("field") == {"field": "caption"}
    assert Everywhere(either=["z"]).places("mask")["either", 0] == "z"
    assert {name: kinds(info) for name, info in Everywhere.model_fields.items() if kinds(info) != {"mask"}} == {
        "inner": {"objective"},
        "heads": {"part"},
        "field": {"field"},
        "text": set(),
    }


def test_what_they_name_comes_in_their_form():
    config = Everywhere()
    assert config.held("mask", {name: name.upper() for name in "abcdefghi"}) == {
        "one": "A",
        "several": ["B", "C"],
        "by_name": {"words": "D"},
        "mixed": ["E"],
        "perhaps": ["F"],
        "either": "G",
        "weighed": {"h": "H"},
        "deep": {"q": ["I"]},
    }
    assert config.held("part", {"words": 1}) == {}


@pytest.fixture
def own(tmp_path):
    plugin(tmp_path, OWN)

    def recipe(objectives: str, evaluations: str = ""):
        return changed(
            tmp_path,
            {
                "  itc: {}": f"  itc: {{}}\n{objectives}",
                "# Small": "plugins: [own.py]\n# Small",
                "evaluate: {": f"evaluate: {{{evaluations}",
            },
            whole=True,
        )

    return recipe


def test_check_follows_them(own, capsys):
    recipe = own(
        "  many:\n    masks: {one: hidden_words, two: hiden_words}\n    parts: [words]", "some: {of: [itc, itx]}, "
    )
    ended = vlobj(capsys, "check", recipe)
    assert ended.code == 2
    where = f"{recipe}:{line_of(recipe, 'hiden')}:37  objectives.many.masks.two  "
    assert f"{where}there is no mask 'hiden_words'" in ended.err
    assert "did you mean 'hidden_words'?" in ended.err
    where = f"{recipe}:{line_of(recipe, 'itx')}:29  evaluate.some.of.1  "
    assert f"{where}there is no objective 'itx'" in ended.err, ended.err
    recipe = own("  many:\n    masks: {one: replaced_words}\n    parts: [words]\n")
    text = recipe.read_text(encoding="utf-8").replace(
        "masks:\n  dropped", "masks:\n  replaced_words: {type: random_tokens, ratio: 0.3, fill: mask}\n  dropped"
    )
    recipe.write_text(text, encoding="utf-8")
    ended = vlobj(capsys, "check", recipe)
    assert ended.code == 0 and "named nowhere" not in ended.out, ended


@pytest.mark.parametrize("kind, base", [("Objective", "BaseModel"), ("Evaluation", "ObjectiveConfig")])
def test_a_config_derives_the_contracts(tmp_path, capsys, kind, base):
    plugin(tmp_path, PLAIN.replace("KIND", kind).replace("BASE", base).replace("KEY", kind.lower()))
    ended = vlobj(capsys, "check", changed(tmp_path, {"# Small": "plugins: [own.py]\n# Small"}))
    assert ended.code == 4 and f"{kind}Config" in ended.err and "own.py:5" in ended.err, ended.err
    assert f"write class Config({kind}Config)" in ended.err
