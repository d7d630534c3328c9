"""Further views of a picture: what they may be, and that what is drawn hangs on seed, epoch, number and name alone."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from vlobj_data.scenes.scenes import Scenes
from vlobj_data.views import ViewConfig, show, view_columns

from vlobjectives.testing import parametrize_with_checks

TWO = {"second": {"crop": [0.4, 1.0], "jitter": 0.4}, "local": {"crop": [0.1, 0.4], "size": 32, "count": 2}}


def scenes(**options):
    return Scenes(Scenes.Config.model_validate_json(json.dumps(options), strict=True))


def ramps(height, width):
    """A picture whose first two channels say which row and column a pixel is of."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    return torch.stack([rows.expand(height, width), columns.expand(height, width), torch.zeros(height, width)]).byte()


def test_boxes_keep_to_their_share_and_shape():
    view, areas = ViewConfig(crop=(0.2, 0.5), size=64), []
    for number in range(120):
        seen = show(ramps(120, 120), view, "local", 0, 0, number)
        assert seen.shape == (3, 64, 64) and seen.dtype == torch.uint8
        high, wide = (float(seen[channel].max() - seen[channel].min()) + 1 for channel in (0, 1))
        assert 0.7 < wide / high < 1.43  # of a ramp a pixel is lost at each end
        areas.append(high * wide / 120**2)
    assert 0.17 < min(areas) < 0.23 and 0.45 < max(areas) < 0.53 and abs(np.mean(areas) - 0.35) < 0.02


def test_whole_boxes_are_the_picture_resized():
    picture = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    assert torch.equal(show(picture, ViewConfig(crop=(1.0, 1.0)), "second", 0, 0, 3), picture)
    long = show(ramps(20, 200), ViewConfig(crop=(0.9, 1.0), size=20), "second", 0, 0, 3)
    assert torch.equal(long[1, 0], torch.arange(90, 110).byte())  # nothing fits: the square in the middle


def test_jitter_and_hue_change_colours_and_keep_places():
    grey = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    bright = [int(show(grey, ViewConfig(crop=(1.0, 1.0), jitter=0.4), "x", 0, 0, n)[0, 0, 0]) for n in range(300)]
    assert min(bright) < 70 and max(bright) > 130 and min(bright) >= 59 and max(bright) <= 141
    red = torch.zeros(3, 8, 8, dtype=torch.uint8)
    red[0] = 200
    turned = {tuple(show(red, ViewConfig(crop=(1.0, 1.0), hue=0.1), "x", 0, 0, n)[:, 0, 0].tolist()) for n in range(50)}
    assert len(turned) > 20 and all(colour[0] >= 199 for colour in turned)
    assert {colour[1] > 0 for colour in turned} == {colour[2] > 0 for colour in turned} == {True, False}


def test_a_view_is_mirrored_only_where_it_may_be():
    view = ViewConfig(crop=(1.0, 1.0), flip=True)
    mirrored = [bool(show(ramps(8, 8), view, "x", 0, 0, number, may_flip=True)[1, 0, 0]) for number in range(200)]
    assert 70 < sum(mirrored) < 130
    assert not any(show(ramps(8, 8), view, "x", 0, 0, number)[1, 0, 0] for number in range(50))


def test_a_clip_is_cut_alike_in_all_frames():
    clip = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    view = ViewConfig(crop=(0.3, 0.6), size=16)
    seen = show(clip, view, "x", 0, 0, 5)
    assert torch.equal(seen, torch.stack([show(frame, view, "x", 0, 0, 5) for frame in clip]))


def test_what_is_drawn_hangs_on_seed_epoch_number_and_name():
    def seen(column="second", seed=0, when=0, number=0):
        return show(ramps(100, 100), ViewConfig(size=8, jitter=0.4), column, seed, when, number)

    others = [seen("third"), seen(seed=1), seen(when=1), seen(number=1), seen(when="val")]
    assert torch.equal(seen(), seen()) and not any(torch.equal(seen(), other) for other in others)


def test_columns_are_called_by_view_and_place():
    named = view_columns({"second": ViewConfig(), "local": ViewConfig(count=3)})
    assert list(named) == ["second", "local_1", "local_2", "local_3"]


@pytest.mark.parametrize(
    ("views", "why"),
    [
        ({"second": {"crop": [0.5, 0.4]}}, "in order"),
        ({"second": {"crop": [0.0, 0.4]}}, "in order"),
        ({"second": {"jitter": 1.5}}, "less than or equal to 1"),
        ({"second": {"zoom": 2}}, "Extra inputs"),
        ({"second": {"flip": True}}, "left and right"),
        ({"caption": {}}, "'caption', as another column"),
        ({"local": {"count": 2}, "local_1": {}}, "'local_1', as another column"),
        ({"two words": {}}, "letters, digits"),
    ],
)
def test_views_that_cannot_be_are_refused(views, why):
    with pytest.raises(ValidationError, match=why):
        scenes(views=views)


def test_scenes_give_views_as_columns():
    here = scenes(views=TWO)
    values = here.sample("train", 5, 0, 1).values
    for name, side in (("second", 64), ("local_1", 32), ("local_2", 32)):
        spec = here.columns[name]
        assert spec.kind == "picture" and spec.shape == values[name].shape == (3, side, side)
        assert values[name].dtype == np.uint8 and not spec.of_caption and spec.mean == here.columns["image"].mean
    assert (values["local_1"] != values["local_2"]).any()
    clips = scenes(views=TWO, frames=2)
    assert clips.columns["local_1"].shape == clips.sample("val", 0, 0, 0).values["local_1"].shape == (2, 3, 32, 32)


def test_views_change_with_epoch_and_seed_in_training_alone():
    here, again = scenes(views=TWO), scenes(views=TWO)

    def seen(split, epoch, seed, of=here):
        return of.sample(split, 5, epoch, seed).values["local_1"]

    assert (seen("train", 0, 0) != seen("train", 1, 0)).any() and (seen("train", 0, 0) != seen("train", 0, 1)).any()
    assert np.array_equal(seen("train", 1, 0), seen("train", 1, 0, again))
    assert np.array_equal(seen("val", 0, 0), seen("val", 3, 7, again))


def test_views_and_captions_move_nothing_that_was_there():
    """What a sample showed, and the digest that a run folder holds, are what they were."""
    plain, more = scenes(start_epochs=1), scenes(start_epochs=1, views=TWO, captions={"draw": 3})
    for split, epoch in (("train", 0), ("train", 1), ("val", 0)):
        one, other = plain.sample(split, 5, epoch, 1), more.sample(split, 5, epoch, 1)
        assert one.same == other.same and one.key == other.key
        for name in ("image", "caption", "question", "answer", "phrases", "wrong_caption"):
            assert np.array_equal(one.values[name], other.values[name]) or one.values[name] == other.values[name]
    assert plain.digest() != more.digest()
    assert scenes().digest() == "3578ba4f49c637c565da6569e5193bfebebf82c926bba6d65b183dd8a70f055d"


def test_tiny_keeps_views_and_captions():
    small = scenes(image_size=224, views={**TWO, "wide": {"size": 448}}, captions={"draw": 2}).config.tiny(64)
    assert {name: view.size for name, view in small.views.items()} == {"second": None, "local": 32, "wide": 64}
    assert small.captions.draw == 2 and "caption_2" in Scenes(small).columns


FEW = {"samples": 32, "val": 8, "test": 8, "test_new": 0}


@pytest.mark.slow
@parametrize_with_checks("scenes", {**FEW, "views": TWO, "captions": {"draw": 2}})
def test_checks_of_sources(check):
    """With loader workers, which take seconds to begin."""
    check()


BLURRED = {"RandomApply": {"transforms": [{"GaussianBlur": {"kernel_size": 5, "sigma": [0.5, 2.0]}}], "p": 0.5}}
LISTED = [
    {"RandAugment": {"num_ops": 2}},
    {"RandomGrayscale": {"p": 0.3}},
    {"RandomSolarize": {"threshold": 128}},
    BLURRED,
]


def photo(frames=()):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (*frames, 3, 32, 32), dtype=torch.uint8, generator=draw)


def test_transforms_of_torchvision_are_drawn_from_the_samples_key_alone():
    view = ViewConfig(transforms=LISTED)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = [show(photo(), view, "second", 0, 0, number) for number in range(20)]
    assert torch.equal(torch.get_rng_state(), before), "nobody else's random numbers change"
    torch.manual_seed(2)
    again = [show(photo(), view, "second", 0, 0, number) for number in reversed(range(20))][::-1]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.numpy().tobytes() for one in first}) > 15
    other = [show(photo(), view, "second", *when, 3) for when in ((0, 1), (1, 0), (0, "val"))]
    assert not any(torch.equal(first[3], one) for one in other)


def test_each_transform_does_what_its_name_says():
    def seen(*listed, picture=None):
        view = ViewConfig(crop=(1.0, 1.0), transforms=list(listed))
        return [show(photo() if picture is None else picture, view, "x", 0, 0, number) for number in range(200)]

    grey = [bool((one[0] == one[1]).all()) for one in seen({"RandomGrayscale": {"p": 0.2}})]
    assert 20 <= sum(grey) <= 60
    assert all(torch.equal(one, 255 - photo()) for one in seen({"RandomInvert": {"p": 1.0}})[:3])
    blurred = [float(one.float().std()) < 0.9 * float(photo().float().std()) for one in seen(BLURRED)]
    assert 70 <= sum(blurred) <= 130
    clip = show(photo((3,)), ViewConfig(transforms=[{"RandAugment": None}]), "x", 0, 0, 1)
    alike = photo()[None].expand(3, -1, -1, -1)
    frames = show(alike, ViewConfig(transforms=[{"RandAugment": None}, BLURRED]), "x", 0, 0, 1)
    assert clip.shape == (3, 3, 32, 32) and all(torch.equal(frame, frames[0]) for frame in frames)


@pytest.mark.parametrize(
    ("transforms", "why"),
    [
        ([{"RandomGreyscale": {}}], "no transform 'RandomGreyscale': RandomGrayscale"),
        ([{"RandomGrayscale": {"odds": 2}}], "does not take these arguments"),
        ([{"RandomHorizontalFlip": {}}], "option `flip`"),
        ([{"RandomApply": {"transforms": [{"RandomVerticalFlip": {}}]}}], "option `flip`"),
        ([{"MixUp": {}}], "several samples"),
        ([{"CenterCrop": {"size": 8}}], "no picture of bytes of the same size"),
        ([{"ToImage": {}, "ToPILImage": {}}], "a name with its arguments"),
        ([{"Normalize": {"mean": [0.5], "std": [0.5]}}], "Normalize cannot be applied|no picture of bytes"),
    ],
)
def test_transforms_that_cannot_be_are_refused(transforms, why):
    with pytest.raises(ValidationError, match=why):
        ViewConfig(transforms=transforms)


SUMS, DIGEST = [274148, 184645, 232066], "85c117dd2c7aeabeb3ac5c3fc774b4a88dcf7bf96f5db32611d94fb884b3a7f2"
"""Of views before there were transforms."""


def test_a_view_without_transforms_is_what_it_was():
    view = ViewConfig(crop=(0.3, 0.9), jitter=0.4, hue=0.1, size=24)
    assert [int(show(photo(), view, "second", 0, 2, number).sum()) for number in range(3)] == SUMS


def test_scenes_take_transforms_and_digests_of_others_stay():
    view = {"crop": [0.4, 1.0]}
    plain, more = scenes(views={"second": view}), scenes(views={"second": view | {"transforms": LISTED}})
    assert not np.array_equal(*(one.sample("train", 3, 0, 0).values["second"] for one in (plain, more)))
    assert plain.digest() == DIGEST == scenes(views={"second": view | {"transforms": []}}).digest() != more.digest()
