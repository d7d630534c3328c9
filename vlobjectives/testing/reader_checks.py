"""The checks of readers: what they learn, what they keep, what they read."""

import copy
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.reader import Reader, TokenEncoding
from vlobjectives.data.data_module import make_reader
from vlobjectives.data.differences import difference
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.errors import PluginError, VlobjError
from vlobjectives.resolved.tiny import small_entry
from vlobjectives.testing.check import Check, CheckFailed, demand, listed
from vlobjectives.testing.reader_calls import fitted, reader_of, reads, refuses, restored, unfitted, values
from vlobjectives.testing.sameness import random_state, states_kept
from vlobjectives.testing.toys import Toy

HELD_OUT = ("val", "test")
OTHER_VALUES = (None, 3.5, b"bytes", object())
"""Values of other kinds; a reader may be one of some of them, and refuses what it does not read."""
ROLES = ("begin", "end", "pad")


def reader_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of readers; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def state_of(reader: Reader) -> Any:
    """What it learned, as a run folder keeps it. Raises CheckFailed where that is no JSON."""
    state = reader.state()
    demand(isinstance(state, Mapping), f"`state` gives a {type(state).__name__}, not a mapping")
    try:
        return json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CheckFailed(f"what it learned is no JSON: {error}") from error


# ---- checks


def fit_repeats(toy: Toy, name: str) -> None:
    with random_state(1):
        one = reader_of(fitted(toy), name)
        first = state_of(one)
    reader_of(fitted(toy.changed(seed=toy.seed + 1)), name)  # what it leaves behind on the class is found below
    with random_state(2):
        other = reader_of(fitted(toy), name)
    if where := difference(first, state_of(other)):
        raise CheckFailed(f"fitted on the same values a second time it learns something else: {where}")
    if where := difference(first, state_of(one)):
        raise CheckFailed(f"what it learned changes when another one is fitted: {where}")
    with states_kept("`fit`", "take a generator of your own, seeded by a number"):
        fitted(toy)


def learns_in_fit_alone(toy: Toy, name: str) -> None:
    made = fitted(toy)
    reader = reader_of(made, name)
    state, spec = copy.deepcopy(state_of(reader)), reader.spec
    for value in values(made, name, *HELD_OUT):
        refuses(reader, value)
    if where := difference(state, state_of(reader)):
        raise CheckFailed(f"it learns from held-out values that it reads: {where}")
    if where := difference(spec, reader.spec):
        raise CheckFailed(f"its `spec` changes with what it reads: {where}")


def spec_before_fit(toy: Toy, name: str) -> None:
    made = unfitted(toy)
    before = reader_of(made, name).spec
    after = reader_of(fitted(toy), name).spec
    entry = toy.resolved.of("reader")[name]
    for what, spec in (("before `fit`", before), ("as `described` tells it", entry.cls.described(entry.config))):
        if spec is not None and (where := difference(_without_shares(spec), _without_shares(after))):
            raise CheckFailed(f"its `spec` {what} is another one than after it: {where}")


def _without_shares(spec: FieldSpec) -> FieldSpec:
    """What the model is built by; how often labels are, and what is normalized by, is learned."""
    return replace(spec, share=(), mean=(), std=())


def state_round_trips(toy: Toy, name: str) -> None:
    made = fitted(toy)
    reader, given = reader_of(made, name), values(made, name, "train", *HELD_OUT)
    state, wanted, spec = state_of(reader), reads(reader, given), reader.spec
    for again in ("", " a second time"):
        made = restored(toy, made)
        back = reader_of(made, name)
        for what, was, now in (
            ("`state`", state, state_of(back)),
            ("`spec`", spec, back.spec),
            ("what it reads", wanted, reads(back, given)),
        ):
            if where := difference(was, now):
                raise CheckFailed(f"restored{again} from its state, {what} is something else: {where}")


def read_is_pure(toy: Toy, name: str) -> None:
    made = fitted(toy)
    reader, given = reader_of(made, name), values(made, name, "train", *HELD_OUT)
    kept = copy.deepcopy(given)
    with random_state(1):
        wanted = copy.deepcopy(reads(reader, given))
    if where := difference(kept, given):
        raise CheckFailed(f"it writes into what it reads: {where}")
    with random_state(2):
        again = reads(reader, given[::-1])[::-1]
    if where := difference(wanted, again):
        raise CheckFailed(f"read a second time, in another order, a value is something else: {where}")
    try:
        copied = pickle.loads(pickle.dumps(reader))
    except Exception as error:
        raise CheckFailed(
            f"it cannot be pickled: {type(error).__name__}: {error}",
            "loader workers get a copy: keep paths and tables, no lambdas and no open files",
        ) from error
    if where := difference(wanted, reads(copied, given)):
        raise CheckFailed(f"a pickled copy, as loader workers have it, reads something else: {where}")
    with states_kept("`read`", "reading is a function of the value alone"):
        reads(reader, given[:3])


def as_spec(toy: Toy, name: str) -> None:
    made = fitted(toy)
    reader, given = reader_of(made, name), values(made, name, "train", *HELD_OUT)
    spec = reader.spec
    if spec.kind == "tokens":
        lacking = [role for role in ROLES if role not in spec.special]
        demand(not lacking, f"its `spec` names no special id for {', '.join(lacking)}")
        inside = all(0 <= number < spec.vocabulary for number in spec.special.values())
        demand(inside, f"special ids {dict(spec.special)} lie outside of the vocabulary of {spec.vocabulary}")
        demand(len(spec.shape) == 1 and spec.shape[0] > 2, f"the shape of its `spec` is {spec.shape}, not (length,)")
    for value, read in zip(given, reads(reader, given)):
        what = f"what it reads of {value!r}" if len(repr(value)) < 80 else f"what it reads of {repr(value)[:77]}..."
        _tokens(what, spec, read, value) if spec.kind == "tokens" else _fits(what, spec, read)


def _tokens(what: str, spec: FieldSpec, read: Any, value: Any) -> None:
    demand(isinstance(read, TokenEncoding), f"{what} is a {type(read).__name__}, not a TokenEncoding")
    outside = [number for number in read.ids if not 0 <= number < spec.vocabulary]
    demand(not outside, f"{what} has the ids {outside[:5]}, and its vocabulary is {spec.vocabulary}")
    added = {number: role for role, number in spec.special.items() if role != "unknown"}
    special = sorted(
        {added[number] for number in read.ids if number in added and number != spec.special.get("unknown")}
    )
    demand(not special, f"{what} has special ids ({', '.join(special)}), which the host adds and masks put in")
    demand(len(read.spans) == len(read.ids), f"{what} has {len(read.ids)} ids and {len(read.spans)} spans")
    most = len(value) if isinstance(value, str) else None
    for start, end in read.spans:
        demand(
            0 <= start <= end and (most is None or end <= most),
            f"{what} has the span {(start, end)}, and the text has {most} characters",
        )
    if read.words is not None:
        demand(len(read.words) == len(read.ids), f"{what} has {len(read.ids)} ids and {len(read.words)} words")
        demand(read.words == sorted(read.words), f"{what} has words that are not in order: {read.words[:9]}")


def _fits(what: str, spec: FieldSpec, read: Any) -> None:
    """Raises CheckFailed where a row is not what the FieldSpec says."""
    try:
        KINDS[spec.kind].collate(what, spec, [read])
    except KeyError:
        raise CheckFailed(f"its `spec` is of kind {spec.kind}", f"kinds are tokens, {', '.join(KINDS)}") from None
    except PluginError as error:
        raise CheckFailed(error.what.replace(f"'{what}'", what), error.hint) from error
    except Exception as error:
        raise CheckFailed(f"{what} is no row of kind {spec.kind}: {type(error).__name__}: {error}") from error


def text_back(toy: Toy, name: str) -> None:
    made = fitted(toy)
    reader = reader_of(made, name)
    if type(reader).text is Reader.text or reader.spec.kind != "tokens":
        return
    for value in values(made, name, "train", *HELD_OUT):
        read = reader.read(value)
        if reader.spec.special.get("unknown") in read.ids:
            continue
        text = reader.text(read.ids)
        demand(isinstance(text, str), f"`text` gives a {type(text).__name__}")
        if where := difference(read.ids, reader.read(text).ids, "ids"):
            raise CheckFailed(f"the text of {value!r} is {text!r}, which reads as something else: {where}")
    special = [reader.spec.special[role] for role in ROLES]
    demand(isinstance(reader.text(special), str), "`text` of special ids gives no text")


def refuses_other_values(toy: Toy, name: str) -> None:
    made = fitted(toy)
    for value in OTHER_VALUES:
        refuses(reader_of(made, name), value)


def tiny_is_small(toy: Toy, name: str) -> None:
    options = {**(toy.fields.get(name) or {"type": "toy_words"})}
    host = {key: options[key] for key in ("of", "with") if key in options}
    entry = small_entry(toy.registry, "reader", ("fields", name), options)
    small = toy.changed(fields={**toy.fields, name: {**entry, **host}})
    own = reader_of(unfitted(toy), name).spec
    try:
        spec = make_reader(small.resolved, name, unfitted(small).fields.readers).spec
    except VlobjError as error:
        raise CheckFailed(f"its small form, {entry}, cannot be made: {str(error).splitlines()[0]}") from error
    demand(spec.kind == own.kind, f"its small form is a field of kind {spec.kind}, not {own.kind}")
    longer = [f"{ours} for {whole}" for ours, whole in zip(spec.shape, own.shape) if ours > whole]
    demand(not longer, f"its small form is larger: {', '.join(longer)}")


def _check(name: str, description: str, hint: str, test: Callable[[Toy, str], None]) -> Check:
    return Check("fields", name, description, hint, test)


_CHECKS = [
    _check(
        "fit_repeats",
        "What is learned follows from the values of the training split alone.",
        "keep what is learned on self; sort what a set or a count leaves open.",
        fit_repeats,
    ),
    _check(
        "learns_in_fit_alone",
        "Only `fit` learns: held-out values that are read leave no mark.",
        "give what is not known an unknown id, or leave it out.",
        learns_in_fit_alone,
    ),
    _check(
        "spec_before_fit",
        "`spec` is known before `fit`: kind, shape and vocabulary follow from the Config.",
        "let an option fix the size of what is learned; only `share` may be learned.",
        spec_before_fit,
    ),
    _check(
        "state_round_trips",
        "A reader that takes its state back reads as before.",
        "give `state` all that `fit` learned, as JSON has it (texts as keys, no tuples), and take all of it in `load`.",
        state_round_trips,
    ),
    _check(
        "read_is_pure",
        "What is read is a function of the value alone.",
        "keep nothing between calls, write into nothing that is given.",
        read_is_pure,
    ),
    _check(
        "as_spec",
        "Rows are what `spec` says: kind, ids, widths, spans.",
        "make `spec` of what is read, or read what it says.",
        as_spec,
    ),
    _check(
        "text_back",
        "A tokenizer's text of ids reads as these ids.",
        "undo in `text` what `read` does; a reader that cannot has no `text`.",
        text_back,
    ),
    _check(
        "refuses_other_values",
        "A value of another kind is refused in words.",
        "raise DataError(what, hint) for what it cannot read, so that `check` names column and record.",
        refuses_other_values,
    ),
    _check(
        "tiny_is_small",
        "Config.tiny() gives a reader of the same kind, small, without files.",
        "shrink tables and lengths, or name a Substitute.",
        tiny_is_small,
    ),
]
