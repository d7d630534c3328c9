"""MVPTR's objectives, its encoder and its fusion pass every check, on both of its models."""

import pytest
from toy_detections import toy

from vlobjectives.testing import objective_checks, part_checks, processes
from vlobjectives.testing.processes import broken, cases

MINED = {"micro_batches_equal_one": "whose texts have phrases hangs on whom mining chose, known after the passes only"}
WORDS = {"phrases": "caption"}  # of the toys every word is a phrase
FORMS = {
    "mcr of tags": ("regions", {}),
    "mcr of slots": ("patches", {"source": "slots", "targets": "concepts"}),
    "wpg": ("regions", WORDS),
    "wpg pick": ("patches", {**WORDS, "rule": "pick"}),
    "wpg max of layer 0": ("regions", {**WORDS, "rule": "max", "layer": 0}),
    "wpg reencoded": ("regions", {**WORDS, "mode": "reencoded", "negatives": "mined"}),
    "wpg reencoded pick": ("regions", {**WORDS, "mode": "reencoded", "negatives": "others", "rule": "pick"}),
}


SLOW = {"wpg max of layer 0", "wpg reencoded pick", "wpg pick", "wpg reencoded"}
"""What the others hold of modes and of rules, together."""


@pytest.mark.parametrize("form", [pytest.param(form, marks=[pytest.mark.slow] * (form in SLOW)) for form in FORMS])
def test_objectives(form):
    name, (model, options) = form.split()[0], FORMS[form]
    for check in objective_checks(MINED if options.get("negatives") == "mined" else None):
        if check.name != "processes_equal_one":
            check.run(name, toy(model, objectives={name: options}))


def test_two_processes_are_one(monkeypatch):
    monkeypatch.setattr(processes, "START", "fork")
    tried = [(form.split()[0], *FORMS[form]) for form in ("mcr of tags", "mcr of slots", "wpg pick", "wpg reencoded")]
    assert not broken(
        [case for name, model, options in tried for case in cases(toy(model, objectives={name: options}), name)]
    )


@pytest.mark.parametrize("more", [{}, {"norm": "pre", "region_norm": True}], ids=str)
def test_the_encoder_of_tags_and_regions(more):
    whole = toy()
    vision = {**whole.model["vision"], **more}
    for check in part_checks():
        check.run("vision", whole.changed(model={**whole.model, "vision": vision}))


@pytest.mark.parametrize("form", ["regions", "patches"])
def test_the_fusion(form):
    for check in part_checks():
        check.run("fusion", toy(form))


def test_an_encoder_with_slots():
    for check in part_checks():
        check.run("vision", toy("patches"))
