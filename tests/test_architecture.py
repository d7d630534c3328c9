"""The arrows of the house: who may import whom, and what importing costs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOST, PLUGINS = ROOT / "vlobjectives", ROOT / "plugins"
LAYERS = (
    "deprecated",
    "errors",
    "files",
    "pictures",
    "functional",
    "contracts",
    "plugin_loading",
    "planning",
    "components",
    "registry",
    "recipe",
    "run_manifest",
    "run_folder",
    "runtime",
    "resolved",
    "data",
    "system",
    "training",
    "costs",
    "evaluation",
    "checking",
    "runs",
    "sweeping",
    "api",
    "testing",
    "cli",
    "__main__",
)
"""Each imports itself and what stands before it."""
OPEN = {"vlobjectives", "functional", "errors", "pictures"}
"""What a plug-in may import of the host, as a stranger's would."""
HEAVY = ("torch", "timm", "transformers", "torchvision")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """What a file imports anywhere in it, dotted (`a.b` for `from a import b`), with the line."""
    package = path.relative_to(HOST.parent if path.is_relative_to(HOST) else PLUGINS).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
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


def test_the_page_on_architecture_lists_the_packages_in_their_order():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [*re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE), "__main__"] == list(LAYERS)


def test_imports_of_the_host_run_one_way():
    wrong = []
    for path in files(HOST):
        if top(path) == "__init__":
            continue
        for name, line in imported(path):
            parts = name.split(".")
            if (
                parts[0] == "vlobjectives"
                and len(parts) > 1
                and parts[1] in LAYERS
                and LAYERS.index(parts[1]) > LAYERS.index(top(path))
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {top(path)} imports {parts[1]}")
    assert not wrong, "\n".join(wrong)


def test_the_host_imports_no_plug_in():
    packages = {path.name for path in PLUGINS.iterdir() if path.is_dir()}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files(HOST)
        for name, line in imported(path)
        if name.split(".")[0] in packages
    ]
    assert not wrong, "\n".join(wrong)


ENGLISH = {
    "naming": "a module of contracts",
    "words": "what a text is made of; a toy part",
    "captions": "what is drawn while texts are generated",
    "projection": "a kind of part",
    "hard_negatives": "what other libraries call `pairings`, among their keys",
}
"""Names of components that the host says and means something else by, each with what it means."""


def component_names() -> set[str]:
    """The names under which the plug-ins that come along offer components."""
    keys = (
        key.value
        for path in PLUGINS.glob("*/__init__.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and ":" in key.value
    )
    return {key.split(":")[1] for key in keys}


def named_components(tree: ast.AST, names: set[str]) -> Iterator[tuple[int, str]]:
    """Lines whose strings are, or hold, the name of a component; of what is one English word the whole string counts.
    Docstrings say what they like."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            words = {word for word in re.findall(r"\w+", node.value) if "_" in word or word == node.value}
            yield from ((node.lineno, word) for word in sorted(words & names))


def test_the_host_names_no_plug_in():
    """So that a source, a reader, a mask of a third party can do what ours can. Toys of `testing` use masks of ours."""
    names = component_names()
    assert {"scenes", "byte_pair", "itc"} <= names
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in files(HOST)
        if top(path) != "testing"
        for line, word in named_components(ast.parse(path.read_text(encoding="utf-8")), names - ENGLISH.keys())
    ]
    assert not wrong, "\n".join(wrong)


def test_what_names_a_plug_in():
    code = 'x = "scenes", "byte_pair", f"take byte_pair {x}"\ny = "a few scenes"\n"""byte_pair"""'
    assert list(named_components(ast.parse(code), {"scenes", "byte_pair"})) == [
        (1, "scenes"),
        (1, "byte_pair"),
        (1, "byte_pair"),
    ]


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


def components(package: Path) -> dict[str, set[str]]:
    """Module -> the classes in it that are components of a plug-in package, by what its hook declares."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            module, colon, name = node.value.partition(":")
            if colon and module.startswith(f"{package.name}."):
                found.setdefault(module, set()).add(name)
    return found


def extended(path: Path) -> set[str]:
    """Names of the classes that classes of a file extend."""
    classes = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef))
    return {base.id for one in classes for base in one.bases if isinstance(base, ast.Name)}


def test_components_share_by_files_made_for_it():
    """A component's module imports no other one's, but for a component that it extends."""
    wrong, packages = [], [path for path in PLUGINS.iterdir() if (path / "__init__.py").exists()]
    for package in packages:
        declared = components(package)
        assert declared, f"{package.name} declares no component"
        for module in declared:
            path = PLUGINS / Path(*module.split(".")).with_suffix(".py")
            for name, line in imported(path):
                home, _, what = name.rpartition(".")
                other = name if name in declared else home
                extends = what in declared.get(other, ()) and what in extended(path)
                if other in declared and other != module and not extends:
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}; put what both need in a file of its own")
    assert not wrong, "\n".join(wrong)


def test_contracts_functional_and_planning_need_torch_and_no_models_or_pictures():
    """So that they can be used, and tested, without timm, transformers, torchvision and PyAV."""
    may = {"torch", "pydantic", "pluggy", "huggingface_hub", "vlobjectives"} | sys.stdlib_module_names
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for package in ("contracts", "functional", "planning")
        for path in files(HOST / package)
        for name, line in imported(path)
        if name.split(".")[0] not in may
    ]
    assert not wrong, "\n".join(wrong)


BINARY = {"Image", "av", "os", "wave", "tarfile", "zipfile"}
"""Whose `open` opens no text."""


def texts_without_encoding(tree: ast.AST) -> Iterator[int]:
    """Lines that open a file as text, or decode a process's output, in whatever encoding the locale has."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        of = getattr(getattr(call.func, "value", None), "id", "")
        given = {word.arg: word.value for word in call.keywords}
        words = [one.value for one in (*call.args, *given.values()) if isinstance(one, ast.Constant)]
        if "encoding" in given or "utf-8" in words or "utf-8-sig" in words:
            continue
        binary = any(isinstance(word, str) and "b" in word and set(word) <= set("rwxab+") for word in words)
        opens = name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile") and of not in BINARY - {"os"}
        opens &= not (name == "open" and of == "os") and not binary
        opens &= name in ("open", "fdopen") or "mode" in given or bool(call.args)  # temporary files are binary
        decodes = any(
            isinstance(value, ast.Constant) and value.value is True
            for key, value in given.items()
            if key in ("text", "universal_newlines")
        )
        if name == "read_text" or (name == "write_text" and len(call.args) < 2) or opens or decodes:
            yield call.lineno


def test_text_is_utf_8_in_every_locale():
    """Every text file that is opened says its encoding: by default it is the locale's, Latin-1 at times."""
    tops = (HOST, PLUGINS, ROOT / "tests", ROOT / "examples", ROOT / "benchmarks")
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for top in tops
        for path in files(top)
        for line in texts_without_encoding(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not wrong, 'say encoding="utf-8": ' + ", ".join(wrong)


@pytest.mark.parametrize(
    "code, found",
    [
        ("open(x)", 1),
        ("x.open('a')", 1),
        ("x.read_text()", 1),
        ("x.write_text('é')", 1),
        ("os.fdopen(1, 'w')", 1),
        ("run(x, text=True)", 1),
        ("NamedTemporaryFile('w')", 1),
        ("open(x, encoding='utf-8')", 0),
        ("x.open('rb')", 0),
        ("x.read_text('utf-8')", 0),
        ("Image.open(x)", 0),
        ("os.open(x, flags)", 0),
        ("TemporaryFile()", 0),
        ("run(x, encoding='utf-8')", 0),
        ("x.read_bytes()", 0),
    ],
)
def test_what_opens_text(code, found):
    assert len(list(texts_without_encoding(ast.parse(code)))) == found


@pytest.mark.parametrize(
    "code",
    [
        "import vlobjectives",
        "from vlobjectives import hookimpl",
        "from vlobjectives.registry import Registry; Registry().all()",
        "import vlobjectives.recipe; vlobjectives.recipe.load('glscl')",
        *(f"import {path.name}" for path in sorted(PLUGINS.iterdir()) if (path / "__init__.py").exists()),
    ],
)
def test_importing_is_light(code):
    """In a process of its own, since this one has imported everything."""
    code += f"; import sys; print([x for x in {HEAVY} if x in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert said.stdout.strip() == "[]"


def test_names_are_told_apart():
    """No public class name stands twice in the library and its plug-ins, no module name three times."""
    classes: dict[str, list[str]] = {}
    modules: dict[str, list[str]] = {}
    for path in (*files(HOST), *files(PLUGINS)):
        modules.setdefault(path.stem, []).append(str(path.relative_to(ROOT)))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    twice = {name: places for name, places in classes.items() if len(places) > 1}
    thrice = {name: paths for name, paths in modules.items() if len(paths) > 2 and name != "__init__"}
    assert not twice and not thrice, (twice, thrice)


LINES = {"file": 300, "function": 75}
"""The longest that may be; the longest function is a command, whose options are its lines."""


def test_files_and_functions_are_short():
    long = []
    for path in (*files(HOST), *files(PLUGINS), *files(ROOT / "examples"), *files(ROOT / "benchmarks")):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LINES["file"]:
            long.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LINES["function"]:
                long.append(
                    f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}, {node.end_lineno - node.lineno} lines"
                )
    assert not long, "\n".join(long)
