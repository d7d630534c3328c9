"""What is said of a manifest's splits: which are there, which are left out, which were drawn, and the line to write."""

import json
import re
from collections.abc import Collection, Mapping, Sequence

from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError, Place, Problem

KNOWN = {
    "train": ("train", "training", "tr", "restval"),
    "val": ("val", "valid", "validate", "validation", "dev"),
    "test": ("test", "testing", "eval"),
}
"""Split of ours -> what it is called elsewhere, in small letters."""
SHOWN = 10
Wanted = Mapping[str, Sequence[str]]


def nothing_to_train_on(
    manifest: Manifest, wanted: Wanted, there: Mapping[str, int], sizes: Mapping[str, int]
) -> DataError:
    """What stops a source whose split `train` is empty: the names that are there, and the line that takes them in.

    there  name of the manifest ("": none) -> records; empty where it names no splits and sizes were drawn
    """
    if not there:
        return DataError(
            f"no record is left for training: a hash of file names puts all elsewhere ({_counts(sizes)})",
            "set data.hold_out: {} to train on all",
            manifest.place(),
        )
    ours = {name for names in wanted.values() for name in names}
    return DataError(
        f"no record is for training, which {' or '.join(map(_name, wanted['train'])) or 'no split'} would "
        f"be: the manifest has {_counts(there)}",
        f"say which are: {_line(wanted, there, there.keys() - ours, True)}",
        manifest.place(),
    )


def drawn(manifests: Sequence[Manifest], sizes: Mapping[str, int]) -> Problem:
    """The note that a hash of file names drew the splits."""
    lost = sum(sizes.values()) - sizes["train"]
    like = next((manifest.kin for manifest in manifests if manifest.kin), "")
    kin = f" (the key '{like}' is not read: call it 'split' if it names them)" if like else ""
    return Problem(
        manifests[0].place(),
        "",
        f"the manifest names no splits{kin}: a hash of file names draws them, and "
        f"{lost} of {sum(sizes.values())} samples are not trained on: {_counts(sizes)}",
        "data.hold_out: {} trains on all; a key or column 'split' names splits",
        note=True,
    )


def left_out(wanted: Wanted, there: Mapping[str, int], first: Mapping[str, Place], chosen: bool) -> Problem:
    """A note, where the recipe chose its splits; else an error, since nobody said that these are not wanted.

    first  name of a split that is left out -> where its first record is
    """
    counts = {name: there[name] for name in first}
    count, place = sum(counts.values()), next(iter(first.values()))
    what = f"{count} record{'s are' if count > 1 else ' is'} left out: {_counts(counts)}; this is the first"
    more = _line(wanted, there, first)
    if chosen:
        return Problem(place, "", what, f"as data.splits asks; {more} takes them in", note=True)
    return Problem(place, "", what, f"{more} takes them in; {_line(wanted, there, ())} leaves them out")


def _counts(sizes: Mapping[str, int]) -> str:
    some = [f"{_name(name) if name else 'no split'} ({size})" for name, size in list(sizes.items())[:SHOWN]]
    return ", ".join(some) + (f" and {len(sizes) - SHOWN} more" if len(sizes) > SHOWN else "")


def _line(wanted: Wanted, there: Mapping[str, int], more: Collection[str], trains: bool = False) -> str:
    """`data.splits` as a line."""
    return (
        "data.splits: {"
        + ", ".join(
            f"{_name(split)}: [{', '.join(map(_name, names))}]"
            for split, names in taking_in(wanted, there, more, trains).items()
        )
        + "}"
    )


def taking_in(
    wanted: Wanted, there: Mapping[str, int], more: Collection[str], trains: bool = False
) -> dict[str, list[str]]:
    """`data.splits` of the names that are there, those of `more` where they seem to belong.

    trains  one of them must be for training: the largest, where none seems to be
    """
    made = {split: [name for name in names if name in there] for split, names in wanted.items()}
    homes = {
        name: next(
            (split for split, known in KNOWN.items() if name.strip().lower() in known),
            re.sub(r"\W", "_", name) or "train",
        )
        for name in sorted(more)[:SHOWN]
    }
    if trains and "train" not in homes.values():
        homes[most := max(homes or there, key=lambda name: there[name])] = "train"
        made = {split: [name for name in names if name != most] for split, names in made.items()}
    for name, split in homes.items():
        made.setdefault(split, []).append(name)
    return {split: names for split, names in made.items() if names or split == "train"}


def _name(name: str) -> str:
    """A name as YAML has it."""
    plain = re.fullmatch(r"[A-Za-z_][\w-]*", name) and name.lower() not in ("true", "false", "null")
    return name if plain else json.dumps(name, ensure_ascii=False)
