"""Properties of the embedded data: purity, the splits, the proof, regions, twins, clips, and the source over them."""

import pickle
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError
from vlobj_data.scenes import motion, paint
from vlobj_data.scenes.claims import RELATIONS, Claims, Mention, fits, holds
from vlobj_data.scenes.dice import Dice
from vlobj_data.scenes.oracle import oracle_r_at_1
from vlobj_data.scenes.questions import ANSWERS, questions
from vlobj_data.scenes.scenes import Scenes
from vlobj_data.scenes.sets import (
    EvaluationSet,
    caption_of,
    collisions,
    colour_swaps,
    evaluation_set,
    fixed_template,
    scene_of,
    start_scene,
)
from vlobj_data.scenes.twins import KINDS, differing, twin_scenes, where
from vlobj_data.scenes.words import TEMPLATES
from vlobj_data.scenes.world import (
    COLOURS,
    MOTIONS,
    NEW_PAIRS,
    PATTERNS,
    SEEN_PAIRS,
    SHAPES,
    SIZES,
    SPLITS,
    NoScene,
    Scene,
    SceneWorld,
    Thing,
)

from vlobjectives.errors import DataError

STILL, MOVING = SceneWorld(), SceneWorld(moving=True)
BOTH = pytest.mark.parametrize("world", [STILL, MOVING], ids=["still", "moving"])
RED, BLUE = COLOURS.index("red"), COLOURS.index("blue")
CIRCLE, SQUARE = SHAPES.index("circle"), SHAPES.index("square")


def words(text):
    return re.findall(r"[a-z]+", text)


def captions(world, scene):
    return [caption_of(world, scene, template) for template in range(TEMPLATES)]


def same(a, b):
    """Whether two samples are equal in every column."""
    assert a.same == b.same and set(a.values) == set(b.values)
    return all(
        np.array_equal(a.values[name], b.values[name])
        if isinstance(a.values[name], np.ndarray)
        else a.values[name] == b.values[name]
        for name in a.values
    )


# --- purity ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("split", SPLITS)
def test_scenes_do_not_hang_on_the_order_of_calls(world, split):
    numbers = [40, 3, 17, 0, 41]
    there = {number: scene_of(world, split, number) for number in numbers}
    evaluation_set.cache_clear()
    assert {number: scene_of(world, split, number) for number in sorted(numbers)} == there


def test_another_process_makes_the_same_samples():
    code = (
        "import hashlib; from vlobj_data.scenes.scenes import Scenes; s = Scenes(Scenes.Config(seed=3)); "
        "x = [s.sample(p, 7, 2, 5).values for p in ('test', 'train')]; "
        "print(hashlib.sha256(b''.join(v['image'].tobytes() + v['caption'].encode() for v in x)).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": salt},
        ).stdout
        for salt in "12"
    }
    assert len(said) == 1 and len(said.pop().strip()) == 64


def test_splits_and_seeds_differ():
    firsts = [scene_of(SceneWorld(seed=seed), split, 0) for seed in (0, 1) for split in SPLITS]
    assert len({scene.look for scene in firsts}) == len(firsts)


def test_dice_are_fair_and_keyed():
    assert [Dice(1, 2).word() for _ in range(3)] == [Dice(1, 2).word()] * 3
    assert Dice(1, 2).word() != Dice(2, 1).word() and Dice(0).word() != Dice(0, 0).word()
    dice = Dice(7)
    counts = Counter(dice.weighted((0.5, 0.0, 0.5)) for _ in range(2000))
    assert counts[1] == 0 and abs(counts[0] - 1000) < 150
    assert abs(sum(dice.below(10) for _ in range(2000)) / 2000 - 4.5) < 0.3
    assert sorted(dice.shuffled(range(9))) == list(range(9))


# --- splits ---------------------------------------------------------------------------------------------------


@BOTH
def test_new_combinations_never_occur_in_training_and_always_in_test_new(world):
    for split in SPLITS:
        for number in range(400):
            new = sum(thing.pair in NEW_PAIRS for thing in scene_of(world, split, number).things)
            assert new == 0 if split != "test_new" else new >= 1
    assert all(start_scene(world, number).things[0].pair in SEEN_PAIRS for number in range(400))
    pairs = {thing.pair for number in range(1500) for thing in scene_of(world, "train", number).things}
    assert pairs == set(SEEN_PAIRS) and len(NEW_PAIRS) == 6


def test_counts_follow_their_odds():
    counts = Counter(len(scene_of(SceneWorld(twins=0), "train", number).things) for number in range(4000))
    assert all(abs(counts[n] / 4000 - odds) < 0.03 for n, odds in zip((1, 2, 3, 4), STILL.counts, strict=True))
    fours = SceneWorld(counts=(0, 0, 0, 1), twins=0)
    assert all(len(scene_of(fours, "train", number).things) == 4 for number in range(20))


@BOTH
def test_no_scene_names_two_things_alike(world):
    for number in range(300):
        things = scene_of(world, "train", number).things
        assert len({thing.pair for thing in things}) == len({thing.cell for thing in things}) == len(things)
        assert [thing.cell for thing in things] == sorted(thing.cell for thing in things)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.05, 0.03, 0.07), (0.5, 0.5, 0.5)])
def test_a_share_of_training_numbers_is_followed_by_its_twin(share, least, most):
    world = SceneWorld(twins=share)
    scenes = [scene_of(world, "train", number) for number in range(2000)]
    followed = sum(b in colour_swaps(world, a, "train") for a, b in pairwise(scenes))
    assert least <= followed / 2000 <= most


def test_the_twin_of_a_clip_runs_the_other_way():
    world = SceneWorld(moving=True, twins=0.5)
    for number in range(0, 200, 2):
        scene, twin = scene_of(world, "train", number), scene_of(world, "train", number + 1)
        assert twin == motion.turned(scene) and motion.turned(twin) == scene
        ends = {(thing.pair, track.last) for thing, track in zip(scene.things, motion.tracks(scene, 64), strict=True)}
        for thing, track in zip(twin.things, motion.tracks(twin, 64), strict=True):
            assert any(
                pair == thing.pair and max(abs(a - b) for a, b in zip(last, track.first)) < 16 for pair, last in ends
            )
        for one, other in ((scene, twin), (twin, scene)):
            assert not any(fits(caption.claims, other) for caption in captions(world, one))


def test_start_scenes_are_single_and_half_of_the_neighbours_are_shape_twins():
    scenes = [start_scene(STILL, number) for number in range(1000)]
    assert all(len(scene.things) == 1 for scene in scenes)
    twins = [a.look == b.look for a, b in zip(scenes[::2], scenes[1::2], strict=True)]
    assert 0.4 < sum(twins) / 500 < 0.6
    for is_twin, a, b in zip(twins, scenes[::2], scenes[1::2], strict=True):
        assert not is_twin or (
            a.things[0].shape != b.things[0].shape and a.things[0]._replace(shape=b.things[0].shape) == b.things[0]
        )


def test_of_the_start_of_clips_half_of_the_neighbours_run_the_other_way():
    scenes = [start_scene(MOVING, number) for number in range(1000)]
    assert all(len(scene.things) == 1 and scene.things[0].motion for scene in scenes)
    twins = [(a, b) for a, b in zip(scenes[::2], scenes[1::2], strict=True) if a.look == b.look]
    assert 200 < len(twins) < 300
    assert all(motion.turned(a) == b != a for a, b in twins)


# --- captions and the proof -----------------------------------------------------------------------------------


@BOTH
def test_a_caption_is_true_of_its_scene_and_its_phrases_lie_where_it_says(world):
    for number in range(300):
        scene = scene_of(world, "train", number)
        for caption in captions(world, scene):
            assert fits(caption.claims, scene)
            assert sorted(phrase.thing for phrase in caption.phrases) == list(range(len(scene.things)))
            for phrase in caption.phrases:
                thing = scene.things[phrase.thing]
                assert caption.text[phrase.first : phrase.end] == phrase.text
                told = set(words(phrase.text))
                assert {COLOURS[thing.colour], SHAPES[thing.shape]} <= told
                assert told <= {COLOURS[thing.colour], SHAPES[thing.shape], SIZES[thing.size], PATTERNS[thing.pattern]}


@BOTH
def test_the_vocabulary_is_small_and_captions_are_short(world):
    lengths, vocabulary = [], Counter()
    for number in range(1500):
        for caption in captions(world, scene_of(world, "train", number)):
            assert caption.text == caption.text.lower()
            vocabulary.update(words(caption.text))
            lengths.append(len(re.findall(r"[a-z]+|[,:]", caption.text)))
    assert 45 <= len(vocabulary) <= 60
    assert max(lengths) <= 32 and 15 <= np.mean(lengths) <= 19


def test_every_single_claim_can_make_a_caption_false():
    a = Thing(CIRCLE, RED, 0, 1, 0)
    b = Thing(SQUARE, BLUE, 1, 0, 3)
    scene = Scene((a, b), 1)
    said = Mention(CIRCLE, RED, 0, 1, 0, 0, 0)
    assert fits(Claims((said,), total=2, large=1, moving=0), scene)
    for key in Mention._fields:
        assert not fits(Claims((said._replace(**{key: 5}),)), scene), key
    for wrong in ({"total": 1}, {"large": 2}, {"moving": 1}, {"bare_row": 0}):
        assert not fits(Claims((said,), **wrong), scene), wrong
    assert fits(Claims((said,), bare_row=1), Scene((a,), 1))
    both = said, Mention(SQUARE, BLUE)
    for word in RELATIONS:
        assert fits(Claims(both, ((0, word, 1),)), scene) == (word in ("left of", "above"))
        assert fits(Claims(both, ((1, word, 0),)), scene) == (word in ("right of", "below"))


def test_relations_hold_between_the_painted_things():
    for number in range(200):
        scene = scene_of(STILL, "train", number)
        spots = paint.layout(scene, 64)
        for a, p in zip(scene.things, spots, strict=True):
            for b, q in zip(scene.things, spots, strict=True):
                if holds(a, "left of", b):
                    assert p.x < q.x and holds(b, "right of", a)
                if holds(a, "above", b):
                    assert p.y < q.y and holds(b, "below", a)


@BOTH
@pytest.mark.parametrize("split", SPLITS[1:])
def test_no_caption_of_an_evaluation_set_fits_a_second_scene(world, split):
    assert collisions(world, split, 250) == []


def test_the_proof_has_something_to_prove():
    """Plain draws collide: the training split, drawn without redrawing, is not unique."""
    assert collisions(STILL, "train", 400)


def test_full_sets_can_be_drawn_and_oracles_rank_as_they_should():
    for split in SPLITS[1:]:
        assert len({scene_of(STILL, split, number) for number in range(1024)}) == 1024
    full, attributes, bag = (
        oracle_r_at_1(STILL, "test", range(512), 256, reads) for reads in ("all", "attributes", "words")
    )
    assert full == (1.0, 1.0)
    assert 0.9 < bag.text_to_image <= attributes.text_to_image < 1
    assert 0.9 < bag.image_to_text <= attributes.image_to_text < 1


def test_an_impossible_set_says_so(monkeypatch):
    monkeypatch.setattr("vlobj_data.scenes.sets._ATTEMPTS", 60)
    singles = EvaluationSet(SceneWorld(evaluation_counts=(1, 0, 0, 0)), "test_new")
    with pytest.raises(NoScene, match="ask for fewer scenes"):
        singles.scene(144)  # six pairs, two sizes, three patterns, four places
    with pytest.raises(NoScene, match="set twins to 0"):
        scene_of(SceneWorld(counts=(1, 0, 0, 0), twins=0.5), "train", 0)


# --- pictures, boxes, masks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 50, 64, 96])
def test_boxes_enclose_masks_and_masks_hold_the_colour(size):
    for number in range(40):
        scene = scene_of(STILL, "train", number)
        picture = paint.paint(scene, size)
        assert picture.dtype == np.uint8 and picture.shape == (3, size, size)
        taken = np.zeros((size, size), dtype=int)
        for thing, spot in zip(scene.things, paint.layout(scene, size), strict=True):
            mask = paint.mask(thing, spot, size)
            x1, y1, x2, y2 = paint.box(thing, spot)
            assert 0 <= x1 < x2 <= size and 0 <= y1 < y2 <= size
            rows, columns = np.nonzero(mask)
            assert (x1, y1, x2 - 1, y2 - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
            ink = np.array(paint.INKS[COLOURS[thing.colour]])[:, None]
            plain = np.abs(picture[:, mask].astype(int) - ink - 16).max(0) <= 16
            assert plain.all() if thing.pattern == 0 else 0.2 < plain.mean() < 0.95
            taken += mask
        assert taken.max() == 1


def test_shapes_and_patterns_differ_in_outline_and_ink():
    for radius in (8, 9, 13, 14):
        outlines = [paint.outline(shape, radius) for shape in range(len(SHAPES))]
        for i, a in enumerate(outlines):
            for b in outlines[:i]:
                assert (a ^ b).sum() >= 0.15 * max(a.sum(), b.sum())


def test_backgrounds_vary_and_pictures_do_not_overflow():
    grounds = np.stack([paint.ground(scene_of(STILL, "train", number).look, 64) for number in range(200)])
    assert grounds.max() <= 150 and grounds.mean((1, 2, 3)).std() > 10
    assert max(max(ink) for ink in paint.INKS.values()) + 31 <= 255


# --- twins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["val", "test_new"])
@pytest.mark.parametrize("kind", KINDS)
def test_twins_differ_in_one_thing_and_nowhere_else(kind, split):
    for number in range(60):
        pair = twin_scenes(STILL, split, kind, number)
        (a, b), (left, right) = pair.scenes, pair.captions
        changed = [(x, y) for x, y in zip(a.things, b.things, strict=True) if x != y]
        key = "shape" if kind == "shape" else "colour"
        assert all(x._replace(**{key: getattr(y, key)}) == y for x, y in changed)
        assert len(changed) == len(pair.things) == (2 if kind == "swap" else 1)
        mask = where(pair, 64)
        one, other = paint.paint(a), paint.paint(b)
        assert (one != other).any() and np.array_equal(one[:, ~mask], other[:, ~mask])
        assert fits(left.claims, a) and fits(right.claims, b)
        assert not fits(left.claims, b) and not fits(right.claims, a)
        assert left.template == right.template and len(words(left.text)) == len(words(right.text))
        assert len(pair.spans[0]) == len(pair.spans[1]) == len(changed)
        names = set(SHAPES if kind == "shape" else COLOURS)
        assert {left.text[i:j] for i, j in pair.spans[0]} | {right.text[i:j] for i, j in pair.spans[1]} <= names
        if kind == "swap":
            assert Counter(words(left.text)) == Counter(words(right.text))
        assert all(any(thing.pair in NEW_PAIRS for thing in scene.things) == (split == "test_new") for scene in (a, b))


def test_differing_words_are_found_by_place():
    assert differing("a red ring, a bar", "a blue ring, a bar") == (((2, 5),), ((2, 6),))


# --- questions ------------------------------------------------------------------------------------------------


@BOTH
def test_answers_are_few_and_true(world):
    exists = Counter()
    for number in range(300):
        scene = scene_of(world, "train", number)
        asked = questions(scene)
        assert asked and len({question.kind for question in asked}) == len(asked)
        pairs = {f"{COLOURS[thing.colour]} {SHAPES[thing.shape]}": thing for thing in scene.things}
        for text, answer, kind in asked:
            assert answer in ANSWERS
            named = re.search(r"the ([a-z]+ [a-z]+)(?: move)?\?$|is there a ([a-z]+ [a-z]+)\?", text)
            if kind == "exists":
                assert (answer == "yes") == (named[2] in pairs)
                exists[answer] += 1
            elif kind == "motion":
                assert answer == MOTIONS[pairs[named[1]].motion]
            elif kind == "size":
                assert answer == SIZES[pairs[named[1]].size]
            elif kind == "pattern":
                assert answer == PATTERNS[pairs[named[1]].pattern]
            elif kind == "side":
                word = text.split("what is ")[1].split(" the ")[0]
                there = [SHAPES[x.shape] for x in scene.things if holds(x, word, pairs[named[1]])]
                assert there == ([] if answer == "nothing" else [answer])
            elif kind == "colour":
                assert [name for name in pairs if name.endswith(words(text)[-1])] == [f"{answer} {words(text)[-1]}"]
            elif kind == "shape":
                assert [name for name in pairs if name.startswith(words(text)[-1])] == [f"{words(text)[-1]} {answer}"]
            else:
                about = words(text)[-1]
                number_of = len(pairs) if about == "there" else sum(about in name.split() for name in pairs)
                assert ("none", "one", "two", "three", "four")[number_of] == answer
    assert abs(exists["yes"] - exists["no"]) < 80 and len(ANSWERS) == len(set(ANSWERS)) <= 40


# --- clips ----------------------------------------------------------------------------------------------------


def test_things_move_as_the_caption_says_and_never_overlap():
    directions = Counter()
    for number in range(120):
        scene = scene_of(MOVING, "train", number)
        frames = [motion.spots_at(scene, frame, 6, 64) for frame in range(6)]
        for index, thing in enumerate(scene.things):
            path = [(spots[index].x, spots[index].y) for spots in frames]
            steps = {(int(np.sign(b[0] - a[0])), int(np.sign(b[1] - a[1]))) for a, b in pairwise(path)}
            assert steps == {
                {"still": (0, 0), "left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[
                    MOTIONS[thing.motion]
                ]
            }
            directions[MOTIONS[thing.motion]] += 1
            for caption in captions(MOVING, scene):
                said = next(
                    mention for mention in caption.claims.mentions if (mention.shape, mention.colour) == thing.pair
                )
                assert said.motion == thing.motion
                assert (MOTIONS[thing.motion] if thing.motion else "still") in words(caption.text)
        for spots in frames:
            taken = sum(paint.mask(t, s, 64).astype(int) for t, s in zip(scene.things, spots, strict=True))
            assert taken.max() == 1
    assert all(directions[way] > 10 for way in MOTIONS)


def test_a_clip_backwards_is_another_motion_over_the_same_frames():
    """Frames as a set do not tell the direction: the reversed scene is a scene whose caption says the opposite."""
    for number in range(40):
        scene = scene_of(MOVING, "test", number)
        clip = motion.paint_clip(scene, 5, 64)
        assert clip.shape == (5, 3, 64, 64) and all((a != b).any() for a, b in pairwise(clip))
        opposite = [0, 2, 1, 4, 3]
        turned = Scene(tuple(thing._replace(motion=opposite[thing.motion]) for thing in scene.things), scene.look)
        for caption in captions(MOVING, scene):
            assert not fits(caption.claims, turned)
        starts = [track.first for track in motion.tracks(scene, 64)]
        ends = [track.last for track in motion.tracks(scene, 64)]
        assert starts != ends
        for a, b, back in zip(starts, ends, turned.things, strict=True):
            way = {"left": (-32, 0), "right": (32, 0), "up": (0, -32), "down": (0, 32), "still": (0, 0)}
            dx, dy = way[MOTIONS[back.motion]]
            assert (b[0] + dx, b[1] + dy) == a


def test_a_clip_needs_two_frames():
    with pytest.raises(ValueError, match="2 frames"):
        motion.paint_clip(scene_of(MOVING, "test", 0), 1, 64)


# --- the source -----------------------------------------------------------------------------------------------


def source(**options):
    return Scenes(Scenes.Config(**options))


def test_samples_are_pure_and_a_spoiled_picture_spoils_nothing():
    one, other = source(), source()
    for split, epoch in (("train", 0), ("train", 3), ("test", 0)):
        assert same(one.sample(split, 5, epoch, 1), other.sample(split, 5, epoch, 1))
    one.sample("train", 5, 0, 1).values["image"][:] = 0
    assert same(one.sample("train", 5, 0, 1), other.sample("train", 5, 0, 1))
    assert same(pickle.loads(pickle.dumps(one.sample("train", 5, 0, 1))), other.sample("train", 5, 0, 1))


def test_columns_are_what_samples_hold():
    for options, name, shape in (({}, "image", (3, 64, 64)), ({"image_size": 48, "frames": 4}, "clip", (4, 3, 48, 48))):
        here = source(**options)
        values = here.sample("val", 3, 0, 0).values
        assert set(values) == set(here.columns)
        assert here.columns[name].kind == "picture" and here.columns[name].shape == values[name].shape == shape
        assert values[name].dtype == np.uint8
        p = len(values["phrases"])
        assert values["boxes"].shape == (p, *shape[:-3], 4) and values["masks"].shape == (p, *shape[:-3], *shape[-2:])
        rows = values["masks"].any(-1)
        assert np.array_equal(values["boxes"][..., 3] - values["boxes"][..., 1], rows.sum(-1))
        assert values["caption"] in values["captions"] and len(values["captions"]) == 5
        assert (values["question"], values["answer"]) in {(q.text, q.answer) for q in values["questions"]}
        assert all(set(tag.split()) <= set(COLOURS + SHAPES) for tag in values["tags"])


def test_the_stated_mean_and_spread_are_those_of_training():
    here = source()
    pictures = np.stack([here.sample("train", number, 0, 0).values["image"] for number in range(800)]) / 255
    spec = here.columns["image"]
    assert np.abs(pictures.mean((0, 2, 3)) - spec.mean).max() < 0.02
    assert np.abs(pictures.std((0, 2, 3)) - spec.std).max() < 0.02


def test_training_captions_change_with_epoch_and_seed_and_evaluation_captions_never():
    here = source()
    assert len({here.sample("train", 8, epoch, 0).values["caption"] for epoch in range(30)}) == 5
    assert len({here.sample("train", 8, 0, seed).values["caption"] for seed in range(30)}) == 5
    assert len({here.sample("test", 8, epoch, seed).values["caption"] for epoch in range(5) for seed in range(3)}) == 1
    assert len({fixed_template(STILL, "test", number) for number in range(40)}) == 5


def test_the_start_shows_single_things_and_mostly_their_word():
    here = source(start_epochs=2)
    early = [here.sample("train", number, 1, 0) for number in range(400)]
    assert all(len(sample.values["tags"]) == 1 for sample in early)
    cut = [sample for sample in early if sample.same < 0]
    assert 0.72 < len(cut) / 400 < 0.88
    for sample in cut:
        text = sample.values["caption"]
        assert sample.same == -1 - SHAPES.index(text) and sample.values["tags"][0].endswith(text)
        assert sample.values["phrases"][0][:3] == (text, 0, len(text))
    assert same(here.sample("train", 9, 2, 0), source().sample("train", 9, 2, 0))
    assert same(here.sample("val", 9, 0, 0), source().sample("val", 9, 0, 0))
    clips = source(start_epochs=1, frames=4)
    cut = [sample for sample in (clips.sample("train", number, 0, 0) for number in range(100)) if sample.same < 0]
    assert {(sample.values["caption"], sample.same) for sample in cut} == {
        (way, -1 - number) for number, way in enumerate(MOTIONS) if number
    }


def test_twins_of_the_source_agree_outside_of_where():
    here = source()
    for kind in KINDS:
        twins = here.twins("test", kind, 5)
        assert len(twins) == 5
        for twin in twins:
            left, right = twin.left.values["image"], twin.right.values["image"]
            assert np.array_equal(left[:, ~twin.where], right[:, ~twin.where]) and (left != right).any()
            assert twin.left.same != twin.right.same
            assert len(words(twin.left.values["caption"])) == len(words(twin.right.values["caption"]))
    with pytest.raises(DataError, match="clips"):
        source(frames=4).twins("test", "swap", 1)
    assert "twins" in here.can and "twins" not in source(frames=4).can
    with pytest.raises(DataError, match="swap"):
        source(evaluation_counts=(1.0, 0.0, 0.0, 0.0)).twins("test", "swap", 1)


def test_the_source_finds_its_own_problems():
    assert source(val=60, test=60, test_new=60).problems(thorough=True) == []
    impossible = source(val=0, test=0, test_new=145, evaluation_counts=(1.0, 0.0, 0.0, 0.0))
    assert ["test_new" in problem for problem in impossible.problems()] == [True]
    with pytest.raises(DataError, match="test_new"):
        impossible.sample("test_new", 144, 0, 0)
    with pytest.raises(IndexError):
        source(test=4).sample("test", 4, 0, 0)
    assert source().size("nothing") == 0 and source().size("train") == 16000


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 8},
        {"twins": 0.6},
        {"counts": (0.0, 0.0, 0.0, 0.0)},
        {"counts": (1.0, -1.0, 1.0, 1.0)},
        {"frames": 1},
        {"colours": 3},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        Scenes.Config(**wrong)


def test_the_digest_follows_the_options():
    assert source().digest() == source().digest()
    assert len({source().digest(), source(seed=1).digest(), source(twins=0.1).digest()}) == 3


def test_oracle_and_words_of_the_source():
    here = source()
    assert here.oracle("test", range(64)) == (1.0, 1.0)
    assert here.words("colour") == COLOURS and here.words("answer") == ANSWERS
    with pytest.raises(DataError, match="taste"):
        here.words("taste")


def test_what_is_shown_may_be_pictures_alone_or_texts_alone():
    """The same scenes; what needs a column that is not shown is nothing that the source can. Of all columns the digest
    is the one without the option."""
    options = {"samples": 8, "val": 0, "test": 0, "test_new": 0, "image_size": 32}
    whole = Scenes(Scenes.Config(**options))
    for column, can in (("image", set()), ("caption", {"words", "oracle"})):
        alone = Scenes(Scenes.Config(**options, columns=(column,)))
        values, same = alone.sample("train", 3, 0, 0).values, whole.sample("train", 3, 0, 0).values[column]
        assert list(values) == [column] == list(alone.columns) and np.array_equal(values[column], same)
        assert alone.columns[column] == whole.columns[column] and alone.can == can
        assert alone.digest() != whole.digest() and Scenes.Config(columns=(column,)).tiny(32).columns == (column,)
    assert Scenes(Scenes.Config(**options, columns=None)).digest() == whole.digest()
    with pytest.raises(ValueError, match="there is no column 'captoin': did you mean 'caption'"):
        Scenes.Config(columns=("captoin",))
