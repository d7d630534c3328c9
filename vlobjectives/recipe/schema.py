"""Keys and types: data of a recipe -> Recipe, or a Problem with its place for everything that is wrong.

Validated as JSON, since strict pydantic refuses a list for a tuple from Python objects.
"""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import reduce
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe import hints, known_keys, synonyms
from vlobjectives.recipe.layers import Layered
from vlobjectives.recipe.model import Every, Recipe, Section
from vlobjectives.recipe.pruning import take_out
from vlobjectives.recipe.scalars import kind_of
from vlobjectives.recipe.times import in_steps
from vlobjectives.recipe.yaml import KeyPath, dotted

NAMED_BY_KEY = ("fields", "model", "masks", "pairings", "objectives", "trackers")
DEFAULT_INPUTS = {"image": {"fields": ["image"], "part": "vision"}, "text": {"fields": ["caption"], "part": "text"}}
S = TypeVar("S", bound=Section)
MIX = "mix"
"""What data.type says where data.mix does."""
ROUNDS = 4
_MUST = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "too_short": "longer",
}


def prepared(data: dict[str, Any]) -> dict[str, Any]:
    """The data with what goes without saying: types by name, the inputs `image` and `text`, switched evaluations."""
    data = dict(data)
    for section in NAMED_BY_KEY:
        if isinstance(data.get(section), dict):
            data[section] = {name: _typed(name, entry) for name, entry in data[section].items()}
    if isinstance(data.get("data"), dict) and isinstance(mix := data["data"].get("mix"), dict) and mix:
        mix = {name: _typed(name, entry) for name, entry in mix.items()}
        data["data"] = {**data["data"], "type": MIX, "mix": mix}
    if isinstance(data.get("evaluate"), dict):
        data["evaluate"] = _switched(data["evaluate"])
    inputs, model = data.get("inputs", {}), data.get("model")
    if isinstance(inputs, dict) and isinstance(model, dict):
        wanted = {
            name: default for name, default in DEFAULT_INPUTS.items() if name in inputs or default["part"] in model
        }
        filled = {
            name: default | inputs.get(name, {})
            for name, default in wanted.items()
            if isinstance(inputs.get(name, {}), dict)
        }
        data["inputs"] = filled | {name: entry for name, entry in inputs.items() if name not in filled}
    return data


def _typed(name: str, entry: Any) -> Any:
    return {"type": name} | entry if isinstance(entry, dict) else entry


def _switched(evaluate: dict[str, Any]) -> dict[str, Any]:
    """`true` and `{}` switch an evaluation on, `false` and null off."""
    host = known_keys.keys(("evaluate",))
    entries = {
        name: _typed(name, {} if entry is True else entry)
        for name, entry in evaluate.items()
        if name not in host and entry is not None and entry is not False
    }
    own = {name: value for name, value in evaluate.items() if name in host}
    if "losses" in own and own["losses"] in ({}, None):
        own["losses"] = own["losses"] is not None
    return own | entries


def validated(layered: Layered, told: list[Problem] | None = None) -> Recipe:
    """The Recipe of prepared data. Raises RecipeError with all problems.

    told  takes the problems in, and what is wrong is taken out of the data; raised where nothing helps
    """
    recipe = typed(Recipe, layered, told)
    wrong = {problem.path for problem in told or ()}
    problems = [problem for problem in _inconsistent(recipe, layered) if not wrong & _beside(problem.path)]
    if problems and told is None:
        raise RecipeError(problems)
    if told is not None:
        told += problems
    return recipe


def _beside(path: str) -> set[str]:
    """Keys that one which is inconsistent is held against."""
    return (
        {path, "data", "data.mix", "data.batch", "run.steps"}
        if path.split(".")[0] in ("data", "objectives", "evaluate")
        else {path}
    )


def typed(kind: type[S], layered: Layered, told: list[Problem] | None = None) -> S:
    """Data as a Section of this kind. Raises RecipeError with all problems of keys and types; `told` as above."""
    try:
        return kind.model_validate_json(json.dumps(layered.data), strict=True)
    except ValidationError as error:
        problems = _problems(error, layered, kind)
        if told is None:
            raise RecipeError(problems) from error
        told += problems
        for _ in range(ROUNDS):  # what a wrong value holds is seen once the value is gone
            for path in {_path(one, layered.data) for one in error.errors(include_url=False)}:
                take_out(layered.data, path, kind)
            try:
                return kind.model_validate_json(json.dumps(layered.data), strict=True)
            except ValidationError as again:
                error = again
        raise RecipeError(told) from error


def _problems(error: ValidationError, layered: Layered, root: type[Section]) -> list[Problem]:
    found: dict[KeyPath, list[ErrorDetails]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(_path(one, layered.data), []).append(one)
    # of a union pydantic reports every member: what fails inside one says more than that the whole is no other
    deepest = [path for path in found if not any(path == other[: len(path)] != other for other in found)]
    unknown = [path for path in deepest if found[path][0]["type"] == "extra_forbidden"]
    problems = [
        _problem(path, found[path], layered, root)
        for path in deepest
        if found[path][0]["type"] != "missing" or not any(synonyms.means(one, path) for one in unknown)
    ]
    return sorted(problems, key=lambda one: _order(one.place))


def _order(place: Place | None) -> tuple[str, int, int]:
    return (place.file or "", place.line or 0, place.column or 0) if place else ("", 0, 0)


def _path(one: ErrorDetails, data: Any) -> KeyPath:
    """The key path of a pydantic error: its `loc` without the names of union members."""
    path: KeyPath = ()
    for part in one["loc"]:
        if part in (data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()):
            data, path = data[part], (*path, part)
    return (*path, one["loc"][-1]) if one["type"] == "missing" else path


def _problem(path: KeyPath, errors: list[ErrorDetails], layered: Layered, root: type[Section]) -> Problem:
    first = errors[0]
    spot = layered.spot(path)
    of_key = first["type"] in ("extra_forbidden", "missing") or "[key]" in first["loc"]
    place = None if spot is None else spot.key if of_key and isinstance(path[-1], str) else spot.value
    if first["type"] == "missing":
        what = f"element {path[-1]} is missing" if isinstance(path[-1], int) else f"the key '{path[-1]}' is missing"
        return Problem(
            layered.gone.get(path) or place,
            dotted(path),
            what,
            _instead(path, layered) or f"give it: {known_keys.description(path, root) or 'it has no default'}",
        )
    if first["type"] == "extra_forbidden":
        here = known_keys.keys(path[:-1], root)
        hint = synonyms.key(path, here) or f"keys here: {', '.join(here)}"
        return Problem(place, dotted(path), f"there is no key '{path[-1]}' here", hint)
    if "[key]" in first["loc"]:
        return Problem(place, dotted(path), f"'{path[-1]}' is no name", "letters, digits and _, no digit first")
    value = layered.at(path)
    if value is None and len(path) == 2 and path[0] in NAMED_BY_KEY:
        there = [name for name, entry in layered.at(path[:1]).items() if entry is not None]
        near = get_close_matches(path[1], there, 1) if path not in layered.bare else []
        return Problem(
            place,
            dotted(path),
            "null takes away an entry of the extended recipe, and there is none",
            f"write {{}} for an entry whose options are all defaults (`{path[1]}: {{}}`), or leave it out"
            + (f"; did you mean '{near[0]}'?" if near else ""),
        )
    wanted = list(dict.fromkeys(_must(one) for one in errors))
    return Problem(
        place,
        dotted(path),
        f"{_shown(value)} must be {' or '.join(wanted)}",
        _meant(path, value, errors, root)
        or as_meant(value, errors)
        or hints.line(root, path, value, {})
        or _listed(value, errors)
        or "give a value of this kind",
    )


def _instead(path: KeyPath, layered: Layered) -> str:
    """The hint for a missing key whose word of another framework stands beside it, among a plug-in's options."""
    beside = layered.at(path[:-1])
    there = [key for key in beside if synonyms.means((*path[:-1], key), path)] if isinstance(beside, dict) else []
    return f"write {path[-1]} in place of {there[0]}" if there else ""


def _meant(path: KeyPath, value: Any, errors: list[ErrorDetails], root: type[Section]) -> str:
    """What was meant by a value of a recipe that is another than its key takes."""
    if root is not Recipe:
        return ""
    wants = {one["type"] for one in errors} & {"model_type", "dict_type", "model_attributes_type"}
    return (synonyms.mapping(path, value) if wants else "") or synonyms.value(path, value)


def _listed(value: Any, errors: list[ErrorDetails]) -> str:
    """A list of one where one thing stands in place of a list."""
    plain = isinstance(value, str | int | float)
    return f"write [{_shown(value)}]" if plain and any(one["type"] == "tuple_type" for one in errors) else ""


def _must(one: ErrorDetails) -> str:
    if one["type"] == "literal_error":
        return f"one of {one['ctx']['expected']}"
    if one["type"] == "string_pattern_mismatch":
        return f"of the form {one['ctx']['pattern']}"
    return _MUST.get(one["type"]) or one["msg"].removeprefix("Input should ").removeprefix("be ")


def as_meant(value: Any, errors: list[ErrorDetails]) -> str:
    """The hint for what people often write."""
    types = {one["type"] for one in errors}
    if isinstance(value, str):
        if types & {"int_type", "float_type"} and kind_of(value.replace("_", "")) in ("int", "float"):
            return f"write {value.replace('_', '')}, without quotes or _"
        if "bool_type" in types and value.lower() in ("yes", "on", "no", "off", "true", "false"):
            return f"write {str(value.lower() in ('yes', 'on', 'true')).lower()}"
        if types & {"tuple_type", "list_type"} and not types & {"int_type", "float_type"}:
            return f"write [{value}]"
        for one in errors:
            if one["type"] == "literal_error":
                near = get_close_matches(value, re.findall(r"'(\w+)'", one["ctx"]["expected"]), 1)
                return f"did you mean {near[0]}?" if near else ""
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _inconsistent(recipe: Recipe, layered: Layered) -> Iterator[Problem]:
    """What no single key shows."""

    def problem(path: KeyPath, what: str, hint: str) -> Problem:
        spot = layered.spot(path)
        return Problem(spot.value if spot else None, dotted(path), what, hint)

    data, steps = recipe.data, recipe.run.steps
    for key in data.options if data.mix else ():
        places = ", ".join(f"data.mix.{name}.{key}" for name in data.mix or ())
        yield problem(
            ("data", key),
            f"no source of data.mix takes '{key}'",
            f"put it under the source that it is for: {places}",
        )
    if data.type == MIX and not data.mix:
        yield problem(("data", "type"), "a mix of no sources", "name sources under data.mix, or one as data.type")
    for section, entries in (("objectives", recipe.objectives), ("evaluate", recipe.evaluate.entries)):
        for name, entry in entries.items():
            for number, source in enumerate(entry.sources or ()):
                if source not in (data.mix or {}):
                    yield problem(
                        (section, name, "sources", number),
                        f"there is no source '{source}' in data.mix",
                        f"there are {', '.join(data.mix)}" if data.mix else "leave `sources` out, or write it null",
                    )
    if data.micro_batch is not None and data.batch % data.micro_batch:
        yield problem(
            ("data", "micro_batch"),
            f"{data.micro_batch} does not divide the batch of {data.batch}",
            "micro-batches are equal parts of data.batch",
        )
    for path in (("evaluate", "every"), ("run", "checkpoint"), ("run", "log", "conflict")):
        every = reduce(getattr, path, recipe)
        if isinstance(every, Every) and every.ways != 1 and (type(every) is Every or every.ways == 2):
            yield problem(path, "how often must be said in one way", "give either steps: or share:")
    scheduled: dict[KeyPath, Any] = {("run", "ema", "decay"): recipe.run.ema.decay}
    scheduled |= {("objectives", name, "weight"): entry.weight for name, entry in recipe.objectives.items()}
    for where, points in scheduled.items():
        times = [in_steps(time, steps) for time, _ in points] if isinstance(points, tuple) else []
        if any(later < earlier for earlier, later in pairwise(times)):
            yield problem(
                where,
                f"the times go backwards: they are steps {times}",
                "put the points in order of time; whole numbers are steps, numbers with a point shares",
            )
