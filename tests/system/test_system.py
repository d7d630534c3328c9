"""The system: weights, groups, precision, randomness, recomputing, and what one objective may not do to another."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vlobjectives import (
    Joint,
    Mask,
    MaskConfig,
    MaskSample,
    Objective,
    ObjectiveConfig,
    Pairing,
    Pairs,
    Term,
    encoded,
    joint,
)
from vlobjectives.functional import mask_to_indices
from vlobjectives.planning import execute
from vlobjectives.system.system import _random_state_kept
from vlobjectives.testing import Toy
from vlobjectives.testing.check import equal, gradients, same, same_gradients
from vlobjectives.testing.mask_checks import drawn
from vlobjectives.testing.objective_steps import own

GLOBAL = {"image_mask": "dropped", "text_mask": "hidden_words"}


def values(system, batch, step: int = 0) -> dict:
    losses = system(batch, step)
    return {key: losses.value(key) for key in losses.terms}


# ---- weights and groups


def test_an_objective_at_weight_0_costs_nothing_and_moves_nothing():
    toy = Toy(objectives={"itc": {}, "mlm": {"mask": "noisy_words", "weight": [[2, 0], [4, 1]]}})
    system = toy.system()
    assert system.live(0) == ("itc",) and system.live(3) == ("itc", "mlm")
    assert not [work for work in system.plan(system.live(0)).passes if "mlm" in work.consumers]
    found = gradients(system, system(toy.batch(), 0).total)
    assert not [key for key in found if key.startswith(("model.fusion", "model.words"))]
    losses = system(toy.batch(), 3)
    same(losses.total, losses.value("itc/contrast") + 0.5 * losses.value("mlm/words"), "the loss halfway up")


def test_a_metric_is_no_part_of_the_loss():
    system = Toy(objectives={"itm": {"negatives": "others", "weight": 2.0}}).system()
    losses = system(Toy().batch(), 0)
    assert losses.terms["itm/accuracy"].weight == 0 and losses.counts["itm/accuracy"] == 8
    same(losses.total, 2 * losses.value("itm/match"), "the loss")


@pytest.mark.parametrize(
    "objective", [("itc", {}), ("mgsc", GLOBAL), ("itm", {"negatives": "every", "scheme": "matched_plus_wrong"})]
)
def test_a_group_is_as_if_its_rows_were_alone(objective):
    name, options = objective
    toy = Toy(objectives={name: options}, pairings={"every": {"type": "all_pairs"}}).grouped(name, 4)
    system, batch = toy.system(), toy.batch()
    parts = [own(system(batch.rows(rows), 0), name) for rows in (slice(0, 4), slice(4, 8))]
    for key, value in own(system(batch, 0), name).items():
        same(value, (parts[0][key] + parts[1][key]) / 2, key)


def test_bounds_hold_after_a_step():
    system = Toy().system()
    with torch.no_grad():
        system.model["joint"].temperature.fill_(7.0)
    system.after_step()
    assert system.model["joint"].temperature == 1.0


# ---- what one objective may not do to another


def test_another_objective_changes_no_first_weights_and_no_draws():
    alone = Toy(objectives={"mlm": {"mask": "noisy_words"}})
    mix = alone.changed(objectives={"itc": {}, "mgsc": GLOBAL, "itm": {"negatives": "others"}, **alone.objectives})
    weights = dict(mix.system().named_parameters())
    for key, value in alone.system().named_parameters():
        assert torch.equal(value, weights[key]), key


def test_two_masks_of_one_stream_share_every_draw():
    toy = Toy(
        masks={
            "more": {"type": "random_patches", "ratio": 0.8, "fill": "token", "stream": "replaced"},
            "apart": {"type": "random_patches", "ratio": 0.8, "fill": "token"},
        }
    )
    system, batch = toy.system(), toy.batch()
    replaced, more, apart = (drawn(system, key, "image", batch).hidden for key in ("replaced", "more", "apart"))
    assert not (replaced & ~more).any()  # a longer start of the same order
    assert (replaced & ~apart).any()


class Dropping(Objective):
    """Has dropout of its own, after its views' passes."""

    def __init__(self, config):
        super().__init__(config)
        self.drop = nn.Dropout(0.5)

    def views(self, inputs):
        return {"x": joint(inputs["image"])}

    def forward(self, x, batch):
        return {"it": Term(self.drop(x.pooled).sum(), batch.size)}


def test_an_objectives_own_dropout_does_not_hang_on_the_mix():
    alone = Toy(objectives={"it": {}}, components={"objective:it": Dropping})
    mix = alone.changed(objectives={"itc": {}, "mgsc": GLOBAL, "it": {}})
    batch = alone.batch()
    found = [values(system, batch)["it/it"] for system in (alone.system(True), mix.system(True))]
    same(found[1], found[0], "in the mix, it", 0.0)
    assert values(alone.system(True), batch, step=1)["it/it"] != found[0]


def test_the_callers_random_state_is_left_alone():
    toy = Toy(dropout=0.3)
    before = torch.get_rng_state()
    toy.system(True)(toy.batch(), 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_random_state_is_kept_of_the_batchs_device_alone(device, monkeypatch):
    """By default torch keeps that of every GPU, which makes a context on each of them."""
    kept, stage = [], Toy().system(True).stage(0)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices=None: kept.append(devices))
    _random_state_kept(stage, torch.device(device))
    assert kept == [[] if device == "cpu" else [torch.device(device)]]


def test_dropout_differs_between_steps_and_micro_batches():
    toy = Toy(dropout=0.3)
    system, batch = toy.system(True), toy.batch()
    found = [system(batch, step, micro).total.item() for step, micro in ((0, 0), (1, 0), (0, 1))]
    assert len(set(found)) == 3 and system(batch, 0).total.item() == found[0]


# ---- recomputing


def test_recomputed_parts_give_the_same_gradients_dropout_included():
    toy = Toy(objectives={"mgsc": GLOBAL, "mlm": {"mask": "noisy_words"}, "itm": {"negatives": "others"}}, dropout=0.3)
    saving = toy.changed(plan={"checkpoint": ["vision", "text", "fusion"]})
    batch, runs, found = toy.batch(), [], []
    for each in (toy, saving):
        system = each.system(True)
        calls = []
        system.model["vision"].register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        found.append(gradients(system, system(batch, 0).total))
        runs.append(len(calls))
    same_gradients(found[1], found[0])
    assert runs[1] == 2 * runs[0], "nothing was recomputed"


def test_torch_sees_on_which_device_a_recomputed_pass_draws_its_dropout(monkeypatch):
    """It keeps the random state of the devices of tensors among the arguments, and looks into no Rows."""
    seen = []

    def watched(work, *given, **how):
        seen.append(any(isinstance(x, torch.Tensor) for x in given))
        return checkpoint(work, *given, **how)

    monkeypatch.setattr(execute, "checkpoint", watched)
    toy = Toy(objectives={"mgsc": GLOBAL}, plan={"checkpoint": ["vision", "text", "fusion"]})
    toy.system(True)(toy.batch(), 0)
    assert seen and all(seen)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recomputed_parts_draw_the_same_dropout_on_a_gpu():
    toy = Toy(objectives={"mgsc": GLOBAL}, dropout=0.3)
    batch, found = toy.batch().to("cuda"), []
    for each in (toy, toy.changed(plan={"checkpoint": ["vision", "text", "fusion"]})):
        system = each.system(True).cuda()
        found.append(gradients(system, system(batch, 0).total))
    same_gradients(found[1], found[0])


# ---- precision


class Watching(Pairing):
    """Says in which precision its products come out."""

    def views(self, inputs):
        return {"image": joint(inputs["image"])}

    def wrong(self, noise, batch, image):
        self.seen = (image.pooled.dtype, (image.pooled @ image.pooled.T).dtype, image.pooled.requires_grad)
        row = torch.arange(batch.size)
        return Pairs(row.roll(1), row, row, batch.same.roll(1) != batch.same)


class Looking(Mask):
    """Hides the first word of texts; looks at a joint view, which it must get in full precision without gradient."""

    class Config(MaskConfig):
        fill: str = "mask"

    def views(self, inputs):
        return {"image": joint(inputs["image"])}

    def size(self, site):
        return 1

    def draw(self, noise, site, batch, image):
        self.seen = (image.pooled.dtype, (image.pooled @ image.pooled.T).dtype, image.pooled.requires_grad)
        tokens = batch[site.input]
        hidden = (torch.arange(site.positions) == 1) & ~tokens.special
        index, ok = mask_to_indices(hidden, 1)
        return MaskSample(hidden, hidden, index, ok, ids=tokens.ids.masked_fill(hidden, 3))


def test_masks_pairings_and_losses_are_computed_in_full_precision_under_autocast():
    toy = Toy(
        objectives={"itm": {"negatives": "it"}, "mlm": {"mask": "it"}},
        pairings={"it": {}},
        masks={"it": {}},
        components={"pairing:it": Watching, "mask:it": Looking},
    )
    system, batch = toy.system().float(), toy.batch(dtype=torch.float32)
    system.autocast = ("cpu", torch.bfloat16)
    losses = system(batch, 0)
    full = (torch.float32, torch.float32, False)
    assert system.pairings["it"].seen == full and system.masks["it"].seen == full
    assert {term.total.dtype for key, term in losses.terms.items() if term.weight} == {torch.float32}
    assert losses.terms["itm/match"].total.item() != toy.system().float()(batch, 0).terms["itm/match"].total.item()


def test_what_a_mask_does_not_read_is_not_widened_for_it():
    """Of attention maps of all layers a copy in float32 is more than the pass itself."""
    toy = Toy(objectives={"mlm": {"mask": "it"}}, masks={"it": {}}, components={"mask:it": Looking})
    given = Joint(torch.zeros(8, 4, dtype=torch.bfloat16), torch.ones(()), torch.zeros(8, 9, 4, dtype=torch.bfloat16))
    view = toy.system().masks["it"].views(toy.system().bare)["image"]
    seen = execute._watched({"image": view}, {view.run: given})["image"]
    assert seen.pooled.dtype == torch.float32
    assert vars(seen)["tokens"].dtype == torch.bfloat16


class LookingAtText(Looking):
    """Looks at the clean text, on which nobody trains, before its encoder is trained on the masked one."""

    def views(self, inputs):
        return {"image": joint(inputs["text"])}


class OnMasked(Dropping):
    def views(self, inputs):
        return {"x": joint(inputs["text"].masked("it"))}


def test_a_pass_without_gradient_leaves_no_cast_weight_to_a_trained_one():
    toy = Toy(objectives={"it": {}}, masks={"it": {}}, components={"objective:it": OnMasked, "mask:it": LookingAtText})
    system, batch = toy.system().float(), toy.batch(dtype=torch.float32)
    system.autocast, kept = ("cpu", torch.bfloat16), {True: set(), False: set()}
    for part in system.model.values():
        part.register_forward_hook(lambda *_: kept[torch.is_grad_enabled()].add(torch.is_autocast_cache_enabled()))
    found = gradients(system, system(batch, 0).total)
    assert kept == {True: {True}, False: {False}}
    assert all(f"model.text.block.{name}.weight" in found for name in "qkv")


# ---- counts before passes


class Visible(Objective):
    """Reads what a mask leaves visible, and counts it where that is known."""

    class Config(ObjectiveConfig):
        mask: str

    def views(self, inputs):
        return {"x": encoded(inputs["text"]).visible(self.config.mask)}

    def forward(self, x, batch):
        return {"it": Term(torch.where(x.valid[..., None], x.tokens, 0.0).sum(), x.valid.sum())}

    def counts(self, x=None):
        return {} if x is None else {"it": x.valid.sum()}


@pytest.mark.parametrize("mask", ["hidden_words", "looks"])
def test_visible_positions_are_counted_where_the_draw_is_known(mask):
    toy = Toy(
        objectives={"it": {"mask": mask}},
        masks={"looks": {}},
        components={"mask:looks": Looking, "objective:it": Visible},
    )
    system, batch = toy.system(), toy.batch()
    losses, counts = system(batch, 0), system.counts(batch, 0)
    hidden = (batch["text"].valid.sum() - losses.counts["it/it"]).item()
    assert hidden > 0
    if mask == "looks":  # it draws after a pass
        assert counts == {}
    else:
        equal(counts, losses.counts, "counts")
