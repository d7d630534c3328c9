"""Pages that are generated when the site is built; `mkdocs.yml` names this file as a hook.

They are the catalogue of components (the data of `vlobj plugins --json`), the shipped recipes, the API reference and
the files of the repository's root. In the written pages `<!-- keys: SECTION -->` becomes a table of that section's
keys, and a link to a file of the repository becomes a link to the page that shows it.
"""

import inspect
import json
import re
import textwrap
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from vlobjectives.cli import explain
from vlobjectives.components import KINDS
from vlobjectives.recipe import model, recipes
from vlobjectives.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
KIND_TITLES = {kind: f"{kind.capitalize()}s" for kind in KINDS} | {"fusion": "Fusions"}
SECTIONS = {
    "data": model.DataEntry,
    "mix": model.MixEntry,
    "fields": model.FieldEntry,
    "inputs": model.InputEntry,
    "masks": model.MaskEntry,
    "pairings": model.PairingEntry,
    "objectives": model.ObjectiveEntry,
    "balance": model.BalanceEntry,
    "optim": model.Optim,
    "schedule": model.ScheduleSection,
    "groups": model.OptimGroup,
    "run": model.RunSection,
    "checkpoint": model.CheckpointSection,
    "plan": model.PlanSection,
    "evaluate": model.Evaluate,
    "evaluation": model.EvaluationEntry,
}
ROOT_FILES = {"CONTRIBUTING.md": "Contributing", "CHANGELOG.md": "Changelog", "SECURITY.md": "Security"}
PACKAGES = {"functional": "vlobjectives.functional", "testing": "vlobjectives.testing"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the generated pages to the navigation."""
    root_files = [{title: name.lower()} for name, title in ROOT_FILES.items() if (ROOT / name).is_file()]
    config.nav = [
        *config.nav[:2],
        {"Shipped recipes": "shipped.md"},
        {"Components": ["components/index.md", *({KIND_TITLES[kind]: _kind_page(kind)} for kind in _kinds())]},
        *config.nav[2:],
        {
            "API reference": [
                "reference/index.md",
                *({name: f"reference/{name}.md"} for name in (*map(_topic, _modules()), *PACKAGES)),
            ]
        },
        {"Project": root_files},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the files of the site."""
    pages = {"shipped.md": shipped_recipes(), "components/index.md": component_index(), **component_pages()}
    pages |= {"reference/index.md": reference_index(), **reference_pages()}
    pages |= {name.lower(): (ROOT / name).read_text(encoding="utf-8") for name in ROOT_FILES if (ROOT / name).is_file()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the tables of keys, and turn links to files of the repository into links to pages."""
    markdown = re.sub(r"<!-- keys: (\w+) -->", lambda match: keys_table(match[1]), markdown)
    top = "../" * page.file.src_uri.count("/")

    def shipped(match: re.Match[str]) -> str:
        return f"]({top}shipped.md#{match[1].removesuffix('.yaml').replace('.', '')})"

    markdown = re.sub(r"\]\((?:\.\./)*(?:recipes|examples)/(?:sweeps/)?([\w.]+)\)", shipped, markdown)
    markdown = re.sub(r"\]\(docs/([\w/]+)\.md", rf"]({top}\1.md", markdown)
    return re.sub(
        r"\]\((?:\.\./)*(CONTRIBUTING|CHANGELOG|SECURITY)\.md", lambda match: f"]({top}{match[1].lower()}.md", markdown
    )


# -- components ---------------------------------------------------------------------------------------------------


def _kinds() -> list[str]:
    """The kinds of which there are components, in the order of the registry."""
    present = {row.kind for row in Registry(builtin_only=True).all()}
    return [kind for kind in KINDS if kind in present]


def _kind_page(kind: str) -> str:
    return f"components/{kind}.md"


def component_index() -> str:
    """List every component with its one line, kind by kind."""
    lines = [
        "# Components",
        "",
        "All components that are installed with `vlobjectives`, from `vlobj plugins --json`.",
        "",
    ]
    components = explain.catalogue(Registry(builtin_only=True))
    for kind in _kinds():
        lines += [f"## {KIND_TITLES[kind]}", "", "| name | what it is | paper |", "|---|---|---|"]
        for one in components:
            if one["kind"] == kind:
                link = f"[{one['name']}]({kind}.md#{one['name']})"
                lines.append(f"| {link} | {_cell(one['summary'])} | {_cell(one['paper'])} |")
        lines.append("")
    return "\n".join(lines)


def component_pages() -> dict[str, str]:
    """Write one page a kind: each component with its docstring, views and options."""
    registry, pages = Registry(builtin_only=True), {}
    for kind in _kinds():
        lines = [f"# {KIND_TITLES[kind]}", ""]
        for row in registry.all():
            if row.kind == kind:
                lines += _component(explain.as_data(row, registry.get(row.kind, row.name)))
        pages[_kind_page(kind)] = "\n".join(lines)
    return pages


def _component(data: dict[str, Any]) -> list[str]:
    lines = [f"## {data['name']}", "", data["summary"], ""]
    if data["paper"]:
        lines += [f"*{data['paper']}*", ""]
    lines += [*_prose(data["about"].partition("\n")[2]), ""]
    if data["views"]:
        lines += ["Views, with the inputs `image` and `text`:", ""]
        lines += [f"- `{name}`: `{view}`" for name, view in data["views"].items()] + [""]
    return [*lines, *(_options_table(data["options"]) if data["options"] else ["It has no options."]), ""]


def _prose(docstring: str) -> list[str]:
    """A docstring as Markdown: lines that are indented or set in columns are code, the others paragraphs."""
    lines: list[str] = []
    for is_code, group in groupby(docstring.splitlines(), _is_code):
        text = textwrap.dedent("\n".join(group)).strip("\n")
        lines += ["", "```text", text, "```", ""] if is_code else text.replace("<", "&lt;").split("\n")
    return lines


def _is_code(line: str) -> bool:
    return bool(re.search(r"^ +\S|\S {3,}\S", line))


def _options_table(options: list[dict[str, Any]]) -> list[str]:
    rows = ["| option | type | default | description |", "|---|---|---|---|"]
    for option in options:
        default = f"`{json.dumps(option['default'], ensure_ascii=False)}`" if "default" in option else "required"
        cells = (_cell(option["type"]), default.replace("|", "\\|"), _cell(option["description"]))
        rows.append(f"| `{option['name']}` | {' | '.join(cells)} |")
    return rows


_ESCAPES = str.maketrans({"|": "\\|", "<": "&lt;", "*": "\\*", "{": "&#123;", "\n": " "})


def _cell(text: str) -> str:
    return text.translate(_ESCAPES)


def keys_table(section: str) -> str:
    """Write the table of the keys that the host knows of a section of a recipe."""
    keys = [key for key in explain.fields(SECTIONS[section]) if key["name"] != "type" or section == "optim"]
    return "\n".join(["", *_options_table(keys), ""]).replace("| option |", "| key |")


# -- shipped recipes ----------------------------------------------------------------------------------------------


def shipped_recipes() -> str:
    """Show every shipped recipe, sweep and example as it is written."""
    folder = recipes.folder()
    groups = {
        "Recipes": sorted(folder.glob("*.yaml")),
        "Sweeps": sorted(folder.glob("sweeps/*.yaml")),
        "Plug-in files": sorted((ROOT / "examples").glob("*.py")),
    }
    lines = ["# Shipped recipes", "", "`vlobj recipes copy NAME` makes a copy of one to edit.", ""]
    for group, paths in groups.items():
        lines += [f"## {group}", ""]
        for path in paths:
            lines += _source(path)
    return "\n".join(lines)


def _source(path: Path) -> list[str]:
    title, language = (path.stem, "yaml") if path.suffix == ".yaml" else (path.name, "python")
    text = path.read_text(encoding="utf-8").rstrip()
    return [f"### {title} {{#{title.replace('.', '')}}}", "", f"```{language}", text, "```", ""]


# -- API reference ------------------------------------------------------------------------------------------------


def _modules() -> dict[str, list[str]]:
    """The public names of `vlobjectives`, by the module that defines them."""
    modules: dict[str, list[str]] = {}
    for name, module in _homes().items():
        modules.setdefault(module, []).append(name)
    return {module: modules[module] for module in sorted(modules, key=lambda one: (one != "vlobjectives.api", one))}


def _homes() -> dict[str, str]:
    """The module in which each public name of `vlobjectives` is defined, from its stub."""
    stub = (ROOT / "vlobjectives" / "__init__.pyi").read_text(encoding="utf-8")
    return {name: module for module, name in re.findall(r"^from (\S+) import (\w+) as \w+$", stub, re.MULTILINE)}


def _topic(module: str) -> str:
    return module.rpartition(".")[2]


def reference_index() -> str:
    """List the public names of `vlobjectives`, each with a link to its entry."""
    lines = ["# API reference", "", "What `from vlobjectives import ...` gives, by topic.", ""]
    for module, names in _modules().items():
        topic, about = _topic(module), inspect.getdoc(import_module(module)).partition("\n")[0]
        links = ", ".join(f"[`{name}`]({topic}.md#{module}.{name})" for name in names)
        lines += [f"**[{topic}]({topic}.md)**: {about}", "", links, ""]
    for package, path in PACKAGES.items():
        about = inspect.getdoc(import_module(path)).partition("\n")[0]
        lines += [f"**[vlobjectives.{package}]({package}.md)**: {about}", ""]
    return "\n".join(lines)


def reference_pages() -> dict[str, str]:
    """Write one page for each topic of the public names, and for each public package."""
    pages = {}
    for module, names in _modules().items():
        pages[f"reference/{_topic(module)}.md"] = f"# {_topic(module)}\n\n{_reference(module, names, 2)}\n"
    for package, path in PACKAGES.items():
        entries = [
            f"## {name.rpartition('.')[2]}\n\n{_reference(name, names, 3)}" for name, names in _public(path).items()
        ]
        about = inspect.getdoc(import_module(path))
        pages[f"reference/{package}.md"] = "\n\n".join([f"# {path}", about, *entries]) + "\n"
    return pages


def _reference(module: str, names: list[str], level: int) -> str:
    """The directive by which mkdocstrings shows a module's docstring and some of its names."""
    options = {"members": names, "heading_level": level, "show_root_heading": False, "show_root_toc_entry": False}
    return f"::: {module}\n    options: {json.dumps(options)}"


def _public(package: str) -> dict[str, list[str]]:
    """The public names of a package, by the module that defines them."""
    module, modules = import_module(package), {}
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.ismodule(value):
            modules.setdefault(value.__module__, []).append(name)
    return dict(sorted(modules.items()))
