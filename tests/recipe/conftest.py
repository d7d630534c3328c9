"""A small recipe on disk, and what goes wrong when it is changed."""

import textwrap

import pytest

from vlobjectives.errors import RecipeError
from vlobjectives.recipe import load

SMALL = """\
# Small: one objective.
data: {type: scenes, batch: 8}
fields:
  caption: {type: byte_pair, size: 64}
model:
  vision: {type: timm_vision, width: 32}
  text: {type: hf_text, config: {hidden_size: 32}}
masks:
  dropped: {type: random_patches, ratio: 0.8}
objectives:
  itc: {}
  mgsc: {image_mask: dropped, weight: [[0.5, 0], [0.75, 0.2]]}
optim:
  lr: 1e-3
  schedule: {warmup: 6}
  groups: [{match: "model.text.*", lr: 0.1}]
run: {steps: 100}
evaluate: {every: {steps: 25}, retrieval: {gallery: 256}}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "small.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def small(write):
    return write(SMALL)


@pytest.fixture
def problems(write):
    """The problems of SMALL after replacing one text by another, or of a whole text, under overrides."""

    def problems(old: str = "", new: str = "", overrides=(), text: str | None = None):
        assert text is not None or old in SMALL
        with pytest.raises(RecipeError) as caught:
            load(write(text if text is not None else SMALL.replace(old, new, 1)), overrides)
        return caught.value.problems

    return problems
