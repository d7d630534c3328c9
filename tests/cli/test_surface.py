"""The verbs and options that exist. A test holds all of them, so that the surface grows on purpose only."""

import resource
import subprocess
import sys

import pytest
from typer.main import get_command

from vlobjectives.cli.app import app

HEAVY = ("torch", "timm", "transformers", "torchvision", "numpy")

SURFACE = {
    "": {"-p", "--no-plugins", "--strict-plugins", "--debug", "--version", "--help"},
    "run": {"recipe", "overrides", "--tiny", "--out", "--resume", "--nproc", "--accept-changes", "--trust", "--help"},
    "sweep": {"sweep", "overrides", "--dry-run", "--tiny", "--nproc", "--trust", "--out", "--help"},
    "check": {"recipe", "overrides", "--strict", "--data", "--trust", "--json", "--help"},
    "data": {"what", "overrides", "--rows", "--thorough", "--trust", "--json", "--help"},
    "plan": {"recipe", "overrides", "--nproc", "--trust", "--json", "--help"},
    "eval": {"run", "overrides", "--split", "--trust", "--json", "--help"},
    "caption": {"run", "images", "--beams", "--trust", "--json", "--help"},
    "plugins": {"name", "--json", "--help"},
    "conform": {"component", "options", "--expected", "--json", "--help"},
    "new": {"kind", "name", "--into", "--help"},
    "schema": {"--help"},
    "recipes": {"--json", "--help"},
    "recipes copy": {"name", "target", "--help"},
}


def words(command, name=""):
    """Command -> names of its arguments and options, verbs below it included."""
    context = command.context_class(command)
    found = {
        name: {
            option
            for one in command.get_params(context)
            for option in (one.opts if one.param_type_name == "option" else [one.name])
        }
    }
    for verb, inner in getattr(command, "commands", {}).items():
        found |= words(inner, f"{name} {verb}".strip())
    return found


def test_whole_surface():
    assert words(get_command(app)) == SURFACE


def test_every_option_says_what_it_does():
    def silent(command):
        context = command.context_class(command)
        own = [one.name for one in command.get_params(context) if not getattr(one, "help", None)]
        return own + [name for inner in getattr(command, "commands", {}).values() for name in silent(inner)]

    assert silent(get_command(app)) == []


@pytest.mark.parametrize(
    "line", [["--help"], ["run", "--help"], ["plugins"], ["recipes"], ["-p", "no:itc", "plugins"]], ids=" ".join
)
def test_imports_nothing_heavy(line):
    code = (
        f"import sys; from vlobjectives.cli import main; assert main({line!r}) == 0; "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert ended.stderr.strip() == "[]"


def test_help_is_quick():
    """Under half a second of processor time, which other work on the machine does not lengthen."""

    def seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    took = []
    for _ in range(3):
        before = seconds()
        subprocess.run([sys.executable, "-m", "vlobjectives", "--help"], capture_output=True, check=True)
        took.append(seconds() - before)
    assert min(took) < 0.5
