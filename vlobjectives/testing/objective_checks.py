"""The checks of objectives, in the order in which they are best read: what leads comes first."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from vlobjectives.errors import RecipeError
from vlobjectives.testing.check import Check, CheckFailed, listed, raised
from vlobjectives.testing.gradient_checks import every_view_used, finite_gradients, gradient_where_declared
from vlobjectives.testing.numerics_checks import compiled, extreme_values, single_precision, static
from vlobjectives.testing.objective_steps import FINITE
from vlobjectives.testing.process_checks import STATISTICS, own_messages, ranks_equal_one
from vlobjectives.testing.processes import processes_equal_one
from vlobjectives.testing.state_checks import BUFFER, state_in_buffers
from vlobjectives.testing.step_checks import (
    batch_read_only,
    micro_batches_equal_one,
    planned_equals_alone,
    rows_permuted,
    same_seed_same_value,
)
from vlobjectives.testing.term_checks import chance_level, empty_counts, sums_and_counts, terms
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import AFTER_STEP, GATHER, NOISE, OUT_OF_PLACE

Test: TypeAlias = Callable[[Toy, str], None]
LEADS: tuple[Test, ...] = (same_seed_same_value, state_in_buffers)
"""Checks that whoever fails them fails others too, which are then not what is wrong."""


def objective_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of objectives; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def _check(name: str, description: str, hint: str, test: Test, leads: Sequence[Test] = ()) -> Check:
    """A check; where it fails, those are held first without which it cannot hold: they name what is wrong."""
    common = LEADS[: LEADS.index(test)] if test in LEADS else LEADS

    def led(toy: Toy, name: str) -> None:
        try:
            test(toy, name)
        except RecipeError:
            raise
        except Exception as error:
            if not isinstance(error, CheckFailed) or not error.cause:
                _demand_leads(toy, name, [*leads, *common])
            raise

    return Check("objectives", name, description, hint, led)


def _demand_leads(toy: Toy, name: str, leads: Sequence[Test]) -> None:
    for lead in leads:
        try:
            lead(toy, name)
        except Exception as wrong:
            error = wrong if isinstance(wrong, CheckFailed) else raised(wrong)
            cause = error.cause or lead.__name__
            hint = error.hint or next(check.hint for check in _CHECKS if check.name == cause)
            raise CheckFailed(str(error), hint, error.place, cause) from None


_CHECKS = [
    _check(
        "own_messages",
        "It sends nothing to other processes and asks nothing about them: that is the host's.",
        GATHER,
        own_messages,
    ),
    _check(
        "batch_read_only",
        "The batch and the values of views are read-only.",
        OUT_OF_PLACE,
        batch_read_only,
    ),
    _check(
        "terms",
        "Every term is a finite 0-d sum in the precision of the views, with a count of 0 or more.",
        "give Term(total, count) with the sum and not the mean, without .float() or .item(): the host hands over "
        "float32 or wider.",
        terms,
    ),
    _check(
        "finite_gradients",
        "The backward pass runs, and every gradient is finite where the loss is.",
        FINITE,
        finite_gradients,
    ),
    _check(
        "sums_and_counts",
        "A total is a sum over what its count counts: with each row repeated the value does not shrink.",
        "Term(rows.sum(), len(rows)), and Term(n * statistic, n) for a statistic of all rows.",
        sums_and_counts,
    ),
    _check(
        "chance_level",
        "The chance level is what total / count is for a system to which all rows look alike.",
        "ln N for the right one among N, 2 ln N for the sum of both directions, ln V for a word; None where features "
        "that are all alike are no guess.",
        chance_level,
        [sums_and_counts],
    ),
    _check(
        "gradient_where_declared",
        "Gradients reach every parameter that what forward reads hangs on, the parts that Config names and own "
        "modules, and nothing else.",
        "name the part by a PartName field, and declare a view for what you read.",
        gradient_where_declared,
    ),
    _check(
        "every_view_used",
        "Some term hangs on every declared view.",
        "take the view in forward, or leave it out of views: its pass costs time and memory. Where it is taken, "
        "targets that are all alike on toy rows (neighbours in a small queue) can hide it: give other options.",
        every_view_used,
        [terms],
    ),
    _check(
        "same_seed_same_value",
        "The same seed gives the same value, whatever the random states of torch, Python and numpy are.",
        NOISE,
        same_seed_same_value,
    ),
    _check(
        "state_in_buffers",
        "What it keeps between steps is saved: a system that loads its state goes on as the one that saved it.",
        BUFFER + AFTER_STEP,
        state_in_buffers,
    ),
    _check(
        "planned_equals_alone",
        "Sharing passes with another objective changes no value, no gradient and no dropout.",
        "read views only, keep no state between calls, draw with `noise`, write nothing in place.",
        planned_equals_alone,
    ),
    _check(
        "rows_permuted",
        "The order of a batch's rows does not matter.",
        "use batch.number and `noise`, never a row's place; scores of row pairs must not hang on their columns.",
        rows_permuted,
    ),
    _check(
        "empty_counts",
        "Nothing to score gives a differentiable 0 with count 0; never NaN or infinity.",
        "divide by count.clamp_min(1), guard log and 0/0 before, not after; x.sum() * 0 is a differentiable zero.",
        empty_counts,
    ),
    _check(
        "micro_batches_equal_one",
        "Two micro-batches give the step of one batch (with `group` their rows).",
        "declare `counts` if a term's count differs from batch to batch; it must give what forward counts.",
        micro_batches_equal_one,
    ),
    _check(
        "static",
        "It runs on fake tensors: nothing asks the device for a number, shapes hang on shapes alone.",
        "no .item(), no `if tensor`, no boolean index: functional.gather_tokens(x, draw.index) with draw.index_ok.",
        static,
    ),
    _check(
        "single_precision",
        "It runs in float32, beside passes in bf16 too, and is finite.",
        "take dtype and device from what is given: x.new_zeros(n), torch.eye(n, dtype=x.dtype, device=x.device).",
        single_precision,
        [terms],
    ),
    _check(
        "extreme_values",
        "Loss and gradients are finite for large features, for features of 0 and at the lowest temperature.",
        "log_softmax, logsumexp, logsigmoid and binary_cross_entropy_with_logits in place of log(softmax(x)) and "
        "exp(x); functional.l2_normalize(x) in place of x / x.norm().",
        extreme_values,
        [terms, single_precision],
    ),
    _check(
        "compiled",
        "torch.compile gives the same values.",
        "no side effects in forward: it is traced, not run line by line.",
        compiled,
    ),
    _check(
        "ranks_equal_one",
        "In training mode two processes, tried in one, give the values, gradients and buffers of one with all rows.",
        STATISTICS,
        ranks_equal_one,
    ),
    _check(
        "processes_equal_one",
        "Two processes give the loss and the gradients of one with all rows, for `group: all` and for a number.",
        "gather every tensor whose rows are compared, and count what was gathered; an objective "
        "that compares rows and does not gather sets a number as its default `group`.",
        processes_equal_one,
        [ranks_equal_one],
    ),
]
