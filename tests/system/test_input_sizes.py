"""Inputs of several sizes through one tower: where masks work, what objectives and plans are told, what is refused."""

from dataclasses import replace

import pytest
import torch
from crops import Crops, two_sizes

from vlobjectives import decoded, encoded
from vlobjectives.checking.capabilities import capabilities
from vlobjectives.contracts.passes import MaskKey
from vlobjectives.costs import shape_check
from vlobjectives.planning import execute, static_values
from vlobjectives.planning.plan import of_views
from vlobjectives.recipe.report import Report
from vlobjectives.system.input_specs import KnownSpecs
from vlobjectives.testing import Toy, objective_checks
from vlobjectives.testing.toy_parts import ToyDecoder, ToyVision


def crops(**more) -> Toy:
    return Toy(**two_sizes(objectives={"crops": {}}, components={"objective:crops": Crops}, **more))


def test_masks_work_on_the_patches_of_each_input():
    system = crops().system()
    assert {name: (site.positions, site.grid) for name, site in system.sites[""].items() if site.grid} == {
        "image": (16, (4, 4)),
        "second": (4, (2, 2)),
    }
    views = {"some": encoded(system.inputs["second"].masked("dropped"))}
    found = execute.run(of_views(system, views, "test"), system.stage(0), crops().batch())
    draw = found[MaskKey("dropped", "second")]
    assert draw.hidden.shape == (8, 4) and draw.keep.shape == (8, 1)  # 0.6 of 4, rounded up, are hidden


@pytest.mark.parametrize("frames", [1, 3])
def test_what_is_known_before_a_pass_is_what_comes(frames):
    """Static values hold for each input at its own size."""
    toy = crops()
    toy = toy.with_data(frames=frames)
    system = toy.system()
    (share,) = system.plan(("crops",)).shares
    known = static_values.run(share, system.stage(0), toy.batch())
    came = execute.run(share, system.stage(0), toy.batch())
    seen = {view.title: value.valid.shape for view, value in known.items() if hasattr(value, "valid")}
    assert seen["vision(second * dropped)"] == (8, frames) and seen["vision(second)"] == (8, 4 * frames)
    for key, value in came.items():
        if key.title.startswith("vision"):
            assert torch.equal(value.valid, known[key].valid)


def test_objectives_are_built_with_the_spec_of_each_view():
    system = crops().system()
    specs = system.objectives["crops"].specs
    assert (specs["patches"].grid, specs["some"].grid, specs["some"].length) == ((4, 4), (2, 2), 4)
    assert list(specs["some"].fields) == ["second"] and specs["patches"] is system.model["vision"].spec


@pytest.mark.parametrize("check", [c for c in objective_checks() if c.name != "processes_equal_one"], ids=str)
def test_an_objective_on_two_sizes_passes_the_checks(check):
    """Two processes equal one: runtime/test_distributed."""
    check.run("crops", crops())


class OnItsGrid(ToyDecoder):
    pass


class OnAnyGrid(ToyDecoder):
    def __init__(self, config, query, memory):
        super().__init__(config, query, memory)
        self.spec = replace(self.spec, can=self.spec.can | {"sizes"})


@pytest.mark.parametrize("cls", [OnItsGrid, OnAnyGrid])
def test_a_decoder_has_the_positions_of_its_query(cls):
    toy = Toy(
        **two_sizes(
            model={"decoder": {"type": "own", "query": "vision", "memory": "text"}}, components={"decoder:own": cls}
        )
    )
    system = toy.system()
    known, part = KnownSpecs(system.model, toy.data_module.fields), system.model["decoder"]
    view, own = (decoded(system.inputs[name], system.inputs["text"]) for name in ("second", "image"))
    assert view.spec(known).grid == (2, 2) and view.spec(known).length == 4 and own.spec(known) is part.spec
    assert own.misfit(part, known) is None
    misfit = view.misfit(part, known)
    assert (misfit is None) == (cls is OnAnyGrid)
    assert misfit is None or "made for 4 x 4 patches, and 'second' has 2 x 2" in misfit.why


class OneSize(ToyVision):
    def __init__(self, config, fields):
        super().__init__(config, fields)
        self.spec = replace(self.spec, can=self.spec.can - {"sizes"})


ONE_SIZE = {"vision": {"type": "one"}}


def test_an_encoder_of_one_size_is_refused_where_it_is_built():
    toy = Toy(**two_sizes(model=ONE_SIZE, components={"encoder:one": OneSize}))
    with pytest.raises(Exception, match="3 x 16 x 16 alone, and these are 3 x 8 x 8") as error:
        toy.system()
    assert error.value.path == ("inputs", "second")


@pytest.mark.parametrize(
    ("toy", "says"),
    [
        (Toy(**two_sizes(data={"second": 6})), "a picture of 6 x 6 is not made of whole patches of 4 x 4"),
        (Toy(**two_sizes(model=ONE_SIZE, components={"encoder:one": OneSize})), "3 x 16 x 16 alone"),
    ],
    ids=["patches", "size"],
)
def test_check_refuses_what_an_encoder_cannot_read(toy, says):
    report = Report()
    capabilities(toy.resolved, toy.data_module, report)
    (problem,) = report.errors_of("capabilities")
    assert "the encoder 'vision' cannot read the input 'second': " in problem.what and says in problem.what


def test_a_plan_counts_each_input_at_its_size():
    toy = crops()
    step = shape_check.build(toy.resolved, toy.data_module).step(("crops",), 0)
    tokens = {name: size for name, size in step.shapes.items() if name.startswith("vision")}
    assert tokens == {"vision(image)": (8, (17,)), "vision(second)": (8, (5,)), "vision(second * dropped)": (8, (2,))}
    image, second = (step.forward[f"vision({name})"] for name in ("image", "second"))
    assert 16 / 4 <= image / second < (17 / 5) ** 2  # linear maps of patches, attention between all tokens
