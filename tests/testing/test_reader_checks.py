"""Every check of readers finds the reader that fails it, and says what and where."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import Field

from vlobjectives import FieldSpec, Reader, ReaderConfig, TokenEncoding
from vlobjectives.errors import DataError
from vlobjectives.testing import CheckFailed, Toy, checks_of
from vlobjectives.testing.toy_data import LENGTH, SPECIAL

AUDIO = Path(__file__).parents[1] / "helpers" / "toy_audio.py"


class Words(Reader):
    """A table of the training captions' words. What fails a check overrides one thing."""

    class Config(ReaderConfig):
        size: int = Field(40, gt=5)

    def __init__(self, config):
        super().__init__(config)
        self.known = {}

    @property
    def spec(self):
        return FieldSpec("tokens", (LENGTH,), self.config.size, special=SPECIAL)

    def fit(self, rows):
        words = sorted({word for row in rows for word in row.split()})[: self.config.size - len(SPECIAL)]
        self.known = {word: number for number, word in enumerate(words, len(SPECIAL))}

    def read(self, value):
        if not isinstance(value, str):
            raise DataError(f"a caption is a text, not {value!r}", "name another column")
        words, ids, spans = value.split(), [], []
        for word in words:
            start = value.index(word, spans[-1][1] if spans else 0)
            spans.append((start, start + len(word)))
            ids.append(self.number(word))
        return TokenEncoding(ids, spans)

    def number(self, word):
        return self.known.get(word, SPECIAL["unknown"])

    def text(self, ids):
        words = {number: word for word, number in self.known.items()}
        return " ".join(words[number] for number in ids if number in words)

    def state(self):
        return dict(self.known)

    def load(self, state):
        self.known = dict(state)


class Shuffles(Words):
    def fit(self, rows):
        super().fit(rows)
        words = list(self.known)
        random.shuffle(words)
        self.known = {word: number for number, word in enumerate(words, len(SPECIAL))}


class OnTheClass(Words):
    table = Counter()

    def fit(self, rows):
        self.table.update(word for row in rows for word in row.split())

    def state(self):
        return dict(self.table)


class Seeds(Words):
    def fit(self, rows):
        torch.manual_seed(0)
        super().fit(rows)


class GoesOn(Words):
    def number(self, word):
        return self.known.setdefault(word, len(SPECIAL) + len(self.known) % (self.config.size - len(SPECIAL)))

    def fit(self, rows):
        self.known = {"w0": 5}


class GrowsSpec(Words):
    @property
    def spec(self):
        return replace(super().spec, vocabulary=len(SPECIAL) + len(self.known))


class ForgetsState(Words):
    def state(self):
        return {word: number for word, number in self.known.items() if number > 8}


class NumberKeys(Words):
    def state(self):
        return {number: word for word, number in self.known.items()}

    def load(self, state):
        self.known = {word: number for number, word in state.items()}


class NoJson(Words):
    def state(self):
        return {"known": set(self.known)}


class Counts(Words):
    def number(self, word):
        self.calls = getattr(self, "calls", 0) + 1
        return super().number(word) if self.calls % 7 else SPECIAL["unknown"]


class Lambda(Words):
    def __init__(self, config):
        super().__init__(config)
        self.clean = lambda text: text.strip()


class Outside(Words):
    def number(self, word):
        return super().number(word) + self.config.size - 8


class Begins(Words):
    def read(self, value):
        read = super().read(value)
        return TokenEncoding([SPECIAL["begin"], *read.ids], [(0, 0), *read.spans])


class NoSpans(Words):
    def read(self, value):
        return replace(super().read(value), spans=[])


class FarSpans(Words):
    def read(self, value):
        read = super().read(value)
        return replace(read, spans=[(start, end + 1) for start, end in read.spans])


class NoPadding(Words):
    @property
    def spec(self):
        return replace(super().spec, special={"begin": 0, "end": 1})


class Ids(Words):
    def read(self, value):
        return super().read(value).ids


class Letters(Words):
    def text(self, ids):
        return "".join(super().text(ids).split(" "))


class Trusts(Words):
    def read(self, value):
        return TokenEncoding([self.number(word) for word in value.split()], [(0, 0) for _ in value.split()])


class Longer(Words):
    @property
    def spec(self):
        return replace(super().spec, shape=(self.config.length,))

    class Config(Words.Config):
        length: int = LENGTH

        def tiny(self):
            return Longer.Config(length=99)


class Described(Words):
    @classmethod
    def described(cls, config):
        return FieldSpec("tokens", (LENGTH,), config.size + 1, special=SPECIAL)


class Vectors(Words):
    """Rows of [m, 3], declared 2 wide."""

    @property
    def spec(self):
        return FieldSpec("vectors", (4, 2))

    def read(self, value):
        super().read(value)
        return torch.zeros(2, 3)


FAULTS = [
    ("fit_repeats", Shuffles, "fitted on the same values a second time it learns something else: w"),
    ("fit_repeats", OnTheClass, "a second time it learns something else: w"),
    ("fit_repeats", Seeds, "`fit` moves torch's random state, which is the run's"),
    ("fit_repeats", NoJson, "what it learned is no JSON: Object of type set"),
    ("learns_in_fit_alone", GoesOn, "it learns from held-out values that it reads: the value has"),
    ("spec_before_fit", GrowsSpec, "its `spec` before `fit` is another one than after it: vocabulary is 5 and"),
    ("spec_before_fit", Described, "as `described` tells it is another one than after it: vocabulary is 41 and 40"),
    ("state_round_trips", ForgetsState, "restored from its state, what it reads is something else"),
    ("state_round_trips", NumberKeys, "restored from its state, what it reads is something else"),
    ("read_is_pure", Counts, "read a second time, in another order, a value is something else"),
    ("read_is_pure", Lambda, "it cannot be pickled"),
    ("as_spec", Outside, r"has the ids \[.*\], and its vocabulary is 40"),
    ("as_spec", Begins, r"has special ids \(begin\), which the host adds and masks put in"),
    ("as_spec", NoSpans, "ids and 0 spans"),
    ("as_spec", FarSpans, r"has the span \(.*\), and the text has \d+ characters"),
    ("as_spec", NoPadding, "its `spec` names no special id for pad"),
    ("as_spec", Ids, "is a list, not a TokenEncoding"),
    ("as_spec", Vectors, "is vectors of width 2 by its FieldSpec, and a sample has"),
    ("text_back", Letters, "which reads as something else: ids has"),
    ("refuses_other_values", Trusts, r"read\(None\) raises AttributeError"),
    ("tiny_is_small", Longer, "its small form is larger: 99 for 9"),
]


def one(name, *given):
    return next(check for check in checks_of(*given) if check.name == name)


@pytest.mark.parametrize(("name", "cls", "says"), FAULTS)
def test_faults(name, cls, says):
    with pytest.raises(CheckFailed, match=rf"(?s)fields.caption fails the check '{name}': .*{says}") as failure:
        one(name, cls)()
    assert "test_reader_checks.py:" in str(failure.value) and "    hint:  " in str(failure.value)


def test_a_sound_reader_passes():
    for check in checks_of(Words):
        check()


def test_a_reader_of_sounds_passes_on_its_own_source():
    sounds = Toy(data={"type": "toy_sounds"}, plugins=[AUDIO], fields={"spectrogram": {"of": "wave"}})
    for check in checks_of("spectrogram", sounds):
        check()


def test_a_column_that_is_not_there():
    with pytest.raises(CheckFailed, match=r"(?s)there is no column 'sound' for it to read.*hint:  say `of: COLUMN`"):
        one("as_spec", Words, {"of": "sound"})()
