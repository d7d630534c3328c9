"""A locale changes neither what files hold nor whether a verb ends well."""

import io
import json
import locale
import sys

import pytest
from small_recipes import changed, vlobj

from vlobjectives.cli import main

LETTERS = "größe_北京_Ġ"


ENCODINGS = ("latin-1", "gbk", "ascii", "utf-8")


def said(monkeypatch, encoding, *words):
    """Exit code, and what a verb writes on a stdout and a stderr of this encoding, as strict as Python's own."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        code = main([str(word) for word in words])
    return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_terminal_cannot_write_is_replaced(monkeypatch, encoding, tmp_path):
    name = LETTERS.replace("_", "")
    path = changed(tmp_path, {"  itc: {}\n": f"  itc: {{}}\n  {name}: {{}}\n"})
    code, _, errors = said(monkeypatch, encoding, "check", path)
    assert code == 2
    assert "is no name" in errors
    assert (name in errors) == (encoding == "utf-8")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_loses_no_letter(monkeypatch, encoding):
    monkeypatch.setattr("vlobjectives.recipe.recipes.describe", lambda path: LETTERS)
    code, text, _ = said(monkeypatch, encoding, "recipes", "--json")
    assert code == 0
    assert set(json.loads(text).values()) == {LETTERS}
    assert (LETTERS in text) == (encoding == "utf-8")


def test_a_run_in_another_locale(capsys, tmp_path):
    """The byte-pair table, the recipe, the log: in C, whose encoding is ASCII, they are written and read as UTF-8."""
    path = changed(tmp_path, {"retrieval: {gallery: 16}": "losses: false", "steps: 4": f"steps: 1, folder: {LETTERS}"})
    was = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C")
        assert vlobj(capsys, "run", path, "--out", tmp_path / LETTERS).code == 0
        assert vlobj(capsys, "eval", tmp_path / LETTERS, "evaluate.losses=true").code == 0
    finally:
        locale.setlocale(locale.LC_CTYPE, was)
    assert "\u0120" in (tmp_path / LETTERS / "fields/caption.json").read_text(encoding="utf-8")
