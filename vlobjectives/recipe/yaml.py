"""Reads YAML that may come from anybody, and keeps the place of every key and value.

Plain types only, no duplicate or non-string key; size, depth and aliases are bounded, so that a file of a kilobyte
cannot fill the memory. All problems of a file's structure are reported at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.files import GONE, unreadable
from vlobjectives.recipe.scalars import value_of

KeyPath = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_VALUES = 20_000  # after aliases are written out
_PLAIN, _QUOTED, _SEQUENCE, _MAPPING = "plain", "quoted", "sequence", "mapping"


class Spot(NamedTuple):
    """Where an entry's key and its value begin; the same for elements of a list."""

    key: Place
    value: Place


@dataclass(frozen=True)
class Document:
    """What a text holds, and where: `spots[("objectives", "itc", "weight")]`. The empty path is the whole."""

    data: Any
    spots: dict[KeyPath, Spot]
    bare: frozenset[KeyPath] = frozenset()
    """Keys with nothing behind them, whose value is null although nobody wrote it."""


def read(path: Path, name: str | None = None, first: str = "objectives") -> Document:
    """A recipe file, a mapping at the top. `name` is what messages call it, `first` a key that it might begin with."""
    name = name or str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (*GONE, IsADirectoryError) as error:
        raise RecipeError.one(
            f"cannot read the file: {error.strerror}", "name a file that can be read", Place(name)
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if len(raw) > MAX_BYTES:
        raise _too_large(name)
    document = parse(_text(raw, name), name)
    if document.data is None:
        raise RecipeError.one("the file holds nothing", f"begin with a key such as `{first}:`", Place(name, 1, 1))
    if not isinstance(document.data, dict):
        tight = isinstance(document.data, str) and ":" in document.data
        raise RecipeError.one(
            "the file is no mapping of keys to values",
            "put a blank behind each colon: `key: value`" if tight else f"begin with a key such as `{first}:`",
            document.spots[()].value,
        )
    return document


def parse(text: str, name: str) -> Document:
    """Any YAML text. Raises RecipeError with all problems of its structure."""
    if len(text) > MAX_BYTES:
        raise _too_large(name)
    loader = None
    try:
        loader = _Loader(text, name)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(name, before.count("\n") + 1, error.position - before.rfind("\n"))
        raise RecipeError.one(
            f"the character U+{error.character:04X} is not allowed in YAML", "take it out", place
        ) from error
    except yaml.MarkedYAMLError as error:
        raise RecipeError([_syntax(error, name)]) from error
    finally:
        if loader is not None:
            loader.dispose()
    reading = _Reading(name)
    data = reading.value(node, ()) if node is not None else None
    if reading.problems:
        raise RecipeError(reading.problems)
    return Document(data, reading.spots, frozenset(reading.bare))


def _too_large(name: str) -> RecipeError:
    return RecipeError.one(
        f"larger than {MAX_BYTES:,} bytes", "a recipe is a page; data belongs in data files", Place(name)
    )


def _text(raw: bytes, name: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RecipeError.one("the file is UTF-16", "save it as UTF-8", Place(name, 1, 1))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = Place(name, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise RecipeError.one(
            f"the byte 0x{raw[error.start]:02x} is no UTF-8", "save the file as UTF-8", place
        ) from error


def _syntax(error: yaml.MarkedYAMLError, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in what:
        hint = "indent with spaces, not tabs"
    elif "single document" in what:
        hint = "one recipe a file: take the second `---` away"
    elif "mapping values are not allowed" in what:
        hint = "put the value in quotes if it holds `: `, or correct the indentation of this line"
    elif "cannot start any token" in what:
        hint = "put the value in quotes"
    elif "alias" in what or "scanning an anchor" in what:
        hint = 'put the value in quotes, such as "*.bias": YAML takes * and & for aliases; or correct the alias'
    elif "escape" in what:
        hint = "put it in single quotes, in which \\ is a letter"
    elif "scanning a quoted scalar" in what:
        hint = "close the quotes"
    else:
        hint = error.note or "correct the YAML here; look at brackets, quotes and indentation of the lines before"
    return Problem(Place(name, mark.line + 1, mark.column + 1) if mark else Place(name), "", what, hint)


class _Loader(yaml.SafeLoader):
    """PyYAML's composer without YAML 1.1 types, bounded in depth (it is recursive) and number (it is slow)."""

    depth = 0
    count = 0

    def __init__(self, text: str, name: str):
        super().__init__(text)
        self.name = name

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Called for nodes without an explicit tag only; any other tag that comes out was written by somebody."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return _SEQUENCE if kind is yaml.SequenceNode else _MAPPING

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH or self.count > 2 * MAX_VALUES:  # a key is a node too
            deep = self.depth > MAX_DEPTH
            what = f"more than {MAX_DEPTH} levels deep" if deep else f"more than {MAX_VALUES:,} values"
            raise yaml.composer.ComposerError(
                None,
                None,
                what,
                self.peek_event().start_mark,
                "a recipe is a page with few levels; data belongs in data files",
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reading:
    """Turns nodes into values; collects problems and places."""

    def __init__(self, name: str):
        self.name = name
        self.problems: list[Problem] = []
        self.spots: dict[KeyPath, Spot] = {}
        self.bare: set[KeyPath] = set()
        self.count = 0

    def value(self, node: yaml.Node, path: KeyPath, key: yaml.Node | None = None) -> Any:
        self.spots[path] = Spot(self._place(key or node), self._place(node))
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            # ends the reading: what aliases blow up would only repeat itself
            raise RecipeError(
                [
                    *self.problems,
                    Problem(
                        self._place(key or node),
                        dotted(path[:4]),
                        f"more than {MAX_VALUES:,} values or {MAX_DEPTH} levels once aliases are written out",
                        "use fewer aliases (*name), none inside what it names",
                    ),
                ]
            )
        if node.tag == _MAPPING:
            return {name: self.value(item, (*path, name), at) for name, at, item in self._items(node, path)}
        if node.tag == _SEQUENCE:
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        if node.tag == _QUOTED:
            return node.value
        if node.tag == _PLAIN:
            if not node.value and key is not None:
                self.bare.add(path)
            try:
                return value_of(node.value)
            except ValueError as error:
                self._problem(node, path, f"{node.value}: {error}", "write a number that can be computed with")
        else:
            self._problem(
                node,
                path,
                f"the tag {node.tag} is not allowed: recipes hold plain values",
                "leave the tag out; put a word in quotes to keep it a word",
            )
        return None

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        seen: dict[str, Place] = {}
        for key, item in node.value:
            name = self._key(key, path)
            if name is None:
                continue
            if name in seen:
                self._problem(
                    key,
                    (*path, name),
                    f"the key '{name}' stands here twice, first at {seen[name]}",
                    "keep one of the two",
                )
                continue
            seen[name] = self._place(key)
            yield name, key, item

    def _key(self, key: yaml.Node, path: KeyPath) -> str | None:
        if key.tag not in (_PLAIN, _QUOTED):
            self._problem(key, path, "a key must be a plain word", "write `word: value`")
        elif key.tag == _PLAIN and key.value == "<<":
            self._problem(key, path, "merge keys (<<) are no part of YAML 1.2", "write the keys out, or use `extends`")
        elif key.tag == _PLAIN and not _is_word(key.value):
            self._problem(key, path, f"the key {key.value or 'null'} is not a word", "put it in quotes")
        else:
            return key.value
        return None

    def _problem(self, node: yaml.Node, path: KeyPath, what: str, hint: str) -> None:
        self.problems.append(Problem(self._place(node), dotted(path), what, hint))

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.name, node.start_mark.line + 1, node.start_mark.column + 1)


def _is_word(text: str) -> bool:
    try:
        return isinstance(value_of(text), str)
    except ValueError:
        return False


def dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)
