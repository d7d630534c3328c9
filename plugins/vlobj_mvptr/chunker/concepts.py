"""From marked words to concepts: objects, their attributes, and relations between two of them."""

from functools import lru_cache
from typing import NamedTuple

from vlobj_mvptr.chunker import lemmas, words
from vlobj_mvptr.chunker.marks import Word, marked

Span = tuple[int, int]


class Concept(NamedTuple):
    """An object, an object and an attribute of it, or subject, relation and object: their ground forms and characters.

    spans  (first, last+1) of what names it in the caption, every time that the caption names it
    """

    words: tuple[str, ...]
    spans: tuple[Span, ...]


class _Thing(NamedTuple):
    head: Word
    name: str
    described: list[Word]


@lru_cache(4096)  # several readers ask for the same caption, one after the other
def concepts(text: str) -> tuple[Concept, ...]:
    """The concepts of a caption, each once: objects, then attributes, then relations, in the order of the words.

    A run of nouns names its last one, and those before it describe it (`tennis ball`: ball, tennis). A relation stands
    between two objects with nothing but verbs and prepositions between them; a stop ends it, but not before a relative.
    """
    things, attributes, relations = _read(marked(text))
    made = [Concept((thing.name,), (_span(thing.head),)) for thing in things]
    made += [Concept((thing.name, _ground(word)), (_span(thing.head), _span(word))) for thing, word in attributes]
    made += [
        Concept(
            (left.name, " ".join(_relation(word) for word in link), right.name),
            (_span(left.head), (link[0].first, link[-1].end), _span(right.head)),
        )
        for left, link, right in relations
    ]
    found: dict[tuple[str, ...], Concept] = {}
    for concept in made:
        before = found.get(concept.words)
        found[concept.words] = (
            concept if before is None else Concept(concept.words, tuple(dict.fromkeys(before.spans + concept.spans)))
        )
    return tuple(found.values())


def _read(found: list[Word]) -> tuple[list[_Thing], list[tuple[_Thing, Word]], list[tuple[_Thing, list[Word], _Thing]]]:
    """Objects, what describes which, and which stand in what relation."""
    things: list[_Thing] = []
    attributes: list[tuple[_Thing, Word]] = []
    relations: list[tuple[_Thing, list[Word], _Thing]] = []
    subject: _Thing | None = None
    link: list[Word] = []
    waiting: list[Word] = []
    at = 0
    while at < len(found):
        word, run = found[at], [found[at]]
        if word.mark == "N":
            named = at > 0 and found[at - 1].mark == "D"
            while at + 1 < len(found) and found[at + 1].mark == "N":
                at += 1
                run.append(found[at])
            if link and link[-1].mark == "B" and subject and run[-1].text in words.DESCRIBING:
                attributes += [(subject, one) for one in run]
            elif thing := _thing(run, named and "".join(one.mark for one in found[at + 1 : at + 3]) != "CN"):
                things.append(thing)
                attributes += [(thing, one) for one in (*waiting, *thing.described)]
                waiting = []
                said = [one for one in link if one.mark != "B"]
                if subject and said:
                    relations.append((subject, said, thing))
                subject, link = thing, []
            else:
                waiting = waiting + run
        elif word.mark in "VPB":
            link, waiting = [*link, word], []
        elif word.mark == "D":
            waiting = []
        elif word.mark == "," and found[at + 1 :] and found[at + 1].mark == "W":
            link = []
        elif word.mark == "," or (word.mark in "CR" and link):
            subject, link = (subject if word.mark == "C" else None), []
        at += 1
    return things, attributes, relations


def _thing(run: list[Word], named: bool) -> _Thing | None:
    """The object that a run of nouns names, its last one that is more than a quality (`bananas close`).

    None where there is none, unless a determiner makes one of it (`an orange`, not `a black and white cat`).
    """
    heads = [at for at, word in enumerate(run) if word.text not in words.DESCRIBING]
    if not heads and not named:
        return None
    head = heads[-1] if heads else len(run) - 1
    return _Thing(run[head], lemmas.noun(_bare(run[head].text)), run[:head] + run[head + 1 :])


def _bare(text: str) -> str:
    return text.removesuffix("'s").removesuffix("s'")


def _ground(word: Word) -> str:
    return lemmas.noun(_bare(word.text)) if word.mark == "N" else lemmas.verb(word.text)


def _relation(word: Word) -> str:
    return lemmas.verb(word.text) if word.mark == "V" else word.text


def _span(word: Word) -> Span:
    return word.first, word.end
