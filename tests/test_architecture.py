"""The arrows of the house: who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOST, PLUGINS = ROOT / "vlobjectives", ROOT / "plugins"
LAYERS = ("errors", "functional", "contracts", "foreign", "registry", "recipe", "planning", "running", "sweeping",
          "checks", "testing", "cli", "__main__")
"""Each imports itself and what stands before it."""
OPEN = {"vlobjectives", "functional", "errors"}
"""What a plug-in may import of the host, as a stranger's would."""
HEAVY = ("torch", "timm", "transformers", "torchvision")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """What a file imports anywhere in it, dotted (`a.b` for `from a import b`), with the line."""
    package = path.relative_to(HOST.parent if path.is_relative_to(HOST) else PLUGINS).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{base}.{each.name}", node.lineno) for each in node.names)


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def top(path: Path) -> str:
    """The host's first-level module that a file belongs to."""
    return path.relative_to(HOST).parts[0].removesuffix(".py")


def test_every_module_of_the_host_has_a_place():
    found = {top(path) for path in files(HOST)} - {"__init__"}
    assert found <= set(LAYERS), f"say in LAYERS where they stand: {sorted(found - set(LAYERS))}"


def test_imports_of_the_host_run_one_way():
    wrong = []
    for path in files(HOST):
        if top(path) == "__init__":
            continue
        for name, line in imported(path):
            parts = name.split(".")
            if parts[0] == "vlobjectives" and len(parts) > 1 and parts[1] in LAYERS \
                    and LAYERS.index(parts[1]) > LAYERS.index(top(path)):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {top(path)} imports {parts[1]}")
    assert not wrong, "\n".join(wrong)


def test_the_host_imports_no_plug_in():
    packages = {path.name for path in PLUGINS.iterdir() if path.is_dir()}
    wrong = [f"{path.relative_to(ROOT)}:{line}: {name}" for path in files(HOST) for name, line in imported(path)
             if name.split(".")[0] in packages]
    assert not wrong, "\n".join(wrong)


def test_plug_ins_import_what_a_stranger_may():
    packages, wrong = {path.name for path in PLUGINS.iterdir() if path.is_dir()}, []
    for path in files(PLUGINS):
        own = path.relative_to(PLUGINS).parts[0]
        for name, line in imported(path):
            parts = name.split(".")
            neighbour = parts[0] in packages and parts[0] != own
            inside = parts[0] == "vlobjectives" and len(parts) > 2 and parts[1] not in OPEN
            if neighbour or inside:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", [
    "import vlobjectives",
    "from vlobjectives import hookimpl",
    "from vlobjectives.registry import Registry; Registry().all()",
    "import vlobjectives.recipe; vlobjectives.recipe.load('glscl')",
    *(f"import {path.name}" for path in sorted(PLUGINS.iterdir()) if (path / "__init__.py").exists()),
])
def test_importing_is_light(code):
    """In a process of its own, since this one has imported everything."""
    code += f"; import sys; print([x for x in {HEAVY} if x in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
