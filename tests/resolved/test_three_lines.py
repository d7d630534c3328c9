"""What people change of a recipe takes three lines, `extends` among them."""

from pathlib import Path

import pytest
from small_recipes import vlobj

from vlobjectives.checking.references import references
from vlobjectives.recipe import load
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve

ENCODER = '''\
"""An encoder of somebody's own."""

import torch
from vlobjectives import Encoded, Encoder, PartConfig, Spec, Width, hookimpl


class Bands(Encoder):
    """Rows of pixels as tokens."""

    class Config(PartConfig):
        width: Width = 64
        rows: int = 4

    def __init__(self, config, fields):
        super().__init__(config, fields)
        [(channels, height, width)] = [field.shape for field in fields.values()]
        self.line = torch.nn.Linear(channels * width * config.rows, config.width)
        self.spec = Spec(config.width, length=height // config.rows, classes=1, fields=dict(fields), can=frozenset())

    def forward(self, x, draw, want):
        bands = x.unflatten(2, (-1, self.config.rows)).transpose(1, 2).flatten(2)
        tokens = self.line(bands)
        valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=x.device)
        return Encoded(tokens, valid, cls=tokens.mean(1, keepdim=True), draw=draw)


@hookimpl
def vlobj_components():
    return {"encoder:bands": Bands}
'''
GLSCL_WITHOUT_MATCHING = """\
extends: glscl
objectives: {itm: null}
evaluate: {itm: null, rerank: null, binding: null}
"""
MY_ENCODER_IN_ITC = """\
extends: itc
plugins: [bands.py]
model: {vision: {type: bands, rows: 8}}
"""
CLIPS_ALONE = """\
extends: glscl_video
data: {mix: {pictures: null}}
"""
ALL = {"without_matching": GLSCL_WITHOUT_MATCHING, "my_encoder": MY_ENCODER_IN_ITC, "clips_alone": CLIPS_ALONE}


@pytest.fixture(params=ALL)
def recipe(request, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("bands.py").write_text(ENCODER, encoding="utf-8")
    path = Path(f"{request.param}.yaml")
    path.write_text(ALL[request.param], encoding="utf-8")
    assert ALL[request.param].count("\n") <= 3
    return path


def test_nothing_names_what_is_gone(recipe):
    resolved, report = resolve(load(recipe), Registry()), Report()
    report.add("references", references(resolved.loaded, resolved.entries, report))
    assert not report.errors
    made, said = resolved.recipe, " ".join(note.what for note in resolved.loaded.layered.notes)
    if recipe.stem == "without_matching":
        assert list(made.objectives) == ["itc", "mlm", "mgsc", "mltc"]
        assert "optim.groups" in said and len(made.optim.groups) == 3
    elif recipe.stem == "my_encoder":
        assert made.model["vision"].options == {"width": 128, "rows": 8}
        assert "patch: 8, depth: 4, heads: 4, init_std: 0.08, position_std: 0.5, stem: mlp (" in said
    else:
        assert list(made.data.mix or {}) == ["clips"] and made.data.mix["clips"].rename == {"clip": "image"}
        assert list(made.objectives) == ["itc", "itm", "mlm", "mgsc"] and "completion" not in made.evaluate.entries
        assert "objectives.mltc falls away" in said and "evaluate.completion falls away" in said


@pytest.mark.slow  # a check of all objectives and evaluations, a run and its scores
def test_they_train_and_are_scored(recipe, capsys):
    ended = vlobj(capsys, "run", recipe, "--tiny", "--out", "run")
    assert ended.code == 0, ended.err
    assert Path("run/summary.json").is_file()
