"""A plug-in file and the helper files beside it: found without running them, and run from the bytes that were found.

`import helper` and `from .helper import x` of a plug-in file mean `helper.py` (or the package `helper`) in its folder,
when it is imported and in functions that run later. Each plug-in has helpers of its own: two folders may hold helpers
of one name, sys.path stays as it is, and no compiled file that lies there is run in place of the source.
"""

import ast
import builtins
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from vlobjectives.plugin_loading.trust import digest

PREFIX = "_vlobj_local_"
NOT_BESIDE = {*sys.stdlib_module_names, "vlobjectives"}
"""What an import always means, whatever lies beside a plug-in file."""


@dataclass(frozen=True)
class Files:
    """A plug-in file, and what it holds and imports from its folder: path below that folder -> source, itself first."""

    path: Path
    sources: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """The name of its module: it follows from path and contents, so an edited file is another module."""
        whole = b"\0".join(
            [
                str(self.path).encode("utf-8", "surrogateescape"),
                *(
                    part
                    for item in self.sources.items()
                    for part in (item[0].encode("utf-8", "surrogateescape"), item[1])
                ),
            ]
        )
        return f"{PREFIX}{digest(whole)[:12]}_{re.sub(r'[^0-9A-Za-z_]', '_', self.path.stem)}"

    @property
    def modules(self) -> dict[str, str]:
        """Dotted name of each helper -> its path below the folder; of a folder without `__init__.py` the empty one."""
        found: dict[str, str] = {}
        for below in list(self.sources)[1:]:
            parts = _parts(below)
            for length in range(1, len(parts)):
                found.setdefault(".".join(parts[:length]), "")
            found[".".join(parts)] = below
        return found


def gathered(path: Path) -> Files:
    """A plug-in file with the files of its folder that it imports, and that those import. Nothing is run."""
    sources = {path.name: path.read_bytes()}
    waiting = [path.name]
    while waiting:
        below = waiting.pop()
        for parts in _imported(
            sources[below], _parts(below)[:-1] if not below.endswith("__init__.py") else _parts(below)
        ):
            for length in range(1, len(parts) + 1):
                inner = "/".join(parts[:length])
                for helper in (f"{inner}/__init__.py", f"{inner}.py"):
                    if helper not in sources and (path.parent / helper).is_file():
                        sources[helper] = (path.parent / helper).read_bytes()
                        waiting.append(helper)
    return Files(path, sources)


def _parts(below: str) -> tuple[str, ...]:
    """The dotted name of a file below the folder, in parts."""
    return tuple(below.removesuffix(".py").removesuffix("/__init__").split("/"))


def _imported(source: bytes, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What a file imports that may lie below the folder, as parts of dotted names."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # importing it says what is wrong
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [tuple(each.name.split(".")) for each in node.names]
            yield from (name for name in names if name[0] not in NOT_BESIDE)
        elif isinstance(node, ast.ImportFrom) and node.level <= len(package) + 1:
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = (*above, *(node.module.split(".") if node.module else ()))
            if node.level or base[0] not in NOT_BESIDE:
                yield from ((*base, each.name) for each in node.names)


def load(files: Files) -> ModuleType:
    """The module of a plug-in file; what it raises passes. A file that has been loaded is not run again."""
    name = files.name
    if name in sys.modules:
        return sys.modules[name]
    FINDER.held[name] = files
    spec = _spec(name, files, files.path.name, [])
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        _Held(files, files.path.name).exec_module(module)
    except BaseException:
        for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            del sys.modules[loaded]
        raise
    return module


def _spec(name: str, files: Files, below: str, locations: list[str] | None) -> ModuleSpec:
    spec = spec_from_file_location(
        name, files.path.parent / below, loader=_Held(files, below), submodule_search_locations=locations
    )
    assert spec is not None and spec.loader is not None, "it has a loader"
    return spec


@dataclass(frozen=True)
class _Held(Loader):
    """Runs a source that was found before."""

    files: Files
    below: str

    def exec_module(self, module: ModuleType) -> None:
        code = compile(
            self.files.sources[self.below], str(self.files.path.parent / self.below), "exec", dont_inherit=True
        )
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importing(self.files)}
        exec(code, module.__dict__)


def _importing(files: Files) -> Callable[..., ModuleType]:
    """`__import__` of a plug-in's modules: what lies beside the plug-in file is meant before what is installed."""
    root, tops = files.name, {name.split(".")[0] for name in files.modules} - {files.path.stem}

    def imports(
        name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top not in tops or top in NOT_BESIDE:
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = builtins.__import__(f"{root}.{name}", globals, locals, fromlist, 0)
        return module if fromlist else sys.modules[f"{root}.{top}"]

    return imports


class _Finder(MetaPathFinder):
    """Finds the helpers of plug-in files below the plug-in's own module."""

    def __init__(self) -> None:
        self.held: dict[str, Files] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        root, _, inner = name.partition(".")
        files = self.held.get(root)
        if files is None or inner not in files.modules:
            return None
        below = files.modules[inner]
        if not below:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return _spec(name, files, below, [] if below.endswith("__init__.py") else None)


FINDER = _Finder()
sys.meta_path.insert(0, FINDER)
