"""What libraries assert when a part is built is a refusal at its key; a mistake in its own lines is the plug-in's."""

import pytest
from small_recipes import changed, line_of, plugin, vlobj

PART = """
    from torch import nn

    from vlobjectives import Head, PartConfig, PartName, Spec, hookimpl


    class Own(Head):
        class Config(PartConfig):
            of: PartName = "text"
            heads: int = 3

        def __init__(self, config, of):
            super().__init__(config, of)
            self.spec = Spec(width=of.width)
            LINE


    @hookimpl
    def vlobj_components():
        return {"head:own": Own}
"""


@pytest.mark.parametrize(
    ("line", "words", "code"),
    [
        ("self.own = nn.MultiheadAttention(of.width, config.heads)", "embed_dim must be divisible by num_heads", 2),
        ("assert of.width % config.heads == 0, 'heads that divide'", "AssertionError: heads that divide", 2),
        ("self.own = nn.Linear(of.width, -config.heads)", "negative dimension", 2),
        ("self.own = nn.Linear(of.width)", "its plug-in fails: TypeError", 4),
        ("self.own = self.nothing", "has no attribute 'nothing'", 4),
        ("self.own = {}[config.heads]", "its plug-in fails: KeyError: 3", 4),
    ],
)
def test_who_is_to_blame_where_a_part_is_built(line: str, words: str, code: int, tmp_path, capsys):
    own = plugin(tmp_path, PART.replace("LINE", line))
    recipe = changed(
        tmp_path, {"  joint: {": "  mine: {type: own}\n  joint: {", "# Small: few objectives.": "plugins: [./own.py]"}
    )
    ended = vlobj(capsys, "check", recipe)
    assert ended.code == code and words in ended.err
    assert f"{recipe}:{line_of(recipe, 'mine:')}:3  model.mine" in ended.err
    if code == 4:
        assert f"own.py:{line_of(own, line)}" in ended.err or "module.py" in ended.err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("num_attention_heads: 2", "num_attention_heads: 3", "not a multiple of the number of attention heads"),
        ("hidden_size: 32", "hidden_size: 0", "refuses the configuration"),
        ("hidden_size: 32", "hidden_size: wide", "refuses the configuration"),
        ("patch: 8, width: 32, depth: 1, heads: 2", "name: deit_tiny_distilled_patch16_224", "deit_tiny_distilled"),
        ("patch: 8, width: 32, depth: 1, heads: 2", "name: vit_tiny_patch16_224, width: 100", "divisible by num_heads"),
    ],
)
def test_what_libraries_assert_of_built_in_parts(old: str, new: str, words: str, tmp_path, capsys):
    recipe = changed(tmp_path, {old: new})
    ended = vlobj(capsys, "check", recipe)
    part = "text" if "hidden_size" in old or "attention" in old else "vision"
    assert ended.code == 2 and words in ended.err and f"model.{part}" in ended.err


def test_weights_of_a_strangers_part_that_are_no_numbers_are_refused(tmp_path, capsys):
    loads = """self.own = nn.Linear(of.width, 2)

        def load_weights(self):
            nn.init.constant_(self.own.bias, float("nan"))
            return ["2 tensors"]"""
    plugin(tmp_path, PART.replace("LINE", loads))
    recipe = changed(
        tmp_path, {"  joint: {": "  mine: {type: own}\n  joint: {", "# Small: few objectives.": "plugins: [./own.py]"}
    )
    ended = vlobj(capsys, "run", recipe, "--out", tmp_path / "out")
    assert ended.code == 2 and "model.mine  the weights that it loaded hold NaN or infinity: own.bias" in ended.err
