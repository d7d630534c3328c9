"""Slips in a plug-in's class are said when the class is made, at its author's line, with the valid names."""

import inspect
from collections.abc import Callable

import pytest
import torch
from pydantic import Field

from vlobjectives import (
    Batch,
    Evaluation,
    EvaluationConfig,
    Head,
    Input,
    Mask,
    MaskConfig,
    Objective,
    ObjectiveConfig,
    PartConfig,
    Reader,
    Source,
    SourceConfig,
    Spec,
    Tracker,
)
from vlobjectives.contracts.passes import InputTable
from vlobjectives.errors import PluginError
from vlobjectives.planning.plan import bare


def host_key():
    class Own(Objective):
        class Config(ObjectiveConfig):  # here
            weight: float = 1.0


def host_key_by_its_alias():
    class Config(MaskConfig):  # here
        own: str = Field("x", alias="stream")


def host_key_below_a_config_of_ones_own():
    class Base(SourceConfig):
        folder: str = ""

    class Config(Base):  # here
        workers: int = 0


def config_of_another_kind():
    class Own(Objective):  # here
        class Config(PartConfig):
            width: int = 8


def config_that_is_none():
    class Own(Mask):  # here
        Config = dict


def source_word():
    class Own(Source):  # here
        can = frozenset({"twin"})


def mask_word():
    class Own(Mask):  # here
        needs = frozenset({"clips"})


def evaluation_words():
    class Own(Evaluation):  # here
        needs = "twins"


def spec_word():
    Spec(8, can=frozenset({"drop", "layer"}))  # here


def an_input():
    InputTable(image=Input("image", "vision"), text=Input("text", "text"))["caption"]  # here


def a_bare_input():
    bare(InputTable(image=Input("image", "vision")))["text"]  # here


def a_column():
    Batch(torch.arange(2), torch.arange(2), {"image": 1, "text": 2})["txt"]  # here


@pytest.mark.parametrize(
    ("slip", "says", "valid"),
    [
        (host_key, "Config has a field `weight`, which is the host's key", "group, sources, type, weight"),
        (host_key_by_its_alias, "Config has a field `stream`, which is the host's key", "stream, type"),
        (host_key_below_a_config_of_ones_own, "Config has a field `workers`", "max_bad"),
        (config_of_another_kind, "Own is a class of PartConfig, and must derive ObjectiveConfig", "ObjectiveConfig"),
        (config_that_is_none, "must derive MaskConfig", "class Config(MaskConfig)"),
        (source_word, "holds 'twin', which nothing knows: did you mean 'twins'?", "frames, oracle, regions, twins"),
        (mask_word, "holds 'clips', which nothing knows", "frames"),
        (evaluation_words, "is 'twins', and it must be a set of words", "frozenset"),
        (spec_word, "holds 'layer', which nothing knows: did you mean 'layers'?", "causal, continue, drop, frames"),
        (an_input, "there is no input 'caption'", "image, text"),
        (a_bare_input, "there is no input 'text'", "image"),
        (a_column, "called 'txt': did you mean 'text'?", "image, text"),
    ],
)
def test_a_slip_is_said_at_its_line(slip: Callable[[], None], says: str, valid: str):
    with pytest.raises(PluginError) as raised:
        slip()
    lines, first = inspect.getsourcelines(slip)
    (here,) = (first + number for number, line in enumerate(lines) if "# here" in line)
    assert says in raised.value.what and valid in raised.value.hint
    assert (raised.value.place.file, raised.value.place.line) == (__file__, here)


def test_what_a_third_party_makes_up_passes():
    class Deep(Source):
        can = frozenset({"twins", "depth"})

    class Depths(Evaluation):
        class Config(EvaluationConfig):
            least: float = 0.0

        needs = frozenset({"depth", "caption"})

    class Derived(Depths):
        class Config(Depths.Config):
            most: float = 1.0

    assert Spec(8, can=frozenset({"drop", "crop", "blur"})).can >= {"blur"}
    assert Derived.Config(most=2.0).least == 0.0 and Deep.can >= {"depth"}


def test_suits_is_told_by_what_came_in_its_place():
    with pytest.warns(DeprecationWarning, match=r"Own\.suits is called no longer: .*Needs\(ROLE\)"):

        class Own(Evaluation):
            def suits(self, objectives):
                pass


def test_what_the_host_asks_of_a_plug_in_is_declared_on_its_base_class():
    """A default stands where a plug-in need not answer; nothing is looked up that no contract names."""
    assert Source.described(None) is None and Reader.described(None) is None
    assert Objective(ObjectiveConfig()).counts() == {} and Objective(ObjectiveConfig()).writes({}) is None
    assert (Source.together, Source.settled_epoch, Tracker.paper, Head.width) == (1, 0, "", 0)
    with pytest.raises(NotImplementedError):
        Source(SourceConfig()).words("colour")
