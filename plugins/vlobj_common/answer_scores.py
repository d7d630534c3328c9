"""The scores of answers to a question, as VQA 2.0 counts them."""

from collections import Counter
from collections.abc import Mapping

from vlobjectives.errors import DataError

Answer = str | list[str] | Mapping[str, float]
SOFT = 0.3
"""What each person who gave an answer adds to its score, up to 1: 0.3, 0.6, 0.9, 1 (as is usual for VQA 2.0)."""


def scores(value: Answer) -> dict[str, float]:
    """Answer -> score of a row, the answers in their plain form. Raises DataError for what are no answers."""
    if not isinstance(value, str | list | tuple | Mapping) or not all(isinstance(answer, str) for answer in value):
        raise DataError(
            f"answers are read from a text, a list of texts, or texts with scores, not from {value!r:.40}",
            "name the column of answers (`of: COLUMN`), or correct it",
        )
    if isinstance(value, str):
        return {plain(value): 1.0}
    if isinstance(value, Mapping):
        return {plain(answer): float(score) for answer, score in value.items()}
    return {answer: min(1.0, SOFT * count) for answer, count in Counter(map(plain, value)).items()}


def most(value: Answer) -> str:
    """The most frequent answer of a row: the first of several that are equally so."""
    if isinstance(value, list):
        return Counter(map(plain, value)).most_common(1)[0][0]
    found = scores(value)
    return max(found, key=lambda answer: found[answer])


def plain(answer: str) -> str:
    """Case and blanks at the ends do not tell answers apart."""
    return answer.strip().lower()
