"""The scores of a recipe over seeds, each with its mean and 95 % interval, and beside them those of an ablation.

    python benchmarks/seeds.py [--recipe glscl] [--seeds 0,1,2] [--steps N] [--without mgsc,mltc] [--json FILE]

Trains one run after the other with `vlobj run`, six minutes a seed for glscl on two cores. `--without` trains each seed
once more with these objectives at weight 0 from the first step on: they cost nothing and teach nothing, and are still
scored; the last column is then the difference, seed by seed. Finished runs in `--folder` are read and not trained anew.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import paired

from vlobjectives.functional.statistics import paired_interval

SHOWN = (
    "retrieval/image_to_text/r1",
    "retrieval/text_to_image/r1",
    "rerank/image_to_text/r1",
    "rerank/text_to_image/r1",
    "itm/accuracy",
    "words/all",
    "words/colours",
    "words/shapes",
    "completion/colour/global_image",
    "completion/colour/global_text",
    "completion/colour/local_image",
    "completion/colour/local_text",
    "losses/itc/contrast",
    "losses/itm/match",
    "losses/mlm/words",
    "losses/mgsc/image",
    "losses/mgsc/text",
    "losses/mltc/image",
    "losses/mltc/text",
)

Summary = Mapping[str, Mapping[str, Any]]


def trained(recipe: str, place: Path, overrides: Sequence[str]) -> Summary:
    """summary.json of a run, which is trained if it is not there."""
    if (place / "summary.json").is_file():
        print(f"{place}: finished before, read")
    else:
        subprocess.run(
            [sys.executable, "-m", "vlobjectives", "run", recipe, "--out", str(place), *overrides], check=True
        )
    return json.loads((place / "summary.json").read_text(encoding="utf-8"))


def values(runs: Sequence[Summary], split: str, name: str) -> list[float]:
    """One value a seed; none where the recipe does not score this."""
    kind, rest = name.split("/", 1)
    return [run[f"{kind}/{split}/{rest}"]["value"] for run in runs if f"{kind}/{split}/{rest}" in run]


def main() -> None:
    asked = paired.options(
        __doc__,
        recipe=("glscl", "recipe, by name or file"),
        seeds=("0,1,2", "seeds"),
        steps=(0, "steps in place of the recipe's"),
        without=("", "objectives that the ablation leaves out"),
        split=("test", "the split of the scores"),
        folder=("runs/seeds", "where runs are made"),
        more=("", "further overrides, with blanks between"),
    )
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    common = [*([f"run.steps={asked.steps}"] if asked.steps else []), *asked.more.split()]
    left_out = [name for name in asked.without.split(",") if name]
    arms = {
        "": [],
        **({"without-" + "-".join(left_out): [f"objectives.{name}.weight=0" for name in left_out]} if left_out else {}),
    }
    runs: dict[str, list[Summary]] = {}
    for seed in seeds:
        for arm, changes in arms.items():
            name = "-".join(str(x) for x in (Path(asked.recipe).stem, f"seed{seed}", asked.steps or "", arm) if x)
            runs.setdefault(arm, []).append(
                trained(asked.recipe, Path(asked.folder) / name, [f"seed={seed}", *common, *changes])
            )
    rows = []
    for name in SHOWN:
        found = {arm: values(of_arm, asked.split, name) for arm, of_arm in runs.items()}
        whole = found[""]
        if not whole:
            continue
        row = {"score": name} | {f"seed {seed}": f"{value:.3f}" for seed, value in zip(seeds, whole)}
        row["mean"] = paired.said(paired.mean(whole))
        for arm in list(arms)[1:]:
            row[arm.replace("-", " ")] = paired.said(paired.mean(found[arm]))
            row["difference"] = paired.said(paired_interval(whole, found[arm]))
        rows.append(row)
    paired.show(f"{asked.recipe}, {asked.split}, mean [95 %] over seeds", rows, asked.json)


if __name__ == "__main__":
    main()
