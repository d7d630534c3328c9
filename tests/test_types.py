"""What type checkers make of the public names, and of `self.config` in a plug-in."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vlobjectives

ROOT = Path(__file__).parents[1]
CODE = """
from pydantic import Field
from vlobjectives import Objectiv, Objective, ObjectiveConfig, build
from vlobjectives.functional import attention, attentoin
from vlobjectives.testing import Toi, Toy
reveal_type(Objective)
reveal_type(build)
reveal_type(attention)
reveal_type(Toy)
class Mine(Objective):
    class Config(ObjectiveConfig):
        temperature: float = Field(0.07, description="divides the similarities")
    def scaled(self, x: float) -> float:
        reveal_type(self.config.temperature)
        return x / self.config.temprature
"""


def lines(*command: str) -> dict[int, str]:
    """What a checker says of each line of CODE."""
    ended = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, encoding="utf-8")
    found = re.findall(r":(\d+)(?::\d+)?(?::| -) (?:error|note|information): (.*)", ended.stdout)
    assert found, ended.stdout + ended.stderr
    return {int(line): text for line, text in found}


def test_the_stub_has_the_names_that_are_imported_when_used():
    stub = ast.parse((ROOT / "vlobjectives/__init__.pyi").read_text(encoding="utf-8"))
    typed = {name.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert typed == vlobjectives._MODULE


@pytest.mark.slow  # as below
def test_mypy(tmp_path):
    """Seconds, with what `make lint` has cached; it reads torch's types else."""
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    said = lines("mypy", str(tmp_path / "mine.py"))
    assert re.search(r'"def \(config: .*ObjectiveConfig\) -> .*\.Objective"', said[6])
    assert re.search(r"recipe: str \| pathlib.Path, .* -> vlobjectives.api.built_system.BuiltSystem", said[7])
    assert "Tensor" in said[8] and re.search(r"-> .*\.Toy", said[9])
    assert said[14] == 'Revealed type is "float"'
    for line, name in {3: "Objectiv", 4: "attentoin", 5: "Toi", 15: "temprature"}.items():
        assert f'has no attribute "{name}"' in said[line]
    assert set(said) == {3, 4, 5, 6, 7, 8, 9, 14, 15}


@pytest.mark.slow  # `make lint` runs the same checker on a typed plug-in
def test_pyright(tmp_path):
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    said = lines("basedpyright", str(tmp_path / "mine.py"))
    assert said[6] == 'Type of "Objective" is "type[Objective]"'
    assert said[7].startswith('Type of "build" is "(recipe: str | Path, *overrides: str') and said[7].endswith(
        '-> BuiltSystem"'
    )
    assert "Tensor" in said[8] and said[9] == 'Type of "Toy" is "type[Toy]"'
    assert said[14] == 'Type of "self.config.temperature" is "float"'
    for line, name in {3: "Objectiv", 4: "attentoin", 5: "Toi"}.items():
        assert said[line].startswith(f'"{name}" is unknown import symbol')
    assert said[15].startswith('Cannot access attribute "temprature"')
    assert set(said) == {3, 4, 5, 6, 7, 8, 9, 14, 15}


def test_plugins_say_that_they_are_typed():
    packages = sorted(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))
    assert packages and not [package.name for package in packages if not (package / "py.typed").exists()]
