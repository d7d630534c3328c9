"""`vlobj conform`: the checks of a plug-in's kind, in a terminal."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlobjectives.cli.brief import brief
from vlobjectives.cli.printing import show_data
from vlobjectives.errors import PluginError, RecipeError

if TYPE_CHECKING:
    from vlobjectives.testing.parametrize import ComponentCheck

FAILED = 4
"""The exit code where a check fails: that of a plug-in."""


def conform(
    context: typer.Context,
    component: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            show_default=False,
            help="A component (NAME, KIND:NAME or PACKAGE/NAME), or a local plug-in file: all components in it.",
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            show_default=False,
            help="Its options; of a file with several components NAME.KEY=VALUE; toy.KEY=VALUE: of the system around.",
        ),
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--expected",
            metavar="CHECK=REASON",
            help="A check that is known to fail, and why: it must fail then. May be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a plug-in: run every check of its kind on it, in a small system that is made around it."""
    context.with_resource(brief(context.obj))
    known, begun = _expected(expected or []), time.monotonic()
    rows: list[dict[str, Any]] = []
    for number, checks in enumerate(_components(component, options or [], known)):
        subject = checks[0].subject
        if not as_json:
            print(end="\n" if number else "")
            print(subject, flush=True)
        for check in checks:
            row = {"kind": subject.kind, "component": subject.component, **_run(check)}
            if not as_json:
                _show(row, row.get("cause", "") in {other.get("cause") or other["check"] for other in rows})
            rows.append(row)
    failed = sum(row["result"] == "failed" for row in rows)
    if as_json:
        show_data(rows)
    else:
        print(f"{len(rows) - failed} of {len(rows)} checks pass, {time.monotonic() - begun:.1f} s")
    raise typer.Exit(FAILED if failed else 0)


def _expected(words: list[str]) -> dict[str, str]:
    """Check -> reason. Raises RecipeError for a word without a reason."""
    for word in words:
        if not word.partition("=")[2].strip():
            raise RecipeError.one(f"--expected {word} gives no reason", f'write --expected {word}="why it must fail"')
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}


def _options(words: list[str]) -> dict[str, Any]:
    """`key.path=value` words as nested options."""
    from vlobjectives.recipe.overrides import read_change

    options: dict[str, Any] = {}
    for word in words:
        name, document = read_change(word)
        *path, last = name.split(".")
        inner = options
        for key in path:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise RecipeError.one(f"{word}: '{key}' has a value already", "give the whole of it at once")
        inner[last] = document.data
    return options


def _components(component: str, words: list[str], expected: Mapping[str, str]) -> Iterator[list["ComponentCheck"]]:
    """The checks of a component, or of each component of a file. Raises before the first where something is wrong."""
    from vlobjectives.testing.parametrize import checks_of

    options, file = _options(words), component.endswith(".py")
    toy = options.pop("toy", {})
    if not file:
        found = [_known(lambda: checks_of(component, options, expected))]
    else:
        names = _in_file(component)
        several = len(names) > 1
        if several and (wrong := options.keys() - {name.partition(":")[2].partition("/")[2] for name in names}):
            raise RecipeError.one(
                f"{component} brings several components, and {', '.join(sorted(wrong))} names none of them",
                "write NAME.KEY=VALUE; it brings " + ", ".join(names),
            )
        found = [
            checks_of(name, options.get(name.rpartition("/")[2], {}) if several else options, None, [component])
            for name in names
        ]
        if expected:
            names_of_checks = {check.name for checks in found for check in checks}
            if unknown := expected.keys() - names_of_checks:
                raise RecipeError.one(
                    f"--expected: no such check: {', '.join(sorted(unknown))}",
                    f"there are {', '.join(sorted(names_of_checks))}",
                )
            found = [[check.expecting(expected.get(check.name, "")) for check in checks] for checks in found]
    yield from (_around(checks, toy) for checks in found)


def _around(checks: list["ComponentCheck"], toy: Mapping[str, Any]) -> list["ComponentCheck"]:
    """The same in a Toy of these fields. Raises what is wrong with the options, once and not in each of the checks."""
    from vlobjectives.testing import Toy
    from vlobjectives.testing.subject import sound

    known = [one.name for one in fields(Toy) if one.name != "components"]
    if wrong := toy.keys() - set(known):
        raise RecipeError.one(
            f"a toy has no {', '.join(sorted(wrong))}", f"toy.KEY=VALUE, with one of {', '.join(known)}"
        )
    subject = replace(checks[0].subject, around=Toy(**toy))
    sound(subject)
    return [replace(check, subject=subject) for check in checks]


def _known(make: Any) -> Any:
    """What `make` gives; an unknown check is a wrong command line."""
    try:
        return make()
    except ValueError as error:
        raise RecipeError.one(f"--expected: {error}", "leave it out, or write its name") from error


def _in_file(path: str) -> list[str]:
    """`kind:package/name` of every component of a local file. Raises PluginError where there is none."""
    from vlobjectives.registry import Registry

    registry = Registry()
    before = set(registry.all())
    registry.add_file(path)
    rows = [row for row in registry.all() if row not in before]
    if not rows:
        raise PluginError(
            f"{path} brings no component, there is nothing to check",
            'its vlobj_components returns {"objective:NAME": "module:Class"}, or the class itself',
        )
    return [f"{row.kind}:{row.package}/{row.name.rpartition('/')[2]}" for row in rows]


def _run(check: "ComponentCheck") -> dict[str, str]:
    """What came of a check: ok, failed, or expected to fail."""
    from vlobjectives.plugin_loading.load import reason_of, where_raised
    from vlobjectives.testing import CheckFailed

    found = {"check": check.name, "result": "expected" if check.check.expected else "ok", "message": ""}
    try:
        check()
    except CheckFailed as error:
        return {**found, "result": "failed", "message": str(error), "cause": error.cause}
    except Exception as error:  # anything may happen in a third party's code
        place = where_raised(error)
        return {**found, "result": "failed", "message": reason_of(error) + (f" ({place})" if place else "")}
    return {**found, "message": check.check.expected}


def _show(row: Mapping[str, str], known: bool) -> None:
    """Prints a line a check, and of a failure what is wrong; `known`: that it fails for what was shown above."""
    word = {"ok": "ok", "failed": "FAILED", "expected": "expected"}[row["result"]]
    why = (
        f"  ({row['message']})"
        if row["result"] == "expected"
        else f"  (since it fails '{row['cause']}')"
        if known
        else ""
    )
    print(f"  {word:8}  {row['check']}{why}", flush=True)
    if row["result"] == "failed" and not known:
        print("\n".join(f"            {line.strip()}" for line in row["message"].splitlines()), flush=True)
