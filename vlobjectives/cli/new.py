"""`vlobj new`: a package of one's own with a component that works, to be changed into the one that is meant."""

import ast
import builtins
import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vlobjectives.registry import Registry

TEMPLATES = Path(__file__).with_name("templates")


def new(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="objective, mask, encoder, ...: a kind of plug-in.", show_default=False)],
    name: Annotated[str, typer.Argument(help="What it is called, such as my_loss.", show_default=False)],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", help="The package's folder, new or empty. By default it has the name.", show_default=False
        ),
    ] = None,
) -> None:
    """Write an installable package with a small working component, its checks, and a recipe that trains with it."""
    from vlobjectives.components import KINDS

    _known_kind(kind, KINDS)
    _free_name(name, kind, context.obj.registry())
    folder = into if into is not None else Path(name)
    files = package(kind, name)
    _write(folder, files)
    for path in files:
        print(folder / path)
    enter = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(
        f"\nnext: {enter}pip install -e .    (without a network: pip install --no-build-isolation --no-deps -e .)\n"
        f"      vlobj plugins {name}; pytest; vlobj run recipe.yaml --tiny\n"
        f"then make {folder / name / f'{kind}.py'} yours"
    )


def package(kind: str, name: str) -> dict[str, str]:
    """The files of a package that brings one component: path below its folder -> text."""
    words = {"name": name, "Class": class_name(name), "kind": kind, "project": name.strip("_").replace("_", "-")}
    words |= {"release": _release(), "api": str(_api())}
    layout = {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        "recipe.yaml": f"{kind}/recipe.yaml",
        f"{name}/__init__.py": "common/init.py",
        f"{name}/{kind}.py": f"{kind}/component.py",
        f"tests/test_{name}.py": f"{kind}/test.py",
    }
    return {
        path: Template((TEMPLATES / f"{template}.tmpl").read_text(encoding="utf-8")).substitute(words)
        for path, template in layout.items()
    }


def class_name(name: str) -> str:
    """my_loss -> MyLoss."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _api() -> int:
    from vlobjectives.components import API

    return API


def _release() -> str:
    """The minor release that is at work."""
    from vlobjectives import __version__

    return ".".join(__version__.split(".")[:2])


def _known_kind(kind: str, kinds: tuple[str, ...]) -> None:
    from difflib import get_close_matches

    from vlobjectives.errors import RecipeError

    if kind not in kinds:
        near = get_close_matches(kind.lower(), kinds, 1, 0.5)
        meant = f", did you mean '{near[0]}'?" if near else ""
        raise RecipeError.one(f"there is no kind of plug-in '{kind}'{meant}", f"kinds are {', '.join(kinds)}")


def _free_name(name: str, kind: str, registry: "Registry") -> None:
    """Raises RecipeError for a name that a package, a module or a component cannot have, or that something has."""
    from vlobjectives.errors import RecipeError

    snake = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name), flags=re.ASCII).strip("_").lower()
    hint = f"such as {snake}" if name.isascii() and re.fullmatch(r"[a-z]\w*", snake) else "such as my_loss"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise RecipeError.one(
            f"'{name}' cannot name a package: lower-case letters, digits and _ can, a letter first", hint
        )
    row = next((row for row in registry.all() if row.name.rpartition("/")[2] == name), None)
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        taken = f"'{name}' is a word of Python"
    elif row is not None:
        taken = f"there is a component '{name}' ({row.kind}, from {row.package})"
    elif name in sys.stdlib_module_names or find_spec(name) is not None:
        taken = f"there is a module '{name}', which a package of this name would hide"
    elif class_name(name) in _imported(kind):
        taken = f"the class of '{name}' would be {class_name(name)}, which a component of its kind imports"
    else:
        return
    raise RecipeError.one(taken, f"take another name, such as my_{name}")


def _imported(kind: str) -> set[str]:
    """The names that the component of a kind imports, and those that its file defines beside it."""
    tree = ast.parse(package(kind, "x")[f"x/{kind}.py"])
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    } | {"Config"}


def _write(folder: Path, files: dict[str, str]) -> None:
    """Writes files into a folder that is new or empty; what lies there is never replaced."""
    from vlobjectives.errors import RecipeError
    from vlobjectives.files import unreadable

    if folder.is_dir() and any(one.name != ".git" for one in folder.iterdir()):
        raise RecipeError.one(f"the folder {folder} is not empty", "--into names another one; nothing was written")
    if folder.exists() and not folder.is_dir():
        raise RecipeError.one(f"{folder} is a file", "--into names another folder; nothing was written")
    for path, text in files.items():
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise unreadable(folder / path, error, "written") from error
