"""What text readers share: the captions of a column, and how often each id occurs in them."""

import re
from collections.abc import Iterable

from tokenizers import Encoding, Tokenizer

from vlobjectives.errors import DataError

SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with surrogates without a partner, which no tokenizer takes, as U+FFFD; positions stay the same."""
    return text if text.isascii() else SURROGATES.sub("\ufffd", text)


def caption(value: object) -> str:
    """A value of a column that holds captions. Raises DataError for anything else."""
    if not isinstance(value, str):
        raise DataError(
            f"captions are texts, and this one is {' '.join(f'{value!r:.40}'.split())}",
            "name the column of texts (`of: COLUMN`), or correct it",
        )
    return value


def captions(rows: Iterable[str | list[str]]) -> list[str]:
    """A column's captions, cleaned; a row is one or a list of them."""
    return [clean(caption(text)) for row in rows for text in (row if isinstance(row, list | tuple) else [row])]


def words(pieces: Encoding) -> list[int]:
    """The number of each piece's word: a word ends where the tokenizer divides the text before it cuts pieces (at
    punctuation too), and where characters between two pieces belong to none (blanks)."""
    found: list[int] = []
    before: tuple[int | None, tuple[int, int]] | None = None
    for part in zip(pieces.word_ids, pieces.offsets):
        apart = before is not None and (part[0] != before[0] or part[1][0] > before[1][1])
        found.append(found[-1] + apart if found else 0)
        before = part
    return found


def shares(tokenizer: Tokenizer, texts: list[str], vocabulary: int, room: int) -> tuple[float, ...]:
    """Each id's part of the pieces of the texts, of every text the first `room` pieces: as many as a row holds."""
    counts = [0] * vocabulary
    for first in range(0, len(texts), 4096):
        for pieces in tokenizer.encode_batch_fast(texts[first : first + 4096], add_special_tokens=False):
            for number in pieces.ids[:room]:
                counts[number] += 1
    total = max(sum(counts), 1)
    return tuple(count / total for count in counts)
