"""The checks of objectives, all but the one that needs several processes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vlobjectives.contracts.values import Term
from vlobjectives.system.assemble import view_parts
from vlobjectives.system.losses import Losses
from vlobjectives.testing.check import (
    Check,
    CheckFailed,
    demand,
    equal,
    gradients,
    listed,
    same,
    same_gradients,
    summed,
    untouched,
)
from vlobjectives.testing.companions import accompanied, alone
from vlobjectives.testing.processes import processes_equal_one
from vlobjectives.testing.static import on_fake_tensors
from vlobjectives.testing.toys import Toy


def objective_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of objectives; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def own(losses: Losses, name: str) -> dict[str, Tensor]:
    """The values of an objective's terms."""
    return {term: losses.value(term) for term in losses.terms if term.split("/")[0] == name}


def weighted(losses: Losses, name: str) -> Tensor:
    """What an objective adds to the loss."""
    return summed(losses.weighted(term) for term in own(losses, name))


# ---- checks


def terms(toy: Toy, name: str) -> None:
    losses = alone(toy, name).system()(toy.batch(), 0)
    demand(len(losses.terms) > 0, "it gives no term")
    for key, term in losses.terms.items():
        demand(isinstance(term, Term), f"{key} is a {type(term).__name__}, not a Term")
        demand(isinstance(term.total, Tensor) and term.total.dim() == 0, f"the total of {key} is no 0-d tensor")
        demand(math.isfinite(float(term.total.detach())), f"{key} is {float(term.total.detach())}")
        count = float(term.count)
        demand(count >= 0 and math.isfinite(count), f"the count of {key} is {count}")
        if term.weight:
            demand(term.total.requires_grad, f"{key} has a weight and no gradient")
            demand(term.total.dtype == torch.float64, f"{key} is {term.total.dtype} where the views are float64")


def planned_equals_alone(toy: Toy, name: str) -> None:
    batch, system = toy.batch(), alone(toy, name).system()
    losses = system(batch, 0)
    wanted = gradients(system, weighted(losses, name))
    for share in ("all", "none"):
        shared = accompanied(toy.changed(plan={"share": share}), name, train=False)
        found = shared(batch, 0)
        for key, value in own(losses, name).items():
            same(own(found, name)[key], value, f"{key} beside another objective (plan.share {share})")
        same_gradients(gradients(shared, weighted(found, name)), wanted)
    shaky = toy.changed(dropout=0.2)
    equal(
        own(accompanied(shaky, name, True)(batch, 0), name),
        own(alone(shaky, name).system(True)(batch, 0), name),
        "with dropout, beside another objective,",
    )


def batch_read_only(toy: Toy, name: str) -> None:
    system, batch = alone(toy, name).system(), toy.batch()
    objective, guards = system.objectives[name], []

    def before(_: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        guards.append(untouched("the objective", {k: x for k, x in kwargs.items() if not isinstance(x, nn.Module)}))
        guards[-1].__enter__()

    def after(*_: Any) -> None:
        guards.pop().__exit__(None, None, None)

    objective.register_forward_pre_hook(before, with_kwargs=True)
    objective.register_forward_hook(after)
    with untouched("the objective", batch):
        try:
            system(batch, 0)
        except RuntimeError as error:
            raise CheckFailed(f"it fails on shared values: {error}") from error


def gradient_where_declared(toy: Toy, name: str) -> None:
    system = alone(toy, name).system()
    objective = system.objectives[name]
    views = objective.views(system.inputs)
    reached = set().union(*map(view_parts, views.values()), objective.config.named("part").values())
    tied = {f"model.{one}" for part in reached if part in system.model for one in system.model[part].ties().values()}
    losses = system(toy.batch(), 0)
    found = gradients(system, weighted(losses, name))
    for parameter in found:
        own_or_declared = parameter.startswith(f"objectives.{name}.") or parameter.split(".")[1] in reached
        demand(own_or_declared or parameter in tied, f"a gradient reaches {parameter}, which no view runs through")
    moved = {key.split(".")[1] for key, x in found.items() if key.startswith("model.") and x.any()}
    for key, view in views.items():
        demand(view.part in moved, f"no gradient reaches '{view.part}', through which the view '{key}' runs")
    for parameter, _ in objective.named_parameters():
        demand(f"objectives.{name}.{parameter}" in found, f"its own parameter {parameter} gets no gradient")


def every_view_used(toy: Toy, name: str) -> None:
    system, batch = alone(toy, name).system(), toy.batch()
    objective, other = system.objectives[name], {"view": ""}

    def exchanged(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if other["view"] in kwargs:
            kwargs[other["view"]] = kwargs[other["view"]].map(lambda x: x.roll(1) if x.is_floating_point() else x)
        return args, kwargs

    objective.register_forward_pre_hook(exchanged, with_kwargs=True)
    wanted = own(system(batch, 0), name)
    for view in objective.views(system.inputs):
        other["view"] = view
        found = own(system(batch, 0), name)
        demand(
            any(not torch.equal(found[key], wanted[key]) for key in wanted),
            f"no term hangs on what the view '{view}' holds",
        )


def rows_permuted(toy: Toy, name: str) -> None:
    toy = toy.grouped(name, toy.rows).grouped(name, "all")
    batch, system = toy.batch(), alone(toy, name).system()
    order = torch.randperm(toy.rows, generator=torch.Generator().manual_seed(0))
    wanted = system(batch, 0)
    expected = gradients(system, weighted(wanted, name))
    found = system(batch.rows(order), 0)
    equal(own(found, name), own(wanted, name), "with rows in another order, ")
    same_gradients(gradients(system, weighted(found, name)), expected)


def empty_counts(toy: Toy, name: str) -> None:
    for what, bare in (
        ("captions without a word", toy.with_data(words=(0, 0))),
        ("one picture in all rows", toy.with_data(pictures=1)),
        ("a batch of one row", toy),
    ):
        system = alone(bare, name).system()
        losses = system(bare.batch(1 if "one row" in what else None), 0)
        for key, term in losses.terms.items():
            total, count = float(term.total.detach()), float(term.count)
            demand(math.isfinite(total), f"{what}: {key} is {total}")
            demand(count > 0 or total == 0, f"{what}: {key} counts nothing and is {total}, not 0")
            demand(term.total.requires_grad or not term.weight, f"{what}: {key} is not differentiable")
            chance = 0.0 if term.chance is None else float(term.chance)
            demand(math.isfinite(chance), f"{what}: the chance of {key} is {chance}")
        for parameter, x in gradients(system, weighted(losses, name)).items():
            demand(x.isfinite().all(), f"{what}: the gradient of {parameter} is not finite")


def same_seed_same_value(toy: Toy, name: str) -> None:
    for train, each in ((False, toy), (True, toy.changed(dropout=0.2))):
        found = []
        for state in (1, 2):
            torch.manual_seed(state)
            system = alone(each, name).system(train)
            losses = system(each.batch(), 0)
            found.append((own(losses, name), gradients(system, weighted(losses, name))))
        equal(found[1][0], found[0][0], "a second time, ", tolerance=0.0)
        equal(found[1][1], found[0][1], "a second time, the gradient ", tolerance=0.0)


def micro_batches_equal_one(toy: Toy, name: str) -> None:
    group = toy.rows // 2
    toy = toy.grouped(name, group)
    batch, system = toy.batch(), alone(toy, name).system()
    wanted = system(batch, 0)
    expected = gradients(system, weighted(wanted, name))
    parts = [batch.rows(slice(start, start + group)) for start in (0, group)]
    counted = [system.counts(part, 0, m) for m, part in enumerate(parts)]
    counts = {key: counted[0][key] + counted[1][key] for key in counted[0]}
    for key, count in counts.items():
        demand(key in wanted.terms, f"`counts` tells of {key}, which is no term")
        same(count, wanted.counts[key], f"`counts` of {key}")
    losses = [system(part, 0, m, 2, counts) for m, part in enumerate(parts)]
    for key, value in own(wanted, name).items():
        same(sum(part.value(key) for part in losses), value, f"{key} over two micro-batches")
    same_gradients(gradients(system, summed(weighted(part, name) for part in losses)), expected)


def static(toy: Toy, name: str) -> None:
    system, batch = alone(toy, name).system(), toy.batch()

    def step(batch: Any) -> None:
        system.counts(batch, 0)
        losses = system(batch, 0)
        torch.autograd.backward(weighted(losses, name))

    on_fake_tensors(step, batch)


def _check(name: str, description: str, hint: str, test: Callable[[Toy, str], None]) -> Check:
    return Check("objectives", name, description, hint, test)


_CHECKS = [
    _check(
        "terms",
        "Every term is a finite 0-d sum in the precision of the views, with a count of 0 or more.",
        "give Term(total, count) with the sum and not the mean, without .float() or .item(): the host hands over "
        "float32 or wider.",
        terms,
    ),
    _check(
        "planned_equals_alone",
        "Sharing passes with another objective changes no value, no gradient and no dropout.",
        "read views only, keep no state between calls, draw with `noise`, write nothing in place.",
        planned_equals_alone,
    ),
    _check(
        "processes_equal_one",
        "Two processes give the loss and the gradients of one with all rows, for `group: all` and for a number.",
        "gather every tensor whose rows are compared, and count what was gathered; an objective "
        "that compares rows and does not gather sets a number as its default `group`.",
        processes_equal_one,
    ),
    _check(
        "batch_read_only",
        "The batch and the values of views are read-only.",
        "write x = x.masked_fill(...) and not x.masked_fill_(...) or x[...] = ...; others read the same tensors.",
        batch_read_only,
    ),
    _check(
        "gradient_where_declared",
        "Gradients reach the parts that the views run through, the parts that Config names "
        "and own modules, and nothing else.",
        "name the part by a PartName field, and declare a view for what you read.",
        gradient_where_declared,
    ),
    _check(
        "every_view_used",
        "Some term hangs on every declared view.",
        "take the view in forward, or leave it out of views: its pass costs time and memory.",
        every_view_used,
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
        "same_seed_same_value",
        "The same seed gives the same value, whatever torch's random state is.",
        "take random numbers from `noise`, not from torch.rand.",
        same_seed_same_value,
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
]
