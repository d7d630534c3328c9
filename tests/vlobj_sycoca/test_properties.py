"""What must hold of a whole SyCoCa (spec/sycoca.md 7, by its numbers there; the others are held beside their parts)."""

from dataclasses import replace

import pytest
import torch
from vlobj_sycoca.attentive_patches import AttentivePatches
from whole import WEIGHTS, drawn, example, other_pictures, other_text, step, system

FORMS = [
    {},
    {"select": "farthest"},
    {"select": "random"},
    {"select": "block"},
    {"score": "mean"},
    {"score": "class"},
    {"tie": "noise"},
]
FILLS = ["token", "drop", "pixels"]


def changed(pictures: torch.Tensor, hidden: torch.Tensor, patch: int = 2) -> torch.Tensor:
    """Other values in the pixels of these patches."""
    rows = pictures.shape[-2] // patch
    where = hidden.reshape(-1, 1, rows, rows).repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    return torch.where(where, pictures + 1 + pictures.roll(1, -1), pictures)


def gradients(whole, losses) -> dict[str, torch.Tensor]:
    whole.zero_grad(set_to_none=True)
    losses.total.backward()
    return {name: p.grad.clone() for name, p in whole.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_property_1_ic_keeps_exactly_what_tgmim_hides(form):
    for ratio in (0.25, 0.5):
        whole = system(**form)
        for name, share in (("spoken", ratio), ("clutter", 1 - ratio)):
            config = whole.masks[name].config.model_copy(update={"ratio": share})
            whole.masks[name] = AttentivePatches(config)
        draws = drawn(whole, example())
        assert torch.equal(draws["clutter"].hidden, ~draws["spoken"].hidden)
        assert (draws["spoken"].hidden.sum(1) == round(16 * ratio)).all()


def test_property_1_a_caption_without_words_hides_the_first_patches_or_random_ones():
    given = example()
    bare = other_text(given, torch.tensor([[10, 11, 0, 0, 0, 0]]).repeat(3, 1))
    hidden = drawn(system(), bare)["spoken"].hidden
    assert hidden[:, :8].all() and not hidden[:, 8:].any()
    hidden = drawn(system(tie="noise"), bare)["spoken"].hidden
    assert not torch.equal(hidden[0], hidden[1]) and (hidden.sum(1) == 8).all()


def test_property_6_pairs_in_another_order_change_no_loss():
    whole, given, order = system(), example(), torch.tensor([2, 0, 1])
    turned = given.rows(order)
    assert torch.equal(drawn(whole, given)["spoken"].hidden[order], drawn(whole, turned)["spoken"].hidden)
    one, two = whole(given, 0), whole(turned, 0)
    assert (one.total - two.total).abs() < 1e-9


def test_property_7_masks_carry_no_gradient():
    """The same draws given from outside leave every gradient as it was."""
    whole, given = system(), example()
    draws = drawn(whole, given)
    one, two = gradients(whole, whole(given, 0)), gradients(whole, step(whole, given, draws).losses)
    assert one.keys() == two.keys() and all((one[name] - two[name]).abs().max() < 1e-12 for name in one)


@pytest.mark.parametrize("fill", FILLS)
def test_property_8_what_is_seen_does_not_count_in_the_loss(fill):
    """A prediction at a seen patch gets no gradient, and a target there no say."""
    whole, given = system(fill=fill), example()
    found, tgmim = step(whole, given), whole.objectives["tgmim"]
    painted = found.of(tgmim.views(whole.inputs)["painted"])
    tokens = painted.tokens.detach().requires_grad_()
    term = tgmim(painted=replace(painted, tokens=tokens), batch=given)["pixels"]
    term.total.backward()
    assert (tokens.grad[~painted.draw.hidden] == 0).all()
    assert (tokens.grad[painted.draw.hidden] != 0).any(-1).all()
    other = other_pictures(given, changed(given["image"], ~painted.draw.hidden))
    again = tgmim(painted=replace(painted, tokens=tokens), batch=other)["pixels"]
    assert torch.equal(again.total, term.total)


@pytest.mark.parametrize("fill", FILLS)
def test_property_9_a_hidden_pixel_changes_the_target_and_not_the_prediction(fill):
    whole, given = system(fill=fill), example()
    draws = drawn(whole, given)
    view = whole.objectives["tgmim"].views(whole.inputs)["painted"]
    one = step(whole, given, draws)
    hidden = draws["spoken"].hidden
    unseen = step(whole, other_pictures(given, changed(given["image"], hidden)), draws)
    assert torch.equal(one.of(view).tokens, unseen.of(view).tokens)
    assert (one.losses.value("tgmim/pixels") - unseen.losses.value("tgmim/pixels")).abs() > 1e-6
    seen = step(whole, other_pictures(given, changed(given["image"], ~hidden)), draws)
    assert ((one.of(view).tokens - seen.of(view).tokens).abs().amax((1, 2)) > 1e-6).all()


def test_property_10_a_hidden_patch_of_the_clean_pass_changes_no_logit_by_itself():
    """The decoder does not look at it. The kept ones have seen it in the encoder: `ic_image: masked` ends that."""
    for how, blind in (("clean", False), ("masked", True)):
        whole, given = system(fill="drop", ic={"ic_image": how}), example()
        draws = drawn(whole, given)
        view = whole.objectives["ic"].views(whole.inputs)["written"]
        other = other_pictures(given, changed(given["image"], draws["clutter"].hidden))
        one, two = (step(whole, x, draws).of(view).tokens for x in (given, other))
        assert torch.equal(one, two) is blind


def test_property_12_the_last_id_changes_the_logit_that_is_thrown_away_and_a_label():
    whole, given = system(), example(rows=1)
    ids = given["text"].ids
    draws, view = drawn(whole, given), whole.objectives["ic"].views(whole.inputs)["written"]
    one, two = (step(whole, x, draws) for x in (given, other_text(given, torch.cat([ids[:, :-1], ids[:, -1:] - 4], 1))))
    same = (one.of(view).tokens == two.of(view).tokens).all(-1)[0]
    assert same.tolist() == [True] * 5 + [False]
    assert one.losses.value("ic/words") != two.losses.value("ic/words")


def test_property_13_what_stands_in_padding_changes_no_loss():
    whole, given = system(), example()
    table = whole.model["text"].words.weight
    losses = []
    for value in (0.0, 5.0):
        with torch.no_grad():
            table[0] = value  # the padding id's
        losses.append(whole(given, 0).total)
    assert torch.equal(*losses)


@pytest.mark.parametrize(("memory", "matters"), [("text", True), (None, False)])
def test_property_21_the_caption_matters_to_tgmim_and_not_to_mim(memory, matters):
    whole, given = system(tgmim={"memory": memory}), example()
    draws = drawn(whole, given)
    turned = other_text(given, given["text"].ids.roll(1, 0))
    one, two = (step(whole, x, draws).losses.value("tgmim/pixels") for x in (given, turned))
    assert bool((one - two).abs() > 1e-6) is matters


def test_property_22_the_total_is_the_weighted_sum_and_weight_0_costs_nothing():
    whole, given = system(), example()
    losses = whole(given, 0)
    parts = {name: losses.value(name) for name in losses.terms}
    assert losses.total.item() == pytest.approx(
        sum(WEIGHTS[name.split("/")[0]] * value.item() for name, value in parts.items())
    )
    whole.settings.weights["tgmim"] = 0
    live = whole.live(0)
    titles = {work.key.title for work in whole.plan(live).passes}
    assert live == ("itc", "ic") and not any("spoken" in name or "painter" in name for name in titles)
    found = gradients(whole, whole(given, 0))
    assert not any(name.startswith(("model.painter", "objectives.tgmim")) for name in found)


def passes(whole, share: str) -> list[str]:
    parts = [work.key.part for work in whole.plan(tuple(whole.objectives), share).passes]
    return sorted(part for part in parts if part != "joint")


def test_property_23_two_image_passes_one_text_pass_and_one_of_each_decoder():
    whole, given = system(), example()
    assert passes(whole, "all") == ["captioner", "painter", "text", "vision", "vision"]
    alone = passes(whole, "none")
    assert (alone.count("vision"), alone.count("text")) == (4, 3)
    masked = system(fill="drop", ic={"ic_image": "masked"})
    assert passes(masked, "all").count("vision") == 3
    one, two = gradients(whole, whole(given, 0)), None
    apart = system(share="none")
    two = gradients(apart, apart(given, 0))
    assert one.keys() == two.keys() and max((one[name] - two[name]).abs().max() for name in one) < 1e-9


def test_property_23_order_of_the_passes():
    """The masked pass waits for the two that its mask looks at."""
    whole = system()
    titles = [work.key.title for work in whole.plan(tuple(whole.objectives)).shares[0].work]
    draw = titles.index("spoken on image")
    assert max(map(titles.index, ("vision(image)", "text(text)"))) < draw < titles.index("vision(image * spoken)")


def test_property_24_the_scale_stays_in_its_bounds():
    """It begins at 1/0.07 and stays in [1, 100] after every step."""
    whole = system()
    joint = whole.model["joint"]
    assert joint.log_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-6)
    for log_scale, scale in ((9.0, 100), (-2.0, 1)):
        with torch.no_grad():
            joint.log_scale.fill_(log_scale)
        whole.after_step()
        assert joint.log_scale.exp().item() == pytest.approx(scale)
