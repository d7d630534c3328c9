"""A table of answers, learned from the training split: what a classifier of answers chooses from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from vlobj_common.answer_scores import Answer, most, scores
from vlobjectives import FieldSpec, Ids, Length, Reader, ReaderConfig, Samples
from vlobjectives.errors import DataError


class Answers(Reader):
    """Labels from answers: the most frequent training answers form a table, and an answer becomes ids with scores.

    An answer, a list of answers (one a person), or a mapping of answers to scores -> labels (id, score).

    The table holds the `size` answers that most training rows have as their most frequent one. One answer by itself has
    score 1, one that c people of a list gave min(1, 0.3 c). What is not in the table is left out: such a row has fewer
    labels, or none. Case and blanks at the ends do not matter. `spec.vocabulary` is `size`, even where training held
    fewer answers; `spec.share` is each answer's mean score over the training rows.
    """

    paper = "VQA 2.0, arXiv 1612.00837"

    class Config(ReaderConfig):
        size: Ids = Field(description="answers in the table (published for VQA 2.0: 3129)")
        least: Samples = Field(1, description="training rows that an answer must have")
        labels: Length = Field(10, description="different answers that a row has at most")

    def __init__(self, config: Config, **shared: Reader):
        super().__init__(config, **shared)
        if "with" in shared:
            raise self.cannot("a table of answers is learned by itself", "leave out `with`")
        self._fill([], ())

    @property
    def spec(self) -> FieldSpec:
        return self._spec

    def fit(self, rows: Iterable[Answer]) -> None:
        rows = list(rows)
        first = Counter(most(row) for row in rows if row)
        known = sorted(
            (answer for answer, count in first.items() if count >= self.config.least),
            key=lambda answer: (-first[answer], answer),
        )[: self.config.size]
        if not known:
            raise DataError(
                "no training row has an answer that is frequent enough for the table",
                "look at the column, or lower `least`",
            )
        total: Counter[str] = Counter()
        for row in rows:
            total.update(scores(row))
        unused = [0.0] * (self.config.size - len(known))
        self._fill(known, (*(total[answer] / len(rows) for answer in known), *unused))

    def read(self, value: Answer) -> list[tuple[int, float]]:
        return [(self._id[answer], score) for answer, score in scores(value).items() if answer in self._id]

    def state(self) -> Mapping[str, Any]:
        return {"answers": self.answers, "share": list(self._spec.share)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back the table. Raises DataError where it does not fit `size`."""
        if len(state["answers"]) > self.config.size:
            raise DataError(
                f"the saved table has {len(state['answers'])} answers, more than its size {self.config.size}",
                "give the field the size that it was learned with",
            )
        self._fill(list(state["answers"]), tuple(state["share"]))

    def _fill(self, answers: list[str], share: tuple[float, ...]) -> None:
        self.answers, self._id = answers, {answer: number for number, answer in enumerate(answers)}
        self._spec = FieldSpec("labels", (self.config.labels,), vocabulary=self.config.size, share=share)
