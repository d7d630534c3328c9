"""A plug-in that breaks its contract in what it defines or asks for: said in the contract's words, at its line."""

import io

import pytest
from small_recipes import changed, line_of, plugin, vlobj

OWN = """
    from vlobjectives import Objective, Term, encoded, hookimpl

    class Bare(Objective):
        pass

    class Own(Objective):
        def views(self, inputs):
            return {views}

        def forward(self, image, text):
            {act}
            return {{"x": Term(image.tokens.{how}.sum() + text.tokens.{how}.sum(), {count})}}

    @hookimpl
    def vlobj_components():
        return {{"objective:own": {cls}}}
"""
VIEWS = "{'image': encoded(inputs['image']), 'text': encoded(inputs['text'])}"
BROKEN = [
    ({"cls": "Bare"}, 4, "it does not define views, which its contract asks for", "class Bare", "correct the plug-in"),
    ({"views": "['image']"}, 4, "views returned a list", "def views", "views must return {name: view}"),
    ({"views": "{'image': 'vision'}"}, 4, "views returned under 'image' a str", "def views", "views must return"),
    (
        {"views": VIEWS.replace("{'image'", "{'picture'")},
        2,
        "forward asks for image, and is given picture, text, batch, noise, gather",
        "def forward",
        "call its arguments as its views",
    ),
    ({"act": "input()"}, 2, "the loss failed: EOFError: EOF when reading a line", "input()", "correct the plug-in"),
    ({"act": "{}['x']"}, 2, "the loss failed: KeyError: 'x'", "{}['x']", "correct the plug-in"),
    ({"count": 0}, 0, "its term 'x' says that nothing went into it (count 0), and moves no weight", "", ""),
    ({"how": "detach()"}, 0, "its term 'x' hangs on nothing that is trained, and moves no weight", "", "of weight 0"),
]


@pytest.mark.parametrize(("wrong", "code", "what", "line", "hint"), BROKEN)
def test_said_at_the_objective(tmp_path, capsys, monkeypatch, wrong, code, what, line, hint):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    file = plugin(
        tmp_path, OWN.format(**{"views": VIEWS, "act": "pass", "how": "square()", "count": 1, "cls": "Own"} | wrong)
    )
    path = changed(
        tmp_path,
        {
            "# Small: few objectives.": "plugins: [./own.py]",
            "  itc: {}": "  own: {}\n  itc: {}",
            "  mgsc: {image_mask: dropped, text_mask: hidden_words}\n": "",
            "  mltc: {image_mask: replaced, text_mask: hidden_words, context_mask: dropped}\n": "",
        },
    )
    ended = vlobj(capsys, "check", path)
    told = ended.err if code else ended.out
    at = f"{file}:{line_of(file, line)}" if line else ""
    assert ended.code == code and f"small.yaml:{line_of(path, 'own: {}')}:3  objectives.own  " in told, ended
    assert what in told and at in told and hint in told, told
