"""Plug-in files go along with a run: copies of them, and of their helpers, lie in its folder, and its recipe names
those. So a run stands alone, and is evaluated with the code that it was trained with."""

from collections.abc import Mapping
from pathlib import Path

from vlobjectives.plugin_loading import trust
from vlobjectives.recipe import Recipe
from vlobjectives.registry import Registry

FOLDER = "plugins"


def copies(recipe: Recipe, registry: Registry) -> dict[str, bytes]:
    """Path below FOLDER -> content: a folder for each plug-in file, since two may have helpers of one name."""
    return {
        f"{number}/{below}": content
        for number, path in enumerate(recipe.plugins)
        for below, content in registry.sources(path).items()
    }


def digests(recipe: Recipe, registry: Registry) -> dict[str, str]:
    """What a manifest says of them."""
    return digested(copies(recipe, registry))


def digested(held: Mapping[str, bytes]) -> dict[str, str]:
    """The same of copies."""
    return {below: trust.digest(content) for below, content in held.items()}


def naming_copies(recipe: Recipe) -> Recipe:
    """The recipe as its run folder holds it: its plug-in files are those in there."""
    return recipe.model_copy(
        update={"plugins": tuple(f"{FOLDER}/{number}/{Path(path).name}" for number, path in enumerate(recipe.plugins))}
    )


def keep(folder: Path, recipe: Recipe, registry: Registry) -> None:
    """Writes the copies into a run folder, and records that this user trusts them: he runs them."""
    write(folder, copies(recipe, registry))


def write(folder: Path, held: Mapping[str, bytes]) -> None:
    """The same of copies."""
    for below, content in held.items():
        place = folder / FOLDER / below
        if not place.is_file() or place.read_bytes() != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    if held:
        trust.record(held.values())


def numbered(files: Mapping[str, str]) -> dict[str, str]:
    """The files of a manifest, those of older runs, which had absolute paths, as they are called now."""
    return {
        f"{number}/{Path(name).name}" if Path(name).is_absolute() else name: digest
        for number, (name, digest) in enumerate(files.items())
    }
