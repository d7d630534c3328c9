"""Pictures of a stranger's source: floats are normalised as its FieldSpec says, and what cannot be is refused."""

import pytest
import torch
from small_recipes import SMALL, line_of, plugin, vlobj

import vlobjectives

OWN = """
    import torch
    from vlobjectives import FieldSpec, Sample, Source, SourceConfig, hookimpl

    class Own(Source):
        class Config(SourceConfig):
            give: str = "unit"

        columns = {"image": FieldSpec("picture", (3, 32, 32), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)),
                   "caption": FieldSpec("raw")}

        def size(self, split):
            return 16

        def sample(self, split, number, epoch, seed):
            x = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(number))
            given = {"unit": x, "bytes": (x * 255).to(torch.uint8), "done": (x - 0.5) / 0.5, "large": x * 255,
                     "whole": (x * 255).long(), "short": x[:, :16]}[self.config.give]
            return Sample({"image": given, "caption": f"thing {number}"}, number)

        def digest(self):
            return self.config.give

    @hookimpl
    def vlobj_components():
        return {"source:own": Own}
"""


def recipe(folder, give):
    plugin(folder, OWN)
    old = "data: {type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0, batch: 8}"
    text = SMALL.replace(old, f"plugins: [own.py]\ndata: {{type: own, give: {give}, batch: 8}}")
    (folder / "r.yaml").write_text(text, encoding="utf-8")
    return folder / "r.yaml"


@pytest.mark.parametrize(
    ("give", "why"),
    [
        ("done", "floats from -"),
        ("large", "to 255: the host normalises"),
        ("whole", "has int64"),
        ("short", "a sample has [3, 16, 32]"),
    ],
)
def test_check_says_what_cannot_be_normalised(tmp_path, capsys, give, why):
    path = recipe(tmp_path, give)
    ended = vlobj(capsys, "check", path)
    assert ended.code == 4 and why in ended.err and "hint: give" in ended.err, ended
    assert f"r.yaml:{line_of(path, 'give:')}:" in ended.err


def test_training_sees_floats_as_it_sees_bytes(tmp_path, capsys):
    floats, bytes_ = (next(vlobjectives.build(recipe(tmp_path, give)).batches())["image"] for give in ("unit", "bytes"))
    assert torch.allclose(floats, bytes_, atol=1 / 255 / 0.5 + 1e-5) and floats.min() < -0.3 and floats.max() > 1.2
    assert vlobj(capsys, "check", tmp_path / "r.yaml").code == 0
