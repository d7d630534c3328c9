"""What checks find, and the order of the stages in which they look.

A stage reports every problem that it finds; one that needs what a broken stage would have given is skipped and said
so. Stages `yaml` and `keys` are loading itself, which raises RecipeError; `names` and `references` lie beside this
file and need only recipe and plug-ins; the others build things and lie in `checking`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe.yaml import KeyPath

STAGES = ("yaml", "keys", "names", "references", "data", "capabilities", "shapes", "sanity", "resources")


def where(problem: Problem) -> KeyPath:
    """The keys under which a problem stands."""
    return tuple(problem.path.split("."))


@dataclass(frozen=True)
class Diagnostic:
    """A problem, the stage that found it, and the exit code that it asks for."""

    problem: Problem
    stage: str
    code: int


class Refused(RecipeError):
    """A recipe that checks refuse. Ends a command with the code of the first stage that found something."""

    def __init__(self, problems: Iterable[Problem], code: int = RecipeError.code):
        super().__init__(problems)
        self.code = code
        self.args = (self.problems, code)


@dataclass
class Report:
    """What all stages found, in their order.

    skipped  stage -> the broken stage that it needs
    left     entries that some stage did not look at, because they need what is wrong
    """

    findings: list[Diagnostic] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def add(self, stage: str, problems: Iterable[Problem], code: int = RecipeError.code) -> bool:
        """Takes problems in; whether there was none but notes."""
        found = [Diagnostic(problem, stage, code) for problem in problems]
        known = {one.problem for one in self.findings}
        self.findings += [one for one in dict.fromkeys(found) if one.problem not in known]
        return all(one.problem.note for one in found)

    def skip(self, stages: Iterable[str], because: str) -> None:
        self.skipped |= dict.fromkeys(stages, because)

    def wrong(self, *path: str | int) -> bool:
        """Whether an error stands at this key, below it, or at what holds it."""
        return any(one[: len(path)] == path or path[: len(one)] == one for one in map(where, self.errors))

    def errors_of(self, stage: str) -> list[Problem]:
        """The errors of one stage."""
        return [one.problem for one in self.findings if one.stage == stage and not one.problem.note]

    @property
    def errors(self) -> list[Problem]:
        return [one.problem for one in self.findings if not one.problem.note]

    @property
    def notes(self) -> list[Problem]:
        return [one.problem for one in self.findings if one.problem.note]

    @property
    def code(self) -> int:
        """The exit code: 0 where there is no error."""
        return next((one.code for one in self.findings if not one.problem.note), 0)

    @property
    def summary(self) -> str:
        """How many errors and notes, in words."""

        def counted(items: list[Problem], word: str) -> str:
            return f"{len(items) or 'no'} {word}{'s' * (len(items) != 1)}"

        return f"{counted(self.errors, 'error')}, {counted(self.notes, 'note')}"

    def as_data(self) -> dict[str, Any]:
        """Everything as JSON would have it."""

        def one(finding: Diagnostic) -> dict[str, Any]:
            problem, place = finding.problem, finding.problem.place or Place(None)
            return {
                "stage": finding.stage,
                "note": problem.note,
                "file": place.file,
                "line": place.line,
                "column": place.column,
                "path": problem.path,
                "what": problem.what,
                "hint": problem.hint,
            }

        return {
            "problems": [one(finding) for finding in self.findings],
            "skipped": self.skipped,
            "left_out": self.left,
            "code": self.code,
        }

    def strict(self) -> "Report":
        """The same with every note an error."""
        return Report(
            [replace(one, problem=replace(one.problem, note=False)) for one in self.findings], self.skipped, self.left
        )

    def without(self, *paths: str) -> "Report":
        """The same without what stage `resources` found at these key paths."""
        return Report(
            [one for one in self.findings if one.stage != "resources" or one.problem.path not in paths], self.skipped
        )

    def refuse(self) -> None:
        """Raises Refused where there is an error."""
        if self.errors:
            raise Refused(self.errors, self.code)
