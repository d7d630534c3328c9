"""Objectives: a few views of a batch and how wrong they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vlobjectives.contracts.config import ObjectiveConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.parts import CannotBuild
from vlobjectives.contracts.values import StepRows, StepSum, Term
from vlobjectives.contracts.views import Input, View


@dataclass(frozen=True)
class GenerationSpec:
    """How an objective generates text: head(decoder(text encoder(words so far), memory)) predicts the next word.

    Attributes:
        image: Name of the input that the memory is made of.
        memory: The view of it that the decoder looks at.
        text: The input whose encoder reads what is written so far; it has one field of tokens.
        decoder: Name of the part that joins both.
        head: Name of the part that gives [B,n,V], the scores of the next word.
        first: Id of the token that score 0 of the V stands for.
    """

    image: str
    memory: View
    text: Input
    decoder: str
    head: str
    first: int = 0


class Objective(nn.Module, Configured):
    """Declares views and computes terms from them.

    `forward` (and `counts`, if there is one) gets by keyword what its signature names:

      - the values of its views, float32 or wider, autocast off; in `counts` only draw, valid, segment and pairs are
        known
      - under the name of a PartName field of Config, that part's module (of `list[PartName]` a list of them)
      - `batch`, which is read-only
      - `noise`, a Noise of the objective's own stream
      - `gather(x [B,...])`, which returns the rows of all processes in rank order, with the gradient that the recipe's
        `run.gradient` says. It returns x itself on one process, and where the host's key `group` has the loss see few
        rows. It is no `functional.all_gather_with_grad`, which gathers wherever there are several processes.
      - `averaged`, in `forward` alone: name -> the module of that name in the class's `averaged`, to be called on the
        averages of its weights. It runs in eval mode, without gradient, with copies of the module's buffers as they are
        now.

    Write the loss as if there were one process; call no collective.

    Attributes:
        Config: The class of its options.
        paper: The paper that it follows; empty without one.
    """

    WORDS = {"averaged": frozenset()}
    Config: type[ObjectiveConfig] = ObjectiveConfig
    paper: ClassVar[str] = ""
    group: ClassVar[int | str] = "all"
    """Default of the host's key `group`: a number for an objective that compares rows and does not gather."""
    averaged: ClassVar[frozenset[str]] = frozenset()
    """Own modules, and PartName fields of Config, of whose trained weights an exponential average is kept
    (`run.ema.decay`, as of views with `.ema()`): a teacher's head."""

    def __init__(self, config: ObjectiveConfig):
        super().__init__()
        self.config = config

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        """Declare the views that the objective computes its terms from.

        Args:
            inputs: The recipe's inputs by name.

        Returns:
            The views, by the keyword under which `forward` gets each.
        """
        raise NotImplementedError

    def build(self, *args: Any, **specs: Any) -> None:
        """Make the objective's own modules.

        Override it with keywords, the names of what the objective uses.

        Args:
            **specs: Under a view's name its Spec (of a joint view the projection's); under a PartName field's name that
                part's Spec; under a FieldName field's name that FieldSpec; under an InputName field's name (where no
                view has it) the Spec of that input's encoder.

        Raises:
            CannotBuild: The options or the model do not fit: `raise self.cannot(why)`.
        """

    def counts(self, *args: Any, **given: Any) -> Mapping[str, Tensor | int]:
        """Return the counts that are known before any pass; the host takes all others from the terms.

        Override it with the keywords of `forward`. Of a view only draw, valid, segment and pairs are known. A view that
        a mask or pairing looks at the model for is not there yet: give it a default.

        Args:
            **given: What the signature names.

        Returns:
            Term name -> count: an int or a 0-d tensor.
        """
        return {}

    def writes(self, inputs: Mapping[str, Input]) -> GenerationSpec | None:
        """Return how texts are generated with what the objective trains (`vlobj caption`).

        Args:
            inputs: The recipe's inputs by name.

        Returns:
            The generation spec, or None of an objective that trains no decoder of texts.
        """
        return None

    def forward(self, *args: Any, **given: Any) -> Mapping[str, Term | StepSum | StepRows]:
        """Compute the terms of a batch, and the statistics that `after_step` takes.

        Args:
            **given: What the signature names; the class lists what there is.

        Returns:
            Term name -> Term, logged as `objective/term`; beside them what `after_step` takes, as StepSum or StepRows
            under names of their own.
        """
        raise NotImplementedError

    def after_step(self, *args: Any, **statistics: Any) -> None:
        """Change own buffers once an optimiser step is done: a centre, a queue, prototypes.

        They are written nowhere else. Override it with keywords, the names of the statistics that `forward` returned.

        It is called once a step, however many micro-batches there were, and in training alone. It is not called where
        the objective has no weight, nor where the step is refused or left out (fp16). Buffers are saved with the
        weights and are never averaged: write into them in place (`self.centre.lerp_(centre, 0.1)`).

        Args:
            **statistics: A StepSum as its mean over all rows of the step, a StepRows as all rows [N,...]; the same on
                every process, without gradient.
        """

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        """Return the error that says why the objective cannot be built, to be raised.

        Args:
            why: What does not fit.
            hint: What to change; may be empty.
        """
        return CannotBuild(why, hint)


RETURNS = "forward must return {name: Term(total, count)}: a sum over what it scored, and how many that were"


def no_terms(given: Any) -> str:
    """Say why what `forward` returned is not what it promises, as far as shapes and types tell.

    Args:
        given: What `forward` returned.

    Returns:
        The reason; "" where nothing is wrong.
    """
    if not isinstance(given, Mapping):
        return f"forward returned {_kind(given)}"
    if all(isinstance(one, StepSum | StepRows) for one in given.values()):
        return "forward returned no term"
    return next(filter(None, (_no_term(name, term) for name, term in given.items())), "")


def _no_term(name: Any, term: Any) -> str:
    if not isinstance(name, str) or not name:
        return f"forward returned a term called {name!r}, and a name is text"
    if isinstance(term, StepSum | StepRows):
        return _no_statistic(name, term)
    if not isinstance(term, Term):
        return f"forward returned under '{name}' {_kind(term)}"
    total, count = term.total, term.count
    if not isinstance(total, Tensor) or total.dim() or not (total.is_floating_point() or term.weight == 0):
        shown = f"{total.dtype} of shape {list(total.shape)}" if isinstance(total, Tensor) else _kind(total)
        return f"the total of '{name}' is {shown}, and it must be a 0-d tensor of floats: sum over the rows"
    if why := _no_count(name, count):
        return why
    if not isinstance(term.weight, int | float) or not isfinite(term.weight):
        return f"the weight of '{name}' is {term.weight!r}, and it must be a finite number"
    chance = term.chance
    if chance is not None and (chance.dim() if isinstance(chance, Tensor) else not isinstance(chance, int | float)):
        return f"the chance level of '{name}' is {chance!r}, and it must be a number or None"
    return ""


def _no_count(name: str, count: Any) -> str:
    if isinstance(count, Tensor) and count.dim():
        return f"the count of '{name}' has the shape {list(count.shape)}, and it must be one number"
    if not isinstance(count, Tensor) and not (isinstance(count, int | float) and 0 <= count < inf):
        return f"the count of '{name}' is {count!r}, and it must be a number of 0 or more"
    return ""


def _no_statistic(name: str, statistic: StepSum | StepRows) -> str:
    value = statistic.total if isinstance(statistic, StepSum) else statistic.rows
    what = f"the {'total' if isinstance(statistic, StepSum) else 'rows'} of the statistic '{name}'"
    if not isinstance(value, Tensor):
        return f"{what}: {_kind(value)} where a tensor must be"
    if isinstance(statistic, StepRows):
        return "" if value.dim() else f"{what} have no row axis: [n,...]"
    if value.dtype == torch.bool or value.is_complex():
        return f"{what} is {value.dtype}, and must be a sum of numbers"
    return _no_count(name, statistic.count)


def _kind(value: Any) -> str:
    return "None" if value is None else "a tensor" if isinstance(value, Tensor) else f"a {type(value).__name__}"
