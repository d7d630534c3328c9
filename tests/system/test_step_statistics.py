"""What objectives keep from step to step: statistics over micro-batches, groups and processes, `after_step`, and what
is said where a plug-in slips."""

import shutil
from io import StringIO
from pathlib import Path

import keeper
import pytest
import torch
from rich.console import Console
from small_recipes import changed, plugin
from toy_training import over_processes, stepped, trainer
from trial_runs import lines, recipe, run, same_weights, stream, weights

from vlobjectives import Objective, StepRows, StepSum, Term, joint
from vlobjectives.costs import table
from vlobjectives.costs.measure import measure
from vlobjectives.costs.shape_check import troubles
from vlobjectives.data.loader import Layout
from vlobjectives.errors import NonFiniteError
from vlobjectives.plugin_loading.attribution import blamed
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.testing import Toy
from vlobjectives.testing.check import same

SIZE = 20


class Keeps(Objective):
    """A centre (a mean over all rows), a queue (all rows), a histogram (whole numbers) and a count of steps."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("centre", torch.zeros(4))
        self.register_buffer("histogram", torch.zeros(5))
        self.register_buffer("queue", torch.full((SIZE,), -1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def views(self, inputs):
        return {"x": joint(inputs["image"])}

    def forward(self, x, batch):
        firsts = x.pooled[:, :4]
        kinds = torch.nn.functional.one_hot(batch.number % 5, 5)
        return {
            "far": Term((firsts - self.centre).square().sum(), batch.size),
            "centre": StepSum(firsts.sum(0), batch.size),
            "kinds": StepSum(kinds.sum(0), torch.full((), batch.size)),
            "numbers": StepRows(batch.number),
        }

    def after_step(self, centre, numbers, kinds):
        assert not centre.requires_grad and not torch.is_grad_enabled()
        self.centre.lerp_(centre, 0.5)
        self.histogram.add_(kinds)
        self.queue.copy_(torch.cat([numbers, self.queue])[:SIZE])
        self.steps.add_(1)


def keeping(cls=Keeps, **options) -> Toy:
    return Toy(objectives={"it": options}, components={"objective:it": cls})


def state(of) -> dict:
    return {name: x.detach().clone() for name, x in of.system.state_dict().items()}


@pytest.fixture(scope="module")
def whole():
    """Three steps of eight rows at once."""
    return state(stepped(keeping(), 3, Layout(8, 8)))


def test_a_step_hands_over_the_mean_and_all_rows(whole):
    """Computed here from the rows of the steps."""
    of = trainer(keeping(), Layout(8, 8))
    rows = []
    of.system.objectives["it"].register_forward_pre_hook(
        lambda _, given, named: rows.append((named["x"].pooled[:, :4].detach(), named["batch"].number)),
        with_kwargs=True,
    )
    stepped(keeping(), 3, Layout(8, 8), of)
    centre, queue = torch.zeros(4, dtype=torch.float64), torch.full((SIZE,), -1)
    for pooled, numbers in rows:
        centre = 0.5 * centre + 0.5 * pooled.mean(0)
        queue = torch.cat([numbers, queue])[:SIZE]
    found = state(of)
    assert len(rows) == 3 and found["objectives.it.steps"] == 3
    same(found["objectives.it.centre"], centre, "the centre")
    assert torch.equal(found["objectives.it.queue"], queue)
    same(found["objectives.it.histogram"].sum(), torch.tensor(3.0), "three steps' shares")
    for name, value in found.items():
        assert torch.equal(value, whole[name]), name


@pytest.mark.parametrize(("micro", "options"), [(4, {}), (2, {}), (8, {"group": 2}), (4, {"group": 2})])
def test_micro_batches_and_groups_equal_one_batch(whole, micro, options):
    found = state(stepped(keeping(**options), 3, Layout(8, micro)))
    assert torch.equal(found["objectives.it.queue"], whole["objectives.it.queue"])
    for name, value in whole.items():
        same(found[name], value, name)


def _rank(rank: int, micro: int) -> dict:
    return state(stepped(keeping(), 3, Layout(8, micro, 2, rank)))


@pytest.mark.parametrize("micro", [4, 2])
def test_two_processes_equal_one(whole, micro, port, tmp_path):
    """To 1e-9, the rows in the same order, and the same bits on both."""
    one, other = over_processes(_rank, port, tmp_path, micro)
    for name, value in whole.items():
        assert torch.equal(one[name], other[name]), name
        same(one[name], value, name)
    assert torch.equal(one["objectives.it.queue"], whole["objectives.it.queue"])


def test_nothing_follows_an_evaluation():
    system = keeping().system()
    before = {name: x.clone() for name, x in system.objectives["it"].named_buffers()}
    with torch.no_grad():
        assert set(system(keeping().batch(), 0).statistics["it"]) == {"centre", "kinds", "numbers"}
    assert all(torch.equal(x, before[name]) for name, x in system.objectives["it"].named_buffers())


class Steep(Keeps):
    """The gradient of its second step is infinite."""

    def forward(self, x, batch):
        terms = super().forward(x, batch)
        value = x.pooled.sum()
        steep = (value - value.detach() + (self.steps != 1)).sqrt()
        return {**terms, "steep": Term(steep, batch.size)}


def test_nothing_follows_a_step_that_is_refused():
    of = trainer(keeping(Steep), Layout(8, 8))
    with pytest.raises(NonFiniteError, match="step 1: the gradient of it went non-finite"):
        stepped(keeping(Steep), 3, Layout(8, 8), of)
    assert of.system.objectives["it"].steps == 1


def test_nothing_follows_a_step_that_the_scaler_leaves_out():
    of = trainer(keeping(Steep), Layout(8, 8), torch.amp.GradScaler("cpu", init_scale=8.0))
    stepped(keeping(Steep), 3, Layout(8, 8), of)
    assert of.system.objectives["it"].steps == 1 and of.scaler.get_scale() == 2, "two were left out"


def test_nothing_follows_a_step_without_the_objective():
    toy = Toy(objectives={"itc": {}, "it": {"weight": [[1, 0], [2, 1]]}}, components={"objective:it": Keeps})
    assert stepped(toy, 4, Layout(8, 8)).system.objectives["it"].steps == 2


# ---- slips


class Unasked(Keeps):
    def after_step(self, centre, numbers):
        pass


class Missing(Keeps):
    def after_step(self, centre, numbers, kinds, prototypes):
        pass


class Forgot(Keeps):
    after_step = Objective.after_step


class Wavering(Keeps):
    def forward(self, x, batch):
        returned = super().forward(x, batch)
        size = 4 if batch.number[0] % 2 else 3
        return {**returned, "centre": StepSum(x.pooled[:, :size].sum(0), batch.size)}


class Flat(Keeps):
    def forward(self, x, batch):
        return {**super().forward(x, batch), "numbers": StepRows(x.pooled.sum())}


class Yes(Keeps):
    def forward(self, x, batch):
        return {**super().forward(x, batch), "kinds": StepSum(batch.number > 1, batch.size)}


class OnlyStatistics(Keeps):
    def forward(self, x, batch):
        return {"centre": StepSum(x.pooled.sum(0), batch.size)}


class Alternating(Keeps):
    def forward(self, x, batch):
        returned = super().forward(x, batch)
        return {**returned, "centre": returned["far"]} if batch.number[0] % 2 else returned


@pytest.mark.parametrize(
    ("cls", "layout", "words"),
    [
        (Unasked, 8, "forward of Unasked returns the statistic 'kinds', and after_step does not name it"),
        (Forgot, 8, "forward of Forgot returns the statistic 'centre', which has no after_step"),
        (Missing, 8, "after_step asks for prototypes, and is given centre, kinds, numbers"),
        (
            Wavering,
            1,
            "forward returned 'centre' as a StepSum of torch.float64 [3] and then as a StepSum of torch.float64",
        ),
        (Alternating, 1, "forward returned 'centre' as a StepSum of torch.float64 [4] and then as nothing"),
        (Alternating, "group", "forward returned 'centre' as a StepSum of torch.float64 [4] and then as a Term"),
        (Flat, 8, "the rows of the statistic 'numbers' have no row axis"),
        (Yes, 8, "the total of the statistic 'kinds' is torch.bool"),
        (OnlyStatistics, 8, "forward returned no term"),
    ],
)
def test_a_slip_is_named_with_component_and_line(cls, layout, words):
    options = {"group": 1} if layout == "group" else {}
    with pytest.raises(TypeError) as error:
        stepped(keeping(cls, **options), 1, Layout(8, 8 if options else layout))
    said = str(blamed(error.value))
    assert words in said and "objectives.it: " in said and f"{Path(__file__).name}:" in said and "hint: " in said
    assert len(said.splitlines()) == 2


class Broken(Keeps):
    def forward(self, x, batch):
        return {**super().forward(x, batch), "centre": StepSum(x.pooled[:, :4].sum(0) / 0, batch.size)}


def test_a_statistic_that_is_not_finite_is_named_and_comes_into_no_buffer():
    of = trainer(keeping(Broken), Layout(8, 8))
    before = state(of)
    with pytest.raises(
        NonFiniteError, match=r"objectives.it: step 0: the statistic 'centre' .* went non-finite"
    ) as error:
        stepped(keeping(Broken), 1, Layout(8, 8), of)
    assert error.value.place.file == __file__
    assert all(torch.equal(value, before[name]) for name, value in state(of).items())


class Miscounting(Keeps):
    def forward(self, x, batch):
        return {**super().forward(x, batch), "kinds": StepSum(torch.ones(5), x.pooled.sum() * 0 - 1)}


def test_a_count_that_is_none_is_named():
    with pytest.raises(NonFiniteError, match="the statistic 'kinds' for after_step went non-finite"):
        stepped(keeping(Miscounting), 1, Layout(8, 8))


class Nothing(Keeps):
    def forward(self, x, batch):
        return {**super().forward(x, batch), "kinds": StepSum(torch.ones(5), 0)}


def test_the_mean_of_nothing_is_what_was_summed():
    """As of a term: a total over a count of 0 is 0 where nothing was scored; here the total is no zero, and shows."""
    assert torch.equal(
        stepped(keeping(Nothing), 1, Layout(8, 8)).system.objectives["it"].histogram, torch.ones(5).double()
    )


class Failing(Keeps):
    def after_step(self, centre, numbers, kinds):
        self.histogram.add_(numbers)


def test_what_fails_after_a_step_is_named_with_its_line():
    with pytest.raises(RuntimeError) as error:
        stepped(keeping(Failing), 1, Layout(8, 8))
    said = str(blamed(error.value))
    assert "objectives.it: after_step failed: " in said and f"{Path(__file__).name}:" in said


class Uneven(Keeps):
    def forward(self, x, batch):
        few = batch.number[: batch.size - torch.distributed.get_rank()]
        return {**super().forward(x, batch), "numbers": StepRows(few)}


def _uneven(rank: int) -> str:
    try:
        stepped(keeping(Uneven), 1, Layout(8, 4, 2, rank))
    except TypeError as error:
        return str(blamed(error))
    return ""


def test_rows_that_differ_over_processes_are_named_on_both(port, tmp_path):
    one, other = over_processes(_uneven, port, tmp_path)
    assert one == other
    assert "objectives.it: the statistic 'numbers' is StepRows of torch.int64 [n] with n = 4 on one process and" in one


# ---- recipes and runs


@pytest.fixture
def small(tmp_path):
    def make(*changes: tuple[str, str]) -> Path:
        code = keeper.CODE
        for old, new in changes:
            assert code.count(old) == 1, old
            code = code.replace(old, new)
        plugin(tmp_path, code, "keeper.py")
        return changed(tmp_path, {"objectives:\n": "plugins: [keeper.py]\nobjectives:\n  keeper: {}\n"})

    return make


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[:12])", "[:16])"), "after_step failed: "),
        (("torch.zeros(32))", "torch.zeros(32), persistent=False)"), "'centre', which no checkpoint holds"),
        (("self.centre.lerp_(centre, 0.1)", "self.centre = centre[:8]"), "'centre' [8], and it was [32]"),
        (("self.centre.lerp_(centre, 0.1)", "self.centre.fill_(centre.sum().item())"), "asks the device for a number"),
    ],
)
def test_the_shape_check_runs_it(small, change, words):
    [error] = troubles(resolve(load(small(change)), Registry()))
    assert error.path == ("objectives", "keeper") and words in error.why and error.hint


def test_the_plan_shows_what_is_kept(small):
    found = measure(resolve(load(small()), Registry()))
    assert found.state == {"keeper": {"centre": (32,), "queue": (12, 32)}}
    assert table.data(found)["state"] == found.state
    shown = StringIO()
    Console(width=120, file=shown).print(table.renderable(found))
    assert "Changed by keeper after each step, and saved: centre 32, queue 12 x 32." in shown.getvalue()


def test_a_run_that_is_resumed_keeps_every_bit(tmp_path):
    path = recipe(tmp_path, keeper.CODE, "keeper: {}")
    still = ("run.steps=4", "data.micro_batch=4", "evaluate.losses=false", "run.checkpoint.keep=9")
    still = (*still, "run.ema.decay={from: 0.5, to: 0.9}")
    child = run(path, tmp_path / "whole", *still)
    assert child.wait() == 0, child.text
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "step-000004")
    child = run(path, tmp_path / "again", *still)
    assert child.wait() == 0, child.text
    assert "going on after step 2" in child.text
    same_weights(tmp_path / "again", tmp_path / "whole")
    assert stream(tmp_path / "again") == stream(tmp_path / "whole")
    assert [round(line["ema_decay"], 3) for line in lines(tmp_path / "again")] == [0.5, 0.559, 0.7, 0.841]
    kept = weights(tmp_path / "again")
    assert kept["objectives.keeper.queue"].any(1).all()
    average, weight = kept["averages.objectives.keeper.head.weight"], kept["objectives.keeper.head.weight"]
    assert not torch.equal(average, weight)
