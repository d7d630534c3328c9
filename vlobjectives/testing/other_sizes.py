"""The check of encoders that read pictures of other sizes than their own."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from vlobjectives.contracts.parts import Encoder, Part, Spec
from vlobjectives.functional import pixels
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.testing.check import demand, equal, gradients
from vlobjectives.testing.part_calls import MASK_OF, Call, as_spec_says, at_valid, calls, rows, total, views_of
from vlobjectives.testing.toys import Toy


def other_sizes(toy: Toy, name: str) -> None:
    part = toy.system().model[name]
    if not isinstance(part, Encoder) or "sizes" not in part.spec.can:
        return
    index = torch.tensor([5, 0, 3])
    for mask in (None, *(mask for can, mask in MASK_OF.items() if can in part.spec.can)):
        for call, spec in resized_calls(toy, name, mask):
            x, draw, want = call.args
            value, under = call(), f" under the mask '{mask}'" if mask else ""
            as_spec_says(spec, call, value)
            some = call(*(rows(each, index) for each in call.args))
            equal(at_valid(some), rows(at_valid(value), index), f"of some rows of another size{under}, ")
            if draw is not None:
                other = pixels.fill_patches(x, draw.hidden, spec.patch_size, 7.0)
                equal(
                    call(other, draw, want), value, f"with something else in hidden positions of another size{under}, "
                )
    for own, (call, _) in zip(calls(toy, name), resized_calls(toy, name)):
        left_out = sorted(_reached(own) - _reached(call))
        demand(not left_out, f"no gradient reaches {', '.join(left_out)} from pictures of another size")
        before = own()
        equal(replace(own, part=call.part)(), before, "of its own size, after one of another, ")


def resized_calls(toy: Toy, name: str, mask: str | None = None) -> Iterator[tuple[Call, Spec]]:
    """What an encoder is called with in a step whose pictures are of another size, oblong, and the Spec of that."""
    system, batch = toy.system(), toy.batch()
    part, stage, found = system.model[name], system.stage(0), []
    sites, values, specs = dict(stage.sites[batch.source]), dict(batch.values), []
    for x in system.bare.values():
        if x.part == name:
            spec, shape = _resized(part)
            specs.append(spec)
            sites[x.name] = replace(
                sites[x.name], positions=spec.length, grid=spec.grid, frames=spec.frames, fields=spec.fields
            )
            values[x.name] = torch.rand(
                toy.rows, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
            )
    stage.sites = {batch.source: sites}
    views = {str(number): view for number, view in enumerate(views_of(system, name, mask))}
    hook = part.register_forward_pre_hook(lambda _, args: found.append(args))
    execute.run(of_views(system, views, "check"), stage, replace(batch, values=values))
    hook.remove()
    for args, spec in zip(found, specs):
        yield Call(part, args), spec


def _resized(part: Part) -> tuple[Spec, tuple[int, ...]]:
    """The Spec for pictures of half the rows and one column more of patches, and their shape."""
    field, own = next((field, spec) for field, spec in part.spec.fields.items() if spec.size)
    high, wide = pixels.patch_sides(part.spec.patch_size)
    height, width = own.shape[-2:]
    shape = (*own.shape[:-2], max(high, height // high // 2 * high), width + wide)
    return part.spec_for({**part.spec.fields, field: replace(own, shape=shape)}), shape


def _reached(call: Call) -> set[str]:
    """The parameters that a gradient reaches."""
    return {key for key, x in gradients(call.part, total(call())).items() if bool(x.count_nonzero())}
