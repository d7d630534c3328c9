"""How often questions are answered right, beside the best guess that hears the question and sees no picture."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.answer_scores import Answer, scores
from vlobjectives import (
    AnswersQuestions,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Input,
    InputName,
    Needs,
    ObjectiveName,
    PartName,
    Score,
    UnusableSample,
    View,
    accuracy,
    fused,
)

WORDS = 4
"""A question is known by its first 1, ..., WORDS words, or as a whole."""
COLUMNS = ("question", "answer")
Asked = tuple[str, Answer]


class Answering(Evaluation):
    """Accuracy of visual question answering: the mean score of the most likely answers, as VQA 2.0 counts it.

    Where a question has a single answer this is the share of right ones.

    `accuracy` stands beside `question_only`, its chance level: the most frequent answer, in the training split, to
    questions that begin alike. Which beginnings are distinguished (by one word, ..., four, or whole questions) is what
    does best on the very questions that are asked here, so that no such guess does better. Wilson's intervals over
    questions.

    Needs an objective that answers questions from a table of answers (`AnswersQuestions`).
    """

    paper = "VQA 2.0, arXiv 1612.00837"
    needs = frozenset(COLUMNS)

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(AnswersQuestions)] = Field("vqa", description="objective that answers")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the question")
        fusion: PartName = Field("fusion", description="fusion that the objective reads")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"asked": fused(inputs[self.config.image], inputs[self.config.text], part=self.config.fusion)}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        asked, right = answered(held, self)
        learned = self._training(held)
        blind = max((guessed(learned, asked, kind) for kind in kinds()), key=lambda hits: hits.sum().item())
        guess = accuracy(blind, None)
        return {"accuracy": accuracy(right, guess.value), "question_only": guess}

    def _training(self, held: EvaluationContext) -> list[Asked]:
        source, found = held.source, []
        for number in range(source.size("train")):
            question, answer = (
                source.value("train", number, name, source.settled_epoch, held.seed) for name in COLUMNS
            )
            if not isinstance(question, UnusableSample) and not isinstance(answer, UnusableSample):
                found.append((question, answer))
        return found


def answered(held: EvaluationContext, evaluation: Answering) -> tuple[list[Asked], Tensor]:
    """The questions of the split with their answers, and the score of what the objective answers, float64 [n].

    By the latter two runs are compared question by question.
    """
    config = evaluation.config
    objective, views = held.objective(config.of), evaluation.views(held.inputs)
    table: Any = held.readers[objective.answer_field()]
    asked, right = [], []
    for batch in held.batches():
        given = objective.answer_scores(held.values(views, batch)["asked"]).argmax(-1).tolist()
        for number, answer in zip(batch.number.tolist(), given):
            values = held.sample(number).values
            asked.append((values["question"], values["answer"]))
            right.append(dict(table.read(values["answer"])).get(answer, 0.0))
    return asked, torch.tensor(right, dtype=torch.float64)


def kinds() -> list[Callable[[str], str]]:
    """Ways to tell questions apart."""
    return [partial(_first_words, count) for count in (*range(1, WORDS + 1), None)]


def _first_words(count: int | None, text: str) -> str:
    return " ".join(text.lower().split()[:count])


def guessed(learned: Sequence[Asked], asked: Sequence[Asked], kind: Callable[[str], str]) -> Tensor:
    """The score, float64 [n], of the most frequent training answer to questions of that kind; of a kind that training
    never asked, of the most frequent answer of all."""
    counts: dict[str | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for question, answer in learned:
        for one, score in scores(answer).items():
            counts[kind(question)][one] += score
            counts[None][one] += score
    best = {of: max(count.items(), key=itemgetter(1, 0))[0] for of, count in counts.items()}
    return torch.tensor(
        [scores(answer).get(best.get(kind(question), best.get(None, "")), 0.0) for question, answer in asked],
        dtype=torch.float64,
    )
