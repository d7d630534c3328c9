"""Regions of scenes: boxes of the things, what is seen in them, and what they hang on."""

import numpy as np
import pytest
from vlobj_data.scenes import paint, regions
from vlobj_data.scenes.scenes import Scenes
from vlobj_data.scenes.sets import scene_of
from vlobj_data.scenes.world import COLOURS, SceneWorld, recoloured


def source(**options) -> Scenes:
    return Scenes(Scenes.Config(image_size=64, samples=64, **options))


@pytest.mark.parametrize("size", [32, 64, 96])
def test_boxes_lie_in_the_picture_and_about_their_thing(size):
    for number in range(40):
        scene = scene_of(SceneWorld(), "train", number)
        boxes = np.array(list(regions.boxes(scene, size)))
        assert boxes.shape == (3 * len(scene.things), 4) and len(boxes) <= regions.MOST
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= size).all() and (boxes[:, 2:] > boxes[:, :2] + 1).all()
        own = [paint.box(thing, spot) for thing, spot in zip(scene.things, paint.layout(scene, size), strict=True)]
        assert boxes[::3].tolist() == [list(box) for box in own]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        for box, centre in zip(np.repeat(own, 3, 0), centres):
            assert (centre >= box[:2]).all() and (centre < box[2:]).all()  # a box of a thing counts as that thing


def test_a_region_is_pixels_of_its_box_and_where_it_lies():
    here = source()
    sample = here.sample("val", 3, 0, 0)
    found, picture = sample.values["regions"], sample.values["image"]
    spec = here.columns["regions"]
    assert spec.kind == "vectors" and spec.shape[1] == found.shape[1] == 198 and found.dtype == np.float32
    for row, (x1, y1, x2, y2) in zip(found, regions.boxes(scene_of(here.world, "val", 3), 64)):
        assert np.allclose(row[-6:] * 64, [x1, y1, x2, y2, x2 - x1, y2 - y1])
        pixels = row[:-6].reshape(3, 8, 8) * regions.SCALE + 128
        inside = picture[:, y1:y2, x1:x2]
        for channel, part in zip(pixels, inside):
            assert np.isin(channel.astype(int), part).all()
        assert pixels[:, 0, 0].astype(int).tolist() == inside[:, (y2 - y1) // 16, (x2 - x1) // 16].tolist()


def test_boxes_say_nothing_of_colour():
    scene = scene_of(SceneWorld(), "train", 1)
    other = recoloured(scene, 0, (scene.things[0].colour + 1) % len(COLOURS))
    assert list(regions.boxes(scene, 64)) == list(regions.boxes(other, 64))
    one, two = (regions.regions(x, paint.paint(x, 64)) for x in (scene, other))
    assert np.array_equal(one[:, -6:], two[:, -6:]) and not np.array_equal(one[0], two[0])


def test_regions_and_pictures_hang_on_no_caption():
    """Leak L7: another caption of the same scene shows the same pixels, regions and tags."""
    here = source()
    samples = [here.sample("train", 8, epoch, seed) for epoch in range(4) for seed in range(4)]
    assert len({sample.values["caption"] for sample in samples}) > 1
    for sample in samples[1:]:
        for column in ("image", "regions"):
            assert np.array_equal(sample.values[column], samples[0].values[column])
        assert sample.values["tags"] == samples[0].values["tags"]


def test_clips_have_no_regions():
    assert "regions" not in source(frames=4).columns
