"""What a source says is wrong with its data, counted against data.max_bad before long lists are cut."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vlobjectives.contracts.source import Flaw, Sample, Source, UnusableSample
from vlobjectives.errors import DataError, Problem
from vlobjectives.plugin_loading.attribution import given
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.yaml import KeyPath, dotted

FIRST = 4
"""Samples of each split that are read whole, as a batch would."""
LOOKED = 100
"""Files of each split that a source looks at where not all were asked for (`Source.problems`)."""
SHOWN = 4
"""Flaws of a kind that are told one by one where not all were asked for."""


def records(loaded: Loaded, path: KeyPath, source: Source, thorough: bool) -> Iterator[Problem]:
    """Flaws of the data as a whole as they are; bad samples as notes, where a run skips so many, else as errors.

    path  where the source stands in the recipe
    """
    flaws = flaws_of(path, source, thorough)
    whole = [flaw for flaw in flaws if not flaw.split]
    for note in (False, True):
        yield from _some(
            loaded, path, [one for one in whole if one.problem.note is note], thorough, "more like this", note
        )
    for split in source.splits():
        yield from _lost(loaded, path, source, split, [flaw for flaw in flaws if flaw.split == split], thorough)


def flaws_of(path: KeyPath, source: Source, thorough: bool) -> list[Flaw]:
    """What a source says is wrong, its options called by where they stand in the recipe."""

    def ours(found: Flaw) -> Flaw:
        one, cls = found.problem, type(source)
        return Flaw(
            replace(one, what=keys_of(path, cls, one.what), hint=keys_of(path, cls, one.hint)),
            found.split,
            found.samples,
        )

    return [ours(_flaw(one)) for one in source.problems(thorough)]


def keys_of(path: KeyPath, source: type[Source], text: str) -> str:
    """A source's message, whose own options are called by where they stand in a mix."""
    options = "|".join(source.Config.model_fields)
    return re.sub(rf"\bdata\.({options})\b", rf"{dotted(path)}.\1", text) if options and len(path) > 1 else text


def _flaw(found: str) -> Flaw:
    if isinstance(found, Flaw):
        return found
    what, _, hint = found.partition("\n    hint: ")
    return Flaw(Problem(None, "", what, hint), "train", 1)


def _lost(
    loaded: Loaded, path: KeyPath, source: Source, split: str, flaws: Sequence[Flaw], thorough: bool
) -> Iterator[Problem]:
    """The samples that a split loses, held against the share that may be bad."""
    most, size, lost = loaded.recipe.data.max_bad, source.size(split), sum(flaw.samples for flaw in flaws)
    allowed = int(most * size)
    note, all_seen = lost <= most * size, thorough or size <= LOOKED
    if not note:
        met = "" if all_seen else " among those that were looked at (`vlobj check --data` looks at all)"
        stops = "" if split == "train" else "; a score would count others in their place"
        yield loaded.problem(
            path,
            f"{lost} of {size} samples of the split '{split}' cannot be used{met}, and "
            f"data.max_bad allows {allowed} ({most:g}){stops}",
            "correct them as said below"
            + (f", or set data.max_bad: {_share(lost, size)}" if all_seen and lost <= size / 2 else ""),
        )
    skips = "a run skips them" if split == "train" else "a score counts others in their place"
    may = f"up to {allowed} samples of '{split}' may be bad (data.max_bad: {most:g}): {skips}" if note else ""
    yield from _some(loaded, path, flaws, thorough, "more records", note, may)
    try:
        samples = [
            given(
                source.sample(split, number, source.settled_epoch, loaded.recipe.seed),
                Sample | UnusableSample,
                source.sample,
            )
            for number in range(min(FIRST, size))
        ]
    except DataError as error:
        yield loaded.problem(path, error.what, error.hint)
        return
    if samples and lost < len(samples) and all(isinstance(sample, UnusableSample) for sample in samples):
        yield loaded.problem(
            path,
            f"none of the first {len(samples)} samples of split '{split}' can be used: {samples[0].reason}",
            "correct these files, or take their records out",
        )


def _share(lost: int, size: int) -> float:
    """A share, of two digits, that allows so many."""
    return next(share for share in (number / 100 for number in range(101)) if lost <= share * size)


def _some(
    loaded: Loaded, path: KeyPath, flaws: Sequence[Flaw], thorough: bool, more: str, note: bool, skips: str = ""
) -> Iterator[Problem]:
    """Flaws of one kind, all or the first; `skips`: why notes need no hint."""
    shown = flaws if thorough or len(flaws) <= SHOWN + 1 else flaws[:SHOWN]
    for flaw in shown:
        found = flaw.problem
        what = f"{found.place}  {found.what}" if found.place else found.what
        yield loaded.problem(path, what, "; ".join(text for text in (found.hint, skips) if text), note=note)
    if len(shown) < len(flaws):
        yield loaded.problem(path, f"and {len(flaws) - len(shown)} {more}", "`vlobj check --data` names all", note=note)
