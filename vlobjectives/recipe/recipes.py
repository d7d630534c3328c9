"""The recipes that are shipped, and what a word on the command line means."""

import shutil
from difflib import get_close_matches
from pathlib import Path

from vlobjectives.errors import RecipeError
from vlobjectives.files import is_file, refuse_links
from vlobjectives.recipe.yaml import read

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """Where shipped recipes lie: in the wheel inside the package, in a checkout beside it."""
    inside = _PACKAGE / "_recipes"
    return inside if inside.is_dir() else _PACKAGE.parent / "recipes"


def names() -> list[str]:
    """The names of all shipped recipes."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def find(name: str) -> Path:
    """The file of a shipped recipe. Raises RecipeError with the nearest name."""
    if name in names():
        return folder() / f"{name}.yaml"
    near = get_close_matches(name, names(), 1, 0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise RecipeError.one(
        f"there is no recipe '{name}'",
        f"{hint}a file ends in .yaml, a run folder holds recipe.yaml, and shipped are {', '.join(names()) or 'none'}",
    )


def locate(recipe: str | Path) -> Path:
    """The recipe file that is meant: a file that ends in .yaml, a run folder, or a shipped recipe's name."""
    if not isinstance(recipe, str | Path):
        raise RecipeError.one(
            f"a recipe is a file, a run folder or a shipped recipe's name, not a {type(recipe).__name__}",
            "write it to a file that ends in .yaml, and name that",
        )
    path = Path(recipe).expanduser()
    if path.suffix == ".yaml":
        if not path.is_file():
            raise RecipeError.one(
                f"there is no file {recipe}", f"{nearby(path) or 'correct the path'}; it counts from the working folder"
            )
        return path
    if is_file(path / "recipe.yaml"):
        refuse_links(path)
        return path / "recipe.yaml"
    if str(recipe) in names():
        return find(str(recipe))
    if path.is_dir():
        raise RecipeError.one(
            f"the folder {recipe} holds no recipe.yaml",
            "name a run folder, or a file in it: "
            + (", ".join(str(one) for one in sorted(path.glob("*.yaml"))[:4]) or "it holds no .yaml"),
        )
    if (folder() / "sweeps" / f"{recipe}.yaml").is_file():
        raise RecipeError.one(f"'{recipe}' is a shipped sweep and no recipe", f"vlobj sweep {recipe}")
    if hint := nearby(path):
        raise RecipeError.one(f"there is no recipe '{recipe}'", hint)
    return find(str(recipe))


def nearby(path: Path) -> str:
    """The hint for the name of a file that is no recipe, or that is not there, where one like it lies; else empty."""
    if path.is_file():
        return f"a recipe ends in .yaml: mv {path} {path.with_suffix('.yaml')}"
    for other in (path.with_name(f"{path.name}.yaml"), path.with_suffix(".yaml")):
        if other.is_file():
            return f"did you mean {other}?"
    if path.suffix == ".yaml" and path.with_suffix(".yml").is_file():
        return f"a recipe ends in .yaml: mv {path.with_suffix('.yml')} {path}"
    there = [one.name for one in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    if path.suffix and (near := get_close_matches(path.name, there, 1)):
        return f"did you mean {path.with_name(near[0])}?"
    if path.suffix == ".yaml" and path.stem in names():
        return f"a shipped recipe is named without .yaml: {path.stem}; `vlobj recipes copy {path.stem}` makes it a file"
    return ""


def describe(path: Path) -> str:
    """A recipe's first comment line: what it is, in a sentence."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), "")


def copy(name: str, target: str | Path) -> list[Path]:
    """Copies a shipped recipe to a file, or into a folder, to be changed there, and beside it the plug-in files that it
    names by a relative path. Gives the recipe's file, then theirs. An existing file is not replaced."""
    source, target = find(name), Path(target).expanduser()
    target = target / source.name if target.is_dir() else target
    if target.suffix != ".yaml" or not target.parent.is_dir():
        raise _no_copy(target, "a recipe is a .yaml file in a folder that exists")
    lines, document, made = source.read_text(encoding="utf-8").splitlines(keepends=True), read(source), {}
    for number, written in enumerate(document.data.get("plugins") or ()):
        beside = target.with_name(Path(written).name)
        if Path(written).is_absolute() or beside in made:
            continue
        made[beside] = source.parent / written
        spot = document.spots["plugins", number].value
        assert spot.line and spot.column, "what YAML holds has a place in it"
        line, start = lines[spot.line - 1], spot.column - 1
        lines[spot.line - 1] = line[:start] + line[start:].replace(written, f"./{beside.name}", 1)
    for path in (target, *made):
        if path.exists():
            raise _no_copy(path, "the file exists")
    target.write_text("".join(lines), encoding="utf-8")
    for beside, plugin in made.items():
        shutil.copyfile(plugin, beside)
    return [target, *made]


def _no_copy(target: Path, why: str) -> RecipeError:
    return RecipeError.one(f"cannot copy to {target}: {why}", "name another file")
