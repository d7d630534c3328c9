"""What each objective of examples/modern costs beside ITC alone, on the towers of `glscl`.

    pip install ./examples/modern; python benchmarks/modern_costs.py [--recipes DIR] [--json FILE]

Of each recipe GLSCL's other objectives are taken away; what is left is counted as `vlobj plan` counts it, on tensors
without numbers, for one process of 64 pairs in bf16: exact, and the same on every machine. A minute on two cores.
"""

import tempfile
from pathlib import Path
from typing import Any

import paired

from vlobjectives.costs import table
from vlobjectives.costs.measure import measure
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve

GLSCL = ("itm", "mlm", "mgsc", "mltc")
ALONE = f"""
model: {{fusion: null, words: null}}
masks: {{dropped: null, replaced: null, noisy_words: null, hidden_words: null}}
pairings: {{others: null}}
objectives: {{{", ".join(f"{name}: null" for name in GLSCL)}}}
optim: {{groups: []}}
plan: {{published: []}}
evaluate: {{rerank: null, itm: null, words: null, completion: null, binding: null, alignment: null, probe: null}}
"""
RECIPES = Path(__file__).resolve().parents[1] / "examples" / "modern" / "recipes"


def costs(recipe: str | Path, registry: Registry) -> dict[str, Any]:
    """What `vlobj plan --json` says of a recipe without GLSCL's other objectives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alone.yaml"
        path.write_text(f"extends: {recipe}{ALONE}", encoding="utf-8")
        plan: dict[str, Any] = table.data(
            measure(resolve(load(path, ("run.device=cpu", "run.precision=bf16")), registry))
        )
    return plan


def row(name: str, plan: dict[str, Any], base: dict[str, Any]) -> dict[str, str]:
    """A row of the table; factors are of ITC alone."""
    passes = plan["schedules"]["planned"]["passes"]
    vision = passes["vision"] + passes.get("vision~ema", 0)
    work, whole = (x["forward_per_sample"] + x["backward_per_sample"] for x in (plan, base))
    return {
        "objectives": " + ".join(one["name"] for one in plan["objectives"]),
        "recipe": name,
        "passes: vision, text": f"{vision}, {passes['text']}",
        "GFLOP a pair": f"{work / 1e9:.2f}",
        "of ITC's": f"x {work / whole:.2f}",
        "peak memory": f"{plan['peak_memory'] / 1e6:.0f} MB",
        "of its": f"x {plan['peak_memory'] / base['peak_memory']:.2f}",
    }


def rows(folder: Path) -> list[dict[str, str]]:
    """ITC alone, then every recipe of the package."""
    registry = Registry()
    base = costs("glscl", registry)
    found = {path.stem: costs(path, registry) for path in sorted(folder.glob("*.yaml"))}
    return [row(name, plan, base) for name, plan in {"glscl": base, **found}.items()]


if __name__ == "__main__":
    asked = paired.options(__doc__, recipes=(str(RECIPES), "folder of the recipes"))
    paired.show("A step of 64 pairs, forward and backward", rows(Path(asked.recipes)), asked.json)
