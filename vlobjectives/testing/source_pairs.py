"""Checks of what a source says about pairs of samples: which show the same picture, and where contrast pairs differ."""

from typing import Any

import numpy as np
import torch

from vlobjectives.contracts.source import ContrastPair, Sample, Source
from vlobjectives.data.data_module import make_source
from vlobjectives.data.differences import difference
from vlobjectives.errors import DataError
from vlobjectives.testing.check import CheckFailed, demand
from vlobjectives.testing.toys import Toy

MOST = 24
KINDS = ("colour", "shape", "swap")
COUNT = 3


def _pictures(source: Source, sample: Sample) -> dict[str, np.ndarray]:
    """The picture columns of a sample as arrays."""
    kinds = {column: spec.kind for column, spec in source.columns.items()}
    return {
        column: value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        for column, value in sample.values.items()
        if kinds.get(column) == "picture"
    }


def same_is_same(toy: Toy, name: str) -> None:
    source = make_source(toy.resolved)
    epoch = source.settled_epoch
    for split in source.splits():
        met: dict[int, tuple[int, dict[str, np.ndarray]]] = {}
        for number in range(min(source.size(split), MOST)):
            sample = source.sample(split, number, epoch, toy.seed)
            if not isinstance(sample, Sample):
                continue
            later = source.sample(split, number, epoch + 1, toy.seed)
            if isinstance(later, Sample) and later.same != sample.same:
                raise CheckFailed(
                    f"`same` of number {number} of {split} is {sample.same} in epoch {epoch}, then {later.same}"
                )
            shown = _pictures(source, sample)
            if not shown:
                continue
            if split != "train" and sample.same in met and (where := difference(met[sample.same][1], shown)):
                raise CheckFailed(
                    f"numbers {met[sample.same][0]} and {number} of {split} have the same `same`, {sample.same}, and "
                    f"show different pictures: {where}"
                )
            for same, (other, pictures) in met.items():
                if same != sample.same and not difference(pictures, shown):
                    raise CheckFailed(
                        f"numbers {other} and {number} of {split} show the same picture, and their `same` are {same} "
                        f"and {sample.same}: each would be the other's negative"
                    )
            met.setdefault(sample.same, (number, shown))


def pairs_differ_where_said(toy: Toy, name: str) -> None:
    source = make_source(toy.resolved)
    if "twins" not in source.can:
        return
    split = next((split for split in source.splits() if split != "train" and source.size(split)), "train")
    for kind in KINDS:
        try:
            pairs, again = source.twins(split, kind, COUNT), source.twins(split, kind, COUNT)
        except DataError:  # it has none of this kind
            continue
        demand(len(pairs) == COUNT, f"twins('{split}', '{kind}', {COUNT}) gives {len(pairs)} pairs")
        for number, (pair, other) in enumerate(zip(pairs, again)):
            what = f"pair {number} of kind {kind}"
            demand(isinstance(pair, ContrastPair), f"{what} is a {type(pair).__name__}, not a ContrastPair")
            if where := difference(pair, other):
                raise CheckFailed(f"{what} is another one when asked again: {where}")
            _pictures_differ(source, pair, what)
            _captions_differ(pair, what)


def _pictures_differ(source: Source, pair: ContrastPair, what: str) -> None:
    demand(pair.left.same != pair.right.same, f"left and right of {what} have the same `same`")
    where = np.asarray(pair.where)
    column, left = next(iter(_pictures(source, pair.left).items()))  # others are views of it, cut otherwise
    right = _pictures(source, pair.right)[column]
    demand(
        where.shape == left.shape[-2:], f"`where` of {what} is {list(where.shape)}, and '{column}' {list(left.shape)}"
    )
    differ = (left != right).reshape(-1, *where.shape).any(0)
    demand(bool(differ.any()), f"left and right of {what} show the same '{column}'")
    outside = int((differ & ~where).sum())
    demand(not outside, f"'{column}' of {what} differs in {outside} pixels outside of `where`")


def _captions_differ(pair: ContrastPair, what: str) -> None:
    rest: list[Any] = []
    for side, spans in zip((pair.left, pair.right), pair.spans):
        text, kept, end = str(side.values.get("caption", "")), [], 0
        for first, last in spans:
            demand(0 <= first < last <= len(text), f"a span of {what} is {(first, last)}, and the caption is {text!r}")
            kept.append(text[end:first])
            end = last
        rest.append([*kept, text[end:]])
    demand(rest[0] == rest[1], f"the captions of {what} differ outside of `spans`: {rest[0]} and {rest[1]}")
    left, right = (str(side.values.get("caption", "")) for side in (pair.left, pair.right))
    demand(left != right, f"left and right of {what} have the same caption, {left!r}")
