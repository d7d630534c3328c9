"""Every check finds the plug-in that fails it, and says which check it was and what to change."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from vlobj_models.causal_text import CausalText

from vlobjectives import (
    Encoder,
    Mask,
    MaskConfig,
    MaskName,
    MaskSample,
    Objective,
    ObjectiveConfig,
    Pairing,
    Pairs,
    Term,
    encoded,
    fused,
    joint,
)
from vlobjectives.functional import gather_tokens, mask_to_indices, symmetric_info_nce
from vlobjectives.testing import CheckFailed, Toy, mask_checks, objective_checks, pairing_checks, part_checks
from vlobjectives.testing.toy_parts import ToyText, ToyVision

# ---- objectives


class Good(Objective):
    """A contrast; what fails a check overrides one thing."""

    def views(self, inputs):
        return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}

    def forward(self, image, text, batch, gather):
        rows = symmetric_info_nce(gather(image.pooled), gather(text.pooled), 0.1)
        return {"it": Term(rows.sum(), len(rows))}


class Halves(Good):
    def forward(self, image, text, batch, gather):
        return {"it": Term((image.pooled * text.pooled).float().sum(), batch.size)}


class AllLayers(Good):
    def views(self, inputs):
        return {"image": encoded(inputs["image"])}

    def forward(self, image, batch):
        return {"it": Term(image.tokens.sum() + sum(x.sum() for x in image.layers.values()), batch.size)}


class WritesIds(Good):
    def forward(self, image, text, batch, gather):
        batch["text"].ids[:, 1] = 7
        return super().forward(image, text, batch, gather)


class WritesView(Good):
    def forward(self, image, text, batch, gather):
        image.pooled.add_(1)
        return super().forward(image, text, batch, gather)


class Detached(Good):
    def views(self, inputs):
        return {"image": fused(inputs["image"], inputs["text"]), "text": joint(inputs["text"])}

    def forward(self, image, text, batch):
        return {"it": Term(text.pooled.sum() * image.pooled.detach().sum(), batch.size)}


class Unused(Good):
    def views(self, inputs):
        return {**super().views(inputs), "both": fused(inputs["image"], inputs["text"])}


class ByPlace(Good):
    def forward(self, image, text, batch, gather):
        rows = (image.pooled * text.pooled).sum(1)
        return {"it": Term((rows * torch.arange(batch.size)).sum(), batch.size)}


class Words(Good):
    class Config(ObjectiveConfig):
        mask: MaskName = "hidden_words"

    def views(self, inputs):
        return {"text": encoded(inputs["text"].masked(self.config.mask))}

    def scored(self, text):
        return gather_tokens(text.tokens, text.draw.index).square().mean(-1).where(text.draw.index_ok, 0.0)

    def forward(self, text):
        return {"it": Term(self.scored(text).sum(), text.draw.index_ok.sum())}


class Mean(Words):
    def forward(self, text):
        return {"it": Term(self.scored(text).sum() / text.draw.index_ok.sum(), 1)}


class Chance(Good):
    def forward(self, image, text, batch, gather):
        return {"it": Term((image.pooled * text.pooled).sum() * torch.rand(()), batch.size)}


class Asks(Good):
    def forward(self, image, text, batch, gather):
        return {"it": Term(image.pooled.sum() * text.pooled.sum().item(), batch.size)}


class WrongCounts(Words):
    def counts(self, text):
        return {"it": text.valid.sum()}


OBJECTIVES = [
    ("terms", Halves, "float32"),
    ("planned_equals_alone", AllLayers, "beside another objective"),
    ("batch_read_only", WritesIds, "text.ids"),
    ("batch_read_only", WritesView, "image.pooled"),
    ("gradient_where_declared", Detached, "'fusion'"),
    ("every_view_used", Unused, "'both'"),
    ("rows_permuted", ByPlace, "differs by"),
    ("empty_counts", Mean, "captions without a word"),
    ("same_seed_same_value", Chance, "draws torch's random numbers"),
    ("micro_batches_equal_one", Words, "two micro-batches"),
    ("micro_batches_equal_one", WrongCounts, "`counts`"),
    ("static", Asks, "numbers"),
]


def named(checks, name):
    return next(each for each in checks if each.name == name)


@pytest.mark.parametrize(("name", "cls", "says"), OBJECTIVES)
def test_objectives(name, cls, says):
    with pytest.raises(CheckFailed, match=rf"(?s)objectives.it fails the check '{name}'.*{says}.*hint: "):
        named(objective_checks(), name).run("it", Toy(objectives={"it": {}}, components={"objective:it": cls}))


def test_the_good_one_keeps_them_all():
    for each in objective_checks():
        if each.name != "processes_equal_one":
            each.run("it", Toy(objectives={"it": {}}, components={"objective:it": Good}))


# ---- masks


class First(Mask):
    """Hides the first third of the words, or the patches, that are not special."""

    class Config(MaskConfig):
        fill: str = "mask"

    def size(self, site):
        return max(1, site.positions // 3)

    def hidden(self, noise, site, batch):
        order = noise.order("it", site.positions)
        hidden = torch.zeros(order.shape, dtype=torch.bool).scatter(1, order[:, : self.size(site)], True)
        return hidden & ~batch[site.input].special

    def draw(self, noise, site, batch):
        hidden = self.hidden(noise, site, batch)
        index, ok = mask_to_indices(hidden, self.size(site))
        ids = batch[site.input].ids.masked_fill(hidden, site.special["mask"])
        return MaskSample(hidden, hidden, index, ok, ids=ids, fill="mask")

    def hides(self, site):
        return 0, self.size(site)


class HidesPadding(First):
    def hidden(self, noise, site, batch):
        return super().hidden(noise, site, batch) | batch[site.input].special


class HidesMore(First):
    def hides(self, site):
        return 0, 1


class SharesDraws(First):
    def hidden(self, noise, site, batch):
        return super().hidden(noise.rows(torch.zeros_like(noise.number)), site, batch)


class TorchDraws(First):
    def hidden(self, noise, site, batch):
        return (
            (torch.rand(batch.size, site.positions) < 0.2)
            & ~batch[site.input].special
            & (torch.arange(site.positions) < 3)
        )


class Fixed(First):
    def hidden(self, noise, site, batch):
        return (torch.arange(site.positions) == 1) & ~batch[site.input].special


class MasksInPlace(First):
    def draw(self, noise, site, batch):
        drawn = super().draw(noise, site, batch)
        batch[site.input].ids.masked_fill_(drawn.hidden, site.special["mask"])
        return drawn


class Nonzero(First):
    def draw(self, noise, site, batch):
        drawn = super().draw(noise, site, batch)
        return replace(drawn, hidden=drawn.hidden & (drawn.hidden.nonzero().shape[0] > 0))


MASKS = [
    ("well_formed", HidesPadding, "special|padding|agree|twice"),
    ("within_bounds", HidesMore, "hides.. says"),
    ("by_number_alone", SharesDraws, "other rows"),
    ("same_seed_same_draw", TorchDraws, "draws something else"),
    ("new_each_step", Fixed, "draws the same"),
    ("batch_read_only", MasksInPlace, "text.ids"),
    ("static", Nonzero, "numbers"),
]


@pytest.mark.parametrize(("name", "cls", "says"), MASKS)
def test_masks(name, cls, says):
    with pytest.raises(CheckFailed, match=rf"(?s)masks.it fails the check '{name}'.*({says})"):
        named(mask_checks(), name).run("it", Toy(masks={"it": {}}, components={"mask:it": cls}))


def test_the_good_mask_keeps_them_all():
    for each in mask_checks():
        each.run("it", Toy(masks={"it": {}}, components={"mask:it": First}))


# ---- pairings


class Next(Pairing):
    """Each caption with the picture of the next row."""

    def shift(self, noise, batch):
        return 1

    def wrong(self, noise, batch):
        row = torch.arange(batch.size)
        image = (row + self.shift(noise, batch)) % batch.size
        return Pairs(image, row, row, batch.same[image] != batch.same[row])


class ItsOwn(Next):
    def wrong(self, noise, batch):
        pairs = super().wrong(noise, batch)
        return replace(pairs, valid=torch.ones_like(pairs.valid))


class TooMany(Next):
    def rows(self, group):
        return 2 * group


class AnyShift(Next):
    def shift(self, noise, batch):
        return int(torch.randint(1, 1000, ()))


class Renumbers(Next):
    def wrong(self, noise, batch):
        pairs = super().wrong(noise, batch)
        batch.same.add_(1)
        return pairs


PAIRINGS = [
    ("well_formed", TooMany, "image is"),
    ("never_the_same_picture", ItsOwn, "its own picture"),
    ("order_of_rows", Next, "other partners"),
    ("same_seed_same_pairs", AnyShift, "differs"),
    ("batch_read_only", Renumbers, "same"),
    ("static", AnyShift, "numbers"),
]


@pytest.mark.parametrize(("name", "cls", "says"), PAIRINGS)
def test_pairings(name, cls, says):
    with pytest.raises(CheckFailed, match=rf"(?s)pairings.it fails the check '{name}'.*{says}"):
        named(pairing_checks(), name).run("it", Toy(pairings={"it": {}}, components={"pairing:it": cls}))


# ---- parts


class LiesInSpec(ToyVision):
    def __init__(self, config, fields):
        super().__init__(config, fields)
        self.spec = replace(self.spec, width=self.spec.width + 1)


class BatchNorm(ToyVision):
    def forward(self, x, draw, want):
        out = super().forward(x, draw, want)
        return replace(out, tokens=out.tokens - out.tokens.mean(0))


class Peeks(ToyVision):
    def forward(self, x, draw, want):
        out = super().forward(x, draw, want)
        return replace(out, cls=out.cls + x.mean((1, 2, 3))[:, None, None])


class Sorts(ToyVision):
    def forward(self, x, draw, want):
        if draw is not None and draw.keep is not None:
            draw = replace(draw, keep=draw.keep.sort(1).values)
        return super().forward(x, draw, want)


class NoMaps(ToyVision):
    def forward(self, x, draw, want):
        return replace(super().forward(x, draw, want), maps={})


class Normalises(ToyVision):
    def forward(self, x, draw, want):
        return super().forward(x.sub_(1), draw, want)


class Noisy(ToyVision):
    def forward(self, x, draw, want):
        return super().forward(x + torch.rand_like(x), draw, want)


class NormsInTraining(ToyVision):
    def forward(self, x, draw, want):
        out = super().forward(x, draw, want)
        return replace(out, tokens=out.tokens - out.tokens.mean(0)) if self.training else out


class DrawsForAll(ToyVision):
    def forward(self, x, draw, want):
        return super().forward(x + torch.rand(()) if self.training else x, draw, want)


class OutOfBounds(ToyVision):
    def bounds(self):
        return {"mask_token": (100.0, 101.0)}


class OtherPatches(ToyVision):
    class Config(ToyVision.Config):
        def tiny(self):
            return self.model_copy(update={"patch": 8})


class OnCpu(ToyVision):
    def __init__(self, config, fields):
        super().__init__(config, fields)
        self.mask_token = nn.Parameter(torch.zeros(config.width, device="cpu"))


class Branches(ToyVision):
    def forward(self, x, draw, want):
        return super().forward(x / 2 if x.mean() > 100 else x, draw, want)


class Counts(ToyVision):
    calls = 0

    def forward(self, x, draw, want):
        self.calls += 1
        return super().forward(x * self.calls, draw, want)


class DetachesPlaces(ToyVision):
    def _places(self, x):
        places = super()._places(x)
        return places if places is self.places else places.detach()


class WritesPlaces(ToyVision):
    def _places(self, x):
        places = super()._places(x)
        if places is not self.places:
            self.places.data.clamp_(-1, 1)
        return super()._places(x)


class SaysOwnSize(ToyVision):
    def spec_for(self, fields):
        return replace(super().spec_for(fields), length=self.spec.length)


class SeesPadding(ToyText):
    def forward(self, x, draw, want):
        out = super().forward(x, draw, want)
        return replace(out, cls=out.tokens.mean(1, keepdim=True))


PARTS = [
    ("as_spec", LiesInSpec, "tokens are"),
    ("rows_apart", BatchNorm, "tokens"),
    ("hidden_unseen", Peeks, "cls"),
    ("kept_in_order", Sorts, "turned round"),
    ("other_sizes", DetachesPlaces, "no gradient reaches places"),
    ("other_sizes", WritesPlaces, "of its own size, after one of another"),
    ("other_sizes", SaysOwnSize, "tokens are"),
    ("asked_for", NoMaps, "no maps"),
    ("inputs_read_only", Normalises, "writes into"),
    ("stacked", NormsInTraining, "among the rows of another input"),
    ("stacked", DrawsForAll, "draws random numbers"),
    ("quiet_in_eval", Noisy, "second time"),
    ("starts_in_bounds", OutOfBounds, "mask_token"),
    ("tiny", OtherPatches, "Spec"),
    ("built_on_meta", OnCpu, "mask_token"),
    ("recomputed", Counts, "gradient"),
    ("static", Branches, "numbers"),
]


@pytest.mark.parametrize(("name", "cls", "says"), PARTS)
def test_parts(name, cls, says):
    assert issubclass(cls, Encoder)
    with pytest.raises(CheckFailed, match=rf"(?s)model.vision fails the check '{name}'.*{says}"):
        named(part_checks(), name).run("vision", Toy(model={"vision": {"type": "it"}}, components={"encoder:it": cls}))


def test_a_text_encoder_that_sees_padding():
    toy = Toy(model={"text": {"type": "it"}}, components={"encoder:it": SeesPadding})
    with pytest.raises(CheckFailed, match=r"(?s)model.text fails the check 'padding_unseen'.*cls"):
        named(part_checks(), "padding_unseen").run("text", toy)


class Forgets(CausalText):
    """Reads each piece as if it were the beginning."""

    def decode_step(self, ids, past):
        return super().decode_step(ids, None)


def test_a_causal_encoder_that_forgets_what_it_read():
    toy = Toy(model={"text": {"type": "it", "width": 16, "depth": 1, "heads": 2}}, components={"encoder:it": Forgets})
    with pytest.raises(CheckFailed, match=r"(?s)model.text fails the check 'continued': piece by piece"):
        named(part_checks(), "continued").run("text", toy)


# ---- expected failures


def test_an_expected_failure_is_wanted():
    toy = Toy(masks={"it": {}}, components={"mask:it": Fixed})
    named(mask_checks(expected={"new_each_step": "no chance in it"}), "new_each_step").run("it", toy)
    with pytest.raises(CheckFailed, match="passes the check 'well_formed', which was expected to fail"):
        named(mask_checks(expected={"well_formed": "of old"}), "well_formed").run("it", toy)
    with pytest.raises(ValueError, match="no such check: well_fromed; there are well_formed"):
        mask_checks(expected={"well_fromed": "misspelt"})


def test_options_alone_name_what_is_installed():
    named(objective_checks(), "terms").run("mlm", {"mask": "noisy_words"})
    named(pairing_checks(), "never_the_same_picture").run("hard", {"type": "hard_negatives"})
