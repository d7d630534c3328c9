"""The checks of masks. Each is tried on every input whose encoder can hide as the mask fills."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

from vlobjectives.contracts.batch import Batch, Tokens
from vlobjectives.contracts.mask import MaskTarget
from vlobjectives.contracts.passes import MaskKey
from vlobjectives.contracts.values import MaskSample
from vlobjectives.contracts.views import Input, encoded
from vlobjectives.functional import indices_to_mask
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.system.system import System
from vlobjectives.testing.check import Around, Check, demand, listed, tensors, untouched
from vlobjectives.testing.static import on_fake_tensors
from vlobjectives.testing.toys import Toy

TEXT_FILLS = ("mask", "bert")


def mask_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of masks; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def inputs_for(system: System, name: str) -> list[str]:
    """The inputs that the mask can be worn by: texts for `mask` and `bert`, pictures for all other fills."""
    text = system.masks[name].fill in TEXT_FILLS
    return [key for key, site in system.sites[""].items() if bool(site.special) == text]


def drawn(system: System, name: str, x: str, batch: Batch, step: int = 0, around: Around | None = None) -> MaskSample:
    """What the host gets of the mask on input `x`, whatever the mask looks at included."""
    share = of_views(system, {"it": encoded(Input(x, system.bare[x].part, name))}, "check")
    stage = system.stage(step)
    if around is not None:
        stage.around = around
    sample: MaskSample = execute.run(share, stage, batch)[MaskKey(name, x)]
    return sample


def each(toy: Toy, name: str) -> Iterator[tuple[System, MaskTarget, Batch, MaskSample]]:
    """Pictures and clips for masks of pictures, captions of all lengths for masks of texts."""
    text = toy.system().masks[name].fill in TEXT_FILLS
    for one in (toy, toy.with_data(words=(0, 0))) if text else (toy, toy.with_data(frames=3)):
        system, batch = one.system(), one.batch()
        for x in inputs_for(system, name):
            yield system, system.sites[""][x], batch, drawn(system, name, x, batch)


def equal_draws(one: MaskSample, other: MaskSample) -> bool:
    """Equal where it counts: what surplus places of `index` hold is nobody's business."""
    a, b = ({**dict(tensors(x)), "index": x.index.where(x.index_ok, -1)} for x in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# ---- checks


def well_formed(toy: Toy, name: str) -> None:
    for system, site, batch, draw in each(toy, name):
        size, n, rows = system.masks[name].size(site), site.positions, batch.size
        for key, shape, kind in (
            ("hidden", (rows, n), torch.bool),
            ("scored", (rows, n), torch.bool),
            ("index", (rows, size), torch.int64),
            ("index_ok", (rows, size), torch.bool),
        ):
            x = getattr(draw, key)
            demand(
                tuple(x.shape) == shape and x.dtype == kind,
                f"{key} is {tuple(x.shape)} {x.dtype}, not {shape} {kind}, for {n} positions and size() {size}",
            )
        demand(((draw.index >= 0) & (draw.index < n)).all(), "index points outside of the input, surplus places too")
        demand(torch.equal(indices_to_mask(draw.index, n, draw.index_ok), draw.scored), "index and scored do not agree")
        demand(torch.equal(draw.index_ok.sum(1), draw.scored.sum(1)), "a position stands in index twice")
        demand(draw.fill == system.masks[name].fill, f"the draw's fill is '{draw.fill}', the mask's another")
        for key, x in tensors(draw):
            demand(not x.requires_grad, f"{key} has a gradient")
        (_text if site.special else _picture)(draw, site, batch)


def _picture(draw: MaskSample, site: MaskTarget, batch: Batch) -> None:
    demand(draw.ids is None, "a draw of pictures holds ids")
    demand((draw.keep is not None) == (draw.fill == "drop"), f"keep goes with drop and with nothing else ({draw.fill})")
    if draw.keep is not None:
        left = indices_to_mask(draw.keep, site.positions)
        demand(torch.equal(left, ~draw.hidden), "keep is not what is not hidden")
        demand((left.sum(1) == draw.keep.shape[1]).all(), "a position stands in keep twice")
        frame = draw.keep // (site.positions // site.frames)
        wanted = torch.arange(site.frames).repeat_interleave(draw.keep.shape[1] // site.frames)
        demand(
            torch.equal(frame, wanted.expand_as(frame)),
            "keep must hold equally many positions of each frame, frame after frame",
        )


def _text(draw: MaskSample, site: MaskTarget, batch: Batch) -> None:
    tokens: Tokens = batch[site.input]
    demand(draw.ids is not None, "a draw of texts needs ids")
    demand(not (draw.scored & tokens.special).any(), "begin, end or padding is scored")
    ids = tokens.ids if draw.ids is None else draw.ids
    demand(torch.equal(ids.ne(tokens.ids), draw.hidden), "hidden is not where the ids changed")
    demand(not (draw.hidden & ~draw.scored & (tokens.segment == 0)).any(), "a word is changed that is not scored")
    demand(((ids >= 0) & (ids < site.vocabulary)).all(), "ids lie outside of the vocabulary")


def within_bounds(toy: Toy, name: str) -> None:
    full = toy.with_data(words=(7, 7))
    for system, site, _, draw in each(full, name):
        if site.special and not draw.scored.any():
            continue  # the captions without a word
        low, high = system.masks[name].hides(site)
        count = draw.hidden.sum(1)
        demand(0 <= low <= high <= site.positions, f"hides() gives ({low}, {high}) of {site.positions}")
        demand(
            ((count >= low) & (count <= high)).all() or draw.fill == "bert",
            f"{int(count.min())} to {int(count.max())} positions are hidden, hides() says {low} to {high}",
        )
        demand((count <= high).all(), f"{int(count.max())} positions are hidden, hides() says {high} at most")


def by_number_alone(toy: Toy, name: str) -> None:
    order = torch.randperm(toy.rows, generator=torch.Generator().manual_seed(0))
    for system, site, batch, draw in each(toy, name):
        for what, rows in (("other rows are left out", slice(2, 5)), ("the rows stand in another order", order)):
            found = drawn(system, name, site.input, batch.rows(rows))
            demand(equal_draws(found, draw.rows(rows)), f"the draw of a sample changes where {what}")


def same_seed_same_draw(toy: Toy, name: str) -> None:
    for _, site, batch, draw in each(toy, name):
        torch.manual_seed(1)
        again = drawn(_like(toy, site), name, site.input, batch)
        demand(equal_draws(again, draw), "the same seed draws something else")


def _like(toy: Toy, site: MaskTarget) -> System:
    return (toy.with_data(frames=site.frames) if site.frames > 1 else toy).system()


def new_each_step(toy: Toy, name: str) -> None:
    for system, site, batch, draw in each(toy, name):
        later = drawn(system, name, site.input, batch, step=1)
        demand(not equal_draws(later, draw) or not draw.scored.any(), "another step draws the same")


def batch_read_only(toy: Toy, name: str) -> None:
    for system, site, batch, _ in each(toy, name):

        def around(key: Any, batch: Batch = batch) -> AbstractContextManager[None]:
            return untouched("the mask" if isinstance(key, MaskKey) else f"the part {key.part}", batch)

        drawn(system, name, site.input, batch, around=around)


def static(toy: Toy, name: str) -> None:
    for system, site, batch, _ in each(toy, name):
        on_fake_tensors(partial(drawn, system, name, site.input), batch)


_CHECKS = [
    Check(
        "masks",
        "well_formed",
        "A draw has the shapes and types of MaskSample, and its fields tell the same story.",
        "make hidden [B,N] first and index with functional.mask_to_indices(hidden, self.size(site)).",
        well_formed,
    ),
    Check(
        "masks",
        "within_bounds",
        "As many positions of a full input are hidden as hides(site) says.",
        "count in hides() with the function that draw() counts with.",
        within_bounds,
    ),
    Check(
        "masks",
        "by_number_alone",
        "The draw of a sample hangs on its number and its content, on no other row.",
        "draw with noise(...) or noise.order(...), which give a row to each number; compare no rows.",
        by_number_alone,
    ),
    Check(
        "masks",
        "same_seed_same_draw",
        "The same seed and step give the same draw, whatever torch's random state is.",
        "take random numbers from `noise`, not from torch.rand.",
        same_seed_same_draw,
    ),
    Check(
        "masks",
        "new_each_step",
        "Another step draws anew.",
        "take random numbers from `noise`, which knows the step. "
        "A mask that chooses by content alone lists this check as an expected failure.",
        new_each_step,
    ),
    Check(
        "masks",
        "batch_read_only",
        "The batch is read-only.",
        "write x = x.masked_fill(...) and not x.masked_fill_(...); others read the same tensors.",
        batch_read_only,
    ),
    Check(
        "masks",
        "static",
        "It runs on fake tensors: nothing asks the device for a number.",
        "no .item(), no `if tensor`, no boolean indexing: functional.mask_to_indices and functional.mark.",
        static,
    ),
]
