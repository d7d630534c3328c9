"""What a person sees of scores."""

import io
import os

import pytest
from rich.console import Console

from vlobjectives import Score
from vlobjectives.runtime.log import Log, score_table

NAMES = [
    "retrieval/{}/oracle/image_to_text/r1",
    "completion/{}/colour/global_image",
    "completion/{}/shape/local_image",
    "losses/{}/mltc/image",
]


def test_a_table_of_two_splits_fits_into_eighty_columns():
    """No name and no number is broken; every score stands once a split, under its evaluation."""
    scores = {
        name.format(split): Score(1.0 if rate else 14.205, chance, 0.956, 1.0 if rate else 15.2, 100, rate)
        for split, chance in (("test", 0.123), ("test_new", 0.456))
        for name in NAMES
        for rate in [not name.startswith("losses")]
    }
    out = io.StringIO()
    Console(file=out, width=80).print(score_table(scores, "run, step 640: value [95 % interval]"))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines[2:]]
    assert [row[0] for row in rows] == [
        "retrieval",
        "oracle/image_to_text/r1",
        "completion",
        "colour/global_image",
        "shape/local_image",
        "losses",
        "mltc/image",
    ]
    assert lines[3].split(maxsplit=1)[1].replace("  ", " ") == "100.0 [95.6, 100.0] 100.0 [95.6, 100.0] 12.3 / 45.6"
    assert "14.21 [0.96, 15.20]" in lines[-1]


@pytest.mark.parametrize("columns", [None, "40"])
def test_where_there_is_no_terminal_nothing_is_cut(monkeypatch, capsys, columns):
    """Twelve splits in a file or a pipe, whatever the environment says of a terminal's width."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # as build servers do: colours, and no terminal
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    splits = [f"a_long_name_of_split_{number}" for number in range(12)]
    Log().scores({name.format(split): Score(0.5, 0.25, 0.4, 0.6, 100) for name in NAMES for split in splits}, "run")
    text = capsys.readouterr().out
    assert "\N{HORIZONTAL ELLIPSIS}" not in text and all(split in text for split in splits)
    assert text.count("50.0 [40.0, 60.0]") == 12 * len(NAMES)


def test_a_number_that_is_none_is_a_dash(capsys):
    inf = float("inf")
    Log().scores({"losses/test/itc/contrast": Score(1.791, None, -inf, inf, 6, per_cent=False)}, "run")
    text = capsys.readouterr().out
    assert "1.79 [-, -]" in text and "inf" not in text


def test_a_reader_who_has_seen_enough_ends_nothing(monkeypatch):
    """`vlobj run | head`: the run goes on in silence."""
    here, there = os.pipe()
    os.close(here)
    with os.fdopen(there, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        log = Log()
        log.say("one")
        log.say("two")
        assert log.console.quiet
