"""Calls of a part as the host makes them, and what of their outputs counts: what the checks of parts stand on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Rows
from vlobjectives.contracts.parts import Decoder, Encoder, Fusion, Part, Projection
from vlobjectives.contracts.values import Encoded, Fused, Joint
from vlobjectives.contracts.views import View, decoded, encoded, fused, joint
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.system.system import System
from vlobjectives.testing.check import summed, tensors
from vlobjectives.testing.toys import Toy

MASK_OF = {"drop": "dropped", "token": "replaced", "mask": "hidden_words"}
"""The toys' masks by what an encoder must be able to do; pixels are hidden by the host."""


@dataclass(frozen=True)
class Call:
    """One call of a part, as the host makes it: `part(*args)`."""

    part: Part
    args: tuple[Any, ...]

    def __call__(self, *args: Any) -> Any:
        return self.part(*(args or self.args))


def views_of(system: System, name: str, mask: str | None = None) -> list[View]:
    """The views that run through a part, from inputs whose encoders its Config names."""
    part, named = system.model[name], system.model[name].config.named("part")
    of = {x.part: x for x in system.bare.values()}
    if isinstance(part, Encoder):
        return [encoded(x.masked(mask)) for x in system.bare.values() if x.part == name]
    if isinstance(part, Fusion):
        return [fused(of[named["image"]], of[named["text"]], part=name)]
    if isinstance(part, Decoder):
        query = of[named["query"]]
        with_memory = [decoded(query, of[named["memory"]], part=name)] if "memory" in named else []
        return [*with_memory, decoded(query, None, part=name)]
    if isinstance(part, Projection):
        return [joint(of[encoder], part=name) for encoder in named.values() if encoder in of]
    return []


def calls(toy: Toy, name: str, mask: str | None = None, train: bool = False) -> Iterator[Call]:
    """What the part is called with in a step of the toy; a head with features of the width that it sits on."""
    system, found = toy.system(train), []
    part = system.model[name]
    views = views_of(system, name, mask)
    if not views:
        width = system.model[part.config.named("part")["of"]].spec.width
        yield Call(
            part, (torch.randn(toy.rows, 3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),)
        )
        return
    hook = part.register_forward_pre_hook(lambda _, args: found.append(args))
    execute.run(
        of_views(system, {str(number): view for number, view in enumerate(views)}, "check"),
        system.stage(0),
        toy.batch(),
    )
    hook.remove()
    for args in found:
        yield Call(part, args)


def each(toy: Toy, name: str) -> Iterator[Call]:
    """Calls without a mask and under every mask of the toys that an encoder can wear."""
    yield from calls(toy, name)
    part = toy.system().model[name]
    for can, mask in MASK_OF.items():
        if isinstance(part, Encoder) and can in part.spec.can:
            yield from calls(toy, name, mask)


def at_valid(value: Any) -> Any:
    """A part's output with what stands in invalid positions taken away."""
    if isinstance(value, Encoded):
        return replace(value, tokens=torch.where(value.valid[..., None], value.tokens, 0.0))
    if isinstance(value, Fused):
        return replace(value, image=at_valid(value.image), text=at_valid(value.text))
    if isinstance(value, Joint) and value.tokens is not None and value.valid is not None:
        return replace(value, tokens=torch.where(value.valid[..., None], value.tokens, 0.0))
    return value


def rows(value: Any, index: Tensor) -> Any:
    return (
        value.index_select(0, index)
        if isinstance(value, Tensor)
        else value.rows(index)
        if isinstance(value, Rows)
        else value
    )


def total(value: Any) -> Tensor:
    return summed(x.square().sum() for _, x in tensors(at_valid(value)) if x.requires_grad)
