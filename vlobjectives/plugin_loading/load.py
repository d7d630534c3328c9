"""Running code that others wrote: importing it, and saying in one line what went wrong in it and where."""

import inspect
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any

from vlobjectives.contracts.hooks import Hooks
from vlobjectives.errors import Place, PluginError
from vlobjectives.plugin_loading.helper_files import Files, gathered, load
from vlobjectives.plugin_loading.side_effects import Foreign, contained

OURS = Path(__file__).parents[1]
_EXTRA = re.compile(r"(?P<name>[\w.-]+).*;.*\bextra == ['\"](?P<extra>[\w.-]+)['\"]")
"""A line of a distribution's metadata that says what an extra requires."""
HOOKS = tuple(name for name in vars(Hooks) if name.startswith("vlobj_"))


def found_file(path: Path) -> Files:
    """A plug-in file with the helpers that it imports from its folder; nothing is run."""
    if not path.is_file():
        raise PluginError(
            f"there is no plug-in file {path}",
            "correct the path; it counts from the folder of the recipe that names it, or else from the working one",
        )
    if path.suffix != ".py":
        raise PluginError("a plug-in file is a Python file", "name a file that ends in .py", Place(str(path)))
    try:
        return gathered(path)
    except OSError as error:
        raise PluginError(
            f"the plug-in file cannot be read: {error.strerror} ({error.filename})",
            "make it readable",
            Place(str(path)),
        ) from error


def load_file(files: Files, tell: Callable[[str], None]) -> ModuleType:
    """The module of a plug-in file; `tell` is told what it did to the process as a whole, which was put back."""
    try:
        with contained(str(files.path), tell):
            return load(files)
    except PluginError as error:  # as contracts refuse a class
        raise PluginError(f"the plug-in file does not load: {error.what}", error.hint, error.place) from error
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
        hint = (
            f"put {missing.split('.')[-1]}.py beside the file, or install {missing}" if missing else "correct the file"
        )
        reason = reason_of(error).replace(f"{files.name}.", ".").replace(files.name, files.path.stem)
        raise PluginError(
            f"the plug-in file does not load: {reason}",
            hint,
            where_raised(error, *(files.path.parent / below for below in files.sources)),
        ) from error


def load_target(target: str, label: str, package: str) -> Any:
    """What `module:attribute` names; PluginError says why it cannot be had."""
    module_name, _, attribute = target.partition(":")
    try:
        with contained(label):
            return getattr(import_module(module_name), attribute)
    except PluginError as error:  # as contracts refuse a class
        raise PluginError(f"{label} does not load from {target}: {error.what}", error.hint, error.place) from error
    except Exception as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        own = missing is not None and f"{module_name}.".startswith(f"{missing}.")
        hint = installing(missing, package) if missing and not own else f"correct or upgrade {package}"
        raise PluginError(
            f"{label} does not load from {target}: {reason_of(error)}", hint, where_raised(error)
        ) from error


def installing(module: str, package: str) -> str:
    """How to install a module that is not there: by the smallest extra of a distribution that brings it, if any does.
    A module is taken to be called as its own distribution."""
    top = module.partition(".")[0]
    try:
        requirements = [_EXTRA.match(line) for line in distribution(package).requires or ()]
    except PackageNotFoundError:  # a file's stem
        requirements = []
    extras = [found for found in requirements if found]
    size = Counter(found["extra"] for found in extras)
    bringing = {found["extra"] for found in extras if re.sub(r"[-_.]+", "_", found["name"]).lower() == top.lower()}
    smallest = min(bringing, key=lambda extra: (size[extra], extra), default=None)
    return f"pip install '{package}[{smallest}]'" if smallest else f"install {top}"


def reason_of(error: BaseException) -> str:
    """Kind and message of an error in one line; a misspelt hook with the one that was probably meant."""
    if isinstance(error, Foreign):
        return str(error)
    if isinstance(error, NotImplementedError) and not str(error) and error.__traceback__:  # as contracts raise it
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        return f"it does not define {frame.f_code.co_name}, which its contract asks for"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if unknown := re.search(r"unknown hook '(\w+)'", text):  # pluggy's words
        near = get_close_matches(unknown[1], HOOKS, 1)
        return f"there is no hook {unknown[1]}" + (f", did you mean {near[0]}?" if near else "")
    return f"{type(error).__name__}: {' '.join(text.split())}" if text.strip() else type(error).__name__


def where_raised(error: BaseException, *paths: Path) -> Place | None:
    """Where foreign code failed: the last line of `paths` that took part, or else of any file but Python's and ours."""
    if isinstance(error, SyntaxError) and error.filename:
        return Place(error.filename, error.lineno, error.offset)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve() in paths if paths else _foreign(frame.filename):
            return Place(frame.filename, frame.lineno)
    return Place(str(paths[0])) if paths else None


def defined(what: Any) -> Place | None:
    """Where a class was written; None where that cannot be told."""
    try:
        return Place(inspect.getsourcefile(what), inspect.getsourcelines(what)[1])
    except (TypeError, OSError):
        return None


def _foreign(filename: str) -> bool:
    return (
        not filename.startswith("<frozen")
        and filename != sys.modules["importlib"].__file__
        and not Path(filename).is_relative_to(OURS)
    )
