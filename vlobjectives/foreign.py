"""Running code that others wrote: importing it, and saying in one line what went wrong in it and where."""

import hashlib
import re
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from vlobjectives.contracts.hooks import Hooks
from vlobjectives.errors import Place, PluginError

HOOKS = tuple(name for name in vars(Hooks) if name.startswith("vlobj_"))


def load_file(path: Path) -> ModuleType:
    """The module of a Python file; its name follows from path and content, so an edited file is another module."""
    if not path.is_file():
        raise PluginError(f"there is no plug-in file {path}",
                          "correct the path; it counts from the folder of the recipe that names it")
    digest = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()[:12]
    name = f"_vlobj_local_{digest}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("a plug-in file is a Python file", "name a file that ends in .py", Place(str(path)))
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"the plug-in file does not load: {reason_of(error)}", "correct the file",
                          where_raised(error, path)) from error
    return module


def load_target(target: str, label: str, package: str) -> Any:
    """What `module:attribute` names; PluginError says why it cannot be had."""
    module_name, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        own = missing is not None and f"{module_name}.".startswith(f"{missing}.")
        mend = f"install {missing}" if missing and not own else f"mend or upgrade {package}"
        raise PluginError(f"{label} does not load from {target}: {reason_of(error)}", mend,
                          where_raised(error)) from error


def reason_of(error: BaseException) -> str:
    """Kind and message of an error in one line; a misspelt hook with the one that was probably meant."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if unknown := re.search(r"unknown hook '(\w+)'", text):  # pluggy's words
        near = get_close_matches(unknown[1], HOOKS, 1)
        return f"there is no hook {unknown[1]}" + (f", did you mean {near[0]}?" if near else "")
    return f"{type(error).__name__}: {' '.join(text.split())}" if text.strip() else type(error).__name__


def where_raised(error: BaseException, path: Path | None = None) -> Place | None:
    """Where foreign code failed: the last line of `path` that took part, or else of any file but Python's and ours."""
    if isinstance(error, SyntaxError) and error.filename:
        return Place(error.filename, error.lineno, error.offset)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve() == path if path else _foreign(frame.filename):
            return Place(frame.filename, frame.lineno)
    return Place(str(path)) if path else None


def _foreign(filename: str) -> bool:
    return filename not in (__file__, sys.modules["importlib"].__file__) and not filename.startswith("<frozen")
