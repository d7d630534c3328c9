"""Checks of a source's options: its digest, what it tells without a file, its small form."""

from collections.abc import Iterator
from typing import Any

from vlobjectives.contracts.config import Config
from vlobjectives.contracts.source import Source
from vlobjectives.data.data_module import make_source
from vlobjectives.data.differences import difference
from vlobjectives.errors import VlobjError
from vlobjectives.resolved.tiny import small_entry
from vlobjectives.testing.check import CheckFailed, demand
from vlobjectives.testing.toys import Toy

SMALL = 4096
"""Training samples of a small source at most."""
PIXELS = 32


def _first(source: Source, seed: int) -> Any:
    """The columns, the sizes, and the first samples of each split."""
    sizes = {split: source.size(split) for split in source.splits()}
    shown = {
        split: [source.sample(split, number, source.settled_epoch, seed) for number in range(min(size, 3))]
        for split, size in sizes.items()
    }
    return {"columns": dict(source.columns), "sizes": sizes, "samples": shown}


def _changed(config: Config) -> Iterator[tuple[str, Config]]:
    """The same options but one that is a number or a switch; those that the Config takes."""
    for key in type(config).model_fields:
        value = getattr(config, key)
        others: list[Any] = [not value] if isinstance(value, bool) else []
        if isinstance(value, int | float) and not isinstance(value, bool):
            others = [value + 1, value - 1, value / 2] if isinstance(value, float) else [value + 1, value - 1]
        for other in others:
            data = config.model_dump(exclude_unset=True) | {key: other}
            try:
                yield f"{key}: {other}", type(config)(**data)
            except ValueError:
                continue
            break


def digest_tells(toy: Toy, name: str) -> None:
    one, other = make_source(toy.resolved), make_source(toy.resolved)
    digest = one.digest()
    demand(isinstance(digest, str) and digest != "", f"`digest` gives {digest!r}, not a text")
    first = _first(other, toy.seed)
    demand(other.digest() == digest, "`digest` of the same options is another one for another instance")
    demand(one.digest() == digest, "`digest` is another one when asked again")
    for what, config in _changed(toy.resolved.of("source")[""].config):
        try:
            changed = make_source(toy.resolved.of_configs("source", {"data": config}))
            differs = difference(first, _first(changed, toy.seed))
        except Exception:  # options that do not go together
            continue
        if differs and changed.digest() == digest:
            raise CheckFailed(f"`digest` is the same with {what}, and the data is not: {differs}")


def described_as_made(toy: Toy, name: str) -> None:
    entry = toy.resolved.of("source")[""]
    told = entry.cls.described(entry.config)
    if told is not None:
        made = make_source(toy.resolved).columns
        if where := difference(dict(told), dict(made)):
            raise CheckFailed(f"`described` is not `columns`: {where}")


def tiny_is_small(toy: Toy, name: str) -> None:
    options = {key: value for key, value in toy.data.items() if key != "batch"}
    entry = small_entry(toy.registry, "source", ("data",), options, PIXELS)
    try:
        small = make_source(toy.changed(data=entry).resolved)
    except VlobjError as error:
        raise CheckFailed(f"its small form, {entry}, cannot be made: {str(error).splitlines()[0]}") from error
    own = make_source(toy.resolved).columns
    size = small.size("train")
    demand(0 < size <= SMALL, f"its small form has {size} training samples")
    for column, spec in small.columns.items():
        if column in own and own[column].kind != spec.kind:
            raise CheckFailed(f"in its small form '{column}' is of kind {spec.kind}, not {own[column].kind}")
        if spec.kind == "picture" and column == next(iter(small.columns)) and spec.shape[-2:] != (PIXELS, PIXELS):
            raise CheckFailed(
                f"tiny({PIXELS}) gives '{column}' of {list(spec.shape)}", "its pictures have `pixels` a side"
            )
    small.sample("train", 0, small.settled_epoch, toy.seed)
