"""Overrides: `key.path=value` on the command line, the value read as YAML, or changes that a sweep makes; over keys
that exist.

A key exists if the recipe holds it, if the host knows it (`run.compile`), if it is an option of an entry that the
recipe holds (`objectives.itc.temperature`: the plug-in's Config sees to its name), or if it switches an evaluation
on (`evaluate.retrieval=true`). An entry of any other section is added in a file, not on the command line: there a
misspelt name would silently train something else. Elements of a list are named by number: `optim.groups.0.lr=0.5`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe import known_keys, synonyms
from vlobjectives.recipe.layers import COMMAND_LINE, Layered
from vlobjectives.recipe.renamed import renewed
from vlobjectives.recipe.schema import NAMED_BY_KEY
from vlobjectives.recipe.yaml import Document, KeyPath, Spot, dotted, parse

_HERE = Place(COMMAND_LINE)


@dataclass(frozen=True)
class Change:
    """What a file lays over the entry of a recipe with this dotted name; it may add an entry to a section.

    folder  that relative paths in it count from
    """

    name: str
    document: Document
    folder: Path


def apply(layered: Layered, overrides: Iterable[str | Change], told: list[Problem] | None = None) -> None:
    """Lays overrides over a recipe, one after the other. Raises RecipeError with the problems of all of them, or lets
    `told` take these in."""
    problems: list[Problem] = []
    given: list[tuple[str, KeyPath, Document]] = []
    for one in overrides:
        try:
            if isinstance(one, Change):
                layered.changing.add(one.document.spots[()].value.file)
                layered.folders.setdefault(one.document.spots[()].value.file, one.folder)
                _lay(layered, one.name, one.document, adds=True)
            else:
                name, document = read_change(one)
                given.append((one, *_lay(layered, name, document, adds=False)))
        except RecipeError as error:
            problems += error.problems
    if problems and told is None:
        raise RecipeError(problems)
    if told is not None:
        told += problems
    layered.notes += _overruled(layered, given)


def _not_an_override(text: str) -> str:
    """What was meant by a word behind the recipe that gives no key a value."""
    if text.startswith("-"):
        return "options stand before `--`, which ends them; a change of the recipe is key.path=value"
    if text.startswith("~"):
        return f"{text[1:]}=null takes it away"
    key, colon, value = text.partition(":")
    if colon and value.strip():
        return f"write {key}={value.strip()}: a change is key.path=value"
    return "write key.path=value without blanks, such as optim.lr=1e-4"


def _overruled(layered: Layered, given: Sequence[tuple[str, KeyPath, Document]]) -> Iterator[Problem]:
    """Notes on overrides of which a later one leaves nothing, or not all."""
    for number, (text, path, document) in enumerate(given):
        for inner, value in _plain(document.data):
            whole = (*path, *inner)
            try:
                holds = layered.at(whole) == value
            except KeyError:
                holds = value is None  # it took an entry away
            if not holds:
                later = next(
                    (other for other, over, _ in given[number + 1 :] if over[: len(whole)] == whole[: len(over)]),
                    "a later one",
                )
                yield Problem(
                    _HERE,
                    dotted(whole),
                    f"it is given twice, and {later} holds, not {text}",
                    "leave one of them out",
                    note=True,
                )
                break


def _plain(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Plain values and lists inside a value, each with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _plain(item, (*path, key))
    elif not isinstance(value, dict):
        yield path, value


def read_change(text: str) -> tuple[str, Document]:
    """`key.path=value` as the name and the value."""
    if not isinstance(text, str):
        raise RecipeError.one(
            f"an override is text, not a {type(text).__name__}", 'give each as a word: "optim.lr=1e-4"', _HERE
        )
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RecipeError.one(f"'{text}' is no override", _not_an_override(text), _HERE)
    if not value.strip():
        raise RecipeError(
            [
                Problem(
                    _HERE,
                    name,
                    f"there is nothing behind `{name}=`",
                    f"{name}=null means none; if a variable of the shell stands there, it is empty",
                )
            ]
        )
    try:
        document = parse(value, COMMAND_LINE)
    except RecipeError as error:
        raise RecipeError(Problem(_HERE, name, problem.what, problem.hint) for problem in error.problems) from error
    return name, Document(document.data, dict.fromkeys([(), *document.spots], Spot(_HERE, _HERE)))


def _lay(layered: Layered, name: str, document: Document, adds: bool) -> tuple[KeyPath, Document]:
    """Lays a document over the entry of a dotted name, which may be new with `adds`; gives path and document as they
    are called now."""
    at, document, notes = renewed(tuple(name.split(".")), document)
    path = _resolved(layered, ".".join(map(str, at)), document.spots[()].key, adds) if at else ()
    layered.notes += notes
    for length in range(1, len(path)):
        if not isinstance(_held(layered, path[:length]), dict | list):
            layered.put(path[:length], Document({}, {(): document.spots[()]}))
    layered.put(path, document)
    return path, document


def _resolved(layered: Layered, name: str, place: Place, adds: bool) -> KeyPath:
    """The key path that a dotted name means; RecipeError with the nearest keys where it means none."""
    path: KeyPath = ()
    for part in name.split("."):
        held = _held(layered, path)
        key = int(part) if isinstance(held, list) and part.isdecimal() else part
        if isinstance(held, list):
            exists = key in range(len(held))
        else:
            exists = _stands(held, path, key) or (adds and len(path) == 1 and path[0] in NAMED_BY_KEY)
        if not exists:
            raise RecipeError.one(
                f"there is no key '{part}'" + (f" in {dotted(path)}" if path else ""),
                _hint(layered, name, path, part),
                place,
                name,
            )
        path = (*path, key)
    return path


def _held(layered: Layered, path: KeyPath) -> Any:
    try:
        return layered.at(path)
    except KeyError:
        return None


def _hint(layered: Layered, name: str, path: KeyPath, part: str) -> str:
    held = _held(layered, path)
    for other in _otherwise(name):
        if _exists(layered, other):
            return f"did you mean {other}?"
    if isinstance(held, list):
        return f"it is a list of {len(held)}: name an element by its number, from 0"
    here = sorted({*known_keys.keys(path), *(held if isinstance(held, dict) else ())})
    near = [dotted((*path, key)) for key in get_close_matches(part, here, 1)]
    if not near and (there := synonyms.key((*path, part), ())):
        return there
    if not near and not path:
        everywhere = list(dict.fromkeys(_names(layered)))
        near = [full for full in everywhere if full.endswith(f".{name}")][:3] or get_close_matches(name, everywhere, 1)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = (
        f"; a new entry of {path[0]} is written in a file that says `extends: ...`"
        if len(path) == 1 and path[0] in NAMED_BY_KEY
        else ""
    )
    return f"keys here: {', '.join(here)}{more}" if here else f"{dotted(path)} holds no keys{more}"


def _otherwise(name: str) -> Iterator[str]:
    """A key path as other tools would have it: `+optim.lr`, `optim/lr`, `groups[0]`, `Optim.LR`."""
    plain = re.sub(r"\[(\d+)\]", r".\1", name.lstrip("+~").replace("/", "."))
    yield from (other for other in (plain, plain.lower()) if other != name and "" not in other.split("."))


def _exists(layered: Layered, name: str) -> bool:
    path: KeyPath = ()
    for part in name.split("."):
        held = _held(layered, path)
        key = int(part) if isinstance(held, list) and part.isdecimal() else part
        if not (key in range(len(held)) if isinstance(held, list) else _stands(held, path, key)):
            return False
        path = (*path, key)
    return True


def _stands(held: Any, path: KeyPath, key: str | int) -> bool:
    """Whether a key stands in a mapping, or may."""
    return (
        (isinstance(held, dict) and key in held)
        or key in known_keys.keys(path)
        or path == ("evaluate",)
        or known_keys.is_entry(path)
    )


def _names(layered: Layered) -> Iterator[str]:
    for path in layered.spots:
        yield dotted(path)
        for key in known_keys.keys(path):
            yield dotted((*path, key))
    for section in known_keys.keys(()):
        yield from (f"{section}.{key}" for key in known_keys.keys((section,)))
