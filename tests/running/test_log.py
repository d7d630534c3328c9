"""What a person sees of scores."""

import io

from rich.console import Console

from vlobjectives import Score
from vlobjectives.running.log import score_table

NAMES = ["retrieval/{}/oracle/image_to_text/r1", "completion/{}/colour/global_image", "completion/{}/shape/local_image",
         "losses/{}/mltc/image"]


def test_a_table_of_two_splits_fits_into_eighty_columns():
    """No name and no number is broken; every score stands once a split, under its evaluation."""
    scores = {name.format(split): Score(1.0 if rate else 14.205, chance, 0.956, 1.0 if rate else 15.2, 100, rate)
              for split, chance in (("test", 0.123), ("test_new", 0.456))
              for name in NAMES for rate in [not name.startswith("losses")]}
    out = io.StringIO()
    Console(file=out, width=80).print(score_table(scores, "run, step 640: value [95 % interval]"))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines[2:]]
    assert [row[0] for row in rows] == ["retrieval", "oracle/image_to_text/r1", "completion", "colour/global_image",
                                        "shape/local_image", "losses", "mltc/image"]
    assert lines[3].split(maxsplit=1)[1].replace("  ", " ") == "100.0 [95.6, 100.0] 100.0 [95.6, 100.0] 12.3 / 45.6"
    assert "14.21 [0.96, 15.20]" in lines[-1]
