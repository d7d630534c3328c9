"""Layers of a recipe: the file, what it extends, and the command line; every value knows where it came from.

How a layer lies over another:
  - mappings are merged key by key, lists and plain values replaced
  - an entry of another `type` keeps what lies below it; the options that the new type lacks fall away once it is known
    (`resolved.inherited`). A mix is a type of data: `data` of another type lies over no mix
  - a section with nothing behind it (its lines are all comments) is empty, an evaluation so is switched on; elsewhere
    nothing is refused where null would be taken, since nobody wrote null
  - `key: null` takes away what the layers below hold under the key, unless null is a value that the key takes
    (`optim.clip`); where there was nothing, null is a value like any other
A relative path counts from the folder of the file that it is written in, on the command line from the working
folder.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe import hints, known_keys
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.renamed import renewed
from vlobjectives.recipe.yaml import Document, KeyPath, Spot, dotted, read

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Retyped:
    """An entry that a layer gave another type: the type below, and where the new one was written."""

    before: str
    place: Place


@dataclass
class Layered:
    """The values of all layers so far. `spots` as in a Document; `folders` by file name as messages call it.

    runs  the files, as messages call them, that are the recipe of a run folder, or that such a recipe extends
    """

    data: dict[str, Any] = field(default_factory=dict)
    spots: dict[KeyPath, Spot] = field(default_factory=dict)
    folders: dict[str | None, Path] = field(default_factory=dict)
    gone: dict[KeyPath, Place] = field(default_factory=dict)
    """Keys that null took away, and where."""
    nulls: dict[KeyPath, Place] = field(default_factory=dict)
    """Plug-ins' options over which null was written: whether it is a value or takes them away their Config knows."""
    retyped: dict[KeyPath, Retyped] = field(default_factory=dict)
    """Entries of another type than a layer below them said."""
    bare: set[KeyPath] = field(default_factory=set)
    """Keys with nothing behind them, whose value is null although nobody wrote it."""
    changing: set[str | None] = field(default_factory=set)
    """Files whose keys are dotted paths into the recipe: sweeps."""
    notes: list[Problem] = field(default_factory=list)
    """What was found while layers were laid that stops nothing."""
    runs: set[str | None] = field(default_factory=set)

    def spot(self, path: KeyPath) -> Spot | None:
        """Where the entry at `path` was written, or the nearest entry above it that was."""
        while path and path not in self.spots:
            path = path[:-1]
        return self.spots.get(path)

    def base(self, path: KeyPath) -> Path:
        """The folder that a relative path at `path` counts from."""
        spot = self.spot(path)
        return self.folders.get(spot.value.file if spot else None) or Path.cwd()

    def inherited(self, path: KeyPath, place: Place) -> bool:
        """Whether what stands at `path` was written in a layer below the one in which `place` lies."""
        order = {file: number for number, file in enumerate(self.folders)}
        spot = self.spots.get(path)
        return spot is not None and order.get(spot.value.file, len(order)) < order.get(place.file, len(order))

    def at(self, path: KeyPath) -> Any:
        """The value at `path`. Raises KeyError where there is none."""
        value = self.data
        for part in path:
            known = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
            if part not in known:
                raise KeyError(path)
            value = value[part]
        return value

    def document(self, path: KeyPath) -> Document:
        """The entry at `path` as a document of its own, its places kept. Raises KeyError where there is none."""
        value = self.at(path)
        return Document(deepcopy(value), {inner: self.spots[(*path, *inner)] for inner in _inside(value)})

    def take_away(self, path: KeyPath, place: Place) -> None:
        """Removes a key as null does that stands at `place`."""
        self._forget(path)
        del self.at(path[:-1])[path[-1]]
        self.gone[path] = place

    def put(self, path: KeyPath, document: Document) -> None:
        """Lays a document over the entry at `path`; what lies above the entry exists."""
        if not path:
            self._merge((), document, ())
            return
        holder = self.at(path[:-1])
        if isinstance(holder, list):
            self._put_element(holder, path, document)
        else:
            self._put_key(holder, path, document, ())

    def _merge(self, here: KeyPath, over: Document, there: KeyPath) -> None:
        """Lays the mapping at `there` of a document over the mapping at `here`."""
        self.spots.setdefault(here, over.spots[there])
        holder, layer = self.at(here), _at(over.data, there)
        for key in sorted(layer, key=lambda one: one != "type"):  # what goes with the old type goes first
            self._put_key(holder, (*here, key), over, (*there, key))

    def _put_key(self, holder: dict, path: KeyPath, over: Document, there: KeyPath) -> None:
        key, value, below = path[-1], _at(over.data, there), holder.get(path[-1])
        if isinstance(value, dict) and isinstance(below, dict):
            self._merge(path, over, there)
            return
        place = over.spots[there].value
        if key == "type" and known_keys.is_entry(path[:-1]):
            self._retype(path[:-1], holder, value, place)
        null, option = value is None and below is not None, known_keys.is_option(path)
        if null and (isinstance(below, dict) or not (option or known_keys.takes_null(path))):
            self.take_away(path, place)
            return
        self._forget(path)
        self.gone.pop(path, None)
        holder[key] = deepcopy(value)
        self._learn(path, over, there)
        self.nulls |= {path: place} if null and option else {}

    def _retype(self, path: KeyPath, entry: dict, new: Any, place: Place) -> None:
        """Notes that an entry is given another type than it has; data then is no more the mix that it was."""
        of_mix = path == ("data",) and isinstance(entry.get("mix"), dict)
        by_name = "mix" if of_mix else path[-1] if len(path) > 1 else None
        by_name = self.data["data"].get("type", by_name) if path[:2] == ("data", "mix") else by_name
        old = entry.get("type", by_name)
        if not isinstance(new, str) or not isinstance(old, str) or new == old:
            return
        self.retyped[path] = Retyped(old, place)
        if of_mix:
            names, at = ", ".join(entry["mix"]), self.spots["data", "mix"].key
            what = f"data is of type {new}: the mix of {names} ({at}) falls away"
            hint = "write its sources under data.mix if they are to take turns; leave `type` out to keep the mix"
            self.notes.append(Problem(place, "data.mix", what, hint, note=True))
            self._forget(("data", "mix"))
            del entry["mix"]

    def _put_element(self, holder: Any, path: KeyPath, over: Document) -> None:
        if isinstance(over.data, dict) and isinstance(holder[path[-1]], dict):
            self._merge(path, over, ())
        else:
            self._forget(path)
            holder[path[-1]] = deepcopy(over.data)
            self._learn(path, over, ())

    def _forget(self, path: KeyPath) -> None:
        try:
            gone = self.at(path)
        except KeyError:
            return
        for inner in _inside(gone):
            for known in (self.spots, self.nulls, self.retyped):
                known.pop((*path, *inner), None)

    def _learn(self, path: KeyPath, over: Document, there: KeyPath) -> None:
        for inner in _inside(self.at(path)):
            self.spots[(*path, *inner)] = over.spots[(*there, *inner)]


def layer(path: Path, find: Callable[[str], Path], run: bool = False) -> Layered:
    """A recipe file over all that it extends. `find` gives the file of a shipped recipe's name.

    run  it was named by its folder, as runs are
    `extends` is a path relative to the file if it ends in .yaml, else a shipped recipe's name.
    """
    documents: dict[Path, Document] = {}
    place: Place | None = None
    base: Any = path.resolve()
    while base is not None:
        path = base
        if path in documents:
            circle = [*list(documents)[list(documents).index(path) :], path]
            raise RecipeError.one(
                f"recipes extend each other in a circle: {' -> '.join(one.name for one in circle)}",
                "leave one `extends` out",
                place,
                "extends",
            )
        documents[path] = document = read(path, shown(path))
        if {"base", "seeds"} <= document.data.keys():
            raise RecipeError.one(
                "this is a sweep and no recipe",
                f"`vlobj sweep {shown(path)}` trains it; the recipe that it changes is {document.data['base']}",
                Place(shown(path)),
            )
        base = document.data.pop("extends", None)
        if base is not None:
            place = document.spots[("extends",)].value
            base = _extended(base, path.parent, find, place)
    layered = Layered()
    for path in documents:
        run = run or (path.name == "recipe.yaml" and any(path.parent.glob("checkpoints/step-*")))
        layered.runs |= {shown(path)} if run else set()
    for path, document in reversed(documents.items()):
        layered.folders[shown(path)] = path.parent
        _, document, notes = renewed((), document)
        layered.notes += notes
        document = filled(document, layered.data)
        layered.put((), document)
        layered.bare |= document.bare
        layered.spots[()] = document.spots[()]
    return layered


def filled(document: Document, below: Any, root: type[BaseModel] = Recipe) -> Document:
    """A file's document with an empty mapping for each section or evaluation with nothing behind it.

    Raises RecipeError where the key would say null unasked: over a mapping below it would take that away. `bare` of
    the result are those that are for their types to refuse.
    """
    data, problems, left = deepcopy(document.data), [], set()
    for path in sorted(document.bare, key=str):
        key, place, under = path[-1], document.spots[path].key, _held(below, path)
        if isinstance(under, dict):
            problems.append(
                Problem(
                    place,
                    dotted(path),
                    f"nothing is written behind `{key}:`, which stands in the recipe that this one extends",
                    f"`{key}: null` takes it away; leave the line out to keep it",
                )
            )
        elif known_keys.takes_mapping(path, root) and not known_keys.holds_entries(path[:-1]):
            _at(data, path[:-1])[key] = {}
        elif known_keys.holds_entries(path[:-1]) or (
            (own := known_keys.field(path, root)) and not hints.takes(own, None)
        ):
            left.add(path)
        else:
            problems.append(
                Problem(
                    place,
                    dotted(path),
                    f"nothing is written behind `{key}:`",
                    f"write its value, or `{key}: null` if none is meant, or leave the line out",
                )
            )
    if problems:
        raise RecipeError(problems)
    return Document(data, document.spots, frozenset(left))


def _held(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _extended(base: Any, folder: Path, find: Callable[[str], Path], place: Place) -> Path:
    if not isinstance(base, str):
        raise RecipeError.one(
            "`extends` takes one recipe: a file or a shipped recipe's name", "extends: glscl", place, "extends"
        )
    if not base.endswith(".yaml"):
        try:
            return find(base).resolve()
        except RecipeError as error:
            raise RecipeError.one(error.what, error.hint, place, "extends") from error
    path = (folder / Path(base).expanduser()).resolve()
    if not path.is_file():
        raise RecipeError.one(f"there is no file {base}", f"`extends` counts from {folder}", place, "extends")
    return path


def _at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _inside(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The key paths of a value and of all that it holds."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _inside(item, (*path, key))


def shown(path: Path) -> str:
    """What messages call a file: relative to the working folder where it lies below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
