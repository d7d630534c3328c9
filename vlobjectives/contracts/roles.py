"""Roles: what an evaluation needs of the objective that its Config names.

An evaluation marks a Config field with the role that it needs, and calls the role's methods alone:

    of: Annotated[ObjectiveName, Needs(JudgesPairs)] = "itm"

An objective fills a role by having its methods, whatever its modules and attributes are called; it derives nothing.
`check` refuses an objective without them, with those of the recipe that have them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.objective import GenerationSpec, Objective
from vlobjectives.contracts.values import Encoded, Fused
from vlobjectives.contracts.views import DecodedView, EncodedView, FusedView, Input

PartOf = Callable[[str], Any]
"""The part of the model that has this name (`EvaluationContext.part`), to be called by itself."""
Inputs = Mapping[str, Input]


class JudgesPairs(Protocol):
    """Judges whether a picture and a caption belong together."""

    def log_odds(self, pairs: Fused) -> Tensor:
        """Return the log odds that picture and caption belong together.

        Args:
            pairs: R fused pairs, unmasked.

        Returns:
            [R], over 0 where the pair is taken for matched.
        """
        ...


class PredictsTokens(Protocol):
    """Names the tokens at hidden positions of a text, with the picture at hand."""

    def token_mask(self) -> str | None:
        """Return the name of the mask that hides tokens in training; None: the text input's own."""
        ...

    def predict_tokens(self, pairs: Fused, index: Tensor, part: PartOf) -> Tensor:
        """Predict the most likely token at each of some positions.

        Args:
            pairs: B pictures fused with texts whose tokens are hidden at `index`.
            index: [B,K] int64, positions of the text.
            part: Returns the parts of the model that the objective uses, by name.

        Returns:
            [B,K] int64, ids of the text's field.
        """
        ...


class GeneratesText(Protocol):
    """Trains a decoder that writes a text about a picture."""

    def writes(self, inputs: Inputs) -> GenerationSpec | None:
        """Return how the objective generates text. See `Objective.writes`.

        Args:
            inputs: The recipe's inputs by name.

        Returns:
            The generation spec; None where the objective's options leave no decoder.
        """
        ...


@dataclass(frozen=True)
class FeatureRecovery:
    """A feature that is predicted in one pass and has its target in another.

    Attributes:
        prediction: Pairs in which `side` is masked, the other side whole.
        target: Pairs in which `side` is whole; the other side may be masked.
        side: Whose features are compared, of both: the class tokens, or the tokens at the hidden positions.
    """

    prediction: FusedView
    target: FusedView
    side: Literal["image", "text"]


class RecoversClass(Protocol):
    """Recovers the class token of a masked picture or text."""

    def class_recoveries(self, inputs: Inputs) -> list[FeatureRecovery]:
        """Return the class tokens that are recovered, each side once at most.

        Args:
            inputs: The recipe's inputs by name.
        """
        ...


class RecoversTokens(Protocol):
    """Recovers the features of masked patches or words."""

    def token_recoveries(self, inputs: Inputs) -> list[FeatureRecovery]:
        """Return the tokens that are recovered at the positions that `prediction` hides, each side once at most.

        Args:
            inputs: The recipe's inputs by name.
        """
        ...


class ReconstructsPixels(Protocol):
    """Reconstructs the hidden patches of a picture from what is left of it and a text."""

    def reconstruction(self, inputs: Inputs) -> DecodedView:
        """Return the view from which pixels are reconstructed.

        Args:
            inputs: The recipe's inputs by name.

        Returns:
            A masked picture that looks at the text as its memory.
        """
        ...

    def reconstruction_error(self, decoded: Encoded, batch: Batch) -> Tensor:
        """Return the mean error over the hidden patches.

        Args:
            decoded: The value of `reconstruction`, of some rows.
            batch: The same rows of the batch.

        Returns:
            [], in the unit of the objective's loss.
        """
        ...


class AnswersQuestions(Protocol):
    """Answers a question about a picture from a table of answers."""

    def answer_field(self) -> str:
        """Return the name of the field of labels that is the table."""
        ...

    def answer_scores(self, pairs: Fused) -> Tensor:
        """Score each answer of the table.

        Args:
            pairs: B pictures fused with their questions.

        Returns:
            [B,V], higher is likelier; column v is label v of the field.
        """
        ...


class NamesConcepts(Protocol):
    """Names the concepts of a picture."""

    def concept_view(self, inputs: Inputs, mask: str | None) -> EncodedView:
        """Return the view of the picture from which concepts are named.

        Args:
            inputs: The inputs, without masks of their own.
            mask: Name of the mask that hides them in place of the objective's own; None: its own.

        Raises:
            CannotBuild: Something must be hidden, and there is neither `mask` nor a mask of its own.
        """
        ...

    def named_concepts(self, picture: Encoded, batch: Batch, part: PartOf) -> tuple[Tensor, Tensor, Tensor]:
        """Return the scores of the concepts of a batch, and the right ones.

        Args:
            picture: The value of `concept_view`.
            batch: The batch.
            part: Returns the parts of the model that the objective uses, by name.

        Returns:
            Logits [R,V]; the right concepts [R,M] int64, columns of the logits; which of them count [R,M] bool. R is a
            multiple of the batch's rows, a sample's rows side by side.
        """
        ...

    def frequent_concept(self, part: PartOf) -> int | None:
        """Return the concept that was most frequent in training.

        Args:
            part: Returns the parts of the model that the objective uses, by name.

        Returns:
            Its column of the logits; None where nobody counted.
        """
        ...


class GroundsPhrases(Protocol):
    """Tells how similar the phrases of a caption and the regions of its picture are."""

    def phrase_field(self) -> str:
        """Return the name of the text input's field that holds the phrases."""
        ...

    def phrase_pairs(self, inputs: Inputs) -> FusedView:
        """Return the view of matched pairs, unmasked, in which phrases and regions are compared.

        Args:
            inputs: The recipe's inputs by name.
        """
        ...

    def phrase_positions(self, pairs: Fused) -> Tensor:
        """Return where the text has a phrase.

        Args:
            pairs: The value of `phrase_pairs`, R pairs.

        Returns:
            [R,L] bool, in the field's order.
        """
        ...

    def phrase_similarities(self, pairs: Fused) -> Tensor:
        """Return the similarity of each position of the text and each region of the picture.

        Args:
            pairs: The value of `phrase_pairs`, R pairs.

        Returns:
            [R,L,N], in -1..1.
        """
        ...


def lacking(objective: type, role: type) -> list[str]:
    """Return the methods of a role that a class of objectives does not have.

    What `Objective` itself has is only a default, and counts as missing.

    Args:
        objective: The class.
        role: One of the protocols of this module.

    Returns:
        The methods' names.
    """
    return [name for name in methods(role) if getattr(objective, name, None) in (None, getattr(Objective, name, None))]


def methods(role: type) -> Iterator[str]:
    """Iterate over the names of a role's methods."""
    return (name for name, value in vars(role).items() if not name.startswith("_") and callable(value))


def does(role: type) -> str:
    """Return what an objective of a role does, as the first line of the role's docstring says it."""
    line = (role.__doc__ or role.__name__).strip().partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]
