"""Evaluations that fail: whose, where, and what there is all the same."""

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vlobjectives.contracts.evaluation import Evaluation, Score
from vlobjectives.errors import Place, PluginError, Problem, ResourceError, VlobjError
from vlobjectives.plugin_loading.attribution import ContractError, blamed
from vlobjectives.plugin_loading.load import reason_of, where_raised
from vlobjectives.run_folder import scores_as_data
from vlobjectives.runtime.log import UnusableOfSplit


@dataclass(frozen=True)
class Scored:
    """Scores by flat name; what failed: `evaluation on split` -> the problem and the exit code that it asks for; and
    split -> samples that could not be read."""

    scores: dict[str, Score] = field(default_factory=dict)
    failed: dict[str, tuple[Problem, int]] = field(default_factory=dict)
    unusable: dict[str, UnusableOfSplit] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, str]:
        """Evaluation and split -> what went wrong, where."""
        return {
            what: f"{problem.what} ({problem.place})" if problem.place else problem.what
            for what, (problem, _) in self.failed.items()
        }

    def summary(self) -> dict[str, Any]:
        """Scores as JSON holds them; under `unusable`, by split, samples that could not be read, if there are any."""
        lost = {split: asdict(one) for split, one in self.unusable.items()}
        return scores_as_data(self.scores) | ({"unusable": lost} if lost else {})

    def as_data(self) -> dict[str, Any]:
        """The same, and under `failed` what failed, if something did."""
        return self.summary() | ({"failed": self.reasons} if self.failed else {})

    def refuse(self) -> None:
        """Raises Failed where an evaluation failed."""
        if self.failed:
            raise Failed(self.failed)


class Failed(VlobjError):
    """Evaluations that failed; the scores of all others are there. Memory that ran out is exit 6 if it was all."""

    def __init__(self, failed: Mapping[str, tuple[Problem, int]]):
        self.problems = [problem for problem, _ in failed.values()]
        super().__init__(self.problems[0].what, self.problems[0].hint, self.problems[0].place)
        codes = {code for _, code in failed.values()}
        self.code = codes.pop() if len(codes) == 1 else PluginError.code

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def failure(
    error: BaseException,
    name: str,
    what: str,
    evaluation: Evaluation | None,
    explained: Callable[[Exception, str], Exception],
) -> tuple[Problem, int]:
    """The problem that an error of an evaluation is, and the exit code that it asks for.

    what       evaluation and split; `evaluation` None: the losses
    explained  what an error means, if not that the plug-in is wrong
    """
    hint = f"correct it, or leave it out: evaluate.{name}=false"
    if isinstance(error, Exception):
        error = explained(error, what)
        error = blamed(error) or error  # of a part, a source or a reader that the evaluation asked
    if isinstance(error, ResourceError):
        return Problem(error.place, "", error.what, error.hint), error.code
    if isinstance(error, VlobjError):
        hint = f"{error.hint}, or {hint}" if error.hint else hint
        return Problem(error.place, "", f"{what} failed: {error.what}", hint), PluginError.code
    if isinstance(error, ContractError):
        return Problem(error.place, "", f"{what} failed: {error.why}", f"{error.hint}, or {hint}"), PluginError.code
    return Problem(_place(error, evaluation), "", f"{what} failed: {reason_of(error)}", hint), PluginError.code


def _place(error: BaseException, evaluation: Evaluation | None) -> Place | None:
    """Where an evaluation failed: the last line of its class's files that took part, else where it was raised."""
    own = {
        getattr(sys.modules.get(cls.__module__), "__file__", None)
        for cls in type(evaluation).__mro__
        if issubclass(cls, Evaluation) and cls is not Evaluation
    }
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in own:
            return Place(frame.filename, frame.lineno)
    return where_raised(error)
