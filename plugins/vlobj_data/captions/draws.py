"""Which texts of a picture a sample shows: its captions, others beside them, sentences of them."""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from vlobj_data.captions.columns import texts
from vlobjectives import Config

MOST = 64
SENTENCE = re.compile("(?<=[.!?])\\s+|(?<=[\u3002\uff01\uff1f])\\s*")
"""Where one sentence ends and another begins."""


class TextDraw(Config):
    """Which texts of a picture a sample shows, where a picture is a sample.

    In training `draw` of them are drawn, none twice; after all were shown the rest are drawn anew from all. Held-out
    splits draw nothing: they show the texts in their order, from the first again after the last, those of the first
    key of `odds` and none cut.
    """

    draw: Annotated[int, Field(ge=1, le=MOST)] = Field(
        1, description="so many: the columns caption, caption_2, ... caption_K"
    )
    odds: dict[str, Annotated[float, Field(gt=0, le=1e6)]] = Field(
        {},
        description="columns that texts come from (`caption`: the captions), each with its odds; by default the "
        "captions alone",
    )
    sentences: Annotated[int, Field(ge=1, le=MOST)] | None = Field(
        None,
        description="cuts texts into sentences and shows 1 to so many that follow one another as one text (DreamLIP: "
        "1, FLAIR: 3); by default texts stay whole",
    )

    @field_validator("odds")
    @classmethod
    def _of_something(cls, odds: dict[str, float]) -> dict[str, float]:
        if not all(name.strip() for name in odds):
            raise ValueError("must name columns")
        return odds


Shown = Literal["each", "one"] | TextDraw
"""The option `captions`."""


class Text(NamedTuple):
    """A text that is shown; of: the number of the caption whose record it stands in."""

    of: int
    text: str


def columns(how: Shown) -> list[str]:
    """Columns of the captions behind the first: caption_2, caption_3, ..."""
    return [f"caption_{place}" for place in range(2, how.draw + 1)] if isinstance(how, TextDraw) else []


def named(shown: Sequence[Text]) -> dict[str, Any]:
    """The texts that are shown, by their columns."""
    return {"caption" if not place else f"caption_{place + 1}": one.text for place, one in enumerate(shown)}


def chosen(
    how: Shown,
    captions: Sequence[str],
    more: Sequence[Mapping[str, Any]],
    which: int | None,
    draw: random.Random | None,
) -> list[Text]:
    """The texts of a sample, `caption` first.

    Args:
        how: The option `captions`.
        captions: Of the picture.
        more: What stands under further keys of each caption's record.
        which: The caption that is shown, where every caption is a sample.
        draw: Draws in training; None elsewhere.
    """
    if isinstance(how, TextDraw):
        return _several(how, captions, more, draw)
    if which is None:
        which = draw.randrange(len(captions)) if draw else 0
    return [Text(which, captions[which])]


def _several(
    how: TextDraw, captions: Sequence[str], more: Sequence[Mapping[str, Any]], draw: random.Random | None
) -> list[Text]:
    odds = how.odds or {"caption": 1.0}
    pools = {name: _texts(name, captions, more) for name in odds}
    if draw is None:
        first = next(iter(pools.values()))
        return [first[place % len(first)] for place in range(how.draw)]
    starts = {name: _starts(pool, how.sentences) for name, pool in pools.items()}
    rest: dict[str, list[tuple[int, Sequence[str]]]] = {}
    found = []
    for _ in range(how.draw):
        if not any(rest.values()):
            rest = {name: draw.sample(pool, len(pool)) for name, pool in starts.items()}
        names = [name for name, left in rest.items() if left]
        name = draw.choices(names, [odds[name] for name in names])[0] if len(names) > 1 else names[0]
        of, pieces = rest[name].pop()
        found.append(Text(of, " ".join(pieces[: draw.randint(1, how.sentences)] if how.sentences else pieces)))
    return found


def _texts(name: str, captions: Sequence[str], more: Sequence[Mapping[str, Any]]) -> list[Text]:
    """The texts of a column, each once, in their order; records that share a file may share what stands in it."""
    if name == "caption":
        return [Text(of, text) for of, text in enumerate(captions)]
    found: dict[str, Text] = {}
    for of, record in enumerate(more):
        for text in texts(record[name]):
            found.setdefault(text, Text(of, text))
    return list(found.values())


def _starts(pool: Sequence[Text], sentences: int | None) -> list[tuple[int, Sequence[str]]]:
    """What can be drawn: whole texts, or the sentences from each one on to its text's end."""
    if sentences is None:
        return [(one.of, (one.text,)) for one in pool]
    cut = [(one.of, split_sentences(one.text)) for one in pool]
    return [(of, pieces[place:]) for of, pieces in cut for place in range(len(pieces))]


def split_sentences(text: str) -> list[str]:
    """The sentences of a text: cut behind `.`, `!` and `?` before a blank, so behind abbreviations too."""
    return [piece for piece in SENTENCE.split(text.strip()) if piece]


def random_numbers(seed: int, split: str, number: int, epoch: int, column: str = "") -> random.Random:
    """The random numbers of one sample as one epoch shows it, or of a further column of it."""
    name = f"captions/{seed}/{split}/{number}/{epoch}{column and f'/{column}'}".encode()
    return random.Random(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()))
