"""The page on data names every form of file, and its lines are options of the sources."""

import re
from pathlib import Path
from typing import get_args

import pytest
from vlobj_data.captions.captions import Captions
from vlobj_data.forms.opening import ClipForm, PictureForm
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives.recipe.yaml import parse

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
PICTURES, CLIPS = (
    re.findall(r"^\| .* \| `(\{.*\})` \| (.*) \|$", part, re.M) for part in PAGE.split("| you have clips")
)


@pytest.mark.parametrize(("rows", "forms"), [(PICTURES, PictureForm), (CLIPS, ClipForm)])
def test_every_form_has_a_row(rows, forms):
    named = {form for _, cell in rows for form in cell.split(", ")}
    assert named <= set(get_args(forms)) and set(get_args(forms)) - named <= {"metadata", "imagefolder"}


@pytest.mark.parametrize("line", [line for line, _ in PICTURES])
def test_lines_of_pictures_are_options(line):
    assert Captions.Config(**parse(line, "x").data).manifest


@pytest.mark.parametrize("line", [line for line, _ in CLIPS])
def test_lines_of_clips_are_options(line):
    assert VideoCaptions.Config(**parse(line, "x").data).manifest
