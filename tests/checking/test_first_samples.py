"""What a stranger's source gives is held against its FieldSpecs, by check and in batches, whatever its kind."""

import math

import pytest
import torch
from small_recipes import SMALL, line_of, plugin

from vlobjectives import FieldSpec, Reader, ReaderConfig, Sample, TokenEncoding
from vlobjectives.checking.data import data
from vlobjectives.data.collate import Fields
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.errors import PluginError
from vlobjectives.recipe.loading import load
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve

OWN = """
    import random
    import torch
    from vlobjectives import FieldSpec, Sample, Source, SourceConfig, hookimpl

    class Own(Source):
        columns = {
            "image": FieldSpec("picture", (3, 32, 32)),
            "caption": FieldSpec("raw"),
            "second": FieldSpec("picture", (3, 32, 32)),
            "score": FieldSpec("number"),
            "label": FieldSpec("labels", (2,), vocabulary=4),
            "vector": FieldSpec("vectors", (2, 3)),
            "luck": FieldSpec("raw"),
            "gone": FieldSpec("raw"),
        }

        def size(self, split):
            return {"train": 16, "val": 8}.get(split, 0)

        def splits(self):
            return "train", "val"

        def sample(self, split, number, epoch, seed):
            draw = torch.Generator().manual_seed(number)
            picture = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=draw)
            return Sample({
                "image": picture,
                "caption": f"thing {number}",
                "second": picture if split == "train" or number == 0 else picture[:, :16],
                "score": float("nan") if number == 1 else 0.5,
                "label": [0, 3, 4][number:][:2],
                "vector": torch.zeros(1, 4 if number else 3),
                "luck": random.random(),
            }, number)

        def digest(self):
            return "own"

    @hookimpl
    def vlobj_components():
        return {"source:own": Own}
"""


def test_check_names_each_column_that_is_not_what_it_should_be(tmp_path):
    plugin(tmp_path, OWN)
    old = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"
    text = SMALL.replace(old, "plugins: [own.py]\ndata: {type: own, batch: 8}")
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    report = Report()
    data(resolve(load(tmp_path / "r.yaml"), Registry()), False, report)
    told = {error.what: error for error in report.errors}
    for what, hint in {
        "'second' is a picture of shape [3, 32, 32] by its FieldSpec, and a sample has [3, 16, 32]": "give what",
        "'score' is a number, and a sample has NaN or infinity in it": "leave such samples out",
        "'label' has the ids [4], and its vocabulary is 4": "from 0 to one less",
        "'vector' is vectors of width 3 by its FieldSpec, and a sample has [1, 4]": "give rows [m,3], m up to 2",
        "sample 0 of train is another one when it is asked for again: 'luck' is": "draw by (seed, epoch, number)",
        "sample 0 of train has no column 'gone', which": "`values` of a sample",
    }.items():
        (problem,) = (one for text, one in told.items() if text.startswith(what))
        assert hint in problem.hint and problem.path == "data"
        assert problem.place.line == line_of(tmp_path / "r.yaml", "type: own")
    assert len(told) == 6, told


@pytest.mark.parametrize(
    ("spec", "rows", "why"),
    [
        (FieldSpec("number"), [0.5, "high"], "a number by its FieldSpec, and a sample has 'high'"),
        (FieldSpec("number"), [torch.zeros(2)], "a number by its FieldSpec"),
        (FieldSpec("number"), [None], "a sample has None"),
        (FieldSpec("number"), [math.inf], "NaN or infinity"),
        (FieldSpec("labels", (2,), vocabulary=3), [[0], [-1]], r"the ids \[-1\], and its vocabulary is 3"),
        (FieldSpec("labels", (2,), vocabulary=3), [[(0, math.nan)]], "NaN or infinity"),
        (FieldSpec("vectors", (2, 3)), [torch.zeros(2, 3), torch.zeros(3)], r"a sample has \[3\]"),
        (FieldSpec("vectors", (2, 3)), [torch.full((1, 3), math.nan)], "NaN or infinity"),
    ],
)
def test_a_batch_takes_no_row_of_another_kind(spec, rows, why):
    with pytest.raises(PluginError, match=why):
        KINDS[spec.kind].collate("field", spec, rows)


def test_rows_that_are_sound_stand_as_before():
    assert KINDS["number"].collate("x", FieldSpec("number"), [1, torch.tensor(0.5), True]).tolist() == [1, 0.5, 1]
    vectors = KINDS["vectors"].collate("x", FieldSpec("vectors", (2, 3)), [[], [[1.0, 2, 3]] * 4])
    assert vectors.valid.tolist() == [[False, False], [True, True]]


class Wide(Reader):
    """A tokenizer whose ids may leave its vocabulary."""

    spec = FieldSpec("tokens", (6,), vocabulary=8, special={"begin": 0, "end": 1, "pad": 2})

    def read(self, value):
        return TokenEncoding([3, value], [(0, 1), (1, 2)])


def test_tokens_lie_in_the_vocabulary():
    fields = Fields({"text": FieldSpec("raw")}, {"text": Wide(ReaderConfig())}, {"text": "text"}, {"text": ["text"]})
    assert fields.batch([Sample({"text": 7}, 0)], [0])["text"].ids.tolist() == [[0, 3, 7, 1, 2, 2]]
    with pytest.raises(PluginError, match=r"'text' has the token ids \[8\], and its vocabulary is 8"):
        fields.batch([Sample({"text": 8}, 0)], [0])
