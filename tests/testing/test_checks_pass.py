"""Every built-in passes every check."""

import pytest
from built_ins import BY_CONTENT, COCA, EXPECTED, MASKS, MODEL, OBJECTIVES, PAIRINGS, toy_of

from vlobjectives.testing import Toy, mask_checks, objective_checks, pairing_checks, part_checks
from vlobjectives.testing.toys import MODEL as TOYS

TWO = "processes_equal_one"  # see runtime/test_distributed


def first_of_each(forms, kind):
    """The forms, of which the first of each component is quick; what its other options change is a slow test."""
    met = set()
    for form in forms:
        known = kind(form) in met
        met.add(kind(form))
        yield pytest.param(form, marks=pytest.mark.slow) if known else form


@pytest.mark.parametrize("form", list(first_of_each(OBJECTIVES, lambda form: form.split()[0])))
def test_objectives(form):
    toy, name = toy_of(form)
    for check in objective_checks(EXPECTED.get(form)):
        if check.name != TWO:
            check.run(name, toy)


@pytest.mark.parametrize("name", list(first_of_each(MASKS, lambda name: MASKS[name]["type"])))
def test_masks(name):
    for check in mask_checks({"new_each_step": "chosen by content, no chance in it"} if name in BY_CONTENT else None):
        check.run(name, Toy(masks={name: MASKS[name]}))


@pytest.mark.parametrize("name", PAIRINGS)
def test_pairings(name):
    for check in pairing_checks():
        check.run(name, Toy(pairings={name: PAIRINGS[name]}))


@pytest.mark.parametrize(("name", "frames"), [*((name, 1) for name in MODEL), ("vision", 2), ("fusion", 2)])
def test_parts(name, frames):
    """On toys, but for what reads other parts."""
    model = {name: MODEL[name]} if name in ("vision", "text") else MODEL
    for check in part_checks():
        check.run(name, Toy(model=model, data={"frames": frames}))


@pytest.mark.parametrize("name", TOYS)
def test_the_toys_themselves(name):
    for check in part_checks():
        check.run(name, Toy(data={"frames": 2}))


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"norm": "pre", "types": True}, {"classes": False}], ids=str)
def test_a_fusion_of_one_stream(more):
    fusion = {"type": "merged_attention", "width": 16, "depth": 2, "heads": 2, **more}
    for check in part_checks():
        check.run("fusion", Toy(model={**MODEL, "fusion": fusion}))


def test_a_fusion_in_which_the_text_alone_looks():
    for check in part_checks({"asked_for": "the picture looks at nothing and has no maps"}):
        check.run("fusion", Toy(model={**MODEL, "fusion": {**MODEL["fusion"], "looks": "text"}}))


@pytest.mark.parametrize("name", COCA)
def test_parts_of_coca(name):
    for check in part_checks():
        check.run(name, Toy(model=COCA))


def test_a_text_tower_by_the_rule_of_open_clip():
    for check in part_checks({"padding_unseen": "[CLS] sees the first padding position"}):
        check.run("text", Toy(model={"text": {**COCA["text"], "cls_mask": "open_clip"}}))


def test_a_text_tower_that_is_causal_and_one_with_an_output_map():
    for text in ({**MODEL["text"], "causal": True}, {**MODEL["text"], "out": 8}):
        for check in part_checks():
            check.run("text", Toy(model={"text": text}))
