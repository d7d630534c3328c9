"""Slips of a plug-in's author that its class cannot tell: `check` names component, file, line and the valid names."""

import pytest
from small_recipes import changed, line_of, plugin, vlobj

OWN = """
    import torch
    from vlobjectives import Encoder, Evaluation, Objective, PartConfig, Term, hookimpl, joint

    class Own(Objective):
        def views(self, inputs):
            {views}

        def build(self{build}):
            pass

        def forward(self, image, text, batch):
            {forward}

        def counts(self{counts}):
            return {{}}

    class Bare(Encoder):
        class Config(PartConfig):
            patch: int
            width: int
            depth: int
            heads: int

        def __init__(self, config, fields):
            super().__init__(config, fields)

    class Judge(Evaluation):
        needs = frozenset({{"twin"}})

        def run(self, held):
            return {{}}

    @hookimpl
    def vlobj_components():
        return {{"objective:own": Own, "encoder:bare": Bare, "evaluation:judge": Judge}}
"""
RIGHT = {
    "views": 'return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}',
    "forward": 'return {"x": Term((image.pooled - text.pooled).square().sum(), batch.size)}',
    "build": "",
    "counts": "",
}
OBJECTIVE = {"  itc: {}": "  own: {}\n  itc: {}"}
SLIPS = [
    ({"views": RIGHT["views"].replace('["text"]', '["caption"]')}, 4, "there is no input 'caption'", "image, text"),
    ({"forward": 'return {"x": batch["caption"]}'}, 2, "in the batch called 'caption'", "image, text"),
    ({"build": ", imag"}, 4, "build asks for imag, and is given image, text", "its views"),
    (
        {"counts": ", batch, imag"},
        4,
        "counts asks for imag, and is given image, text, batch, noise, gather",
        "its views",
    ),
    ({"forward": RIGHT["forward"].replace(".sum()", ".sum(1)")}, 2, "shape [8], and it must be a 0-d", "a sum over"),
]


@pytest.mark.parametrize(("wrong", "code", "what", "hint"), SLIPS)
def test_slips_of_an_objective(tmp_path, capsys, wrong, code, what, hint):
    own = plugin(tmp_path, OWN.format(**RIGHT | wrong))
    path = changed(tmp_path, {"# Small: few objectives.": "plugins: [./own.py]"} | OBJECTIVE)
    ended = vlobj(capsys, "check", path)
    (key,) = wrong
    line = line_of(own, f"def {key}" if key in ("build", "counts") or "sum(1)" in wrong[key] else wrong[key])
    assert ended.code == code and what in ended.err and hint in ended.err, ended
    assert f"small.yaml:{line_of(path, 'own: {}')}:3  objectives.own  " in ended.err and f"{own}:{line})" in ended.err


def test_a_part_without_a_spec_and_a_need_that_is_misspelt(tmp_path, capsys):
    own = plugin(tmp_path, OWN.format(**RIGHT))
    head = {"# Small: few objectives.": "plugins: [./own.py]"}
    ended = vlobj(capsys, "check", changed(tmp_path, head | {"type: timm_vision": "type: bare"}))
    assert ended.code == 4 and "model.vision  Bare has no `spec` once it is made" in ended.err, ended.err
    assert f"{own}:{line_of(own, 'def __init__')})" in ended.err and "self.spec = Spec(width=...)" in ended.err
    ended = vlobj(capsys, "check", changed(tmp_path, head | {"evaluate: {": "evaluate: {judge: {}, "}))
    assert ended.code == 2 and "evaluate.judge  it needs twin, which" in ended.err, ended.err
    assert "did you mean 'twins' by 'twin'? Or leave it out" in ended.err
