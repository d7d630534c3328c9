"""`init`: a recipe begins with the weights of another run, and with what the readers of its fields had learned.

Weights go by dotted name. What is missing there keeps its first weights, what is left over is not used, and both are
named; a shape that differs is refused, unless the part can bring it to its own (positions of another grid). The
optimiser, the schedule, a balancer, averages of weights and the random streams begin anew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from vlobjectives.contracts.config import Config
from vlobjectives.data.collate import Fields, learned
from vlobjectives.errors import DataError, Problem, RecipeError
from vlobjectives.files import is_file
from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.recipe import Loaded, Recipe
from vlobjectives.recipe import load as load_recipe
from vlobjectives.recipe.model import FieldEntry
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.run_folder import RunFolder
from vlobjectives.system import checkpoint
from vlobjectives.system.assemble import unfinite
from vlobjectives.system.system import System

KEY = ("init",)
SHOWN = 4
"""Tensors of a part that are named one by one."""


@dataclass(frozen=True)
class Origin:
    """The run that `init` names: its folder, its newest whole checkpoint, its recipe; lines on newer checkpoints that
    are damaged."""

    folder: Path
    checkpoint: checkpoint.Checkpoint
    recipe: Recipe
    broken: tuple[str, ...] = ()

    @property
    def warned(self) -> list[str]:
        """What should be known before its weights are taken."""
        return [f"init: {line}: that of step {self.checkpoint.step} is taken" for line in self.broken]

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest of the new run says of it."""
        kept = json.loads((self.checkpoint.folder / checkpoint.MANIFEST).read_text(encoding="utf-8"))
        return {"run": str(self.folder), "step": self.checkpoint.step, "sha256": kept["sha256"][checkpoint.MODEL]}

    def tensors(self, device: str = "cpu") -> dict[str, Tensor]:
        """Its weights by dotted name; on `meta` their shapes alone."""
        with safe_open(self.checkpoint.folder / checkpoint.MODEL, "pt") as file:
            if device != "meta":
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {name: torch.empty(file.get_slice(name).get_shape(), device="meta") for name in file.keys()}  # noqa: SIM118

    def learned(self, recipe: Recipe) -> dict[str, Any]:
        """Field -> what its reader learned there, of the fields that the recipe has too. Raises DataError where that
        cannot be read, or is no more what it was."""
        digests = RunFolder(self.folder).manifest()["fields"]
        return {
            name: learned(self.folder / "fields", name, digests) for name in recipe.fields if name in self.recipe.fields
        }


def origin(resolved: Resolved) -> Origin | None:
    """The run to begin from, None where the recipe names none.

    Raises RecipeError where the folder is no run, has no whole checkpoint, lost what a field learned, or has a field
    that the recipe defines otherwise: its ids would mean other words than those that the weights have learned.
    """
    loaded = resolved.loaded
    if loaded.recipe.init is None:
        return None
    folder = Path(loaded.recipe.init)
    if not is_file(folder / "recipe.yaml"):
        what = "is no run folder: it has no recipe.yaml" if folder.exists() else "is not there"
        raise RecipeError([loaded.problem(KEY, f"{folder} {what}", "name the folder that `vlobj run` made")])
    there = load_recipe(folder).recipe
    found, broken = checkpoint.newest(folder / "checkpoints")
    if found is None:
        why = "".join(f"; {line}" for line in broken)
        raise RecipeError(
            [loaded.problem(KEY, f"{folder} has no whole checkpoint{why}", f"`vlobj run {folder}` goes on with it")]
        )
    known = Origin(folder, found, there, tuple(broken))
    if problems := list(_other_fields(resolved, known)):
        raise RecipeError(problems)
    try:
        known.learned(loaded.recipe)
    except DataError as error:
        raise RecipeError([loaded.problem(KEY, f"{error.what} ({error.place})", error.hint)]) from error
    return known


def _other_fields(resolved: Resolved, origin: Origin) -> Iterator[Problem]:
    """Fields of the same name that are read in another way; another column may feed them."""
    loaded = resolved.loaded
    for name, entry in loaded.recipe.fields.items():
        there = origin.recipe.fields.get(name)
        if there is None:
            continue
        here, was = {"type": entry.type}, {"type": there.type}
        if here == was:
            one = resolved.of("reader")[name]
            here, was = _written(entry, one.config), _written(there, config_of(one.cls, there.options))
        wrong = [
            f"{key} is {was.get(key)} there, {here.get(key)} here"
            for key in dict.fromkeys([*here, *was])
            if here.get(key) != was.get(key)
        ]
        if wrong:
            yield loaded.problem(
                ("fields", name),
                f"{origin.folder} has this field otherwise: {'; '.join(wrong)}",
                "write it as it is there, or give it another name: a field of a new name learns anew",
                key=True,
            )


def _written(entry: FieldEntry, config: Config) -> dict[str, Any]:
    """An entry's options with their defaults, and whose vocabulary it shares."""
    return {"with": entry.with_} | config.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True)
class Fit:
    """How weights fit a system.

    values     own name -> the value to take, in the system's shape
    changed    lines on what a part brought to its own shape
    missing    own names that are not there; left: names there that the system does not have
    wrong      lines on shapes that differ
    """

    values: Mapping[str, Tensor]
    changed: list[str]
    missing: list[str]
    left: list[str]
    wrong: list[str]

    @property
    def lines(self) -> list[str]:
        return [
            *self.changed,
            *([f"not there, so with first weights: {', '.join(self.missing)}"] if self.missing else []),
            *([f"there and not used: {', '.join(self.left)}"] if self.left else []),
        ]


def fit(system: System, found: Mapping[str, Tensor]) -> Fit:
    """How tensors by dotted name fit a system; both may be on the meta device."""
    own, found = _begun_anew(checkpoint.weights(system)), _begun_anew(found)
    values, changed, wrong = {}, [], []
    for name, mine in own.items():
        if name not in found:
            continue
        value = found[name]
        if value.shape != mine.shape:
            resampled = _resampled(system, name, value)
            if resampled is None or resampled.shape != mine.shape:
                wrong.append(f"{name} is {_size(value)} there, {_size(mine)} here")
                continue
            changed.append(f"{name} resampled from {_size(value)} to {_size(mine)}")
            value = resampled
        values[name] = value
    return Fit(
        values, changed, _grouped(own.keys() - found.keys(), own), _grouped(found.keys() - own.keys(), found), wrong
    )


def _begun_anew(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors but those that are never taken over."""
    return {name: value for name, value in tensors.items() if not name.startswith(("averages.", "balance."))}


def _resampled(system: System, name: str, value: Tensor) -> Tensor | None:
    section, part, leaf = name.split(".", 2)
    return system.model[part].resampled(leaf, value) if section == "model" else None


def _grouped(names: Iterable[str], all_: Iterable[str]) -> list[str]:
    """Names of tensors; a part or objective that is whole among them by its own name."""
    gone, found = sorted(names), []
    for owner in dict.fromkeys(_owner(name) for name in gone):
        own = [name for name in gone if _owner(name) == owner]
        if len(own) == sum(_owner(name) == owner for name in all_):
            found.append(owner)
            continue
        found += own[:SHOWN] + ([f"{len(own) - SHOWN} more of {owner}"] if len(own) > SHOWN else [])
    return found


def _owner(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _size(x: Tensor) -> str:
    return " x ".join(map(str, x.shape)) or "a number"


@torch.no_grad()
def begin(system: System, begun: Origin, loaded: Loaded) -> list[str]:
    """Gives a system the weights of a run; lines for the log. Raises RecipeError where shapes differ."""
    fits = fit(system, begun.tensors())
    if problems := list(refused(fits, begun, loaded)):
        raise RecipeError(problems)
    if wrong := unfinite(fits.values):
        file = begun.checkpoint.folder / checkpoint.MODEL
        raise RecipeError(
            [
                loaded.problem(
                    KEY,
                    f"{file} holds NaN or infinity: {wrong}",
                    "begin from a run that went well, or leave `init` out",
                )
            ]
        )
    own = checkpoint.weights(system)
    for name, value in fits.values.items():
        own[name].copy_(value)
    system.averages.start(system)
    brought = [name for name in loaded.recipe.fields if name in begun.recipe.fields]
    fields = f", what {', '.join(brought)} learned" if brought else ""
    return [
        *begun.warned,
        f"{len(fits.values)} tensors{fields} from {begun.folder}, step {begun.checkpoint.step}",
        *fits.lines,
    ]


def refused(fits: Fit, begun: Origin, loaded: Loaded) -> Iterator[Problem]:
    """Weights that cannot be taken."""
    if fits.wrong:
        more = f"; and {len(fits.wrong) - SHOWN} more" if len(fits.wrong) > SHOWN else ""
        yield loaded.problem(
            KEY,
            f"weights of {begun.folder} have other shapes: {'; '.join(fits.wrong[:SHOWN])}{more}",
            "write the part as that run's recipe.yaml does, or give it another name: a part of a new name begins anew",
        )
    elif not fits.values:
        yield loaded.problem(
            KEY,
            f"no part of {begun.folder} has the name of one here",
            "call parts what that run's recipe.yaml calls them, or leave `init` out",
        )


def noted(fits: Fit, begun: Origin, loaded: Loaded, fields: Fields) -> Iterator[Problem]:
    """What a person should know before such a run: notes."""
    for line in begun.broken:
        yield loaded.problem(
            KEY,
            f"{line}: that of step {begun.checkpoint.step} would be taken",
            "put the newer one back from a copy, if there is one",
            note=True,
        )
    for line in fits.lines:
        yield loaded.problem(KEY, f"{begun.folder}: {line}", "nothing, if that is meant", note=True)
    for name, entry in loaded.recipe.inputs.items():
        if not any(taken.startswith(f"model.{entry.part}.") for taken in fits.values):
            continue
        for field in entry.fields:
            if (
                field in loaded.recipe.fields
                and fields.spec(field).kind == "tokens"
                and _root(loaded.recipe, field) not in begun.recipe.fields
            ):
                yield loaded.problem(
                    ("inputs", name),
                    f"the weights of '{entry.part}' know other ids than those of "
                    f"'{field}', which is not among the fields of {begun.folder}",
                    f"share a vocabulary of that run: `with` one of {', '.join(begun.recipe.fields)}",
                    note=True,
                )


def _root(recipe: Recipe, field: str) -> str:
    """The field whose vocabulary a field speaks."""
    while (lender := recipe.fields[field].with_) is not None:
        field = lender
    return field
