"""`parametrize_with_checks`: every kind by class and by name; what is none is refused in one line."""

import pytest
import torch

from vlobjectives import Mask, MaskConfig, MaskSample, Objective, Term, joint
from vlobjectives.errors import PluginError
from vlobjectives.functional import mask_to_indices, symmetric_info_nce
from vlobjectives.testing import CheckFailed, Toy, checks_of, mask_checks, objective_checks, parametrize_with_checks
from vlobjectives.testing.toy_parts import ToyDecoder, ToyFusion, ToyHead, ToyJoint, ToyText, ToyVision


class MyLoss(Objective):
    """A contrast."""

    def views(self, inputs):
        return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}

    def forward(self, image, text, gather):
        rows = symmetric_info_nce(gather(image.pooled), gather(text.pooled), 0.1)
        return {"it": Term(rows.sum(), len(rows))}


class MyMean(MyLoss):
    def forward(self, image, text):
        return {"it": Term((image.pooled * text.pooled).float().mean(), 1)}


class SecondWord(Mask):
    """Hides the first word of each caption, at every step the same one."""

    class Config(MaskConfig):
        fill: str = "mask"

    def size(self, site):
        return 1

    def draw(self, noise, site, batch):
        text = batch[site.input]
        hidden = (torch.arange(site.positions) == 1) & ~text.special
        index, ok = mask_to_indices(hidden, 1)
        return MaskSample(
            hidden, hidden, index, ok, ids=text.ids.masked_fill(hidden, site.special["mask"]), fill="mask"
        )

    def hides(self, site):
        return 0, 1


@parametrize_with_checks(MyLoss)
def test_a_class_passes_all_checks(check):
    if check.name != "processes_equal_one":  # seconds, and tried for all built-ins at once elsewhere
        check()


@pytest.mark.slow
def test_a_class_of_a_test_file_goes_to_two_processes():
    one("processes_equal_one", MyLoss)()


def test_ids_are_the_names_of_the_checks():
    def test_checks(check):
        check()

    mark = parametrize_with_checks("itc")(test_checks).pytestmark[0]
    assert [mark.kwargs["ids"](check) for check in mark.args[1]] == [check.name for check in objective_checks()]


def one(name, *given, **more):
    return next(check for check in checks_of(*given, **more) if check.name == name)


def test_a_fault_is_named_with_the_class_in_the_recipes_spelling():
    with pytest.raises(CheckFailed, match=r"(?s)^objectives.my_mean fails the check 'terms': .*float32.*\n    hint: "):
        one("terms", MyMean)()


def test_expected_failures_must_fail():
    known = {"new_each_step": "always the first word"}
    one("new_each_step", SecondWord, expected=known)()
    with pytest.raises(CheckFailed, match=r"masks.second_word fails the check 'new_each_step'"):
        one("new_each_step", SecondWord)()
    with pytest.raises(CheckFailed, match="passes the check 'well_formed', which was expected to fail"):
        one("well_formed", SecondWord, expected={"well_formed": "of old"})()
    with pytest.raises(ValueError, match="no such check: no_such"):
        checks_of(SecondWord, expected={"no_such": ""})


@pytest.mark.parametrize(
    ("component", "options", "check"),
    [
        ("itc", {"positives": "equal_captions"}, "terms"),
        ("objective:itm", {"negatives": "others"}, "terms"),
        ("vlobjectives/random_patches", {"ratio": 0.5, "fill": "drop"}, "well_formed"),
        ("hard_negatives", {}, "well_formed"),
        (ToyVision, {"patch": 8}, "as_spec"),
        (ToyText, {}, "padding_unseen"),
        (ToyFusion, {}, "as_spec"),
        (ToyDecoder, {}, "as_spec"),
        (ToyJoint, {}, "as_spec"),
        (ToyHead, {}, "as_spec"),
        (ToyText, Toy(model={"text": {"width": 12}}), "as_spec"),
        (MyLoss, Toy(objectives={"mine": {}, "itc": {}}), "terms"),
    ],
)
def test_every_kind_by_class_and_by_name(component, options, check):
    one(check, component, options)()


@pytest.mark.parametrize(("cls", "place"), [(ToyVision, "vision"), (ToyText, "text")])
def test_an_encoder_finds_the_toy_that_it_stands_in_for(cls, place):
    assert one("as_spec", cls).subject.placed[1] == place


def test_a_local_file():
    one("terms", "sigmoid_contrast", plugins=["examples/sigmoid_contrast.py"])()


@pytest.mark.parametrize(
    ("component", "says"),
    [
        (int, "int is no plug-in, there is nothing to check"),
        (Objective, "Objective is no plug-in"),
        (3, "3 is no plug-in: it is neither a class nor a name"),
        ("tic", "there is no plug-in 'tic': did you mean .*itc"),
        ("itm", "'itm' is a plug-in of several kinds: objective, evaluation"),
    ],
)
def test_what_is_none_is_refused(component, says):
    with pytest.raises(PluginError, match=says):
        parametrize_with_checks(component)


def test_the_checks_of_a_mask_are_those_of_its_kind():
    assert [check.name for check in checks_of(SecondWord)] == [check.name for check in mask_checks()]
