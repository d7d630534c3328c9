"""The checks of parts: encoders, fusions, decoders, projections, heads, each called as the host calls it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from vlobjectives.contracts.batch import Rows, Tokens
from vlobjectives.contracts.parts import Encoder
from vlobjectives.contracts.values import Encoded, Fused, Joint
from vlobjectives.contracts.views import RequestedOutputs
from vlobjectives.functional import gather_tokens, pixels
from vlobjectives.system import assemble
from vlobjectives.testing.arguments import Arguments
from vlobjectives.testing.check import (
    Check,
    demand,
    equal,
    gradients,
    listed,
    same,
    same_gradients,
    tensors,
    untouched,
)
from vlobjectives.testing.other_sizes import other_sizes
from vlobjectives.testing.part_calls import MASK_OF, as_spec_says, at_valid, calls, each, rows, total
from vlobjectives.testing.stacked_inputs import stacked_inputs
from vlobjectives.testing.static import on_fake_tensors
from vlobjectives.testing.toys import Toy

TINY = 1_000_000
"""Parameters of a tiny part at most, on the toys' few words and patches."""


def part_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of parts; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def as_spec(toy: Toy, name: str) -> None:
    for call in each(toy, name):
        spec, value, batch = call.part.spec, call(), toy.rows
        for key, x in tensors(value):
            demand(not x.is_floating_point() or x.dtype == torch.float64, f"{key} is {x.dtype} of float64 inputs")
        if isinstance(value, Tensor):
            demand(value.shape[-1] == spec.width, f"the output is {value.shape[-1]} wide, Spec says {spec.width}")
        elif isinstance(value, Joint):
            demand(tuple(value.pooled.shape) == (batch, spec.pooled), f"pooled is {tuple(value.pooled.shape)}")
            demand(value.scale.dim() == 0, "scale is no 0-d tensor")
            same(value.pooled.norm(dim=-1), torch.ones(batch), "the length of pooled")
        elif isinstance(value, Fused):
            for of, stream in (("image", value.image), ("text", value.text)):
                demand(stream.tokens.shape[-1] == spec.width, f"{of}.tokens are not {spec.width} wide")
                demand(stream.tokens.shape[:2] == stream.valid.shape, f"{of}.tokens and {of}.valid do not agree")
            demand(
                (0 if value.pooled is None else value.pooled.shape[-1]) == spec.pooled,
                f"pooled is not {spec.pooled} wide, as Spec says",
            )
        else:
            as_spec_says(spec, call, value)


def rows_apart(toy: Toy, name: str) -> None:
    index = torch.tensor([5, 0, 3])
    for call in each(toy, name):
        found = at_valid(call(*(rows(x, index) for x in call.args)))
        equal(found, rows(at_valid(call()), index), "of some rows, ")


def padding_unseen(toy: Toy, name: str) -> None:
    for call in calls(toy, name):
        equal(at_valid(call(*map(_other_padding, call.args))), at_valid(call()), "with something else in the padding, ")


def _other_padding(x: Any) -> Any:
    if isinstance(x, Tokens):
        return replace(x, ids=torch.where(x.valid, x.ids, x.ids.max()))
    if isinstance(x, Encoded):
        return replace(x, tokens=torch.where(x.valid[..., None], x.tokens, 7.0))
    return x


def hidden_unseen(toy: Toy, name: str) -> None:
    part = toy.system().model[name]
    for can, mask in MASK_OF.items():
        for call in calls(toy, name, mask) if isinstance(part, Encoder) and can in part.spec.can else ():
            x, draw, want = call.args
            other = (
                replace(x, ids=torch.where(draw.hidden, x.ids.max(), x.ids))
                if isinstance(x, Tokens)
                else pixels.fill_patches(x, draw.hidden, part.spec.patch_size, 7.0)
            )
            equal(call(other, draw, want), call(), f"under '{can}', with something else in hidden positions, ")


def kept_in_order(toy: Toy, name: str) -> None:
    part = toy.system().model[name]
    for call in calls(toy, name, "dropped") if isinstance(part, Encoder) and "drop" in part.spec.can else ():
        x, draw, want = call.args
        by_frame = torch.arange(draw.keep.shape[1]).reshape(part.spec.frames, -1).flip(1).flatten()
        turned = call(x, replace(draw, keep=draw.keep[:, by_frame]), want)
        wanted = call()
        same(
            turned.tokens, gather_tokens(wanted.tokens, by_frame.expand(toy.rows, -1)), "with keep turned round, tokens"
        )
        if wanted.cls is not None:
            same(turned.cls, wanted.cls, "with keep turned round, cls")


def asked_for(toy: Toy, name: str) -> None:
    for call in each(toy, name):
        can = call.part.spec.can & {"layers", "maps"}
        if not can or not isinstance(call.args[-1], RequestedOutputs):
            continue
        more = RequestedOutputs(frozenset({0} if "layers" in can else ()), "maps" in can)
        value = call(*call.args[:-1], more)
        plain = call()
        streams = (
            [(value, plain)] if isinstance(value, Encoded) else [(value.image, plain.image), (value.text, plain.text)]
        )
        for found, wanted in streams:
            equal(at_valid(replace(found, layers={}, maps={})), at_valid(wanted), "asked for more, ")
            demand("layers" not in can or set(found.layers) == {0}, f"layers are {set(found.layers)}, asked for 0")
            demand("maps" not in can or bool(found.maps), "there are no maps")
            for key, seen in found.maps.items():
                same(seen.sum(-1), torch.ones_like(seen[..., 0]), f"a row of maps['{key}']")


def inputs_read_only(toy: Toy, name: str) -> None:
    for call in each(toy, name):
        with untouched("the part", call.args), torch.no_grad():
            call()


def recomputed(toy: Toy, name: str) -> None:
    for call in each(toy.changed(dropout=0.1), name):
        call.part.train()
        torch.manual_seed(0)
        wanted = gradients(call.part, total(call()))
        torch.manual_seed(0)
        same_gradients(gradients(call.part, total(checkpoint(call.part, *call.args, use_reentrant=False))), wanted)


def quiet_in_eval(toy: Toy, name: str) -> None:
    for call in each(toy.changed(dropout=0.1), name):
        equal(call(), call(), "a second time in eval mode, ", 0.0)


def decode_step(toy: Toy, name: str) -> None:
    for call in calls(toy, name) if "continue" in toy.system().model[name].spec.can else ():
        x, other, *_ = call.args
        steps, more = (x.ids, ()) if isinstance(x, Tokens) else (x.tokens, (other,))
        part: Any = call.part
        found, past = [], None
        for piece in (steps[:, :1], steps[:, 1:2], steps[:, 2:]):  # a word, a word, and several at once
            tokens, past = part.decode_step(piece, *more, past)
            found.append(tokens)
        wanted = call()
        equal(at_valid(replace(wanted, tokens=torch.cat(found, 1))), at_valid(wanted), "piece by piece, ")


def starts_in_bounds(toy: Toy, name: str) -> None:
    part = toy.system().model[name]
    for key, (low, high) in part.bounds().items():
        value = part.get_parameter(key)
        demand(((value >= low) & (value <= high)).all(), f"{key} starts outside of its bounds {low} to {high}")


def tiny(toy: Toy, name: str) -> None:
    whole = toy.system().model[name]
    entry = {"type": toy.recipe.model[name].type, **whole.config.tiny().model_dump(mode="json", by_alias=True)}
    small = toy.changed(model={**toy.model, name: entry}).system().model[name]
    count = assemble.trainable(small)
    demand(count <= TINY, f"it still has {count:,} parameters, more than {TINY:,}")
    for key in ("length", "grid", "patch_size", "frames", "can"):
        demand(getattr(small.spec, key) == getattr(whole.spec, key), f"its Spec has another {key}")


def built_on_meta(toy: Toy, name: str) -> None:
    with torch.device("meta"):
        system = assemble.system(toy.resolved, toy.data_module)
    for key, x in system.model[name].named_parameters():
        demand(x.is_meta, f"{key} is made on {x.device}")


def static(toy: Toy, name: str) -> None:
    for call in each(toy, name):
        given = Arguments(tuple(x for x in call.args if isinstance(x, Rows | Tensor)))
        rest = [x for x in call.args if not isinstance(x, Rows | Tensor)]
        on_fake_tensors(partial(lambda call, rest, fake: call(*fake.values, *rest), call, rest), given)


def _check(name: str, description: str, hint: str, test: Callable[[Toy, str], None]) -> Check:
    return Check("model", name, description, hint, test)


_CHECKS = [
    _check(
        "as_spec",
        "Outputs have the widths, lengths and precision that Spec promises.",
        "compute Spec from what was built; make new tensors with the dtype of what came in.",
        as_spec,
    ),
    _check(
        "rows_apart",
        "A row's output hangs on that row alone.",
        "no batch statistics, no shape that hangs on the batch's longest row.",
        rows_apart,
    ),
    _check(
        "padding_unseen",
        "What stands in invalid positions changes nothing that is valid.",
        "give attention attention_bias(valid, dtype), and pool with torch.where(valid, x, 0).",
        padding_unseen,
    ),
    _check(
        "hidden_unseen",
        "An encoder does not see what a mask hides.",
        "hide before anything mixes positions: ids are "
        "draw.ids, patches are replaced or taken right after the patch embedding.",
        hidden_unseen,
    ),
    _check(
        "kept_in_order",
        "Under a mask that drops, tokens stand in the order of draw.keep.",
        "functional.gather_tokens(tokens, draw.keep) after positions are added.",
        kept_in_order,
    ),
    _check(
        "other_sizes",
        "An encoder that says `sizes` reads pictures of other sizes as spec_for promises, and learns by them.",
        "resample the one table of positions in forward, keep nothing of it, and leave the own size as it is.",
        other_sizes,
    ),
    _check(
        "asked_for",
        "Layers and maps come when asked for, and change nothing else.",
        "fill layers[n] for n in want.layers, and maps (rows that sum to 1) if want.maps.",
        asked_for,
    ),
    _check(
        "inputs_read_only",
        "What a part is fed is read-only.",
        "others read the same tensors: no x += y, no x[...] = y.",
        inputs_read_only,
    ),
    _check(
        "recomputed",
        "Recomputing the pass in the backward pass gives the same gradients (plan.checkpoint).",
        "keep no state between calls.",
        recomputed,
    ),
    _check(
        "stacked",
        "An encoder that says `stack` gives rows of several inputs at once what it gives each by itself, in training.",
        "no batch statistics, and random numbers of shapes with the rows in front; else leave `stack` out of Spec.can.",
        stacked_inputs,
    ),
    _check(
        "quiet_in_eval",
        "In eval mode two calls give the same.",
        "nn.Dropout, or F.dropout with self.training.",
        quiet_in_eval,
    ),
    _check(
        "continued",
        "A part that says `continue` in Spec.can gives piece by piece what it gives at once.",
        "keep keys and values of all positions so far, and count positions from there.",
        decode_step,
    ),
    _check(
        "starts_in_bounds",
        "Bounded parameters start within their bounds.",
        "refuse such a start: raise self.cannot(...).",
        starts_in_bounds,
    ),
    _check(
        "tiny",
        "Config.tiny() is the same thing small: it reads the same inputs and can do the same.",
        "shrink widths, depths and heads together, and leave patches, frames and fields.",
        tiny,
    ),
    _check(
        "built_on_meta",
        "It can be built without memory, under torch.device('meta').",
        "no .item() and no numpy in the constructor, no device written out; weights come in load_weights.",
        built_on_meta,
    ),
    _check(
        "static",
        "It runs on fake tensors: nothing asks the device for a number.",
        "no .item(), no `if tensor`, no boolean indexing.",
        static,
    ),
]
