"""Where phrases that were made elsewhere lie in their caption."""

from collections.abc import Sequence

from vlobj_mvptr.chunker import lemmas
from vlobj_mvptr.chunker.concepts import Concept
from vlobj_mvptr.chunker.marks import WORD


def placed(text: str, phrase: Sequence[str]) -> Concept:
    """The phrase with the characters of every word of the caption that one of its words may be the ground form of."""
    wanted = {word for part in phrase for word in part.lower().split()}
    spans = [match.span() for match in WORD.finditer(text) if wanted & _forms(match.group().lower())]
    return Concept(tuple(phrase), tuple(spans))


def _forms(word: str) -> set[str]:
    return {word, lemmas.noun(word), lemmas.verb(word), word.removesuffix("'s")}
