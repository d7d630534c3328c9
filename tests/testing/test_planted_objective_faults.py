"""Faults of objectives that people make: each is caught by a check that says what, where and what to change."""

import inspect
import re

import faulty_objectives
import pytest
import torch

from vlobjectives.testing import CheckFailed, Toy, objective_checks

CHECKS = {check.name: check for check in objective_checks() if check.name != "processes_equal_one"}
FAULTS = {
    "MeanAsTotal": (
        "sums_and_counts",
        "total 4.16 with 8 rows, and with 32 .* 6.93: it is a mean where a sum",
    ),
    "MeanWithCountOne": ("sums_and_counts", "count 1 with 8 rows, and with 32 .* 1: a mean over rows is handed over"),
    "CountOfPairs": ("sums_and_counts", "count 64 with 8 rows, and with 32 .* 1024: it counts pairs"),
    "ChanceTwice": ("chance_level", "is 4.159, and a system to which all 8 rows look alike scores 2.079"),
    "ChanceTimesN": ("chance_level", "is 16.64, and .* scores 2.079"),
    "ChanceBelowZero": ("chance_level", "is -1, and .* scores 2.079"),
    "ChanceOfWords": ("chance_level", "is 2.197, and .* scores 2.5"),
    "TowerDetached": (
        "gradient_where_declared",
        "reads image.pooled, and no gradient comes back to 13 parameters of 'joint', 'vision', such as ",
    ),
    "TemperatureDetached": (
        "gradient_where_declared",
        "reads image.scale, and no gradient comes back to 1 parameter of 'joint', such as model.joint.temp",
    ),
    "HeadUnused": ("gradient_where_declared", "its own parameter head.weight gets no gradient"),
    "NanGradients": ("finite_gradients", "the loss is 2.08 and the gradient of 14 of 27 parameters is NaN"),
    "WritesOverWhatIsNeeded": ("finite_gradients", "its backward pass fails: .* modified by an inplace operation"),
    "OwnRowsKept": ("ranks_equal_one", "the gradient of .* differs by .*: what it gathers has no gradient"),
    "OwnRows": ("ranks_equal_one", "over two processes it/it differs by 0.693: .* and gathers nothing"),
    "HalfGathered": (
        "ranks_equal_one",
        "over two processes it/it differs by .*: some of it is computed over",
    ),
    "OwnCovariance": ("ranks_equal_one", "over two processes it/covariance differs by"),
    "BatchNormed": ("ranks_equal_one", "its module 'norm_rows' is a BatchNorm1d, which in training normalises by"),
    "SyncNormed": ("ranks_equal_one", "its module 'norm_rows' is a SyncBatchNorm, which in training normalises by"),
    "GathersNowAndThen": ("ranks_equal_one", "one process gathers where another does not"),
    "CentreOfOwnRows": ("ranks_equal_one", "after a step the buffer 'centre' differs over the processes"),
    "GuardedMessages": ("own_messages", "it calls torch.distributed.is_initialized itself"),
    "UnguardedMessages": ("own_messages", "it calls torch.distributed.all_reduce itself"),
    "PublicGather": ("own_messages", "it calls functional.all_gather_with_grad itself"),
    "ListQueue": ("state_in_buffers", "differs by .* in training: it keeps `queue` between steps"),
    "Counter": ("state_in_buffers", "differs by .* in training: it keeps `calls` between steps"),
    "CentreUnsaved": ("state_in_buffers", "differs by .* in training: it keeps `centre` between steps"),
    "CentreInForward": ("state_in_buffers", "forward writes the buffer 'centre'"),
    "GrowingQueue": (
        "state_in_buffers",
        "what it saved is not what it can load: size mismatch for .*it.queue",
    ),
    "WritesView": ("batch_read_only", "it writes into image.pooled, which others read"),
    "WritesBatch": ("batch_read_only", "it writes into batch.values.text.ids, which others read"),
    "TorchDice": ("same_seed_same_value", r"it draws torch's random numbers \(rand_like\)"),
    "TorchDiceInTraining": ("same_seed_same_value", r"it draws torch's random numbers \(bernoulli_\)"),
    "PythonDice": ("same_seed_same_value", r"it draws Python's random numbers \(random\)"),
    "NumpyDice": ("same_seed_same_value", "it draws numpy's random numbers"),
    "OwnDice": ("same_seed_same_value", "a second time, it/it differs by"),
    "Item": ("static", r"\.item\(\), .*_local_scalar_dense.* needs numbers where only shapes are known"),
    "BooleanIndex": ("static", "a boolean index.*nonzero.* needs numbers where only shapes are known"),
    "FirstRowSpecial": ("rows_permuted", "with rows in another order, it/it differs by"),
    "Doubles": ("single_precision", "expected m1 and m2 to have the same dtype, but got: float != double"),
    "Halves": ("terms", "it/it is torch.bfloat16 where the views are float64"),
    "Overflows": ("extreme_values", "with features of 0, and rows that are all alike at a scale of 100: it/it is nan"),
    "UnguardedNorm": ("extreme_values", "with features of 0, .* it/it is nan"),
    "AsksTheCompiler": ("compiled", "under torch.compile it/it differs by"),
}
TWO = {"GathersNowAndThen": ["static"]}
"""What has two faults, and the check that finds the other one."""
SPREADS = ("NanGradients", "WritesView")
"""Faults that would fail most checks in words of their own; how the others spread is a slow test."""


def toy(fault: str) -> Toy:
    return Toy(objectives={"it": {}}, components={"objective:it": getattr(faulty_objectives, fault)})


def message(check: str, fault: str) -> str:
    try:
        CHECKS[check].run("it", toy(fault))
    except CheckFailed as error:
        return str(error)
    return ""


def line(fault: str) -> int:
    """The line that a message should name: the marked one, else that of `forward`."""
    cls = getattr(faulty_objectives, fault)
    for each in cls.__mro__[:-1]:
        lines, first = inspect.getsourcelines(each)
        for number, text in enumerate(lines):
            if each.__module__ == cls.__module__ and text.rstrip().endswith("# here"):
                return first + number
    return inspect.getsourcelines(cls.forward)[1]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(fault):
    check, words = FAULTS[fault]
    found = message(check, fault)
    assert re.match(rf"objectives.it fails the check '{check}': .*{words}", found), found
    assert re.search(r"\n    check: \w.*\n    hint:  \w", found), found
    if fault not in ("CentreUnsaved", "WritesOverWhatIsNeeded"):
        assert f"\n    at:    {faulty_objectives.__file__}:{line(fault)}\n" in found, found


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[pytest.mark.slow] * (fault not in SPREADS)) for fault in FAULTS]
)
def test_one_message_leads(fault):
    """All others pass, or say that it is the same fault."""
    lead = FAULTS[fault][0]
    found = {name: message(name, fault) for name in CHECKS if name != lead}
    others = {name: words for name, words in found.items() if words and f", since it fails '{lead}': " not in words}
    assert [*others] == TWO.get(fault, []), others


def test_the_sound_one_passes():
    assert not [name for name in CHECKS if message(name, "Centred")]


def test_every_check_catches_something():
    others = {"planned_equals_alone", "every_view_used", "empty_counts", "micro_batches_equal_one"}  # test_checks_fail
    assert {check for check, _ in FAULTS.values()} | others == CHECKS.keys()


def doubled_when_compiled(x):
    return x * 2 if torch.compiler.is_compiling() else x


def test_two_ranks_leave_torch_compile_at_work():
    """Modes of two threads that take turns would leave torch's flag of modes, by which torch.compile does nothing."""
    message("ranks_equal_one", "OwnRowsKept")
    torch._dynamo.reset()
    assert torch.compile(doubled_when_compiled, backend="eager")(torch.ones(1)).item() == 2
