"""The checks of sources: samples are pure functions of (split, number, epoch, seed) and fit what is declared."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from vlobjectives.contracts.source import Source, UnusableSample
from vlobjectives.data.collate import Fields
from vlobjectives.data.differences import difference
from vlobjectives.data.loader import Layout, LoadedBatch, MicroBatches, micro_batches
from vlobjectives.testing.check import Check, CheckFailed, demand, listed
from vlobjectives.testing.sameness import random_state, states_kept
from vlobjectives.testing.source_calls import drawn, looked_at, opened
from vlobjectives.testing.source_columns import as_declared, value_equals_sample
from vlobjectives.testing.source_options import described_as_made, digest_tells, tiny_is_small
from vlobjectives.testing.source_pairs import pairs_differ_where_said, same_is_same
from vlobjectives.testing.toys import Toy

BATCHES, ROWS = 4, 4
NOISE = "take random numbers from vlobjectives.functional.noise (or a generator) by (seed, split, number, epoch)"


def source_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of sources; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


# ---- checks


def same_when_asked_again(toy: Toy, name: str) -> None:
    source = opened(toy)
    asked = looked_at(source)
    with random_state(1):
        first = {one: pickle.dumps(drawn(source, *one, toy.seed)) for one in asked}
    with random_state(2):
        again = {one: drawn(source, *one, toy.seed) for one in reversed(asked)}
    other = opened(toy)
    with random_state(3):
        anew = {one: drawn(other, *one, toy.seed) for one in sorted(asked, key=lambda one: (one[1], one[0], one[2]))}
    for how, found in (("when asked again in another order", again), ("of another instance", anew)):
        for one, sample in found.items():
            split, number, epoch = one
            if where := difference(pickle.loads(first[one]), sample):
                raise CheckFailed(f"sample {number} of {split} in epoch {epoch} is another one {how}: {where}")
    split, number, epoch = asked[0]
    with states_kept("`sample`", NOISE):
        drawn(source, split, number, epoch, toy.seed)


def samples_are_ones_own(toy: Toy, name: str) -> None:
    source = opened(toy)
    for split, number, epoch in looked_at(source)[:3]:
        sample = drawn(source, split, number, epoch, toy.seed)
        before = pickle.dumps(sample)
        for column, value in getattr(sample, "values", {}).items():
            if _overwritten(value):
                again = drawn(source, split, number, epoch, toy.seed)
                where = difference(pickle.loads(before), again)
                demand(not where, f"whoever writes into '{column}' changes what the source gives next: {where}")


def _overwritten(value: Any) -> bool:
    """Writes into a tensor, an array or a list, as a reader that works in place would."""
    try:
        if isinstance(value, torch.Tensor):
            value.zero_().add_(1)
        elif isinstance(value, np.ndarray):
            value[...] = 1
        elif isinstance(value, list):
            value.clear()
        else:
            return False
    except (ValueError, RuntimeError):  # read-only
        return False
    return True


@dataclass
class _AsTheyAre:
    """In place of fields: samples beside each other, not collated, raw columns too."""

    source: str = ""

    def batch(self, given: Any, numbers: Any) -> Any:
        return list(zip(numbers, given))


def same_in_workers(toy: Toy, name: str) -> None:
    def stream(source: Source) -> MicroBatches:
        return MicroBatches(source, cast(Fields, _AsTheyAre()), "train", Layout(ROWS, ROWS), toy.seed)

    def given(first: int, workers: int, source: Source) -> list[LoadedBatch]:
        return list(micro_batches(stream(source), first, BATCHES, workers, False))

    wanted = given(0, 0, opened(toy))
    try:
        copied = pickle.loads(pickle.dumps(opened(toy)))
    except Exception as error:
        raise CheckFailed(
            f"it cannot be pickled: {type(error).__name__}: {error}",
            "loader workers get a copy: keep paths and offsets, and open files when a sample is read",
        ) from error
    used = opened(toy)
    drawn(used, "train", 0, 0, toy.seed)
    for how, first, workers, source in (
        ("of a pickled copy", 0, 0, copied),
        ("of two loader workers (data.workers: 2)", 0, 2, used),
        ("of a run that is resumed there", 2, 0, opened(toy)),
    ):
        for step, (one, other) in enumerate(zip(wanted[first:], given(first, workers, source)), first):
            if where := difference(one, other):
                raise CheckFailed(f"the batch of step {step} is another one {how}: {where}")


def splits_have_sizes(toy: Toy, name: str) -> None:
    source = opened(toy)
    splits = source.splits()
    demand("train" in splits, f"`splits` gives {splits!r}, and `train` is not among them")
    demand(len(set(splits)) == len(splits), f"`splits` gives a name twice: {splits!r}")
    for split in splits:
        size = source.size(split)
        demand(
            isinstance(size, int) and not isinstance(size, bool) and size >= 0,
            f"`size` of {split} is {size!r}, not a whole number of 0 or more",
        )
    demand(source.size("train") > 0, "the split `train` has no samples")
    seed, epoch = toy.seed, source.settled_epoch
    numbers = range(min(4, source.size("train")))
    for split in splits:
        if split == "train" or source.size(split) < len(numbers) or len(numbers) < 2:
            continue
        train, other = (
            [dict(getattr(drawn(source, of, number, epoch, seed), "values", {})) for number in numbers]
            for of in ("train", split)
        )
        if not difference(train, other):
            raise CheckFailed(
                f"the first samples of '{split}' are those of 'train'", "`sample` gives other samples for other splits"
            )


def unusable_stays_so(toy: Toy, name: str) -> None:
    source, other = opened(toy), opened(toy)
    for split, number, epoch in looked_at(source):
        sample = drawn(source, split, number, epoch, toy.seed)
        if isinstance(sample, UnusableSample):
            place = f"sample {number} of {split}"
            demand(bool(sample.reason) and bool(sample.key), f"{place} is unusable and says no reason or no key")
            for later in (epoch, epoch + 1):
                again = drawn(other, split, number, later, toy.seed + 1)
                if not isinstance(again, UnusableSample):
                    raise CheckFailed(
                        f"{place} is unusable in epoch {epoch} ({sample.reason}), and not in epoch {later}"
                    )


def problems_of_its_own(toy: Toy, name: str) -> None:
    source = opened(toy)
    few = sum(source.size(split) for split in source.splits()) <= 256
    for thorough in (False, True) if few else (False,):
        found = source.problems(thorough)
        demand(isinstance(found, list), f"`problems` gives a {type(found).__name__}, not a list")
        for one in found:
            demand(isinstance(one, str), f"`problems` gives a {type(one).__name__}, not texts")
        if found:
            raise CheckFailed(f"`problems` finds {len(found)} on the data that it is tried on, the first: {found[0]}")


def _check(name: str, description: str, hint: str, test: Callable[[Toy, str], None]) -> Check:
    return Check("data", name, description, hint, test)


_CHECKS = [
    _check(
        "same_when_asked_again",
        "A sample is a pure function of (split, number, epoch, seed).",
        NOISE + ", and keep nothing between calls that changes what they give.",
        same_when_asked_again,
    ),
    _check(
        "samples_are_ones_own",
        "What a sample holds may be written into.",
        "give a copy of what is kept between calls.",
        samples_are_ones_own,
    ),
    _check(
        "same_in_workers",
        "Loader workers, a pickled copy and a resumed run give the batches of one process.",
        "keep no open file, connection or iterator across calls; read by number.",
        same_in_workers,
    ),
    _check(
        "as_declared",
        "Samples hold every column, as its FieldSpec says: kind, shape, scale.",
        "make the FieldSpec of what is given, or give what it says.",
        as_declared,
    ),
    _check(
        "value_equals_sample",
        "`value` gives what the sample holds.",
        "share the lines that both come from, the random choices too.",
        value_equals_sample,
    ),
    _check(
        "splits_have_sizes",
        "There is a split `train`, splits have sizes, and no two hold the same samples.",
        "`splits` gives names, `size` a number for each, and `sample` tells splits apart.",
        splits_have_sizes,
    ),
    _check(
        "same_is_same",
        "Samples with equal `same` show the same picture, and equal pictures have equal `same`.",
        "`same` is the number of the picture, not of the sample; the same in every epoch.",
        same_is_same,
    ),
    _check(
        "unusable_stays_so",
        "A sample that cannot be used is so in every epoch, and says why.",
        "decide by the record or file alone, not by chance; raise nothing for one bad file.",
        unusable_stays_so,
    ),
    _check(
        "digest_tells",
        "`digest` is stable, and another one for other data.",
        "hash the options (self.config.model_dump_json()) and the files' contents, with hashlib.",
        digest_tells,
    ),
    _check(
        "problems_of_its_own",
        "`problems` finds nothing where the data is sound.",
        "correct the data of the test, or `problems`.",
        problems_of_its_own,
    ),
    _check(
        "described_as_made",
        "`described` tells the columns that the source has.",
        "compute both from the Config by the same lines, or give None.",
        described_as_made,
    ),
    _check(
        "tiny_is_small",
        "Config.tiny(pixels) gives a small source of such pictures, without files.",
        "shrink samples and pictures, or name a Substitute.",
        tiny_is_small,
    ),
    _check(
        "pairs_differ_where_said",
        "A contrast pair differs in the place and the words that it names, and nowhere else.",
        "outside of `where` the two pictures are equal, outside of `spans` the two captions.",
        pairs_differ_where_said,
    ),
]
