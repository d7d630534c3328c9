"""Several captions of a scene, and captions that are false in one thing, by the world's own oracle."""

import re
from collections import Counter

import pytest
from vlobj_data.scenes.claims import fits
from vlobj_data.scenes.dice import Dice
from vlobj_data.scenes.draws import CaptionDraw
from vlobj_data.scenes.scenes import Scenes
from vlobj_data.scenes.sets import caption_of, scene_of
from vlobj_data.scenes.words import TEMPLATES
from vlobj_data.scenes.world import COLOURS, MOTIONS, NEW_PAIRS, SHAPES, SPLITS, SceneWorld
from vlobj_data.scenes.wrong import KINDS, exchanges, wrong_caption

STILL, MOVING = SceneWorld(), SceneWorld(moving=True)
NEW = [f"{COLOURS[colour]} {SHAPES[shape]}" for shape, colour in NEW_PAIRS]


def words(text):
    return re.findall(r"[a-z]+", text)


def source(**options):
    return Scenes(Scenes.Config(**options))


def differing(one, other):
    assert len(words(one)) == len(words(other)), (one, other)
    return [pair for pair in zip(words(one), words(other), strict=True) if pair[0] != pair[1]]


@pytest.mark.parametrize("world", [STILL, MOVING], ids=["still", "moving"])
@pytest.mark.parametrize("split", SPLITS)
def test_exchanges_are_of_one_thing_and_what_is_shown_is_false(world, split):
    for number in range(25):
        scene = scene_of(world, split, number)
        for template in range(TEMPLATES):
            caption, found = caption_of(world, scene, template), {}
            for kind in KINDS:
                said = [each for each in exchanges(world, scene, caption, kind, split, Dice(0)) if each != caption]
                found[kind] = {each.text for each in said if not fits(each.claims, scene)}
                for text in found[kind]:
                    unlike = differing(caption.text, text)
                    assert len(unlike) == (2 if kind == "swap" else 1), (kind, caption.text, text)
            shown = wrong_caption(world, scene, caption, split, Dice(number))
            assert any(shown in texts for texts in found.values()) and shown != caption.text
            new = any(pair in re.sub(r"(striped|dotted|plain) ", "", shown) for pair in NEW)
            assert new == (split == "test_new")


def test_every_kind_is_shown():
    def kind_of(one, other):
        unlike = differing(one, other)
        return "swap" if len(unlike) == 2 else "/".join(sorted(unlike[0]))

    for options, least in (({}, 40), ({"frames": 4}, 40)):
        here = source(**options)
        shown = [here.sample("train", number, 0, 0).values for number in range(600)]
        kinds = Counter(kind_of(each["caption"], each["wrong_caption"]) for each in shown)
        assert kinds["swap"] > 20 and kinds["large/small"] > 20 and kinds["left/right"] > 15, kinds
        assert len(kinds) > least, kinds


def test_a_wrong_caption_is_fixed_in_held_out_splits_and_drawn_in_training():
    here, again = source(), source()
    assert len({here.sample("train", 8, epoch, 0).values["wrong_caption"] for epoch in range(20)}) > 8
    assert (
        len(
            {one.sample("test", 8, epoch, epoch).values["wrong_caption"] for epoch in range(3) for one in (here, again)}
        )
        == 1
    )
    assert here.columns["wrong_caption"].of_caption


def test_captions_are_drawn_without_replacement_the_first_as_ever():
    one, three, all_of_them = source(), source(captions=CaptionDraw(draw=3)), source(captions=CaptionDraw(draw=5))
    for split in ("train", "val"):
        for number in range(20):
            values = three.sample(split, number, 2, 1).values
            shown = [values[name] for name in ("caption", "caption_2", "caption_3")]
            assert shown[0] == one.sample(split, number, 2, 1).values["caption"]
            assert len(set(shown)) == 3 and set(shown) <= set(values["captions"])
            every = all_of_them.sample(split, number, 2, 1).values
            assert sorted(every[name] for name in every if re.fullmatch(r"caption(_\d)?", name)) == sorted(
                every["captions"]
            )
    seconds = [three.sample("train", 8, epoch, 0).values["caption_2"] for epoch in range(40)]
    assert len(set(seconds)) == 5
    assert all(three.columns[name].of_caption for name in ("caption_2", "caption_3"))
    assert "caption_2" not in one.columns


def test_captions_cut_to_a_word_are_wrong_by_another():
    for options, known in (({}, SHAPES), ({"frames": 4}, MOTIONS[1:])):
        here = source(start_epochs=1, captions=CaptionDraw(draw=2), **options)
        cut = [sample for sample in (here.sample("train", number, 0, 0) for number in range(60)) if sample.same < 0]
        assert len(cut) > 30
        for sample in cut:
            values = sample.values
            assert values["caption"] == values["caption_2"] != values["wrong_caption"] in known


def test_twins_have_every_column():
    here = source(captions=CaptionDraw(draw=2))
    for pair in here.twins("test", "swap", 3):
        for side in (pair.left, pair.right):
            assert set(side.values) == set(here.columns)
            assert len({side.values[name] for name in ("caption", "caption_2", "wrong_caption")}) == 3
