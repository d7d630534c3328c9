"""The README and docs/: command lines parse, recipes load, keys exist, the first block runs, words are the field's."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from vlobjectives.cli import explain
from vlobjectives.cli.app import app
from vlobjectives.components import KINDS, PART_KINDS
from vlobjectives.errors import RecipeError
from vlobjectives.recipe import known_keys, load
from vlobjectives.recipe.recipes import folder, names
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import taken_in
from vlobjectives.testing import Toy, objective_checks

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
PAGES |= {
    str(path.relative_to(ROOT / "docs")): path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/**/*.md"))
}
KINDS_OF = {
    "data": ["source"],
    "fields": ["reader"],
    "model": PART_KINDS,
    "masks": ["mask"],
    "pairings": ["pairing"],
    "objectives": ["objective"],
    "evaluate": ["evaluation"],
}
SECTIONS = "|".join((*KINDS_OF, "inputs", "optim", "run", "plan"))
WORDS = r"\b(house|mend(s|ed|ing)?|askers?|wears?|told apart|strangers?|sense and means|door|twins?|painter|sight)\b"
CHANCE = r".*\b(?<!by )chance\b(?!\s+levels?\b).*"


def blocks(page: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)[^`\n]*\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)
    return [text for word, text in fenced if word == language]


def command_lines() -> list[str]:
    """Every `vlobj ...` of the pages, without its comment."""
    lines = [line for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    inline = [code for text in PAGES.values() for code in re.findall(r"`(vlobj [^`]+)`", text.replace("\n", " "))]
    return sorted({re.sub(r"\s+#.*", "", line) for line in (*lines, *inline) if line.startswith("vlobj ")})


def test_there_are_command_lines_and_recipes():
    assert len(command_lines()) > 30 and len(blocks("recipes.md", "yaml")) > 10


@pytest.mark.parametrize("line", command_lines())
def test_command_lines_parse(line):
    """Options and arguments are those of the command; a shipped recipe exists and takes the overrides."""
    words = [word for word in shlex.split(line)[1:] if word != "--debug"]
    command, name = typer.main.get_command(app), "vlobj"
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.commands[name]
    if not words or words == ["--help"]:
        return  # the command is only named
    given = command.make_context(name, words, resilient_parsing=False).params
    recipe = str(given.get("recipe") or "")
    if name in ("run", "check", "plan") and re.fullmatch(r"[a-z0-9_]+", recipe):
        assert recipe in names()
        load(recipe, given.get("overrides") or ())
    if name == "sweep" and re.fullmatch(r"[a-z0-9_]+", str(given["sweep"])):
        assert (folder() / "sweeps" / f"{given['sweep']}.yaml").is_file()


@pytest.mark.parametrize("text", [*blocks("recipes.md", "yaml"), *blocks("index.md", "yaml")])
def test_recipes_load_and_configs_take_their_options(text, tmp_path):
    shutil.copy(ROOT / "examples" / "sigmoid_contrast.py", tmp_path)
    file, registry = tmp_path / "mine.yaml", Registry()
    file.write_text(text if "extends:" in text else f"extends: glscl\n{text}", encoding="utf-8")
    recipe = taken_in(load(file), registry).recipe
    entries = [("source", source) for source in recipe.sources.values()]
    entries += [("evaluation", entry) for entry in recipe.evaluate.entries.values()]
    for section, kind in (("fields", "reader"), ("model", "part"), ("masks", "mask"), ("pairings", "pairing")):
        entries += [(kind, entry) for entry in getattr(recipe, section).values()]
    entries += [("objective", entry) for entry in recipe.objectives.values()]
    for kind, entry in entries:
        registry.get(kind, entry.type).Config.model_validate_json(json.dumps(entry.options), strict=True)


def test_keys_that_pages_name_exist():
    registry = Registry(builtin_only=True)
    options = {
        kind: {
            option
            for row in registry.all()
            if row.kind == kind
            for option in registry.get(kind, row.name).Config.model_fields
        }
        for kind in KINDS
    }
    named = {key for text in PAGES.values() for key in re.findall(rf"`((?:{SECTIONS})\.[a-z_.]+[a-z])`", text)}
    assert len(named) > 10

    def exists(key: str) -> bool:
        path = tuple(key.split("."))
        kinds = KINDS_OF.get(path[0], [])
        is_name = path[0] in (*KINDS_OF, "inputs") and path[0] != "data" and len(path) == 2
        return bool(known_keys.field(path) or is_name or any(path[-1] in options[kind] for kind in kinds))

    assert [key for key in sorted(named) if not exists(key)] == []


def test_first_block_of_the_readme_is_a_whole_plugin(tmp_path):
    file = tmp_path / "sigmoid_contrast.py"
    file.write_text(blocks("README.md", "python")[0], encoding="utf-8")
    toy = Toy(plugins=[file], objectives={"sigmoid_contrast": {}})
    for check in objective_checks():
        if check.name != "processes_equal_one":  # seconds: two processes
            check.run("sigmoid_contrast", toy)


def test_message_is_printed_as_on_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(blocks("messages.md", "yaml")[0], encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load("mine.yaml")
    assert str(caught.value) == blocks("messages.md", "")[0].rstrip()


def helps() -> dict[str, str]:
    """The help of every command with that of its options and arguments."""
    found, commands = {}, {"vlobj": typer.main.get_command(app)}
    while commands:
        name, command = commands.popitem()
        texts = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]
        found[name] = "\n".join(texts)
        commands |= {f"{name} {inner}": one for inner, one in getattr(command, "commands", {}).items()}
    return found


def components() -> dict[str, str]:
    """What the catalogue says of every shipped component: docstring and options."""
    registry = Registry(builtin_only=True)
    data = [explain.as_data(row, registry.get(row.kind, row.name)) for row in registry.all()]
    return {
        f"{one['kind']}:{one['name']}": "\n".join((one["about"], *(option["description"] for option in one["options"])))
        for one in data
    }


@pytest.mark.parametrize("texts", [lambda: PAGES, helps, components], ids=["pages", "help", "components"])
def test_words_are_the_fields(texts):
    """One noun for one idea, the field's; in prose, and not in code or in what a command printed."""
    found = []
    for place, text in texts().items():
        prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
        found += [f"{place}: {match[0]}" for match in re.finditer(rf"{WORDS}|{CHANCE}", prose, re.IGNORECASE)]
    assert found == []
