"""What each word of a caption is, by its class, its ending and its place."""

import re
from typing import NamedTuple

from vlobj_mvptr.chunker import lemmas, words

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*|&|[.,;:!?()]")
_LINKS = {
    first: sorted((link for link in words.LINKS if link[0] == first), key=len, reverse=True)
    for first in {link[0] for link in words.LINKS}
}
"""By their first word, longer ones first."""


class Word(NamedTuple):
    """A word or a link of several, in lower case, with its characters `first` to `end` - 1 and its mark.

    mark  D determiner, P preposition or link, C coordination, B form of be, W relative, R pronoun, `,` a stop;
          of open words: N noun or what describes one, V verb
    """

    text: str
    first: int
    end: int
    mark: str


_CLOSED = {
    word: mark
    for mark, group in (
        ("D", words.DETERMINERS),
        ("P", words.PREPOSITIONS),
        ("C", words.PAIRED),
        ("B", words.BEING),
        ("H", words.HELPING),
        ("V", words.HAVING),
        ("W", words.RELATIVE),
        ("R", words.PRONOUNS),
        ("A", words.ADVERBS),
    )
    for word in group
}


def marked(text: str) -> list[Word]:
    """The words of a caption with their marks; adverbs and helping verbs are left out."""
    found = _linked([_first(match) for match in WORD.finditer(text)])
    for at in range(len(found)):
        if found[at].mark == "?":
            found[at] = found[at]._replace(mark=_open(found, at))
    return found


def _first(match: re.Match) -> Word:
    text = match.group().lower().replace("\u2019", "'")
    mark = _CLOSED.get(text) or ("," if not text[0].isalnum() else "?")
    if mark == "?" and text.endswith("ly") and len(text) > 4 and text not in words.NO_ADVERB:
        mark = "A"
    if text.isdigit():
        mark = "D"
    return Word(text, match.start(), match.end(), mark)


def _linked(found: list[Word]) -> list[Word]:
    """Links of several words as one; words that say nothing here left out."""
    joined, at = [], 0
    while at < len(found):
        word = found[at]
        size = next(
            (
                len(link)
                for link in _LINKS.get(word.text, ())
                if all(at + n < len(found) and found[at + n].text == text for n, text in enumerate(link))
            ),
            1,
        )
        if size > 1:
            several = found[at : at + size]
            word = Word(" ".join(one.text for one in several), word.first, several[-1].end, "P")
        if word.mark not in "AH":
            joined.append(word)
        at += size
    return joined


def _open(found: list[Word], at: int) -> str:
    """N or V for an open word; the words before it have their marks, those after it may not."""
    word, before = found[at].text, found[at - 1] if at else None
    after = found[at + 1].mark if at + 1 < len(found) else "."
    if word in words.PLACES:
        return "N"
    if before is not None and before.text == "to":
        # "trying to ride a wave" and "next to horses": a verb follows where nothing tells a thing
        return "V" if after in "DPR.?," and not lemmas.plural(word) else "N"
    if before is not None and (before.mark in "RW" or (before.mark in "BV" and word in words.DOING)):
        return "V"
    behind = before is not None and before.mark == "N" and before.text not in words.DESCRIBING
    if len(word) > 4 and word.endswith("ing") and word not in words.NAMING_ING:
        if before is not None and before.mark in "VB":
            return "V"
        return "V" if behind or (after in "DPR" and (before is None or before.mark in "NC,")) else "N"
    if len(word) > 4 and word.endswith("ed") and not word.endswith("eed"):
        if before is not None and before.mark == "B":
            return "V"
        return "V" if after != "?" and (before is None or before.mark in "NC,") else "N"
    if before is None or not behind:
        doing = word in words.DOING and before is not None and before.mark == "C" and after in "DP"
        return "V" if doing else "N"
    if after == "D":
        return "V"
    if word in words.DOING and _agree(before.text, word, after):
        return "V"
    singular = _determiner(found, at) in words.SINGULAR
    if singular and lemmas.plural(word) and word not in lemmas.IRREGULAR and not lemmas.plural(before.text):
        return "V"
    return "N"


def _agree(noun: str, doing: str, after: str) -> bool:
    """Whether a common verb behind this noun is its verb: `man sits`, `men sit`, never `men sits` or `a boat ride`."""
    if doing.endswith("s") and not doing.endswith("ss"):
        return not lemmas.plural(noun)
    return lemmas.plural(noun) or after == "P"


def _determiner(found: list[Word], at: int) -> str:
    """The determiner that a run of nouns began with."""
    while at and found[at - 1].mark == "N":
        at -= 1
    return found[at - 1].text if at and found[at - 1].mark == "D" else ""
