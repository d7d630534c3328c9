"""The table's numbers from summaries made by hand."""

import csv
import json
import math

import pytest

from vlobjectives.sweeping import show, tables
from vlobjectives.sweeping.tables import Cost

R1, LOSS = "retrieval/test/image_to_text/r1", "losses/test/itc/contrast"


def summary(r1: float, loss: float | None = None) -> dict:
    found = {R1: {"value": r1, "chance": 0.1, "low": 0, "high": 1, "n": 9, "per_cent": True}}
    return found | (
        {LOSS: {"value": loss, "chance": None, "low": 0, "high": 9, "n": 9, "per_cent": False}}
        if loss is not None
        else {}
    )


ROWS = {
    "base": {0: summary(0.50, 1.0), 1: summary(0.60, 1.5), 2: summary(0.70, 2.0)},
    "better": {
        0: summary(0.61, 1.0) | {"unusable": {"test": {"samples": 9, "unusable": 1, "first": "a"}}},
        1: summary(0.70, 1.5),
        2: summary(0.81, 2.0),
    },  # +11, +10, +11
    "wobbly": {0: summary(0.70, 0.0), 1: summary(0.50, 0.0), 2: summary(0.75, 0.0)},  # +20, -10, +5
    "half": {0: summary(0.40), 1: summary(0.50)},
    "none": {},
}


def by_row(name: str) -> dict[str, tables.Cell]:
    [score] = tables.scores(ROWS, [name])
    return {cell.row: cell for cell in score.cells}


def test_means_and_differences_by_hand():
    """t of two degrees: 4.3026527; deviations 0.1 of the base row, 1/sqrt(3) per cent of the differences."""
    cells = by_row(R1)
    assert list(cells) == ["base", "better", "wobbly", "half"]
    assert cells["base"].mean == pytest.approx((0.6, 0.6 - 4.3026527 * 0.1 / 3**0.5, 0.6 + 4.3026527 * 0.1 / 3**0.5))
    assert cells["base"].difference is None and cells["base"].verdict == ""
    half = 4.3026527 * 0.01 / 3
    assert cells["better"].difference == pytest.approx((0.32 / 3, 0.32 / 3 - half, 0.32 / 3 + half))


def test_paired_t_and_holm_by_hand():
    """With two degrees P = 1 - t / sqrt(2 + t^2): t = 32 for the first, and 0.05 / (0.15 / sqrt(3)) for the second."""
    cells = by_row(R1)
    first, second = (1 - t / math.sqrt(2 + t * t) for t in (32, 3**0.5 / 3))
    assert [cells[row].p for row in ("better", "wobbly")] == pytest.approx([first, second], abs=1e-12)
    assert cells["better"].adjusted == pytest.approx(2 * first, abs=1e-12)  # the smaller of two
    assert cells["wobbly"].adjusted == pytest.approx(second, abs=1e-12)
    assert cells["better"].verdict == "higher" and cells["wobbly"].verdict == "not significant"


def test_two_seeds_are_shown_and_not_judged():
    cell = by_row(R1)["half"]
    assert cell.seeds == cell.shared == 2 and cell.p is None and cell.adjusted is None
    assert cell.difference[0] == pytest.approx(-0.1) and cell.verdict == "not judged (2 seeds)"
    [score] = tables.scores({row: {0: seeds[0]} for row, seeds in ROWS.items() if seeds}, [R1])
    assert {one.verdict for one in score.cells} == {"", "not judged (1 seed)"}
    assert score.cells[0].mean == (0.5, -math.inf, math.inf)


def test_rows_without_the_score_are_left_out_and_an_equal_row_is_not_told_apart():
    cells = by_row(LOSS)
    assert list(cells) == ["base", "better", "wobbly"]
    assert cells["better"].adjusted == 1 and cells["better"].verdict == "not significant"
    assert cells["wobbly"].difference[0] == pytest.approx(-1.5) and cells["wobbly"].p > 0.02


def test_seeds_are_paired_by_their_number_and_not_by_their_place():
    rows = {"base": {5: summary(0.1), 6: summary(0.2), 7: summary(0.9)}, "late": {7: summary(0.8), 6: summary(0.1)}}
    [score] = tables.scores(rows, [R1])
    assert score.cells[1].shared == 2 and score.cells[1].difference == pytest.approx((-0.1, -0.1, -0.1))


def test_a_score_that_is_no_number_counts_nowhere():
    rows = {"base": {0: summary(0.1), 1: summary(math.nan)}, "other": {0: summary(0.2), 1: summary(0.3)}}
    [score] = tables.scores(rows, [R1])
    assert [cell.seeds for cell in score.cells] == [1, 2] and score.cells[1].shared == 1


@pytest.mark.parametrize(
    ("patterns", "evaluation", "names"),
    [
        ([], "retrieval", [R1]),
        ([], "losses", [LOSS]),
        ([], "rerank", []),
        (["*/r1"], "", [R1]),
        ([LOSS, "*"], "", [LOSS, R1]),
        (["losses/val/*"], "", []),
    ],
)
def test_which_scores_are_shown(patterns, evaluation, names):
    assert tables.chosen(patterns, evaluation, ROWS) == names


def test_seconds_of_a_run_that_logs_every_third_step(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, "seconds": s}) + "\n" for step, s in ((0, 0.5), (3, 0.7))), encoding="utf-8"
    )
    assert tables.seconds(tmp_path, 6) == pytest.approx(3.6)
    assert tables.seconds(tmp_path / "none", 6) is None


COSTS = [
    Cost("base", "", 13, 2e12, 61.4, 3, 3, {}),
    Cost("better", "a|b=1", 6, 5e11, None, 3, 3, {}),
    Cost("wobbly", "c=2", 6, 5e11, None, 3, 3, {}),
    Cost("half", "", 6, 1e12, 3.0, 2, 3, {"half, seed 2": "why"}),
    Cost("none", "", 6, 1e12, None, 0, 3, {}),
]


def test_markdown():
    text = show.markdown("A title", tables.scores(ROWS, [R1, LOSS]), COSTS, ["Failed: half, seed 2: why"])
    assert text.startswith("# A title\n\n") and text.endswith("\n\nFailed: half, seed 2: why\n")
    for line in (
        f"| **{R1} (%, chance 10.0)** |  |  |  |  |",
        "| base | 60.0 [35.2, 84.8] |  |  |  |",
        "| better | 70.7 [45.8, 95.5] | +10.7 [+9.2, +12.1] | 0.002 | higher |",
        "| wobbly | 65.0 [32.1, 97.9] | +5.0 [-32.3, +42.3] | 0.622 | not significant |",
        "| half | 45.0 [-18.5, 108.5] | -10.0 [-10.0, -10.0] |  | not judged (2 seeds) |",
        f"| **{LOSS}** |  |  |  |  |",
        "| base |  | 3 of 3 | 13 | 2 TFLOP | x 1.00 | 61 s |",
        "| better | a\\|b=1 | 3 of 3 | 6 | 500 GFLOP | x 0.25 |  |",
        "| half |  | 2 of 3, 1 failed | 6 | 1 TFLOP | x 0.50 | 3 s |",
    ):
        assert line in text.splitlines(), text


def test_csv_holds_the_numbers_in_full():
    lines = list(csv.DictReader(show.as_csv(tables.scores(ROWS, [R1]), COSTS).splitlines()))
    better = lines[1]
    assert better["row"] == "better" and float(better["difference"]) == pytest.approx(0.32 / 3, abs=1e-15)
    assert better["verdict"] == "higher" and better["flops"] == "500000000000.0" and better["seconds"] == ""
    assert lines[0]["difference"] == lines[0]["p"] == "" and lines[3]["p_holm"] == ""
