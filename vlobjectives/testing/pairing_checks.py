"""The checks of pairings."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.passes import PairsKey
from vlobjectives.contracts.values import Pairs
from vlobjectives.contracts.views import fused
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.system.system import System
from vlobjectives.testing.check import Around, Check, demand, equal, listed, tensors, untouched
from vlobjectives.testing.static import on_fake_tensors
from vlobjectives.testing.toys import Toy

GROUP = 4


def pairing_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of pairings; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def chosen(system: System, name: str, batch: Batch, around: Around | None = None) -> Pairs:
    """What the host gets of the pairing, whatever it looks at included; indices count from the batch's first row."""
    view = fused(system.bare["image"], system.bare["text"], pairing=name)
    stage = system.stage(0)
    if around is not None:
        stage.around = around
    pairs: Pairs = execute.run(of_views(system, {"it": view}, "check"), stage, batch)[PairsKey(name, 0.0)]
    return pairs


def grouped(toy: Toy, name: str, group: int, pictures: int | None) -> tuple[System, Batch]:
    each = toy.with_data(pictures=pictures).changed(
        pairings={**toy.pairings, name: {**toy.pairings[name], "group": group}}
    )
    return each.system(), each.batch()


def each(toy: Toy, name: str) -> Iterator[tuple[System, Batch, int]]:
    """Groups of all and of a part of the rows; all pictures different, some equal, all equal."""
    for group in (toy.rows, GROUP):
        for pictures in (None, 3, 1):
            yield *grouped(toy, name, group, pictures), group


# ---- checks


def well_formed(toy: Toy, name: str) -> None:
    for system, batch, group in each(toy, name):
        pairs, rows = chosen(system, name, batch), system.pairings[name].rows(group) * (batch.size // group)
        for key in ("image", "text", "anchor", "valid"):
            x, kind = getattr(pairs, key), torch.bool if key == "valid" else torch.int64
            demand(
                tuple(x.shape) == (rows,) and x.dtype == kind,
                f"{key} is {tuple(x.shape)} {x.dtype}, not ({rows},) {kind}, for groups of {group}",
            )
        place = torch.arange(rows) // (rows // batch.size) // group
        for key in ("image", "text", "anchor"):
            demand(torch.equal(getattr(pairs, key) // group, place), f"{key} points outside of its group of {group}")
        demand(torch.equal(pairs.anchor, pairs.anchor.sort().values), "the pairs are not in the order of their anchors")
        demand(pairs.matched is None, "which rows stay matched is the host's to say")
        for key, x in tensors(pairs):
            demand(not x.requires_grad, f"{key} has a gradient")


def never_the_same_picture(toy: Toy, name: str) -> None:
    for system, batch, _ in each(toy, name):
        pairs = chosen(system, name, batch)
        wrong = batch.same[pairs.image] != batch.same[pairs.text]
        demand((wrong | ~pairs.valid).all(), "a valid pair shows the caption its own picture")
        kept = (pairs.image == pairs.anchor) | (pairs.text == pairs.anchor)
        demand(kept.all(), "a pair keeps neither the picture nor the caption of its anchor")


def order_of_rows(toy: Toy, name: str) -> None:
    for group in (toy.rows, GROUP):
        system, batch = grouped(toy, name, group, 3)
        order = torch.randperm(group, generator=torch.Generator().manual_seed(0))
        order = torch.cat([order + start for start in range(0, batch.size, group)])
        demand(
            _by_content(chosen(system, name, batch.rows(order)), batch.rows(order))
            == _by_content(chosen(system, name, batch), batch),
            "rows in another order have other partners",
        )


def _by_content(pairs: Pairs, batch: Batch) -> list[tuple[int, int, tuple[int, ...]]]:
    """The valid pairs: the anchor's number, the picture, the caption. Of equal partners any is as good."""
    captions = [tuple(row) for row in batch["text"].ids[pairs.text][pairs.valid].tolist()]
    numbers, pictures = (x[pairs.valid].tolist() for x in (batch.number[pairs.anchor], batch.same[pairs.image]))
    return sorted(zip(numbers, pictures, captions))


def same_seed_same_pairs(toy: Toy, name: str) -> None:
    for system, batch, _ in each(toy, name):
        found = []
        for state in (1, 2):
            torch.manual_seed(state)
            found.append(chosen(system, name, batch))
        equal(found[1], found[0], "a second time, ", 0.0)


def batch_read_only(toy: Toy, name: str) -> None:
    for system, batch, _ in each(toy, name):

        def around(key: Any, batch: Batch = batch) -> AbstractContextManager[None]:
            return untouched("the pairing" if isinstance(key, PairsKey) else f"the part {key.part}", batch)

        chosen(system, name, batch, around)


def static(toy: Toy, name: str) -> None:
    system, batch = grouped(toy, name, GROUP, 3)
    on_fake_tensors(partial(chosen, system, name), batch)


_CHECKS = [
    Check(
        "pairings",
        "well_formed",
        "Pairs are R = rows(group) rows of indices within the group, anchors in order.",
        "make every index int64 [R] counted from the group's first row, and keep one anchor's pairs together.",
        well_formed,
    ),
    Check(
        "pairings",
        "never_the_same_picture",
        "A valid pair is wrong, and keeps its anchor's picture or caption.",
        "compare batch.same of both, and give valid False without a partner: functional.mine_negatives does both.",
        never_the_same_picture,
    ),
    Check(
        "pairings",
        "order_of_rows",
        "Who is paired with whom does not hang on the order of rows in the group.",
        "draw for a pair by the numbers of both its samples; column j of noise(name, g) is a place, not a sample.",
        order_of_rows,
    ),
    Check(
        "pairings",
        "same_seed_same_pairs",
        "The same seed gives the same pairs, whatever torch's random state is.",
        "take random numbers from `noise`, not from torch.rand.",
        same_seed_same_pairs,
    ),
    Check(
        "pairings",
        "batch_read_only",
        "The batch is read-only.",
        "write x = x.masked_fill(...) and not x.masked_fill_(...); others read the same tensors.",
        batch_read_only,
    ),
    Check(
        "pairings",
        "static",
        "It runs on fake tensors: nothing asks the device for a number.",
        "no .item(), no `if tensor`, no boolean indexing: R hangs on the group's size alone.",
        static,
    ),
]
