"""Sharing changes nothing: planned is unshared, alone is in the mix, in loss and in gradients, for any mix."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlobjectives import Input, Mask, MaskConfig, ViewError, decoded, encoded, fused, joint
from vlobjectives.contracts.passes import MaskKey
from vlobjectives.contracts.views import View
from vlobjectives.planning.plan import make
from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.testing import Toy
from vlobjectives.testing.check import gradients, same, same_gradients
from vlobjectives.testing.objective_steps import own, weighted

GLSCL = Path(__file__).parents[2] / "recipes" / "glscl.yaml"
PICTURES, WORDS = ("dropped", "replaced", "greyed"), ("hidden_words", "noisy_words")
PAIRINGS = {
    "hard": {"type": "hard_negatives"},
    "both": {"type": "hard_negatives", "choose": "argmax", "sides": "both"},
    "every": {"type": "all_pairs"},
}
group, weight = st.sampled_from(["all", 2, 4]), st.sampled_from([0.5, 1.0, 3.0])
image_mask, text_mask = st.sampled_from(PICTURES), st.sampled_from(WORDS)


def entry(kind: str, **options) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries({"type": st.just(kind), "group": group, "weight": weight, **options})


ENTRY = st.one_of(
    entry("itc", positives=st.sampled_from(["pair", "equal_captions", "same_picture"])),
    entry("itm", negatives=st.sampled_from(["others", "hard"])),
    entry("itm", negatives=st.sampled_from(["others", "both", "every"]), scheme=st.just("matched_plus_wrong")),
    entry("mlm", mask=text_mask),
    entry("mgsc", image_mask=image_mask, text_mask=text_mask),
    entry("scl", image_mask=image_mask, text_mask=text_mask, loss=st.sampled_from(["contrastive", "l2", "cosine"])),
    entry("mltc", image_mask=st.sampled_from(["replaced", "greyed"]), text_mask=text_mask, context_mask=image_mask),
)
MIX = st.lists(ENTRY, min_size=2, max_size=5).map(lambda entries: {f"o{i}": one for i, one in enumerate(entries)})


def check_sharing(toy: Toy, step: int = 0) -> None:
    """Planned == unshared == each alone, at 1e-9 in float64."""
    batch = toy.batch()
    planned, apart = toy.system(), toy.changed(plan={"share": "none"}).system()
    wanted, found = planned(batch, step), apart(batch, step)
    names = planned.live(step)
    assert len(planned.plan(names).passes) <= len(apart.plan(names).passes)
    assert list(found.terms) == list(wanted.terms)
    for key in wanted.terms:
        same(found.value(key), wanted.value(key), key)
    per_objective = {name: gradients(planned, weighted(planned(batch, step), name)) for name in names}
    same_gradients(gradients(apart, found.total), gradients(planned, wanted.total))
    for name in names:
        alone = toy.changed(objectives={name: toy.objectives[name]}).system()
        losses = alone(batch, step)
        for key, value in own(losses, name).items():
            same(own(wanted, name)[key], value, f"{key} in the mix")
        same_gradients(per_objective[name], gradients(alone, weighted(losses, name)))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(mix=MIX, frames=st.sampled_from([1, 1, 2]))
def test_any_mix_on_toys(mix, frames):
    check_sharing(Toy(objectives=mix, pairings=PAIRINGS, data={"pictures": 5, "frames": frames}))


@cache
def glscl() -> Toy:
    """Parts, masks, pairings and objectives of the shipped recipe, the parts in their tiny form."""
    recipe, registry = load(GLSCL).recipe, Registry()
    model = {}
    for name, part in recipe.model.items():
        config = config_of(registry.get("part", part.type), part.options).tiny()
        model[name] = {"type": part.type, **config.model_dump(mode="json")}
    sections = {
        section: {
            name: one.model_dump(mode="json", exclude_none=True) for name, one in getattr(recipe, section).items()
        }
        for section in ("masks", "pairings", "objectives")
    }
    for one in sections["objectives"].values():
        one["weight"] = one["weight"] if isinstance(one["weight"], float) else one["weight"][-1][1]
    return Toy(model=model, data={"size": 32, "pictures": 6}, **sections)


def test_the_parts_of_glscl():
    check_sharing(glscl())


def test_the_parts_of_glscl_recomputed():
    toy = glscl()
    saving = toy.changed(plan={"checkpoint": ["vision", "text", "fusion"]})
    batch, (one, other) = toy.batch(), (each.system(True) for each in (toy, saving))
    wanted = gradients(one, one(batch, 0).total)
    same_gradients(gradients(other, other(batch, 0).total), wanted)


def test_what_glscl_shares():
    system = glscl().system()
    names = tuple(system.objectives)
    shared, apart = system.plan(names).passes, system.plan(names, "none").passes
    authors = system.plan(names, [["itm"], ["mlm"], ["itc"], ["mgsc", "mltc"]])
    assert [share.objectives for share in authors.shares] == [("itm",), ("mlm",), ("itc",), ("mgsc", "mltc")]
    assert len(shared) == len({work.key.title for work in shared}) < len(authors.passes) < len(apart)
    clean = [work for work in shared if work.key.title == "vision(image)"]
    assert clean[0].consumers == names


# ---- the list of passes


def test_every_pass_stands_once_and_after_what_it_is_fed():
    system = glscl().system()
    work = system.plan(tuple(system.objectives)).shares[0].work
    place = {each.key: number for number, each in enumerate(work)}
    assert len(place) == len(work)
    for each in work:
        for fed in each.key.fed if isinstance(each.key, View) else ():
            assert place[fed.run] < place[each.key]


def test_readings_join_in_one_pass_and_do_not_make_another():
    class Reads(type(Toy().system().objectives["itc"])):
        def views(self, inputs):
            x = inputs["image"]
            return {
                "a": encoded(x),
                "b": encoded(x).layer(0),
                "c": encoded(x).with_maps(),
                "d": joint(x).with_tokens(),
                "e": decoded(inputs["text"].masked("hidden_words"), x),
            }

    system = Toy().system()
    system.objectives["itc"] = Reads(system.objectives["itc"].config)
    passes = make(system, [["itc"]]).passes
    assert [work.key.title for work in passes] == [
        "vision(image)",
        "joint(vision(image))",
        "text(text * hidden_words)",
        "decoder(text(text * hidden_words), vision(image))",
    ]
    assert passes[0].reading.layers == {0} and passes[0].reading.maps
    assert passes[1].reading.tokens and all(work.trained for work in passes)


class Attentive(Mask):
    """Looks at what its own draw hides: a circle."""

    class Config(MaskConfig):
        fill: str = "token"
        at: str | None = None

    def views(self, inputs):
        return {"x": encoded(inputs["image"].masked(self.config.at))}


def test_views_that_cannot_be():
    def plan(**changes):
        system = Toy(components={"mask:attentive": Attentive}, **changes).system()
        return make(system, [tuple(system.objectives)])

    words = {"type": "mlm", "mask": "hidden_words"}
    with pytest.raises(ViewError, match="no mask 'away' in this recipe"):
        plan(objectives={"mlm": {"mask": "away"}})
    with pytest.raises(ViewError, match="no pairing 'away' in this recipe"):
        plan(objectives={"itm": {"negatives": "away"}})
    with pytest.raises(ViewError, match="mask circle looks at a view that needs its own draw"):
        plan(
            objectives={"mgsc": {"image_mask": "circle", "text_mask": "hidden_words"}},
            masks={"circle": {"type": "attentive", "at": "circle"}},
        )
    with pytest.raises(ViewError, match="already masked by 'noisy_words' and takes no second mask 'hidden_words'"):
        plan(objectives={"mlm": words}, inputs={"text": {"mask": "noisy_words"}})
    with pytest.raises(ViewError, match="needs a pairing"):
        fused(Input("image", "vision"), Input("text", "text"), keep=0.5)
    assert plan(objectives={"mlm": {"mask": None}}, inputs={"text": {"mask": "noisy_words"}}).passes


def test_pairings_look_at_inputs_as_the_recipe_has_them():
    """Mining costs no pass beside those of a contrast of the same, corrupted inputs (MVPTR)."""
    toy = Toy(objectives={"itm": {"negatives": "hard"}}, pairings=PAIRINGS, inputs={"text": {"mask": "noisy_words"}})
    system = toy.system()
    share = system.plan(("itm",)).shares[0]
    passes = {work.key.title: work for work in share.passes}
    assert set(passes["text(text * noisy_words)"].consumers) == {"pairing hard", "itm"} and "text(text)" not in passes
    assert passes["text(text * noisy_words)"].trained and passes["vision(image)"].trained
    assert [work.key for work in share.work if isinstance(work.key, MaskKey)] == [MaskKey("noisy_words", "text")]
    assert torch.isfinite(system(toy.batch(), 0).total)
