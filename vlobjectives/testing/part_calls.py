"""Calls of a part as the host makes them, and what of their outputs counts: what the checks of parts stand on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Rows
from vlobjectives.contracts.parts import Decoder, Encoder, Fusion, Part, Projection, Spec
from vlobjectives.contracts.values import Encoded, Fused, Joint
from vlobjectives.contracts.views import View, decoded, encoded, fused, joint
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.system.system import System
from vlobjectives.testing.check import demand, summed, tensors
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


def as_spec_says(spec: Spec, call: Call, value: Encoded) -> None:
    """Whether an encoded output has the widths and lengths of a Spec."""
    draw = value.draw
    length = spec.length if draw is None or draw.keep is None else draw.keep.shape[1]
    batch = value.tokens.shape[0]
    demand(
        tuple(value.tokens.shape) == (batch, length, spec.width),
        f"tokens are {tuple(value.tokens.shape)}, Spec says {length} positions of {spec.width}",
    )
    demand(value.valid.shape == value.tokens.shape[:2], f"valid is {tuple(value.valid.shape)}")
    demand(
        (0 if value.pooled is None else value.pooled.shape[-1]) == spec.pooled,
        f"pooled is not {spec.pooled} wide, as Spec says",
    )
    if spec.classes and isinstance(call.part, Encoder):
        demand(value.cls is not None and value.cls.shape[1] == spec.classes, f"cls are not {spec.classes} tokens")
    for key, shape in spec.extra.items():
        demand(key in value.extra and tuple(value.extra[key].shape[1:]) == shape, f"extra['{key}'] is not {shape}")
    if isinstance(call.part, Encoder):
        demand(draw is call.args[1], "draw is not handed on")


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
