"""One step of an objective: alike beside others, in another order of rows, a second time, in two micro-batches."""

import torch

from vlobjectives.testing.check import demand, equal, gradients, same, same_gradients, summed, untouched
from vlobjectives.testing.companions import accompanied, alone
from vlobjectives.testing.objective_steps import own, step, weighted
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import random_states_kept, watch, watched


def planned_equals_alone(toy: Toy, name: str) -> None:
    batch = toy.batch()
    losses, wanted = step(watched(toy, name), batch, name)
    for share in ("all", "none"):
        shared = accompanied(toy.changed(plan={"share": share}), name, train=False)
        watch(shared, name)
        found, moved = step(shared, batch, name)
        for key, value in own(losses, name).items():
            same(own(found, name)[key], value, f"{key} beside another objective (plan.share {share})")
        same_gradients(moved, wanted)
    shaky = toy.changed(dropout=0.2)
    equal(
        own(accompanied(shaky, name, True)(batch, 0), name),
        own(alone(shaky, name).system(True)(batch, 0), name),
        "with dropout, beside another objective,",
    )


def batch_read_only(toy: Toy, name: str) -> None:
    batch = toy.batch()
    with untouched("the objective", batch):
        watched(toy, name)(batch, 0)


def rows_permuted(toy: Toy, name: str) -> None:
    toy = toy.grouped(name, toy.rows).grouped(name, "all")
    batch, system = toy.batch(), watched(toy, name)
    order = torch.randperm(toy.rows, generator=torch.Generator().manual_seed(0))
    wanted, expected = step(system, batch, name)
    found, moved = step(system, batch.rows(order), name)
    equal(own(found, name), own(wanted, name), "with rows in another order, ")
    same_gradients(moved, expected)


def same_seed_same_value(toy: Toy, name: str) -> None:
    for train in (False, True):
        watched(toy, name, train)(toy.batch(), 0)
    for train, each in ((False, toy), (True, toy.changed(dropout=0.2))):
        found = []
        for state in (1, 2):
            with random_states_kept(state):
                system = alone(each, name).system(train)
                found.append(step(system, each.batch(), name))
        equal(own(found[1][0], name), own(found[0][0], name), "a second time, ", tolerance=0.0)
        equal(found[1][1], found[0][1], "a second time, the gradient ", tolerance=0.0)


def micro_batches_equal_one(toy: Toy, name: str) -> None:
    group = toy.rows // 2
    toy = toy.grouped(name, group)
    batch, system = toy.batch(), watched(toy, name)
    wanted, expected = step(system, batch, name)
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
